"""Long work of the core on a thread, seen from an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

from valet_studio.errors import IsCancelled

E = TypeVar("E")


class Run(Generic[E]):
    """One generator of events on a thread of its own, which can be cancelled at any time.

    Make it within a running event loop. Whoever makes it must await `end`, so that nothing is
    left half done when the program ends.

    Args:
        ending: the class of the last event.
    """

    _END = object()

    def __init__(self, work: Callable[[IsCancelled], Iterator[object]], ending: type[E]):
        self._work = work
        self._ending = ending
        self._loop = asyncio.get_running_loop()
        self._cancelled = threading.Event()
        self._incoming: asyncio.Queue[object] = asyncio.Queue()
        self._ended = asyncio.Event()
        self.begun = False
        self.report: E | None = None
        """The last event, once there is one; set before anybody waiting for it is told."""
        self._thread = threading.Thread(target=self._run, name="valet-run")

    def cancel(self) -> None:
        """Ask it to stop and to roll back."""
        self._cancelled.set()

    async def events(self, pulse: float) -> AsyncIterator[object | None]:
        """The events as they happen, None after each `pulse` seconds without one; raises what
        the work raised."""
        self.begun = True
        self._thread.start()
        while True:
            try:
                item = await asyncio.wait_for(self._incoming.get(), pulse)
            except TimeoutError:
                yield None
                continue
            if item is self._END:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    async def end(self) -> None:
        """Cancel what still runs, and wait until it has rolled back."""
        self.cancel()
        if self.begun:
            await self._ended.wait()

    def _run(self) -> None:
        events: Iterator[object] | None = None
        try:
            events = self._work(self._cancelled.is_set)
            for event in events:
                if isinstance(event, self._ending):
                    self.report = event
                self._put(event)
            self._put(self._END)
        except BaseException as error:
            self._put(error)
        finally:
            if isinstance(events, Generator):
                events.close()
            self._call(self._ended.set)

    def _put(self, item: object) -> None:
        self._call(lambda: self._incoming.put_nowait(item))

    def _call(self, function: Callable[[], object]) -> None:
        # The loop is closed where the program was stopped by force.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)
