"""The data that one change touches, read to be shown: counts, and whole documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from valet_studio.database.inspect import inspect
from valet_studio.migrate.documents import shown
from valet_studio.plan.changes import AnyChange
from valet_studio.plan.sql import quote
from valet_studio.schema.model import Json, Table
from valet_studio.schema.state import TableState

SHOWN_DOCUMENTS = 5
"""Offending documents that are read whole."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What one change's table and column hold now."""

    rows: int
    """Documents of the table."""
    nulls: int | None = None
    """Documents whose column is null; None where there is no such column yet."""
    documents: tuple[dict[str, Json], ...] = ()
    """Some offending documents, whole."""


def touched(connection: apsw.Connection, change: AnyChange, table: Table | None) -> Touched | None:
    """What the database holds where a change is; None where there is no such table yet.

    Raises:
        apsw.Error: the data cannot be read, or the reading was interrupted.
    """
    held = inspect(connection).table_named(change.table)
    if held is None or held.kind != "table":
        return None
    name = quote(held.name)
    rows = int(connection.execute(f"SELECT count(*) FROM {name}").get)
    column = held.column_named(change.column) if change.column is not None else None
    nulls = None
    if column is not None:
        condition = f"{quote(column.name)} IS NULL"
        nulls = int(connection.execute(f"SELECT count(*) FROM {name} WHERE {condition}").get)
    ids = change.examples[:SHOWN_DOCUMENTS]
    return Touched(rows, nulls, documents(connection, held, table, ids))


def documents(
    connection: apsw.Connection, held: TableState, table: Table | None, ids: Sequence[str]
) -> tuple[dict[str, Json], ...]:
    """Whole documents by `_id`, decoded to be shown; those that are not there are left out."""
    found = []
    for who in ids:
        cursor = connection.execute(f'SELECT * FROM {quote(held.name)} WHERE "_id" = ?', (who,))
        cells = cursor.fetchone()
        if cells is not None:
            columns = [column.name for column in held.columns]
            found.append({n: _shown(n, c, table) for n, c in zip(columns, cells, strict=True)})
    return tuple(found)


def _shown(name: str, cell: apsw.SQLiteValue, table: Table | None) -> Json:
    declared = table.field_named(name) if table is not None else None
    return shown(cell, declared.validator.storage if declared is not None else None)
