"""Why a Deno process ended before it answered, as errors."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass

from valet_studio.errors import Cancelled, Location, SandboxError, StudioError
from valet_studio.typescript.deno import DENO_VARIABLE

_REASON = re.compile(r'(?:^error: |message: ")([^"\n]+)', re.MULTILINE)
"""What Deno says of an error of the system, or of its options."""
_KILLED = (-1, -9, -15)
"""Exit codes of a process that a hang-up, a kill or a request to end came to. No limit of ours
does so."""
_LIMITED = tuple(-getattr(signal, name) for name in ("SIGXFSZ", "SIGXCPU") if hasattr(signal, name))
"""Exit codes of a process that went over a limit of the system's, at any time: Deno itself writes
files, of what it made of the modules."""
_OUT_OF_MEMORY = ("out of memory", "OutOfMemory", "memory allocation", "Fatal process")
_ABORTED = (-6, -5, 133)
"""Exit codes of a V8 that ended itself, which it does for want of memory."""


class ChildStopped(SandboxError):
    """The process was stopped, or died, while it ran."""

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        location: Location | None = None,
        index: int | None = None,
    ):
        super().__init__(message, hint, location)
        self.index = index
        """The document of the batch, from 0, at which it stopped; None where none is known."""


class ChildKilled(SandboxError):
    """Somebody else killed the process; what it was working on is not to blame."""

    def __init__(self) -> None:
        super().__init__(
            "The Deno process that runs schema.ts was killed from outside. Nothing was changed.",
            "Try again. Where the machine ran out of memory, close other programs first.",
        )


@dataclass(frozen=True, slots=True)
class Activity:
    """What a process was doing."""

    column: str | None
    """The column that its backfill fills; None where it ran schema.ts."""
    location: Location | None
    """Where the backfill stands."""
    index: int | None
    """The document of the batch, from 0; None where none is known."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended."""

    code: int
    said: str
    """The last of what it wrote to standard error."""
    broken: bool
    """Whether it wrote what is no frame."""
    greeted: bool
    """Whether it sent any frame."""
    evaluated: bool
    """Whether schema.ts had run."""
    heap_mb: int
    """How much memory it was given."""


def stopped(what: str, activity: Activity) -> ChildStopped:
    """The error for what the user's code did: `what` goes on from "schema.ts"."""
    if activity.column is None:
        return ChildStopped(
            f"schema.ts {what} and was stopped.",
            "Look for an endless loop or a list that only grows, or raise the limit: "
            "VALET_STUDIO_EVALUATE_SECONDS, VALET_STUDIO_HEAP_MB.",
        )
    return ChildStopped(
        f'Backfill "{activity.column}" {what} on one document and was stopped.',
        "Look for an endless loop or a value that only grows.",
        activity.location,
        activity.index,
    )


def why_ended(ending: Ending, activity: Activity) -> StudioError:
    """The error for a process that is gone."""
    code, said = ending.code, ending.said
    if code == -signal.SIGINT:
        # Ctrl-C came in the moment before the process had a group of its own.
        return Cancelled()
    if code in _KILLED:
        return ChildKilled()
    if ending.broken:
        return stopped("wrote to the channel of its host", activity)
    no_room = any(word in said for word in _OUT_OF_MEMORY) or code in _ABORTED
    named = os.environ.get(DENO_VARIABLE)
    if code in _LIMITED:
        return _ended_early("The system stopped Deno", False, ending)
    if not ending.greeted and not named:
        return _ended_early("Deno ended before it ran schema.ts", no_room, ending)
    if no_room:
        return stopped(f"used more than {ending.heap_mb} MB of memory", activity)
    if "promise never resolved" in said:
        return stopped("awaits a promise that never settles", activity)
    reason = next((line for line in said.splitlines() if line.strip()), "")
    error = stopped(f"ended its process (exit code {code}{reason and ': ' + reason})", activity)
    if not named or ending.evaluated:
        return error
    # A program that is no Deno ends so as well.
    return ChildStopped(
        str(error),
        f"See that {named}, which {DENO_VARIABLE} names, is a Deno of version 2.9 or later "
        f"(`{named} --version`), or unset {DENO_VARIABLE}.",
    )


def _ended_early(what: str, no_room: bool, ending: Ending) -> SandboxError:
    """Nothing of the user's is to blame."""
    code = ending.code
    ended = f"exit code {code}" if code >= 0 else signal.strsignal(-code) or f"signal {-code}"
    told = _REASON.search(ending.said)
    reason = "it ran out of memory" if no_room else (told[1] if told else ended).lower()
    return SandboxError(
        f"{what}: {reason}.",
        "Look at the limits of this program (`ulimit -a`) or of its container, and at "
        "VALET_STUDIO_HEAP_MB.",
    )
