"""How far a dry run or an apply is: events folded into one frozen value. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from valet_studio.errors import Problem
from valet_studio.migrate.events import (
    BackfillProgress,
    BackfillReport,
    CopyProgress,
    Event,
    Failure,
    Phase,
    PhaseStarted,
    Report,
    Sample,
    StatementRun,
)
from valet_studio.plan.changes import Plan
from valet_studio.schema.model import Sources
from valet_studio.tui.facts import RunKind

if TYPE_CHECKING:
    from valet_studio.replica.rehearse import ReplicaReport

PHASES: dict[RunKind, tuple[Phase, ...]] = {
    "dry run": ("copy", "structure", "backfill", "verify"),
    "apply": ("snapshot", "structure", "backfill", "verify", "commit"),
}

TimedEvent: TypeAlias = tuple[float, Event]
"""An event and when it came: seconds since its run began."""


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """One document that a backfill could not fill."""

    table: str
    column: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class Progress:
    """One run, from its start to its report."""

    work: RunKind
    plan: Plan
    label: str
    """How the database is named."""
    sources: Sources | None = None
    """The modules that the newest errors speak of."""
    phase: Phase | None = None
    passed: tuple[Phase, ...] = ()
    copied: CopyProgress | None = None
    running: dict[tuple[str, str], BackfillProgress] = field(default_factory=dict)
    """Backfills that have begun, by table and column."""
    finished: dict[tuple[str, str], BackfillReport] = field(default_factory=dict)
    statements: int = 0
    statement: str = ""
    """The newest statement that ran."""
    seconds: dict[Phase, float] = field(default_factory=dict)
    """How long each phase took that has ended."""
    phase_began: float = 0.0
    report: Report | None = None
    cancelling: bool = False
    ended: bool = False
    cancelled: bool = False
    problems: tuple[Problem, ...] = ()
    replica: ReplicaReport | None = None
    """What will happen on a client, once that was rehearsed too."""
    replica_begun: bool = False
    """Whether the dry run itself is over, and goes on with a copy of a client's file."""
    retried: Report | None = None
    """What became of the failed documents when they alone were tried again."""

    @property
    def succeeded(self) -> bool:
        """Whether it ended, and everything it tried worked."""
        if not self.ended or self.cancelled or self.report is None:
            return False
        return self.report.status in ("ok", "noop")

    @property
    def backfills(self) -> tuple[BackfillReport, ...]:
        """Reports of the backfills, the final report's where there is one."""
        if self.report is not None:
            return self.report.backfills
        return tuple(self.finished.values())

    @property
    def failures(self) -> tuple[FailedDocument, ...]:
        """The documents that could not be filled, as far as the reports name them."""
        return tuple(
            FailedDocument(report.table, report.column, failure)
            for report in self.backfills
            for failure in report.errors
        )

    @property
    def of_each_reason(self) -> tuple[FailedDocument, ...]:
        """The first failed document of each backfill and reason."""
        first: dict[tuple[str, str, str], FailedDocument] = {}
        for item in self.failures:
            first.setdefault((item.table, item.column, item.failure.message), item)
        return tuple(first.values())

    @property
    def varied(self) -> str | None:
        """Which backfills gave other values in a second run, and what was different about it; None
        where none did."""
        varying = [report for report in self.backfills if report.deterministic is False]
        if not varying:
            return None
        names = ", ".join(f"{report.table}.{report.column}" for report in varying)
        used = dict.fromkeys(name for report in varying for name in report.impure)
        other = f" ({', '.join(used)})" if used else ", in another order and time zone"
        return f"{names} got other values in a second run{other}"

    @property
    def failures_unnamed(self) -> int:
        """How many more documents could not be filled than the reports name."""
        return sum(report.failed - len(report.errors) for report in self.backfills)

    def alike(self, item: FailedDocument) -> int:
        """How many documents failed for the same reason in the same backfill; 0 where it was not
        counted."""
        why = item.failure.reason(item.column)
        return next(
            (
                counted.count
                for report in self.backfills
                if (report.table, report.column) == (item.table, item.column)
                for counted in report.reasons
                if counted.reason == why
            ),
            0,
        )

    def newest(self, item: FailedDocument) -> Failure | None:
        """Why the document failed when it was last tried; None where it did not."""
        for report in self.retried.backfills if self.retried is not None else ():
            if (report.table, report.column) == (item.table, item.column):
                return next((f for f in report.errors if f.id == item.failure.id), None)
        return item.failure

    def sample_now(self, item: FailedDocument) -> Sample | None:
        """What a document got when it was tried again; None where it is not known."""
        reports = self.retried.backfills if self.retried is not None else ()
        samples = (
            sample
            for report in reports
            if (report.table, report.column) == (item.table, item.column)
            for sample in report.samples
        )
        return next((sample for sample in samples if sample.id == item.failure.id), None)

    @property
    def tried_again(self) -> tuple[FailedDocument, ...]:
        """The failed documents that were tried again."""
        return tuple(item for item in self.failures if self.mended(item) is not None)

    def mended(self, item: FailedDocument) -> bool | None:
        """Whether a document worked when it was tried again; None where it was not."""
        columns = {(r.table, r.column) for r in self.retried.backfills} if self.retried else set()
        if (item.table, item.column) not in columns or item.failure.id is None:
            return None
        return self.newest(item) is None


def advance(progress: Progress, event: Event, at: float = 0.0) -> Progress:
    """The same run one event later; `at` is in seconds since it began."""
    match event:
        case PhaseStarted(phase=phase):
            passed, seconds = progress.passed, _timed(progress, at)
            if progress.phase is not None and progress.phase not in passed:
                passed = (*passed, progress.phase)
            return replace(progress, phase=phase, passed=passed, seconds=seconds, phase_began=at)
        case CopyProgress():
            return replace(progress, copied=event)
        case StatementRun():
            return replace(progress, statements=progress.statements + 1, statement=event.sql)
        case BackfillProgress():
            key = (event.table, event.column)
            return replace(progress, running={**progress.running, key: event})
        case BackfillReport():
            key = (event.table, event.column)
            return replace(progress, finished={**progress.finished, key: event})
        case Report():
            return replace(progress, report=event, seconds=_timed(progress, at))


def _timed(progress: Progress, at: float) -> dict[Phase, float]:
    if progress.phase is None:
        return progress.seconds
    return {**progress.seconds, progress.phase: at - progress.phase_began}


def advance_all(progress: Progress, events: list[TimedEvent]) -> Progress:
    """The same run all these events later, in fewer steps than one an event."""
    ran = [event for _, event in events if isinstance(event, StatementRun)]
    for at, event in thinned([told for told in events if not isinstance(told[1], StatementRun)]):
        progress = advance(progress, event, at)
    if not ran:
        return progress
    return replace(progress, statements=progress.statements + len(ran), statement=ran[-1].sql)


def thinned(events: list[TimedEvent]) -> tuple[TimedEvent, ...]:
    """The events without progress that a later one in the list supersedes."""
    newest: dict[object, int] = {}
    for at, (_, event) in enumerate(events):
        match event:
            case CopyProgress():
                newest["copy"] = at
            case BackfillProgress():
                newest[event.table, event.column] = at
            case _:
                newest[at] = at
    return tuple(events[at] for at in sorted(newest.values()))
