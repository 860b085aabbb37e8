"""How far a dry run or an apply is: events folded into one frozen value. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from valet_studio.errors import Problem
from valet_studio.migrate.events import (
    BackfillProgress,
    BackfillReport,
    CopyProgress,
    Event,
    Phase,
    PhaseStarted,
    Report,
    StatementRun,
)
from valet_studio.plan.changes import Plan
from valet_studio.tui.facts import Work

PHASES: dict[Work, tuple[Phase, ...]] = {
    "dry run": ("copy", "structure", "backfill", "verify"),
    "apply": ("structure", "backfill", "verify", "commit"),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """One run, from its start to its report."""

    work: Work
    plan: Plan
    label: str
    """How the database is named."""
    phase: Phase | None = None
    passed: tuple[Phase, ...] = ()
    copied: CopyProgress | None = None
    running: dict[tuple[str, str], BackfillProgress] = field(default_factory=dict)
    """Backfills that have begun, by table and column."""
    finished: dict[tuple[str, str], BackfillReport] = field(default_factory=dict)
    statements: int = 0
    report: Report | None = None
    cancelling: bool = False
    ended: bool = False
    cancelled: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether it ended, and everything it tried worked."""
        return self.ended and self.report is not None and self.report.status in ("ok", "noop")

    @property
    def backfills(self) -> tuple[BackfillReport, ...]:
        """Reports of the backfills, the final report's where there is one."""
        if self.report is not None:
            return self.report.backfills
        return tuple(self.finished.values())


def advance(progress: Progress, event: Event) -> Progress:
    """The same run one event later."""
    match event:
        case PhaseStarted(phase=phase):
            passed = progress.passed
            if progress.phase is not None and progress.phase not in passed:
                passed = (*passed, progress.phase)
            return replace(progress, phase=phase, passed=passed)
        case CopyProgress():
            return replace(progress, copied=event)
        case StatementRun():
            return replace(progress, statements=progress.statements + 1)
        case BackfillProgress():
            key = (event.table, event.column)
            return replace(progress, running={**progress.running, key: event})
        case BackfillReport():
            key = (event.table, event.column)
            return replace(progress, finished={**progress.finished, key: event})
        case Report():
            return replace(progress, report=event)


def thinned(events: list[Event]) -> tuple[Event, ...]:
    """The events without progress that a later one in the list supersedes."""
    newest: dict[object, int] = {}
    for at, event in enumerate(events):
        match event:
            case CopyProgress():
                newest["copy"] = at
            case BackfillProgress():
                newest[event.table, event.column] = at
            case _:
                newest[at] = at
    return tuple(events[at] for at in sorted(newest.values()))
