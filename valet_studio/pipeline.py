"""One pass of the way of the data: schema + database → `StudioState`; then dry run and apply.

The studio, the commands and the watcher are faces of these functions. They are synchronous and
hold no state of their own; run them on a worker thread where an event loop must not wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from valet_studio.config import Settings
from valet_studio.errors import Problem
from valet_studio.migrate.events import Event, IsCancelled
from valet_studio.plan.changes import Plan
from valet_studio.schema.model import Schema


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """What the status line says of the database."""

    label: str
    """Path or URL, as the user would name it."""
    exists: bool
    size: int | None = None
    """Bytes on disk; None where there is none or it is remote."""


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """One generated file: what stands on disk and what the schema asks for."""

    path: Path
    before: str | None
    """Text on disk; None where the file does not exist."""
    after: str

    @property
    def stale(self) -> bool:
        """Whether writing it would change anything."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class StudioState:
    """One moment: what the schema says, what the database holds, and what lies between."""

    settings: Settings
    database: DatabaseInfo
    schema: Schema | None = None
    """None where schema.ts is missing or broken; `problems` says why."""
    plan: Plan | None = None
    """None where the schema or the database could not be read."""
    files: tuple[GeneratedFile, ...] = ()
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0
    """Wall time of the pass."""


def look(settings: Settings) -> StudioState:
    """Evaluate, inspect and compare. Reads only; counts are left out (see `measure`).

    Never raises a `StudioError`: what went wrong is in `problems`.
    """
    raise NotImplementedError


def measure(state: StudioState, cancelled: IsCancelled) -> StudioState:
    """The same state with counts and data checks filled into its plan. Reads only.

    Raises:
        Cancelled: `cancelled` answered True.
        DatabaseError: the data could not be read.
    """
    raise NotImplementedError


def dry_run(state: StudioState, cancelled: IsCancelled) -> Iterator[Event]:
    """Rehearse the state's plan on a copy of the database; the last event is a `Report`."""
    raise NotImplementedError


def apply(state: StudioState, cancelled: IsCancelled) -> Iterator[Event]:
    """Carry out exactly the state's plan; the last event is a `Report`.

    Raises:
        PlanIsStale: the database's structure changed since the state was made.
    """
    raise NotImplementedError


def write_files(state: StudioState) -> tuple[Path, ...]:
    """Write the generated files that are stale, each atomically; returns what was written."""
    raise NotImplementedError
