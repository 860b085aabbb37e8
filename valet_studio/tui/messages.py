"""What workers tell the app. They touch no widget."""

from __future__ import annotations

from pathlib import Path

from textual.content import Content
from textual.message import Message

from valet_studio.errors import Problem
from valet_studio.pipeline import StudioState
from valet_studio.tui.facts import Work


class Saved(Message):
    """A file below the schema's directory was saved."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Saved)


class WatchFailed(Message):
    """The directory can no longer be watched."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class Looked(Message):
    """A look ended. Only the newest generation counts."""

    def __init__(
        self, generation: int, state: StudioState, missing: bool, types: Content | None
    ) -> None:
        super().__init__()
        self.generation = generation
        self.state = state
        self.missing = missing
        self.types = types
        """The types' difference, drawn; None where there is none to show."""


class Measured(Message):
    """The counts of a look's plan were read."""

    def __init__(self, generation: int, state: StudioState) -> None:
        super().__init__()
        self.generation = generation
        self.state = state


class LookFailed(Message):
    """A look, or its measuring, ended with an error."""

    def __init__(self, generation: int, problems: tuple[Problem, ...], measuring: bool) -> None:
        super().__init__()
        self.generation = generation
        self.problems = problems
        self.measuring = measuring


class RunEnded(Message):
    """The dry run or the apply is over; without problems its `Report` came before."""

    def __init__(
        self, work: Work, problems: tuple[Problem, ...] = (), cancelled: bool = False
    ) -> None:
        super().__init__()
        self.work = work
        self.problems = problems
        self.cancelled = cancelled


class FilesWritten(Message):
    """The generated files were written, or could not be."""

    def __init__(
        self, paths: tuple[Path, ...] = (), problems: tuple[Problem, ...] = (), after: str = ""
    ) -> None:
        super().__init__()
        self.paths = paths
        self.problems = problems
        self.after = after
        """A sentence about what led to it, to be said first."""
