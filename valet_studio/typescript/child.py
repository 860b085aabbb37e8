"""One Deno process that holds one schema's modules and runs its backfills in batches.

Two threads serve its pipes, one a direction: with a single one both sides could wait for each
other to read. Deadlines and cancellation live in the caller's thread.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from subprocess import Popen
from typing import Any, BinaryIO, cast

from valet_studio.errors import Cancelled, IsCancelled, Location, SandboxError, StudioError, never
from valet_studio.typescript.answers import BatchAnswer, batch_answer
from valet_studio.typescript.deno import Workspace, make_workspace, refill, start
from valet_studio.typescript.endings import (
    Activity,
    ChildKilled,
    ChildStopped,
    Ending,
    stopped,
    why_ended,
)
from valet_studio.typescript.frames import Sent, read_frame, write_frame
from valet_studio.typescript.limits import Limits
from valet_studio.typescript.modules import Modules
from valet_studio.typescript.stacks import user_location

_DEFAULT_LIMITS = Limits()
POLL_SECONDS = 0.02
START_SECONDS = 30.0
"""How long a loaded machine may take to start Deno, before the limits begin to count."""


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
        """URI of the directory that the modules run from, as stacks name it."""
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

    def locate(self, stack: str) -> Location | None:
        """The first place in the user's modules that a stack names."""
        return user_location(stack, self._sources_uri, self._sources.folder)

    def evaluate(
        self,
        cancelled: IsCancelled = never,
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

    def receive(self, cancelled: IsCancelled = never) -> BatchAnswer:
        """The answer to the oldest batch under way.

        Raises:
            Cancelled: `cancelled` answered True; the process is gone.
            ChildStopped: a document took too long or too much memory; the process is gone.
            ChildKilled: the process was killed from outside.
        """
        try:
            payload = self._answer(b"A", self._limits.document_seconds, cancelled)
        except (ChildStopped, ChildKilled) as error:
            raise self._traced(error, cancelled) from None
        self._batches.popleft()
        return batch_answer(payload, self.locate)

    def close(self) -> None:
        """Kill the process and delete its directory. May be called again."""
        self._finalizer()

    def close_beside(self) -> None:
        """The same without waiting for it; the program does not end before it is done."""
        ending = self._finalizer.detach()
        if ending is not None:
            _, end, what, _ = ending
            threading.Thread(target=end, args=what).start()

    def _answer(self, kind: bytes, seconds: float, cancelled: IsCancelled = never) -> bytes:
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
                    what = f"did not finish within {seconds:g} s"
                    raise stopped(what, self._activity(index)) from None
                continue
            if isinstance(frame, _End):
                raise self._died(frame, index)
            self._greeted = True
            if frame[0] == kind:
                return frame[1]
            if frame[0] == b"H":
                index = int(frame[1])
            deadline = time.monotonic() + seconds

    def _died(self, end: _End, index: int | None) -> StudioError:
        """Say why the process is gone, as far as it told."""
        try:
            self._process.wait(timeout=5)
        finally:
            said = self._workspace.errors.read_text("utf-8", "replace")[-8192:]
            self.close()
        ending = Ending(
            self._process.returncode,
            said,
            end.broken,
            self._greeted,
            self._evaluated,
            self._limits.heap_mb,
        )
        return why_ended(ending, self._activity(index))

    def _activity(self, index: int | None) -> Activity:
        column = self._chosen[1] if self._chosen is not None else None
        return Activity(column, self._location, index)

    def _traced(
        self, error: ChildStopped | ChildKilled, cancelled: IsCancelled
    ) -> ChildStopped | ChildKilled:
        """Run the batch again, document by document, to name the one that was fatal."""
        if self._chosen is None or not self._batches:
            return error
        with Child(self._sources, self._limits, skewed=self._skewed) as again:
            try:
                again.start_backfill(*self._chosen)
                again._outgoing.put((b"T", self._batches[0]))
                again._answer(b"A", self._limits.document_seconds, cancelled)
            except (ChildStopped, ChildKilled) as exact:
                return exact
        if isinstance(error, ChildKilled):
            return error
        return ChildStopped(str(error), error.problems[0].hint, error.problems[0].location, None)


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
