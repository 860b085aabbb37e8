"""Which documents were written since the last migration: what an undo would take back.

A tracked table tells by its log, `_valet_changes`: neither adding columns nor a backfill is
logged there. Any other table is compared with the snapshot from before the migration, by `_id`,
in the columns that stand in both and that no backfill of the migration has filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import apsw

from valet_studio.database.inspect import inspect
from valet_studio.database.layout import BACKFILL_PREFIX, CHANGES, VERSION, read_meta
from valet_studio.database.target import FileTarget
from valet_studio.migrate.events import IsCancelled
from valet_studio.migrate.history import MigrationId
from valet_studio.migrate.undo import last_snapshot
from valet_studio.plan.sql import quote, trigger_names
from valet_studio.schema.names import fold
from valet_studio.schema.state import DatabaseState, TableState, backfill_key

_Value: TypeAlias = str | int | float | bytes | None
_Row: TypeAlias = tuple[_Value, ...]


@dataclass(frozen=True, slots=True)
class TableWrites:
    """How many documents of one table were written, by what became of each in the end."""

    table: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    @property
    def total(self) -> int:
        """All documents that an undo would change."""
        return self.inserted + self.updated + self.deleted


@dataclass(frozen=True, slots=True)
class Undoable:
    """What an undo would do."""

    migration: MigrationId
    """The one that would be undone."""
    snapshot: Path
    """What would be put back."""
    writes: tuple[TableWrites, ...] = ()
    """The tables with documents written since, by name."""


def undoable(target: FileTarget, cancelled: IsCancelled) -> Undoable:
    """What an undo would take back. Reads only.

    Raises:
        NothingToUndo: nothing was applied, or its snapshot is gone.
        Cancelled: `cancelled` answered True.
        DatabaseError: the database or its snapshot cannot be read.
    """
    last, snapshot = last_snapshot(target)
    with (
        FileTarget(str(snapshot), snapshot).reading(cancelled) as before,
        target.reading(cancelled) as live,
        live,
    ):
        old, new = inspect(before), inspect(live)
        logged = _log(live, _version(before))
        filled = _backfilled(before, live)
        found = (
            _from_log(table, logged.get(fold(table.name), ()))
            if logged is not None and _tracked(table)
            else _compared(before, live, old.table_named(table.name), table, filled)
            for table in sorted(_tables(new), key=lambda t: t.name)
        )
        gone = [
            TableWrites(table.name, deleted=_count(before, table.name))
            for table in _tables(old)
            if new.table_named(table.name) is None
        ]
        writes = tuple(each for each in [*found, *gone] if each.total)
    return Undoable(last.identity, snapshot, writes)


def _tables(state: DatabaseState) -> Iterator[TableState]:
    return (t for t in state.tables if t.kind == "table" and t.column_named("_id") is not None)


def _tracked(table: TableState) -> bool:
    present = {trigger.name.lower() for trigger in table.triggers if CHANGES in trigger.sql}
    return {name.lower() for name in trigger_names(table.name)} <= present


def _version(connection: apsw.Connection) -> int:
    try:
        found = connection.execute(f'SELECT max("version") FROM {quote(VERSION)}').get
    except apsw.SQLError:
        return 0
    return found if isinstance(found, int) else 0


def _log(connection: apsw.Connection, after: int) -> dict[str, list[tuple[str, str]]] | None:
    """Row and operation of each logged change after a version, by table and in their order; None
    where the log is not there or is another one than ours."""
    logged: dict[str, list[tuple[str, str]]] = {}
    try:
        rows = connection.execute(
            f'SELECT "table", "row_id", lower("operation") FROM {quote(CHANGES)} '
            'WHERE "db_version" > ? ORDER BY "db_version", rowid',
            (after,),
        )
        for table, row, operation in rows:
            logged.setdefault(fold(str(table)), []).append((str(row), str(operation)))
    except apsw.SQLError:
        return None
    return logged


def _from_log(table: TableState, log: list[tuple[str, str]] | tuple[()]) -> TableWrites:
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for row, operation in log:
        first.setdefault(row, operation)
        last[row] = operation
    inserted = updated = deleted = 0
    for row, operation in first.items():
        was, stays = operation != "insert", last[row] != "delete"
        inserted += stays and not was
        updated += stays and was
        deleted += was and not stays
    return TableWrites(table.name, inserted, updated, deleted)


def _backfilled(before: apsw.Connection, live: apsw.Connection) -> frozenset[str]:
    """Keys of the backfills that the migration has run."""
    old, new = read_meta(before), read_meta(live)
    return frozenset(
        fold(key)
        for key, value in new.items()
        if key.startswith(BACKFILL_PREFIX) and old.get(key) != value
    )


def _compared(
    before: apsw.Connection,
    live: apsw.Connection,
    old: TableState | None,
    new: TableState,
    filled: frozenset[str],
) -> TableWrites:
    if old is None or old.kind != "table" or old.column_named("_id") is None:
        return TableWrites(new.name, inserted=_count(live, new.name))
    shared = [
        column.name
        for column in new.columns
        if old.column_named(column.name) is not None
        and fold(backfill_key(new.name, column.name)) not in filled
        and fold(column.name) != "_id"
    ]
    inserted = updated = deleted = 0
    for was, now in _side_by_side(_rows(before, old.name, shared), _rows(live, new.name, shared)):
        inserted += was is None
        deleted += now is None
        updated += was is not None and now is not None and was != now
    return TableWrites(new.name, inserted, updated, deleted)


def _rows(connection: apsw.Connection, table: str, columns: list[str]) -> Iterator[_Row]:
    names = ", ".join(map(quote, ["_id", *columns]))
    return connection.execute(
        f"SELECT {names} FROM main.{quote(table)} "
        'WHERE "_id" IS NOT NULL ORDER BY "_id" COLLATE BINARY'
    )


def _side_by_side(
    before: Iterator[_Row], live: Iterator[_Row]
) -> Iterator[tuple[_Row | None, _Row | None]]:
    """Rows of one `_id` together, None where a side has none; both sides come in its order."""
    old, new = next(before, None), next(live, None)
    while old is not None or new is not None:
        if new is None or (old is not None and _order(old[0]) < _order(new[0])):
            yield old, None
            old = next(before, None)
        elif old is None or _order(new[0]) < _order(old[0]):
            yield None, new
            new = next(live, None)
        else:
            yield old, new
            old, new = next(before, None), next(live, None)


def _order(value: _Value) -> tuple[int, str, bytes, float]:
    """SQLite's order of values: numbers, text by its UTF-8 bytes, blobs."""
    match value:
        case str():
            return (1, value, b"", 0)
        case bytes():
            return (2, "", value, 0)
        case int() | float():
            return (0, "", b"", value)
    return (-1, "", b"", 0)


def _count(connection: apsw.Connection, table: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM main.{quote(table)}").get
    assert isinstance(found, int)
    return found
