"""The sandboxed processes that compute a backfill's values, and their answers batch by batch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle

from valet_studio.errors import IsCancelled, MigrationFailed
from valet_studio.migrate.documents import BATCH_ROWS, Batch, Documents, Key
from valet_studio.migrate.pace import Pace
from valet_studio.schema.model import Sources
from valet_studio.schema.reads import fields_read
from valet_studio.typescript.answers import BatchAnswer
from valet_studio.typescript.child import Child
from valet_studio.typescript.endings import ChildStopped
from valet_studio.typescript.limits import Limits

AHEAD = 4
"""Batches under way in the sandbox while one is written."""


class Stopped(Exception):
    """The sandbox had to be stopped while it worked on a batch."""

    def __init__(self, batch: Batch, reason: ChildStopped):
        super().__init__(str(reason))
        self.batch = batch
        self.reason = reason


class Evaluators:
    """The processes: two whose answers are compared (`twice`), or as many as are of use.

    Started when first needed, and again after one had to be stopped.
    """

    def __init__(self, sources: Sources, limits: Limits, *, twice: bool):
        self.twice = twice
        self.sources = sources
        self._limits = limits
        self._stack = ExitStack()
        self._children: list[Child] = []
        self._chosen: tuple[str, str, int] | None = None
        self._reads: frozenset[str] | None = None
        self._pace = Pace(BATCH_ROWS)

    @property
    def pace(self) -> int:
        """How many documents of the chosen backfill take a moment."""
        return self._pace.rows

    def __enter__(self) -> Evaluators:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def choose(self, table: str, column: str, *, shared: bool = False) -> frozenset[str] | None:
        """Make ready for the backfill of one column; the fields that it reads, None for all.

        Args:
            shared: whether two processes may share the documents out, which is for functions
                that are pure. Not where each runs them all.
        """
        count = 2 if self.twice or (shared and (os.cpu_count() or 1) > 1) else 1
        while len(self._children) < count:
            skewed = self.twice and bool(self._children)
            child = Child(self.sources, self._limits, skewed=skewed)
            self._children.append(self._stack.enter_context(child))
            self._chosen = None
        if self._chosen != (table, column, count):
            codes = [child.start_backfill(table, column) for child in self._children[:count]]
            if self._chosen is None or self._chosen[:2] != (table, column):
                self._pace = Pace(BATCH_ROWS)
            self._chosen = (table, column, count)
            self._reads = fields_read(codes[0])
        return self._reads

    def answer(self, batch: Batch, cancelled: IsCancelled) -> list[BatchAnswer]:
        """What every process makes of one batch.

        Raises:
            Stopped: a document was fatal to a process.
            MigrationFailed: there is not one value for each document.
        """
        children = self._children if self.twice else self._children[:1]
        for child in children:
            child.send(batch.payload)
        return self._received(batch, children, cancelled)

    def answers(
        self,
        documents: Documents,
        cancelled: IsCancelled,
        after: Key | None = None,
        until: Key | None = None,
    ) -> Iterator[tuple[Batch, list[BatchAnswer]]]:
        """Each batch of a span with what was made of it, `AHEAD` further ones under way once it
        is known how many documents take a moment: an answer of every process, or of the one whose
        turn it was.

        Raises:
            Stopped: a document was fatal to a process.
            MigrationFailed: there is not one value for each document.
        """
        count = self._chosen[2] if self._chosen is not None else 1
        turns = [self._children] if self.twice else [[child] for child in self._children[:count]]
        under_way: deque[tuple[Batch, list[Child]]] = deque()
        source = documents.batches(after, until, lambda: self._pace.rows)
        turn = cycle(turns)
        while True:
            ahead = AHEAD if self._pace.known else 0
            while len(under_way) <= ahead and (batch := next(source, None)) is not None:
                children = next(turn)
                for child in children:
                    child.send(batch.payload)
                under_way.append((batch, children))
            if not under_way:
                return
            answers = self._received(*under_way[0], cancelled)
            yield under_way.popleft()[0], answers

    def _received(
        self, batch: Batch, children: list[Child], cancelled: IsCancelled
    ) -> list[BatchAnswer]:
        try:
            answers = [child.receive(cancelled) for child in children]
        except ChildStopped as reason:
            self.stop()
            raise Stopped(batch, reason) from None
        if not all(answer.cells.fit(len(batch.keys)) for answer in answers):
            raise MigrationFailed(
                "A batch of documents and the values that were computed for them do not match. "
                "Everything was rolled back.",
                "Please report this, with the backfill's function.",
            )
        self._pace.learn(len(batch.keys), max(answer.seconds for answer in answers))
        return answers

    def stop(self) -> None:
        """End the processes; a later `choose` makes new ones."""
        self._stack.close()
        self._children = []
        self._chosen = None
