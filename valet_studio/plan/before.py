"""What a database held before a push, in one view: recorded schema, kept fields, SQL types."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from valet_studio.plan import sql
from valet_studio.schema.model import Backfill, Field, Sync, Table
from valet_studio.schema.names import fold
from valet_studio.schema.state import UNKNOWN, DatabaseState, TableState, backfill_key

SYSTEM_COLUMNS = ("_id", "_version")


@dataclass(frozen=True, slots=True)
class FieldBefore:
    """A field that some earlier schema declared."""

    field: Field
    removed: bool
    """Whether the last schema did not declare it any more."""


@dataclass(frozen=True, slots=True)
class TableBefore:
    """A table that some earlier schema declared, as far as its columns still stand."""

    name: str
    past: tuple[FieldBefore, ...]
    """Fields whose column is there, in the order of their schema."""
    missing: tuple[Field, ...]
    """Fields of the last schema whose column is not there."""
    sync: Sync | None
    """None where no schema tells it."""
    declared: bool
    """Whether the last schema declared it (or, without a recorded one, Valet made it)."""
    standing: bool
    """Whether the table is there."""

    @property
    def removed(self) -> bool:
        """Whether an earlier schema declared it and the last one did not."""
        return not self.declared

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields whose column is there."""
        return tuple(entry.field for entry in self.past)

    def field(self, name: str) -> FieldBefore | None:
        """The field that SQLite would find by this name."""
        return next((e for e in self.past if fold(e.field.name) == fold(name)), None)


@dataclass(frozen=True, slots=True)
class _Past:
    """What the bookkeeping tells of one table."""

    table: Table
    """As the last schema declared it; without fields where it did not."""
    kept: Table | None
    """Fields of schemas before that."""
    declared: bool
    recorded: bool


class Before:
    """One state of a database, looked up by name as SQLite does."""

    def __init__(self, state: DatabaseState) -> None:
        self.state = state
        self._found = {fold(t.name): t for t in state.tables}
        self._virtual = {n: t for n, t in self._found.items() if t.kind == "virtual"}
        self._indexes = {fold(i.name): t.name for t in state.tables for i in t.indexes}
        self._ran = {fold(key): digest for key, digest in state.backfills.items()}
        self._unsettled = {fold(key) for key in state.unsettled}
        self._past = {fold(past.table.name): past for past in self._past_tables()}
        self._tables: dict[str, TableBefore] = {}

    def state_of(self, name: str) -> TableState | None:
        """The table, virtual table or view of that name."""
        return self._found.get(fold(name))

    def table(self, name: str) -> TableBefore | None:
        """What earlier schemas declared under that name."""
        key = fold(name)
        if key not in self._past:
            return None
        if key not in self._tables:
            self._tables[key] = self._table_before(self._past[key])
        return self._tables[key]

    def tables(self, but: Collection[str] = frozenset()) -> Iterator[TableBefore]:
        """All declared tables that still stand, those of the last schema first.

        Args:
            but: Folded names of tables to leave out.
        """
        for name in self._past:
            if name not in but:
                found = self.table(name)
                if found is not None and found.standing:
                    yield found

    def dropped(self) -> Iterator[TableBefore]:
        """Tables of the last schema that are not there, nor anything else of that name."""
        for name, past in self._past.items():
            if past.declared and name not in self._found:
                yield self._table_before(past)

    def backfill_digest(self, key: str) -> str | None:
        """Digest of the backfill recorded under the key; None where none ran."""
        return self._ran.get(fold(key))

    def is_pending(self, table: str, backfill: Backfill) -> bool:
        """Whether the next push runs a backfill: it never ran, or it was edited after it ran in a
        push that did not complete. Clients run it as it is in the push that does."""
        key = backfill_key(table, backfill.column)
        ran = self.backfill_digest(key)
        return ran is None or (ran != backfill.digest and fold(key) in self._unsettled)

    def in_the_way(self, name: str) -> str | None:
        """Why no table of that name can be created, or None."""
        found = self.state_of(name)
        if found is not None and found.kind != "table":
            kind = {"view": "a view", "virtual": "a virtual table", "shadow": "a shadow table"}
            return f"{kind[found.kind]} of that name is in the way"
        if fold(name) in self._indexes:
            return f"an index of {self._indexes[fold(name)]} has that name"
        if fold(name).startswith("sqlite_"):
            return "SQLite keeps names that begin with sqlite_ for itself"
        return None

    def search_indexes(self, table: str) -> dict[str, TableState]:
        """The FTS5 tables of a table's search indexes, by folded name."""
        return {
            name: found
            for name, found in self._virtual.items()
            if sql.is_search_name(found.name, table)
        }

    def _past_tables(self) -> Iterator[_Past]:
        kept = {fold(t.name): t for t in self.state.kept}
        if self.state.applied is not None:
            declared: tuple[Table, ...] = self.state.applied.tables
        elif self.state.has_bookkeeping:
            declared = tuple(self._made_by_valet(kept))
        else:
            declared = ()
        recorded = self.state.applied is not None
        names = set()
        for table in declared:
            names.add(fold(table.name))
            yield _Past(table, kept.get(fold(table.name)), True, recorded)
        for table in self.state.kept:
            if fold(table.name) not in names:
                yield _Past(Table(table.name), table, False, False)

    def _table_before(self, told: _Past) -> TableBefore:
        table, kept = told.table, told.kept
        found = self._found.get(fold(table.name))
        columns = {fold(c.name) for c in found.columns} if found and found.kind == "table" else None
        here = columns if columns is not None else set()
        names = {fold(f.name) for f in table.fields}
        past = [FieldBefore(f, False) for f in table.fields if fold(f.name) in here]
        past += [
            FieldBefore(f, True)
            for f in (kept.fields if kept is not None else ())
            if fold(f.name) in here and fold(f.name) not in names
        ]
        return TableBefore(
            name=table.name,
            past=tuple(past),
            missing=tuple(f for f in table.fields if fold(f.name) not in here),
            sync=table.sync if told.recorded else None,
            declared=told.declared,
            standing=columns is not None,
        )

    def _made_by_valet(self, kept: dict[str, Table]) -> Iterator[Table]:
        """Tables of a database whose schema is not recorded, taken from what stands there."""
        for found in self.state.tables:
            columns = {fold(c.name) for c in found.columns}
            if found.kind != "table" or not columns >= set(SYSTEM_COLUMNS):
                continue
            old = kept.get(fold(found.name))
            gone = {fold(f.name) for f in old.fields} if old is not None else set()
            yield Table(
                found.name,
                tuple(
                    Field(c.name, UNKNOWN, optional=True)
                    for c in found.columns
                    if not c.name.startswith("_") and fold(c.name) not in gone
                ),
            )
