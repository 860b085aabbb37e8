"""One Deno process that holds one schema's modules and runs its backfills in batches.

Two threads serve its pipes, one a direction: with a single one both sides could wait for each
other to read. Deadlines and cancellation live in the caller's thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from subprocess import Popen
from typing import Any, BinaryIO, cast

from valet_studio.errors import Cancelled, IsCancelled, Location, SandboxError, StudioError
from valet_studio.typescript.cells import Cells, Value, decoded
from valet_studio.typescript.deno import DENO_VARIABLE, Workspace, make_workspace, refill, start
from valet_studio.typescript.frames import Sent, read_frame, split_answer, write_frame
from valet_studio.typescript.limits import Limits
from valet_studio.typescript.modules import Modules
from valet_studio.typescript.stacks import user_location

_DEFAULT_LIMITS = Limits()
POLL_SECONDS = 0.02
START_SECONDS = 30.0
"""How long a loaded machine may take to start Deno, before the limits begin to count."""


_REASON = re.compile(r'(?:^error: |message: ")([^"\n]+)', re.MULTILINE)
"""What Deno says of an error of the system, or of its options."""
_KILLED = (-1, -9, -15)
"""Exit codes of a process that a hang-up, a kill or a request to end came to. No limit of ours
does so."""
_LIMITED = tuple(-getattr(signal, name) for name in ("SIGXFSZ", "SIGXCPU") if hasattr(signal, name))
"""Exit codes of a process that went over a limit of the system's, at any time: Deno itself writes
files, of what it made of the modules."""


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
class BatchFailure:
    """One document of a batch that got no value."""

    index: int
    message: str
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What a backfill made of one batch."""

    cells: Cells
    """Stored form, one a document: null also for a document that failed."""
    failures: tuple[BatchFailure, ...]
    used: frozenset[str]
    """Sources of differing values that were called: `Date.now`, `Math.random`, …"""
    seconds: float
    """How long JavaScript worked on it."""
    raw: bytes
    """The values as received: two processes' answers compare by it."""
    outcomes: Mapping[Value, Value] | None = None
    """Of documents with one field: which value each of its few inputs gave; empty where one gave
    two values. None where there are many inputs, or more fields."""

    @property
    def values(self) -> list[Any]:
        """Every value as an object."""
        return self.cells.listed


@dataclass(frozen=True, slots=True)
class _End:
    """The reader's last word: the stream ended, or held what is no frame."""

    broken: bool


class Child:
    """One Deno process. Use it as a context manager: it leaves nothing behind.

    Args:
        sources: the modules to run (`schema.model.Sources`).
        limits: what they may use up.
        skewed: whether its clock runs a day ahead, in another time zone, to find what depends on
            where and when it runs.

    Raises:
        SandboxError: Deno is missing or cannot be started.
    """

    def __init__(self, sources: Modules, limits: Limits = _DEFAULT_LIMITS, *, skewed: bool = False):
        self._sources = sources
        self._limits = limits
        self._skewed = skewed
        self._greeted = False
        self._evaluated = False
        self._chosen: tuple[str, str] | None = None
        self._batches: deque[bytes] = deque()
        self._location: Location | None = None
        self._workspace = make_workspace(sources)
        self._sources_uri = self._workspace.sources.as_uri()
        try:
            self._process = start(self._workspace, limits, skewed=skewed)
        except BaseException:
            self._workspace.remove()
            raise
        self._incoming: queue.SimpleQueue[tuple[bytes, bytes] | _End] = queue.SimpleQueue()
        self._outgoing: queue.SimpleQueue[tuple[Sent, bytes] | None] = queue.SimpleQueue()
        self._finalizer = weakref.finalize(
            self, _end, self._process, self._outgoing, self._workspace
        )
        stdin, stdout = self._process.stdin, self._process.stdout
        threading.Thread(
            target=_write, args=(cast(BinaryIO, stdin), self._outgoing), daemon=True
        ).start()
        threading.Thread(
            target=_read, args=(cast(BinaryIO, stdout), self._incoming), daemon=True
        ).start()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def adopt(self, sources: Modules, limits: Limits) -> bool:
        """Take other modules, before any were run; False where this process does not fit them."""
        fits = (
            not self._evaluated
            and limits == self._limits
            and self._process.poll() is None
            and refill(self._workspace, sources)
        )
        if fits:
            self._sources = sources
        return fits

    @property
    def sources_uri(self) -> str:
        """URI of the directory that the modules run from, as stacks name it."""
        return self._sources_uri

    def locate(self, stack: str) -> Location | None:
        """The first place in the user's modules that a stack names."""
        return user_location(stack, self.sources_uri, self._sources.folder)

    def evaluate(
        self,
        cancelled: IsCancelled = lambda: False,
        meanwhile: Callable[[], None] = lambda: None,
        *,
        with_places: bool = True,
    ) -> Any:
        """Run schema.ts; what it declared as raw data (see `shim/record.ts`).

        Args:
            cancelled: polled while it runs.
            meanwhile: called once, while it runs.
            with_places: whether `places` can be asked afterwards; noting them takes time.

        Raises:
            Cancelled: `cancelled` answered True; the process is gone.
            ChildStopped: it took too long or too much memory.
        """
        self._outgoing.put((b"E", b"" if with_places else b"0"))
        meanwhile()
        payload = self._answer(b"E", self._limits.evaluate_seconds, cancelled)
        self._evaluated = True
        return json.loads(payload)

    def places(self, sites: Sequence[int]) -> list[Location | None]:
        """Where calls stand in the user's modules, by the numbers that raw data gives them."""
        if not sites:
            return []
        self._outgoing.put((b"S", json.dumps(list(sites)).encode()))
        stacks: list[str] = json.loads(self._answer(b"S", self._limits.evaluate_seconds))
        return [self.locate(stack) for stack in stacks]

    def start_backfill(self, table: str, column: str) -> str:
        """Choose the backfill that the batches to come are for; the JavaScript of its function.

        Raises:
            SandboxError: there is none of that name, or schema.ts failed.
        """
        if not self._evaluated:
            raw = self.evaluate()
            if "thrown" in raw:
                thrown = raw["thrown"]
                raise SandboxError(
                    f"schema.ts failed: {thrown['message']}", location=self.locate(thrown["stack"])
                )
        self._chosen = (table, column)
        self._outgoing.put((b"B", json.dumps({"table": table, "column": column}).encode()))
        answer = json.loads(self._answer(b"B", self._limits.evaluate_seconds))
        if answer["problem"] is not None:
            raise SandboxError(answer["problem"], "Save schema.ts and plan again.")
        self._location = self.locate(answer["stack"])
        return str(answer["code"])

    def send(self, batch: bytes) -> None:
        """Hand over a batch, a JSON object `{"columns": {"_id": […], …}, "count": n}`.

        Returns at once. `count` is needed where there is no column.
        """
        self._batches.append(batch)
        self._outgoing.put((b"D", batch))

    def receive(self, cancelled: IsCancelled = lambda: False) -> BatchAnswer:
        """The answer to the oldest batch under way.

        Raises:
            Cancelled: `cancelled` answered True; the process is gone.
            ChildStopped: a document took too long or too much memory; the process is gone.
            ChildKilled: the process was killed from outside.
        """
        try:
            payload = self._answer(b"A", self._limits.document_seconds, cancelled)
        except (ChildStopped, ChildKilled) as stopped:
            raise self._traced(stopped, cancelled) from None
        self._batches.popleft()
        return self._batch_answer(payload)

    def close(self) -> None:
        """Kill the process and delete its directory. May be called again."""
        self._finalizer()

    def close_beside(self) -> None:
        """The same without waiting for it; the program does not end before it is done."""
        ending = self._finalizer.detach()
        if ending is not None:
            _, end, what, _ = ending
            threading.Thread(target=end, args=what).start()

    def _answer(
        self,
        kind: bytes,
        seconds: float,
        cancelled: IsCancelled = lambda: False,
    ) -> bytes:
        """The payload of the next frame of a kind; any other frame moves the deadline on."""
        index: int | None = None
        patience = seconds if self._evaluated or kind != b"E" else START_SECONDS
        deadline = time.monotonic() + patience
        while True:
            if cancelled():
                self.close()
                raise Cancelled()
            try:
                frame = self._incoming.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if time.monotonic() > deadline:
                    self.close()
                    raise self._stopped(f"did not finish within {seconds:g} s", index) from None
                continue
            if isinstance(frame, _End):
                raise self._died(frame, index)
            self._greeted = True
            if frame[0] == kind:
                return frame[1]
            if frame[0] == b"H":
                index = int(frame[1])
            deadline = time.monotonic() + seconds

    def _stopped(self, what: str, index: int | None) -> ChildStopped:
        if self._chosen is None:
            hint = (
                "Look for an endless loop or a list that only grows, or raise the limit: "
                "VALET_STUDIO_EVALUATE_SECONDS, VALET_STUDIO_HEAP_MB."
            )
            return ChildStopped(f"schema.ts {what} and was stopped.", hint)
        return ChildStopped(
            f'Backfill "{self._chosen[1]}" {what} on one document and was stopped.',
            "Look for an endless loop or a value that only grows.",
            self._location,
            index,
        )

    def _died(self, end: _End, index: int | None) -> StudioError:
        """Say why the process is gone, as far as it told."""
        try:
            self._process.wait(timeout=5)
        finally:
            said = self._workspace.errors.read_text("utf-8", "replace")[-8192:]
            self.close()
        if self._process.returncode == -signal.SIGINT:
            # Ctrl-C came in the moment before the process had a group of its own.
            return Cancelled()
        if self._process.returncode in _KILLED:
            return ChildKilled()
        if end.broken:
            return self._stopped("wrote to the channel of its host", index)
        memory = ("out of memory", "OutOfMemory", "memory allocation", "Fatal process")
        no_room = any(word in said for word in memory) or self._process.returncode in (-6, -5, 133)
        named = os.environ.get(DENO_VARIABLE)
        if self._process.returncode in _LIMITED:
            return self._ended_early("The system stopped Deno", False, said)
        if not self._greeted and not named:
            return self._ended_early("Deno ended before it ran schema.ts", no_room, said)
        if no_room:
            return self._stopped(f"used more than {self._limits.heap_mb} MB of memory", index)
        if "promise never resolved" in said:
            return self._stopped("awaits a promise that never settles", index)
        reason = next((line for line in said.splitlines() if line.strip()), "")
        code = self._process.returncode
        stopped = self._stopped(
            f"ended its process (exit code {code}{reason and ': ' + reason})", index
        )
        if not named or self._evaluated:
            return stopped
        # A program that is no Deno ends so as well.
        return ChildStopped(
            str(stopped),
            f"See that {named}, which {DENO_VARIABLE} names, is a Deno of version 2.9 or later "
            f"(`{named} --version`), or unset {DENO_VARIABLE}.",
        )

    def _ended_early(self, what: str, no_room: bool, said: str) -> SandboxError:
        """Nothing of the user's is to blame."""
        code = self._process.returncode
        ended = f"exit code {code}" if code >= 0 else signal.strsignal(-code) or f"signal {-code}"
        told = _REASON.search(said)
        reason = "it ran out of memory" if no_room else (told[1] if told else ended).lower()
        return SandboxError(
            f"{what}: {reason}.",
            "Look at the limits of this program (`ulimit -a`) or of its container, and at "
            "VALET_STUDIO_HEAP_MB.",
        )

    def _traced(
        self, stopped: ChildStopped | ChildKilled, cancelled: IsCancelled
    ) -> ChildStopped | ChildKilled:
        """Run the batch again, document by document, to name the one that was fatal."""
        if self._chosen is None or not self._batches:
            return stopped
        with Child(self._sources, self._limits, skewed=self._skewed) as again:
            try:
                again.start_backfill(*self._chosen)
                again._outgoing.put((b"T", self._batches[0]))
                again._answer(b"A", self._limits.document_seconds, cancelled)
            except (ChildStopped, ChildKilled) as exact:
                return exact
        if isinstance(stopped, ChildKilled):
            return stopped
        return ChildStopped(
            str(stopped), stopped.problems[0].hint, stopped.problems[0].location, None
        )

    def _batch_answer(self, payload: bytes) -> BatchAnswer:
        head, raw = split_answer(payload)
        data = json.loads(head)
        failures = tuple(
            BatchFailure(f["index"], f["message"], self.locate(f["stack"]))
            for f in data["failures"]
        )
        form = data["form"]
        cells = Cells.unpack(form, raw, data["large"])
        told = json.dumps(form).encode() + raw
        return BatchAnswer(
            cells,
            failures,
            frozenset(data["used"]),
            data["seconds"],
            told,
            _outcomes(data["outcomes"]),
        )


def _outcomes(pairs: list[tuple[Any, Any]] | None) -> dict[Value, Value] | None:
    try:
        if pairs is None:
            return None
        told, gave = [cell for cell, _ in pairs], [value for _, value in pairs]
        return dict(
            zip(decoded(told, large=True), decoded(gave, large=True, bytes_too=True), strict=True)
        )
    except TypeError:
        return None  # Bytes are an object here.


def _write(stream: BinaryIO, frames: queue.SimpleQueue[tuple[Sent, bytes] | None]) -> None:
    try:
        while (frame := frames.get()) is not None:
            write_frame(stream, *frame)
    except (OSError, ValueError):
        pass  # The process is gone; the reader tells.
    finally:
        with contextlib.suppress(OSError):
            stream.close()


def _read(stream: BinaryIO, frames: queue.SimpleQueue[tuple[bytes, bytes] | _End]) -> None:
    broken = False
    try:
        while (frame := read_frame(stream)) is not None:
            frames.put(frame)
    except ValueError:
        broken = True
    except OSError:
        pass
    finally:
        frames.put(_End(broken))
        stream.close()


def _end(
    process: Popen[bytes],
    outgoing: queue.SimpleQueue[tuple[Sent, bytes] | None],
    workspace: Workspace,
) -> None:
    process.kill()
    process.wait()
    outgoing.put(None)
    workspace.remove()
