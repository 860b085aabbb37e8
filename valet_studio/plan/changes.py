"""The changes of a plan: one frozen dataclass a kind, in one union, to be told apart by `match`.

A kind without fields of its own is no dataclass itself: making one takes a millisecond, and the
first plan waits for it.

`plan.compare` makes them, `plan.measure` fills in what only the data can tell (`rows`,
`offending`), `report` and the studio show them, `migrate.apply` runs their `sql`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal, TypeAlias

from valet_studio.errors import Location, Problem
from valet_studio.schema.model import (
    Backfill,
    Field,
    Index,
    Json,
    SearchIndex,
    Storage,
    Sync,
    Table,
    Validator,
)


class Risk(StrEnum):
    """What a change may cost. One `BREAKING` change rejects the whole push."""

    SAFE = "safe"
    WARNING = "warning"
    BREAKING = "breaking"


Sign: TypeAlias = Literal["+", "-", "~", "!", "✗"]
"""`+` adds, `-` leaves the types, `~` alters, `!` needs a look, `✗` is rejected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What every change carries. `rows` and `offending` are None until they were measured."""

    kind: ClassVar[str]
    sign: ClassVar[Sign]

    table: str
    column: str | None = None
    index: str | None = None
    risk: Risk = Risk.SAFE
    summary: str
    """One sentence that says what will happen, counts included once they are measured."""
    rule: str
    """One or two sentences: why it happens so, and what to do where it is not what was meant."""
    sql: tuple[str, ...] = ()
    """The statements that apply will run for this change, in order."""
    location: Location | None = None
    rows: int | None = None
    """Documents that the change touches or that now hold null; None where not measured."""
    offending: int | None = None
    """Documents that break the promise of a narrowing; None where not measured."""
    examples: tuple[str, ...] = ()
    """`_id`s of some offending documents."""

    @property
    def shown_sign(self) -> Sign:
        """The sign to show: the kind's own, unless the change is rejected."""
        return "✗" if self.risk is Risk.BREAKING else self.sign


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTable(Change):
    """A table that the database does not have."""

    kind = "create_table"
    sign = "+"
    declared: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class AddColumn(Change):
    """A field whose column the database does not have; documents hold null there at first."""

    kind = "add_column"
    sign = "+"
    field: Field
    backfilled: bool = False
    """Whether a backfill of the same push fills it."""


class DeprecateField(Change):
    """A field that keeps its column and leaves the generated types."""

    __slots__ = ()
    kind = "deprecate_field"
    sign = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveField(Change):
    """A field that the schema does not declare any more; its column is kept."""

    kind = "remove_field"
    sign = "-"
    field: Field | None = None
    """The field as the last schema had it; None where only the column's SQL type is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTable(Change):
    """A table that the schema does not declare any more; its documents are kept."""

    kind = "remove_table"
    sign = "-"
    fields: tuple[Field, ...] = ()
    """What the table was declared with, as far as the columns still stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreField(Change):
    """A field that was removed or deprecated, and is declared again."""

    kind = "restore_field"
    sign = "+"
    field: Field
    backfill: Literal["none", "pending", "ran", "refused"] = "none"
    """Whether a backfill will fill it, or did before and will not run again, or never can, since
    SQLite computes the column."""


class RestoreTable(Change):
    """A table that was removed, and is declared again."""

    __slots__ = ()
    kind = "restore_table"
    sign = "+"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeType(Change):
    """A field whose values another type of column would hold: always rejected."""

    kind = "change_type"
    sign = "✗"
    before: Validator | None
    """The validator of the applied schema; None where only the column's SQL type is known."""
    before_sql_type: str
    after: Field
    before_optional: bool = False
    """Whether the applied schema let a document lack it."""


class WidenField(Change):
    """A field that allows more than before; the stored values keep every promise."""

    __slots__ = ()
    kind = "widen_field"
    sign = "~"


@dataclass(frozen=True, slots=True)
class HeldValue:
    """What some documents hold, as it is shown."""

    value: Json
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrowField(Change):
    """A field that allows less than before; stored values may break the new promise."""

    kind = "narrow_field"
    sign = "~"
    field: Field
    """The new promise, which the stored values must keep."""
    storage: Storage
    before: Field | None = None
    """The promise of the last schema."""
    after_backfill: bool = False
    """Whether a backfill of the same push writes the column, so that it is checked after that."""
    adopted: bool = False
    """Whether the column was made by hand, so that no schema made a promise of it before."""
    nulls: int = 0
    """Of an adopted column that must not be null: how many documents hold null there."""
    values: tuple[HeldValue, ...] = ()
    """What breaks the promise, most frequent first; one more than `MAX_VALUES` where there are
    others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIndex(Change):
    """An index that the database does not have."""

    kind = "create_index"
    sign = "+"
    declared: Index


class DropIndex(Change):
    """An index that Valet made and that the schema does not declare any more."""

    __slots__ = ()
    kind = "drop_index"
    sign = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSearchIndex(Change):
    """A full-text index that the database does not have."""

    kind = "create_search_index"
    sign = "+"
    declared: SearchIndex


class DropSearchIndex(Change):
    """A full-text index that the schema does not declare any more."""

    __slots__ = ()
    kind = "drop_search_index"
    sign = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSync(Change):
    """Another way of syncing a table, which may add or take away change tracking."""

    kind = "change_sync"
    sign = "~"
    before: Sync
    after: Sync


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBackfill(Change):
    """A backfill that has not run on this database yet."""

    kind = "run_backfill"
    sign = "~"
    declared: Backfill
    overwrites: int = 0
    """Values other than null that it would overwrite; 0 where not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift(Change):
    """The database holds what no schema explains. Nothing is done about it."""

    kind = "drift"
    sign = "!"
    made_by: str | None = None
    """The statement that made it; None where that would tell nothing more."""


AnyChange: TypeAlias = (
    CreateTable
    | AddColumn
    | DeprecateField
    | RemoveField
    | RemoveTable
    | RestoreField
    | RestoreTable
    | ChangeType
    | WidenField
    | NarrowField
    | CreateIndex
    | DropIndex
    | CreateSearchIndex
    | DropSearchIndex
    | ChangeSync
    | RunBackfill
    | Drift
)

Status: TypeAlias = Literal["in_sync", "pending", "blocked"]


class _Known:
    """Slots for what is worked out once for a frozen plan: screens ask for it at every key."""

    __slots__ = ("_pending", "_status")
    _pending: tuple[AnyChange, ...]
    _status: Status


@dataclass(frozen=True, slots=True)
class Plan(_Known):
    """What a push will do to one database, in the order in which it will be done."""

    schema_hash: str
    applied_hash: str | None
    fingerprint: str
    """Names this schema against this state of the database; apply refuses any other."""
    changes: tuple[AnyChange, ...] = ()
    warnings: tuple[Problem, ...] = ()
    measured: bool = False
    """Whether the counts of `changes` were read from the data."""

    @property
    def status(self) -> Status:
        """`blocked` where a change is breaking, `in_sync` where nothing is left to do."""
        if not hasattr(self, "_status"):
            left = self.pending or self.schema_hash != self.applied_hash
            blocked = any(change.risk is Risk.BREAKING for change in self.changes)
            status: Status = "blocked" if blocked else "pending" if left else "in_sync"
            object.__setattr__(self, "_status", status)
        return self._status

    @property
    def pending(self) -> tuple[AnyChange, ...]:
        """The changes that apply will carry out: all but drift."""
        if not hasattr(self, "_pending"):
            pending = tuple(change for change in self.changes if not isinstance(change, Drift))
            object.__setattr__(self, "_pending", pending)
        return self._pending

    @property
    def statements(self) -> tuple[str, ...]:
        """What apply will run, in its order."""
        return tuple(sql for change in self.pending for sql in change.sql)

    def backfill(self, table: str, column: str) -> Backfill | None:
        """The backfill that it runs for a column; None where it runs none."""
        for change in self.changes:
            if isinstance(change, RunBackfill) and (change.table, change.column) == (table, column):
                return change.declared
        return None


def by_table(changes: Iterable[AnyChange]) -> list[tuple[str, list[AnyChange]]]:
    """Tables in the order of their first change, each with its changes in theirs."""
    found: dict[str, list[AnyChange]] = {}
    for change in changes:
        found.setdefault(change.table, []).append(change)
    return list(found.items())
