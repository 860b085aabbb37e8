"""Run one backfill over every document of its table: all of them, or none.

The values are computed in the sandbox, two batches ahead of the writes, so that SQLite and
JavaScript work at the same time. The caller's transaction holds; a savepoint inside it undoes
the column where one document failed (the seed's "Backfill rules").
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType

import apsw

from valet_studio.migrate.documents import Batch, Documents, shown
from valet_studio.migrate.events import (
    MAX_DISTRIBUTION,
    MAX_FAILURES,
    MAX_SAMPLES,
    BackfillProgress,
    BackfillReport,
    Failure,
    IsCancelled,
    Sample,
    ValueCount,
)
from valet_studio.schema.model import Backfill, Sources, Storage
from valet_studio.typescript.child import BatchAnswer, Child, ChildStopped
from valet_studio.typescript.limits import Limits

AHEAD = 2
"""Batches under way in the sandbox while one is written."""

DISTINCT = 2_000
"""Past so many distinct new values a distribution says nothing and is not kept."""


class Evaluators:
    """The sandboxed processes that compute values: one, or two whose answers are compared.

    Started when first needed, and again after one had to be stopped.
    """

    def __init__(self, sources: Sources, limits: Limits, *, twice: bool):
        self.twice = twice
        self._sources = sources
        self._limits = limits
        self._stack = ExitStack()
        self._children: tuple[Child, ...] = ()

    def __enter__(self) -> Evaluators:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, table: str, column: str) -> tuple[Child, ...]:
        """The processes, made ready to run the backfill of one column."""
        if not self._children:
            skews = (False, True) if self.twice else (False,)
            self._children = tuple(
                self._stack.enter_context(Child(self._sources, self._limits, skewed=skewed))
                for skewed in skews
            )
        for child in self._children:
            child.start_backfill(table, column)
        return self._children

    def stop(self) -> None:
        """End the processes; a later `start` makes new ones."""
        self._stack.close()
        self._children = ()


@dataclass(slots=True)
class _Tally:
    """What is known of a backfill so far."""

    done: int = 0
    failed: int = 0
    updated: int = 0
    failures: list[Failure] = field(default_factory=list)
    telling: dict[int | str, Sample] = field(default_factory=dict)
    """Samples that each were the first of their value."""
    leading: dict[int | str, Sample] = field(default_factory=dict)
    """The first documents, to fill up with."""
    values: Counter[apsw.SQLiteValue] | None = field(default_factory=Counter)
    """New values and how often; None once too many differ."""
    same: bool = True
    impure: set[str] = field(default_factory=set)

    def fail(self, failure: Failure) -> None:
        self.failed += 1
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(failure)


@dataclass(frozen=True, slots=True)
class _Target:
    """The column that one run fills."""

    documents: Documents
    backfill: Backfill

    @property
    def storage(self) -> Storage | None:
        declared = self.documents.table.field_named(self.backfill.column)
        return declared.validator.storage if declared else None


def run_backfill(
    documents: Documents, backfill: Backfill, evaluators: Evaluators, cancelled: IsCancelled
) -> Iterator[BackfillProgress | BackfillReport]:
    """Set the column of every document; the last event is the report.

    Raises:
        Cancelled: `cancelled` answered True; the caller's transaction is to be rolled back.
        DatabaseError: a document cannot be read.
    """
    began = time.perf_counter()
    table, column = documents.table.name, backfill.column
    target = _Target(documents, backfill)
    total = documents.count()
    tally = _Tally()
    yield BackfillProgress(table, column, 0, total, 0, 0.0)
    documents.connection.execute("SAVEPOINT valet_backfill")
    if total:
        write = documents.writer(column)
        try:
            for batch, answers in _answers(documents, evaluators, backfill, cancelled):
                _tell(target, tally, batch, answers)
                if not tally.failed:
                    tally.updated += write(batch, answers[0].values)
                tally.done += len(batch.keys)
                seconds = time.perf_counter() - began
                yield BackfillProgress(table, column, tally.done, total, tally.failed, seconds)
        except _Stopped as stopped:
            tally.fail(_stopped_at(documents, stopped, backfill))
    if tally.failed:
        documents.connection.execute("ROLLBACK TO valet_backfill")
        tally.updated = 0
    documents.connection.execute("RELEASE valet_backfill")
    yield BackfillReport(
        table=table,
        column=column,
        rows=total,
        updated=tally.updated,
        failed=tally.failed,
        seconds=time.perf_counter() - began,
        samples=_samples(tally),
        errors=tuple(tally.failures),
        distribution=_distribution(tally, target.storage),
        deterministic=tally.same if evaluators.twice else None,
        impure=tuple(sorted(tally.impure)),
    )


class _Stopped(Exception):
    """The sandbox had to be stopped while it worked on a batch."""

    def __init__(self, batch: Batch, reason: ChildStopped):
        super().__init__(str(reason))
        self.batch = batch
        self.reason = reason


def _answers(
    documents: Documents, evaluators: Evaluators, backfill: Backfill, cancelled: IsCancelled
) -> Iterator[tuple[Batch, list[BatchAnswer]]]:
    """Each batch with what every process made of it, `AHEAD` further ones under way."""
    children = evaluators.start(documents.table.name, backfill.column)
    under_way: deque[Batch] = deque()
    source = documents.batches()
    while True:
        while len(under_way) <= AHEAD and (batch := next(source, None)) is not None:
            for child in children:
                child.send(batch.payload)
            under_way.append(batch)
        if not under_way:
            return
        try:
            answers = [child.receive(cancelled) for child in children]
        except ChildStopped as reason:
            evaluators.stop()
            raise _Stopped(under_way[0], reason) from None
        yield under_way.popleft(), answers


def _stopped_at(documents: Documents, stopped: _Stopped, backfill: Backfill) -> Failure:
    problem = stopped.reason.problems[0]
    index = stopped.reason.index
    who = documents.ids([stopped.batch.keys[index]])[0] if index is not None else None
    return Failure(who, problem.message, problem.location or backfill.location)


def _tell(target: _Target, tally: _Tally, batch: Batch, answers: list[BatchAnswer]) -> None:
    """Take a batch's answers into the tally. Runs before the write, to see the cells before it."""
    answer = answers[0]
    tally.same = tally.same and all(a.raw == answer.raw for a in answers)
    tally.impure.update(*(a.used for a in answers))
    room = max(0, MAX_FAILURES - tally.failed)
    ids = target.documents.ids([batch.keys[f.index] for f in answer.failures[:room]])
    for who, failed in zip(ids, answer.failures, strict=False):
        tally.fail(Failure(who, failed.message, failed.location or target.backfill.location))
    tally.failed += len(answer.failures) - len(ids)
    bad = {failed.index for failed in answer.failures}
    if not tally.leading:
        first = [i for i in range(min(len(batch.keys), MAX_SAMPLES)) if i not in bad]
        tally.leading.update(_sampled(target, batch, answer, first))
    if tally.values is not None:
        if len(tally.telling) < MAX_SAMPLES:
            fresh = [answer.values.index(v) for v in set(answer.values).difference(tally.values)]
            picked = sorted(i for i in fresh if i not in bad)[: MAX_SAMPLES - len(tally.telling)]
            tally.telling.update(_sampled(target, batch, answer, picked))
        good = [v for i, v in enumerate(answer.values) if i not in bad] if bad else answer.values
        tally.values.update(good)
        if len(tally.values) > DISTINCT:
            tally.values = None


def _sampled(
    target: _Target, batch: Batch, answer: BatchAnswer, indexes: list[int]
) -> dict[int | str, Sample]:
    rows = target.documents.rows([batch.keys[i] for i in indexes])
    column = target.backfill.column
    samples: dict[int | str, Sample] = {}
    for index in indexes:
        row = rows.get(batch.keys[index], {})
        after = shown(answer.values[index], target.storage)
        derived_from = {name: cell for name, cell in row.items() if name != column}
        samples[batch.keys[index]] = Sample(
            str(row.get("_id")), row.get(column), after, derived_from
        )
    return samples


def _samples(tally: _Tally) -> tuple[Sample, ...]:
    chosen = dict(tally.telling)
    for key, sample in tally.leading.items():
        if len(chosen) >= MAX_SAMPLES:
            break
        chosen.setdefault(key, sample)
    return tuple(chosen.values())


def _distribution(tally: _Tally, storage: Storage | None) -> tuple[ValueCount, ...]:
    counts = tally.values or Counter()
    if len(counts) > MAX_DISTRIBUTION and len(counts) * 2 > counts.total():
        return ()
    return tuple(
        ValueCount(shown(value, storage), count)
        for value, count in counts.most_common(MAX_DISTRIBUTION)
    )
