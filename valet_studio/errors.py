"""What can go wrong, each with a place, a sentence and a way out.

The tree::

    StudioError                 exit code 1
    ├── SchemaError             schema.ts is wrong; carries every problem that was found
    ├── SandboxError            Deno is missing, or its process died or was stopped
    ├── DatabaseError           no database can be read or written here
    │   └── DatabaseBusy        another process holds the lock
    ├── ServerError             a push or libSQL server cannot be reached, refuses, or is none
    │   └── AnswerLost          the connection broke after a request was sent
    ├── PlanIsStale             the database or the schema moved on since the plan was made
    ├── PlanRejected            exit code 4: the plan holds a breaking change
    ├── MigrationFailed         a check before COMMIT did not hold; everything was rolled back
    ├── Cancelled               exit code 130: the user stopped it; everything was rolled back
    └── Unsupported             asked for what this version cannot do

What only one room raises is declared there: `NothingToUndo`, `ReplicaAhead`, `Refused` and others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

IsCancelled: TypeAlias = Callable[[], bool]
"""Polled by long work, at least every 50 ms; True stops it with `Cancelled`."""


def never() -> bool:
    """The answer of an `IsCancelled` where nobody can stop the work."""
    return False


def reason_of(error: Exception) -> str:
    """Why the system refused something, to stand inside a sentence: "permission denied"."""
    told = getattr(error, "strerror", None) or str(error) or "no answer"
    return str(told).rstrip(".").lower()


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a source file. Lines and columns count from 1, as editors do."""

    file: str
    """Path as the user would type it: relative to the working directory where possible."""
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def lines_of(text: str) -> list[str]:
    """The lines of a source file as `Location` counts them: a form feed, for one, ends none."""
    lines = re.split(r"\r?\n", text)
    return lines if lines[-1] else lines[:-1]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong or worth a warning: what, what to do, where."""

    message: str
    """What happened: one sentence, without the place."""
    hint: str | None = None
    """The way out: one sentence."""
    location: Location | None = None
    source_line: str | None = None
    """The text of the line at `location`, to be shown with a caret below it."""


class StudioError(Exception):
    """An error that is shown to the user as sentences, never as a traceback."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None, location: Location | None = None):
        super().__init__(message)
        self.problems: tuple[Problem, ...] = (Problem(message, hint, location),)


class SchemaError(StudioError):
    """schema.ts does not describe a schema; `problems` holds all that one run could find."""

    def __init__(self, problems: Sequence[Problem]):
        super().__init__(problems[0].message)
        self.problems = tuple(problems)


class SandboxError(StudioError):
    """The TypeScript child process could not be started, died, or had to be stopped."""


class DatabaseError(StudioError):
    """The database cannot be opened, read or written."""


class DatabaseBusy(DatabaseError):
    """Another process holds a lock that this work needs."""


class ServerError(StudioError):
    """A push or libSQL server cannot be reached, refuses, or gives no answer that is one."""


class AnswerLost(ServerError):
    """The connection broke after a request was sent, so that its outcome is not known."""


class PlanIsStale(StudioError):
    """The plan was made for another state of the database or another schema."""


class PlanRejected(StudioError):
    """The plan holds a breaking change, or data that breaks a promise: nothing was applied."""

    exit_code = 4


class MigrationFailed(StudioError):
    """A check before COMMIT did not hold, and the whole transaction was rolled back."""


class Cancelled(StudioError):
    """The user stopped the work; what it had done was rolled back."""

    exit_code = 130

    def __init__(self, message: str = "Cancelled. Nothing was changed."):
        super().__init__(message)


class Unsupported(StudioError):
    """A thing that this version cannot do, named in one clear sentence."""
