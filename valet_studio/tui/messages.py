"""What workers tell the app. They touch no widget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from valet_studio.errors import Problem
from valet_studio.migrate.events import Report
from valet_studio.migrate.touched import Touched
from valet_studio.pipeline import GeneratedFile, StudioState
from valet_studio.plan.changes import AnyChange
from valet_studio.schema.model import Json
from valet_studio.tui.diff import TypesView
from valet_studio.tui.facts import RunKind

if TYPE_CHECKING:
    from valet_studio.replica.rehearse import ReplicaReport


class WorkerMessage(Message):
    """What a worker tells the app. It is dropped once the app takes its panes down."""


@dataclass
class Answered(WorkerMessage):
    """A worker has what it was asked for; `call` takes it in where widgets may be touched."""

    call: Callable[[], object]


class Saved(WorkerMessage):
    """A file below the schema's directory was saved."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Saved)


@dataclass
class ServerSeen(WorkerMessage):
    """What a server was migrated to last, or why it does not say."""

    database: str
    """Which server was asked."""
    seen: str
    hash_after: str | None = None
    """Of the schema that it was migrated to; None where that is not complete, or not known."""


@dataclass
class WatchFailed(WorkerMessage):
    """The directory can no longer be watched."""

    reason: str


@dataclass
class Looked(WorkerMessage):
    """A look ended. Only the newest generation counts."""

    generation: int
    state: StudioState
    missing: bool


@dataclass
class TypesRead(WorkerMessage):
    """What follows from a look's schema: generated files, and how the structure changes once that
    is known."""

    generation: int
    types: TypesView
    files: tuple[GeneratedFile, ...]


@dataclass
class Measured(WorkerMessage):
    """The counts of a look's plan were read, which took `seconds`."""

    generation: int
    state: StudioState
    seconds: float


@dataclass
class LookFailed(WorkerMessage):
    """A look, or its measuring, ended with an error."""

    generation: int
    problems: tuple[Problem, ...]
    measuring: bool = False


class ReplicaBegun(WorkerMessage):
    """The dry run is done, and goes on with a copy of a client's file."""


@dataclass
class RunEnded(WorkerMessage):
    """The dry run or the apply is over; without problems its `Report` came before."""

    work: RunKind
    problems: tuple[Problem, ...] = ()
    cancelled: bool = False
    replica: ReplicaReport | None = None
    """What will happen on a client; None where none was named."""
    stale: bool = False
    """Whether schema, database or documents are no longer what was planned or rehearsed."""


@dataclass
class TypesChecked(WorkerMessage):
    """The type checker has spoken, or could not be run (`failed`)."""

    number: int
    found: tuple[Problem, ...]
    failed: bool = False


@dataclass
class TouchedRead(WorkerMessage):
    """What the database holds where a change is; None where that is not known."""

    change: AnyChange
    found: Touched | None


@dataclass
class DocumentRead(WorkerMessage):
    """A whole document of a table; None where it is gone or cannot be read."""

    table: str
    who: str
    found: dict[str, Json] | None


@dataclass
class Retried(WorkerMessage):
    """The failed documents were tried again; without a report `problems` says why not."""

    report: Report | None = None
    problems: tuple[Problem, ...] = ()
    cancelled: bool = False


@dataclass
class FilesWritten(WorkerMessage):
    """The generated files were written, or could not be."""

    paths: tuple[Path, ...] = ()
    problems: tuple[Problem, ...] = ()
    after: str = ""
    """A sentence about what led to it, to be said first."""
