"""What long work tells while it runs, and the report at its end.

`dry_run` and `apply` are generators of these. The commands, the studio and a server
consume the same ones; the last event of a finished run is its `Report`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from valet_studio.errors import Location
from valet_studio.plan.changes import Plan
from valet_studio.schema.model import Json

Phase: TypeAlias = Literal["copy", "snapshot", "lock", "structure", "backfill", "verify", "commit"]
"""`snapshot`: a large database is copied before an apply. `lock`: it waits until no other process
writes."""


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase begins; the one before it has ended."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """How much of the database was copied."""

    pages_done: int
    pages_total: int


@dataclass(frozen=True, slots=True)
class StatementRun:
    """A statement that has just run, for the log."""

    sql: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """How far a backfill is, in documents; posted at its start and after each batch."""

    table: str
    column: str
    done: int
    total: int
    failed: int
    seconds: float
    """Time since this backfill began."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One document of a backfill: the column before and after, and what it was derived from."""

    id: str | None
    """None where it has no `_id`."""
    before: Json
    after: Json
    row: dict[str, Json]

    @staticmethod
    def of(document: dict[str, Json], column: str, after: Json) -> Sample:
        """A document as it is before its column is set to `after`."""
        who = document.get("_id")
        others = {name: cell for name, cell in document.items() if name != column}
        return Sample(str(who) if who is not None else None, document.get(column), after, others)


@dataclass(frozen=True, slots=True)
class Failure:
    """One document that a backfill could not fill."""

    id: str | None
    message: str
    location: Location | None = None
    read: dict[str, Json] = field(default_factory=dict)
    """What the function reads of the document, as far as its text tells; long values are cut."""

    def reason(self, column: str) -> str:
        """Why, where it is said already that it is the backfill of this column that failed."""
        told = self.message.removeprefix(f'Backfill "{column}" ')
        return told.removeprefix("failed: ") if told != self.message else told


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many documents failed for one reason."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class ValueCount:
    """How many documents got one value."""

    value: Json
    count: int


@dataclass(frozen=True, slots=True)
class Bin:
    """One span of a histogram: from `low` up to, not including, `high`."""

    low: float
    high: float
    part: float
    """The part of all numbers that lie in it, between 0 and 1."""


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What one backfill did."""

    table: str
    column: str
    rows: int
    """Documents that it was run for."""
    updated: int
    """Documents whose column it set: all of them, or none where one failed."""
    failed: int
    seconds: float
    samples: tuple[Sample, ...] = ()
    errors: tuple[Failure, ...] = ()
    """The first failures, at most `MAX_FAILURES`."""
    distribution: tuple[ValueCount, ...] = ()
    """The most frequent new values, most frequent first; empty where nearly all differ."""
    deterministic: bool | None = None
    """Whether a second process, which took each batch from its end, computed the same values; None
    where that was not tried."""
    impure: tuple[str, ...] = ()
    """What made it differ, as far as known: `Date.now`, `Math.random`, …"""
    nulls: int = 0
    """Documents whose new value is null, in those that did not fail."""
    unchanged: int | None = None
    """Documents that held their value already; None where that was not counted (an apply)."""
    tried: int | None = None
    """Documents that it had run for when it was stopped at one that took too long or too much
    memory, which is the first of `errors`; None where it was not."""
    histogram: tuple[Bin, ...] = ()
    """How numbers spread, from a sample of them; empty where they are few or all equal."""
    reasons: tuple[ReasonCount, ...] = ()
    """Why documents failed, most frequent first, at most `MAX_REASONS`; empty where nearly each
    failed for a reason of its own."""


@dataclass(frozen=True, slots=True)
class TableRows:
    """How many documents a table held before and after."""

    table: str
    rows_before: int
    rows_after: int


@dataclass(frozen=True, slots=True)
class Copied:
    """What a dry run worked on."""

    kind: Literal["full", "lean"]
    """`lean`: the whole structure, and rows of the tables alone that the plan touches. The row
    counts of the others are those of the database."""
    bytes: int
    """The size of the copy before anything was done to it."""
    of: int
    """The size of the database."""
    tables: tuple[str, ...] = ()
    """The tables whose rows a lean copy holds."""


Outcome: TypeAlias = Literal["ok", "failed", "rejected", "noop"]


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a dry run or of an apply; both report alike.

    `failed`: a backfill failed; the rest of the push stays and the next push retries it.
    `rejected`: the plan is blocked; nothing was done. `noop`: nothing was left to do.
    """

    status: Outcome
    plan: Plan
    tables: tuple[TableRows, ...] = ()
    backfills: tuple[BackfillReport, ...] = ()
    seconds: float = 0.0
    statements: tuple[str, ...] = ()
    """Every statement that ran, in order."""
    history_id: int | None = None
    """The row of `_valet_history` that records it; None for a dry run."""
    snapshot: str | None = None
    """Where the database as it was before is kept; None for a dry run."""
    copied: Copied | None = None
    """What a dry run worked on; None for an apply."""


Event: TypeAlias = (
    PhaseStarted | CopyProgress | StatementRun | BackfillProgress | BackfillReport | Report
)

MAX_FAILURES = 1_000
MAX_REASONS = 20
MAX_SAMPLES = 20
MAX_DISTRIBUTION = 20
