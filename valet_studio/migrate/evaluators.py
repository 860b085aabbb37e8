"""The sandboxed processes that compute a backfill's values, and their answers batch by batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType

from valet_studio.migrate.documents import Batch, Documents, Key
from valet_studio.migrate.events import IsCancelled
from valet_studio.schema.model import Sources
from valet_studio.schema.reads import fields_read
from valet_studio.typescript.child import BatchAnswer, Child, ChildStopped
from valet_studio.typescript.limits import Limits

AHEAD = 2
"""Batches under way in the sandbox while one is written."""


class Stopped(Exception):
    """The sandbox had to be stopped while it worked on a batch."""

    def __init__(self, batch: Batch, reason: ChildStopped):
        super().__init__(str(reason))
        self.batch = batch
        self.reason = reason


class Evaluators:
    """The processes: one, or two whose answers are compared.

    Started when first needed, and again after one had to be stopped.
    """

    def __init__(self, sources: Sources, limits: Limits, *, twice: bool):
        self.twice = twice
        self.sources = sources
        self._limits = limits
        self._stack = ExitStack()
        self._children: tuple[Child, ...] = ()
        self._chosen: tuple[str, str] | None = None
        self._reads: frozenset[str] | None = None

    def __enter__(self) -> Evaluators:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def choose(self, table: str, column: str) -> frozenset[str] | None:
        """Make ready for the backfill of one column; the fields that it reads, None for all."""
        if not self._children:
            skews = (False, True) if self.twice else (False,)
            self._children = tuple(
                self._stack.enter_context(Child(self.sources, self._limits, skewed=skewed))
                for skewed in skews
            )
        if self._chosen != (table, column):
            codes = [child.start_backfill(table, column) for child in self._children]
            self._chosen = (table, column)
            self._reads = fields_read(codes[0])
        return self._reads

    def answer(self, batch: Batch, cancelled: IsCancelled) -> list[BatchAnswer]:
        """What every process makes of one batch.

        Raises:
            Stopped: a document was fatal to a process.
        """
        for child in self._children:
            child.send(batch.payload)
        return self._received(batch, cancelled)

    def answers(
        self,
        documents: Documents,
        cancelled: IsCancelled,
        after: Key | None = None,
        until: Key | None = None,
    ) -> Iterator[tuple[Batch, list[BatchAnswer]]]:
        """Each batch of a span with what every process made of it, `AHEAD` further ones under way.

        Raises:
            Stopped: a document was fatal to a process.
        """
        under_way: deque[Batch] = deque()
        source = documents.batches(after, until)
        while True:
            while len(under_way) <= AHEAD and (batch := next(source, None)) is not None:
                for child in self._children:
                    child.send(batch.payload)
                under_way.append(batch)
            if not under_way:
                return
            answers = self._received(under_way[0], cancelled)
            yield under_way.popleft(), answers

    def _received(self, batch: Batch, cancelled: IsCancelled) -> list[BatchAnswer]:
        try:
            return [child.receive(cancelled) for child in self._children]
        except ChildStopped as reason:
            self.stop()
            raise Stopped(batch, reason) from None

    def stop(self) -> None:
        """End the processes; a later `choose` makes new ones."""
        self._stack.close()
        self._children = ()
        self._chosen = None
