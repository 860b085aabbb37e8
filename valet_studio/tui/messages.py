"""What workers tell the app. They touch no widget."""

from __future__ import annotations

from collections.abc import Callable
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


class Answered(WorkerMessage):
    """A worker has what it was asked for; `call` takes it in where widgets may be touched."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self.call = call


class Saved(WorkerMessage):
    """A file below the schema's directory was saved."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Saved)


class ServerSeen(WorkerMessage):
    """What a server was migrated to last, or why it does not say."""

    def __init__(self, database: str, seen: str, hash_after: str | None = None) -> None:
        super().__init__()
        self.database = database
        """Which server was asked."""
        self.seen = seen
        self.hash_after = hash_after
        """Of the schema that it was migrated to; None where that is not complete, or not known."""


class WatchFailed(WorkerMessage):
    """The directory can no longer be watched."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class Looked(WorkerMessage):
    """A look ended. Only the newest generation counts."""

    def __init__(self, generation: int, state: StudioState, missing: bool) -> None:
        super().__init__()
        self.generation = generation
        self.state = state
        self.missing = missing


class TypesRead(WorkerMessage):
    """What follows from a look's schema: generated files, and how the structure changes once that
    is known."""

    def __init__(self, generation: int, types: TypesView, files: tuple[GeneratedFile, ...]) -> None:
        super().__init__()
        self.generation = generation
        self.types = types
        self.files = files


class Measured(WorkerMessage):
    """The counts of a look's plan were read, which took `seconds`."""

    def __init__(self, generation: int, state: StudioState, seconds: float) -> None:
        super().__init__()
        self.generation = generation
        self.state = state
        self.seconds = seconds


class LookFailed(WorkerMessage):
    """A look, or its measuring, ended with an error."""

    def __init__(
        self, generation: int, problems: tuple[Problem, ...], measuring: bool = False
    ) -> None:
        super().__init__()
        self.generation = generation
        self.problems = problems
        self.measuring = measuring


class ReplicaBegun(WorkerMessage):
    """The dry run is done, and goes on with a copy of a client's file."""


class RunEnded(WorkerMessage):
    """The dry run or the apply is over; without problems its `Report` came before."""

    def __init__(
        self,
        work: RunKind,
        problems: tuple[Problem, ...] = (),
        cancelled: bool = False,
        replica: ReplicaReport | None = None,
        stale: bool = False,
    ) -> None:
        super().__init__()
        self.work = work
        self.problems = problems
        self.cancelled = cancelled
        self.stale = stale
        """Whether schema, database or documents are no longer what was planned or rehearsed."""
        self.replica = replica
        """What will happen on a client; None where none was named."""


class TypesChecked(WorkerMessage):
    """The type checker has spoken, or could not be run (`failed`)."""

    def __init__(self, number: int, found: tuple[Problem, ...], failed: bool = False) -> None:
        super().__init__()
        self.number = number
        self.found = found
        self.failed = failed


class TouchedRead(WorkerMessage):
    """What the database holds where a change is; None where that is not known."""

    def __init__(self, change: AnyChange, found: Touched | None) -> None:
        super().__init__()
        self.change = change
        self.found = found


class DocumentRead(WorkerMessage):
    """A whole document of a table; None where it is gone or cannot be read."""

    def __init__(self, table: str, who: str, found: dict[str, Json] | None) -> None:
        super().__init__()
        self.table = table
        self.who = who
        self.found = found


class Retried(WorkerMessage):
    """The failed documents were tried again; without a report `problems` says why not."""

    def __init__(
        self,
        report: Report | None = None,
        problems: tuple[Problem, ...] = (),
        cancelled: bool = False,
    ) -> None:
        super().__init__()
        self.report = report
        self.problems = problems
        self.cancelled = cancelled


class FilesWritten(WorkerMessage):
    """The generated files were written, or could not be."""

    def __init__(
        self, paths: tuple[Path, ...] = (), problems: tuple[Problem, ...] = (), after: str = ""
    ) -> None:
        super().__init__()
        self.paths = paths
        self.problems = problems
        self.after = after
        """A sentence about what led to it, to be said first."""
