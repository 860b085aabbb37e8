"""One backfill under way: on what it works, and what is known of it so far."""

from __future__ import annotations

import threading
import time
from functools import cached_property

from valet_studio.errors import IsCancelled
from valet_studio.migrate.changing import Changing
from valet_studio.migrate.column_writer import ColumnWriter
from valet_studio.migrate.computed import Computed
from valet_studio.migrate.documents import Documents
from valet_studio.migrate.evaluators import Evaluators, Stopped
from valet_studio.migrate.events import BackfillProgress, BackfillReport, Failure
from valet_studio.migrate.tally import Tally
from valet_studio.schema.model import Backfill
from valet_studio.schema.purity import is_pure

WORTHWHILE = 40_000
"""Documents from which on it pays that a function is pure."""


class Work:
    """What the ways to fill a column share.

    Args:
        documents: the table as it stands.
        backfill: what is to be run.
        evaluators: where it runs.
        cancelled: polled; where it answers True, `Cancelled` is raised.
        known: values computed before, if any.
        settled: whether it is certain that nothing was written since `known` was computed.
        untouched: whether this transaction has written no cell that the function reads.
        total: how many documents there are, where that was counted already.
        quiet: set once nothing else reads the database beside the transaction.
    """

    def __init__(
        self,
        documents: Documents,
        backfill: Backfill,
        evaluators: Evaluators,
        cancelled: IsCancelled,
        known: Computed | None = None,
        *,
        settled: bool = False,
        untouched: bool = False,
        total: int | None = None,
        quiet: threading.Event | None = None,
    ):
        if known is not None and not settled and known.tally.failed:
            known = None
        self.documents = documents.reading(known.reads if known else None)
        self.backfill = backfill
        self.evaluators = evaluators
        self.cancelled = cancelled
        self.known = known
        self.settled = settled
        self.untouched = untouched
        self.quiet = quiet
        self.tally = known.tally.copy() if known else self.fresh_tally()
        self.changing = self.fresh_changing()
        self.total = documents.count() if total is None else total
        self.done = 0
        """Documents that have their value, or failed."""
        self.shared = False
        """Whether two processes share the documents out: they win where nothing is written
        meanwhile, and else wait for the writer."""
        self._began = time.perf_counter()

    @cached_property
    def is_pure(self) -> bool:
        """Whether the function is proved to be pure."""
        return is_pure(self.evaluators.sources, self.backfill)

    @property
    def is_large_and_pure(self) -> bool:
        """Whether purity is proved, and there are enough documents to make use of it."""
        return self.total >= WORTHWHILE and self.is_pure

    def choose(self) -> None:
        """Make the processes ready; from then on `documents` show what the function reads."""
        table, column = self.documents.table.name, self.backfill.column
        reads = self.evaluators.choose(table, column, shared=self.shared)
        self.documents = self.documents.reading(reads)

    def writer(self) -> ColumnWriter:
        """Sets the column."""
        return ColumnWriter(self.documents, self.backfill.column)

    def fresh_tally(self) -> Tally:
        """One that knows nothing yet."""
        field = self.documents.table.field_named(self.backfill.column)
        return Tally(self.backfill, field.validator.storage if field else None)

    def fresh_changing(self) -> Changing:
        """One that has looked at no document yet."""
        return Changing(self.backfill.column, self.tally.storage)

    def stop(self, stopped: Stopped, tried: int) -> None:
        """Note the document that was fatal to a process, after so many."""
        problem = stopped.reason.problems[0]
        index = stopped.reason.index
        who, read = None, {}
        if index is not None:
            key = stopped.batch.keys[index]
            (who,) = self.documents.ids([key])
            read = self.documents.read_by(self.backfill.code, key)
        place = problem.location or self.backfill.location
        self.tally.stop(Failure(who, problem.message, place, read), tried)

    def progress(self) -> BackfillProgress:
        """How far it is."""
        return BackfillProgress(
            self.documents.table.name,
            self.backfill.column,
            self.done,
            self.total,
            self.tally.failed,
            time.perf_counter() - self._began,
        )

    def report(self, updated: int, unchanged: int | None) -> BackfillReport:
        """What it did: how many documents were set, and how many of them held their value before;
        None where that was not counted."""
        tally = self.tally
        return BackfillReport(
            table=self.documents.table.name,
            column=self.backfill.column,
            rows=self.total,
            updated=updated,
            failed=tally.failed,
            seconds=time.perf_counter() - self._began,
            samples=self.changing.before(tally.samples()),
            errors=tuple(tally.failures),
            reasons=tally.told_reasons(),
            distribution=tally.distribution(),
            deterministic=tally.same if self.evaluators.twice else None,
            impure=tuple(sorted(tally.impure)),
            nulls=tally.picture.nulls,
            unchanged=unchanged,
            tried=tally.tried,
            histogram=tally.picture.histogram(),
        )
