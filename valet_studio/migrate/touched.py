"""The data that one change touches, read to be shown: counts, and whole documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from valet_studio.database.inspect import inspect
from valet_studio.schema.model import Json, Storage, Table
from valet_studio.schema.names import quote
from valet_studio.schema.state import TableState
from valet_studio.schema.telling import shown

SHOWN_DOCUMENTS = 5
"""Documents that are read whole at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of one table is to be read, and how its cells are to be shown."""

    table: str
    column: str | None = None
    """The column whose nulls are counted."""
    ids: tuple[str, ...] = ()
    """`_id`s of the documents that are read whole; at most `SHOWN_DOCUMENTS`."""
    booleans: tuple[str, ...] = ()
    """Columns whose 0 and 1 are shown as false and true."""
    json: tuple[str, ...] = ()
    """Columns whose text is shown as the JSON that it is."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What one change's table and column hold now."""

    rows: int
    """Documents of the table."""
    nulls: int | None = None
    """Documents whose column is null; None where there is no such column yet."""
    documents: tuple[dict[str, Json], ...] = ()
    """Some offending documents, whole."""


def wanted(
    table: str, declared: Table | None, ids: Sequence[str], column: str | None = None
) -> Wanted:
    """What to ask for so that documents are shown as their table declares them."""
    fields = declared.fields if declared is not None else ()
    of = {
        storage: tuple(field.name for field in fields if field.validator.storage is storage)
        for storage in (Storage.BOOLEAN, Storage.JSON)
    }
    few = tuple(ids[:SHOWN_DOCUMENTS])
    return Wanted(table, column, few, of[Storage.BOOLEAN], of[Storage.JSON])


def touched(connection: apsw.Connection, asked: Wanted) -> Touched | None:
    """What the database holds where a change is; None where there is no such table yet.

    Raises:
        apsw.Error: the data cannot be read, or the reading was interrupted.
    """
    held = inspect(connection).table_named(asked.table)
    if held is None or held.kind != "table":
        return None
    name = quote(held.name)
    rows = int(connection.execute(f"SELECT count(*) FROM {name}").get)
    column = held.column_named(asked.column) if asked.column is not None else None
    nulls = None
    if column is not None:
        condition = f"{quote(column.name)} IS NULL"
        nulls = int(connection.execute(f"SELECT count(*) FROM {name} WHERE {condition}").get)
    return Touched(rows, nulls, _documents(connection, held, asked))


def documents(connection: apsw.Connection, asked: Wanted) -> tuple[dict[str, Json], ...]:
    """Whole documents by `_id`, decoded to be shown; those that are not there are left out.

    Raises:
        apsw.Error: as `touched` raises.
    """
    held = inspect(connection).table_named(asked.table)
    return _documents(connection, held, asked) if held is not None else ()


def _documents(
    connection: apsw.Connection, held: TableState, asked: Wanted
) -> tuple[dict[str, Json], ...]:
    meant = dict.fromkeys(asked.booleans, Storage.BOOLEAN) | dict.fromkeys(asked.json, Storage.JSON)
    names = [column.name for column in held.columns]
    found = []
    for who in asked.ids[:SHOWN_DOCUMENTS]:
        cursor = connection.execute(f'SELECT * FROM {quote(held.name)} WHERE "_id" = ?', (who,))
        cells = cursor.fetchone()
        if cells is not None:
            found.append({n: shown(c, meant.get(n)) for n, c in zip(names, cells, strict=True)})
    return tuple(found)
