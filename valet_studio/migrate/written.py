"""Which documents were written since the last migration: what an undo would take back.

A tracked table tells by its log, `_valet_changes`: neither adding columns nor a backfill is
logged there. Any other table is compared with the snapshot from before the migration, by `_id`:
a column that the migration added was empty then. What its backfills filled cannot be compared:
these columns are reported as unknown. Generated columns tell nothing that others do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import apsw

from valet_studio.database.inspect import inspect
from valet_studio.database.layout import BACKFILL_PREFIX, CHANGES, VERSION, read_meta
from valet_studio.database.target import FileTarget
from valet_studio.errors import IsCancelled
from valet_studio.migrate.history import MigrationId
from valet_studio.migrate.undo import last_snapshot
from valet_studio.plan.sql import trigger_names
from valet_studio.schema.names import fold, quote
from valet_studio.schema.state import DatabaseState, TableState, backfill_key

_Value: TypeAlias = str | int | float | bytes | None
_Row: TypeAlias = tuple[_Value, ...]

MAX_EXAMPLES = 3
"""`_id`s that are told of one table's writes."""


@dataclass(frozen=True, slots=True)
class TableWrites:
    """How many documents of one table were written, by what became of each in the end."""

    table: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    examples: tuple[str, ...] = ()
    """The `_id`s of some of them."""
    untold: tuple[str, ...] = ()
    """Columns that may have been written or not: nothing tells."""

    @property
    def total(self) -> int:
        """All documents that an undo would change, as far as is known."""
        return self.inserted + self.updated + self.deleted

    @property
    def told(self) -> str:
        """The counts in words, with examples."""
        counts = ((self.inserted, "inserted"), (self.updated, "updated"), (self.deleted, "deleted"))
        words = ", ".join(f"{count:,} {verb}" for count, verb in counts if count)
        rest = ", …" if self.total > len(self.examples) else ""
        named = f" ({', '.join(self.examples)}{rest})" if self.examples else ""
        return f"{words}{named}"

    @property
    def not_told(self) -> str:
        """The columns of which nothing is known, as a sentence; "" where there are none."""
        if not self.untold:
            return ""
        columns = ", ".join(f"{self.table}.{column}" for column in self.untold)
        were, them = ("was", "it") if len(self.untold) == 1 else ("were", "them")
        return (
            f"Whether {columns} {were} written since cannot be told: the migration filled {them}."
        )


@dataclass(frozen=True, slots=True)
class Undoable:
    """What an undo would do."""

    migration: MigrationId
    """The one that would be undone."""
    snapshot: Path
    """What would be put back."""
    writes: tuple[TableWrites, ...] = ()
    """The tables with documents written since, or with columns of which that is not known."""


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
            _all(before, table.name, "deleted")
            for table in _tables(old)
            if new.table_named(table.name) is None
        ]
        writes = tuple(each for each in [*found, *gone] if each.total or each.untold)
    return Undoable(last.identity, snapshot, writes)


def _tables(state: DatabaseState) -> Iterator[TableState]:
    return (t for t in state.tables if t.kind == "table" and t.column_named("_id") is not None)


def _tracked(table: TableState) -> bool:
    present = {fold(trigger.name) for trigger in table.triggers if CHANGES in trigger.sql}
    return {fold(name) for name in trigger_names(table.name)} <= present


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
    found = _WriteCounts(table.name)
    for row, operation in first.items():
        was, stays = operation != "insert", last[row] != "delete"
        if was or stays:
            found.add(row, "updated" if was and stays else "inserted" if stays else "deleted")
    return found.writes()


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
        return _all(live, new.name, "inserted")
    filled_here = [c.name for c in new.columns if fold(backfill_key(new.name, c.name)) in filled]
    columns = [
        column.name
        for column in new.columns
        # What SQLite computes follows from other columns, also from those that were filled.
        if not column.generated and column.name not in filled_here and fold(column.name) != "_id"
    ]
    held = [quote(name) if old.column_named(name) else _added(name) for name in columns]
    found = _WriteCounts(new.name, tuple(filled_here))
    for was, now in _side_by_side(
        _rows(before, old.name, held),
        _rows(live, new.name, map(quote, columns)),
        str(live.execute("PRAGMA encoding").get),
    ):
        if was != now:
            either = was or now
            assert either is not None
            found.add(
                either[0], "inserted" if was is None else "deleted" if now is None else "updated"
            )
    return found.writes()


def _added(column: str) -> str:
    """What every document holds in a column that a migration has just added."""
    return "0" if fold(column) == "_version" else "NULL"


@dataclass(slots=True)
class _WriteCounts:
    """What was found of one table so far."""

    table: str
    untold: tuple[str, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, who: _Value, what: str) -> None:
        self.counts[what] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(who if isinstance(who, str) else repr(who))

    def writes(self) -> TableWrites:
        return TableWrites(
            self.table, **self.counts, examples=tuple(self.examples), untold=self.untold
        )


def _all(connection: apsw.Connection, table: str, what: str) -> TableWrites:
    """Every document of a table was written."""
    count = int(connection.execute(f"SELECT count(*) FROM main.{quote(table)}").get)
    ids = islice(_rows(connection, table, ()), MAX_EXAMPLES)
    found = _WriteCounts(table, counts=Counter({what: count}))
    found.examples = [str(who) for who, *_ in ids]
    return found.writes()


def _rows(connection: apsw.Connection, table: str, cells: Iterable[str]) -> Iterator[_Row]:
    return connection.execute(
        f"SELECT {', '.join([quote('_id'), *cells])} FROM main.{quote(table)} "
        'WHERE "_id" IS NOT NULL ORDER BY "_id" COLLATE BINARY'
    )


def _side_by_side(
    before: Iterator[_Row], live: Iterator[_Row], encoding: str
) -> Iterator[tuple[_Row | None, _Row | None]]:
    """Rows of one `_id` together, None where a side has none; both sides come in its order."""
    old, new = next(before, None), next(live, None)
    while old is not None or new is not None:
        if new is None or (old is not None and _order(old[0], encoding) < _order(new[0], encoding)):
            yield old, None
            old = next(before, None)
        elif old is None or _order(new[0], encoding) < _order(old[0], encoding):
            yield None, new
            new = next(live, None)
        else:
            yield old, new
            old, new = next(before, None), next(live, None)


def _order(value: _Value, encoding: str) -> tuple[int, bytes, float]:
    """SQLite's order of values: numbers, text by its bytes in the database, blobs."""
    match value:
        case str():
            return (1, value.encode(encoding), 0)
        case bytes():
            return (2, value, 0)
        case int() | float():
            return (0, b"", value)
    return (-1, b"", 0)
