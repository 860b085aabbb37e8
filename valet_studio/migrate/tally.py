"""What is known of a backfill so far: samples, failures, and how often each value came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from valet_studio.migrate.documents import Batch, Documents, Key
from valet_studio.migrate.events import (
    MAX_DISTRIBUTION,
    MAX_FAILURES,
    MAX_REASONS,
    MAX_SAMPLES,
    Failure,
    ReasonCount,
    Sample,
    ValueCount,
)
from valet_studio.migrate.picture import Picture
from valet_studio.schema.model import Backfill, Storage
from valet_studio.schema.telling import shown
from valet_studio.typescript.answers import BatchAnswer
from valet_studio.typescript.cells import Cells, Value

DISTINCT = 2_000
"""Past so many distinct new values, or reasons, a count of each says nothing and is not kept."""


@dataclass(slots=True)
class Tally:
    """Grows by one batch at a time; `forget` takes one back."""

    backfill: Backfill
    storage: Storage | None
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    reasons: Counter[str] | None = field(default_factory=Counter)
    """Messages of failures and how often; None once too many differ."""
    telling: dict[Key, Sample] = field(default_factory=dict)
    """Samples that each were the first of their value."""
    leading: dict[Key, Sample] = field(default_factory=dict)
    """The first documents, to fill up with."""
    values: Counter[Value] | None = field(default_factory=Counter)
    """New values and how often; None once too many differ."""
    tried: int | None = None
    """Documents that were run for when the run was stopped."""
    same: bool = True
    """Whether all processes gave the same answers."""
    impure: set[str] = field(default_factory=set)
    picture: Picture = field(default_factory=Picture)

    def copy(self) -> Tally:
        """Another one that knows the same."""
        return deepcopy(self)

    def fail(self, failure: Failure) -> None:
        """Count a document that got no value."""
        self.failed += 1
        self._count_reasons([failure.message])
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(failure)

    def stop(self, failure: Failure, tried: int) -> None:
        """Note the document at which the run was stopped, after it had run for so many."""
        self.failed += 1
        self._count_reasons([failure.message])
        self.failures = [failure, *self.failures[: MAX_FAILURES - 1]]
        self.tried = tried

    def tell(self, documents: Documents, batch: Batch, answers: list[BatchAnswer]) -> None:
        """Take in a batch's answers. For before they are written: samples show the cells as they
        were."""
        answer = answers[0]
        self.same = self.same and all(a.raw == answer.raw for a in answers)
        self.impure.update(*(a.used for a in answers))
        cells = answer.cells
        self.picture.add(cells, len(answer.failures))
        room = max(0, MAX_FAILURES - self.failed)
        keys = [batch.keys[failed.index] for failed in answer.failures[:room]]
        ids = documents.ids(keys)
        for key, who, failed in zip(keys, ids, answer.failures, strict=False):
            place = failed.location or self.backfill.location
            read = documents.read_by(self.backfill.code, key)
            self.fail(Failure(who, failed.message, place, read))
        self.failed += len(answer.failures) - len(ids)
        self._count_reasons(failed.message for failed in answer.failures[len(ids) :])
        bad = {failed.index for failed in answer.failures}
        room = MAX_SAMPLES - len(self.leading)
        if room > 0:
            first = [i for i in range(min(len(batch.keys), room)) if i not in bad]
            self.leading.update(self._sampled(documents, batch, answer, first))
        if self.values is not None:
            if len(self.telling) < MAX_SAMPLES:
                places = cells.places()
                fresh = (places[value] for value in places.keys() - self.values.keys())
                picked = sorted(i for i in fresh if i not in bad)
                picked = picked[: MAX_SAMPLES - len(self.telling)]
                self.telling.update(self._sampled(documents, batch, answer, picked))
            counts = cells.counts()
            if bad:
                counts[None] -= len(bad)
            self.values.update(+counts)
            if len(self.values) > DISTINCT:
                self.values = None

    def recount(self, counts: Counter[Value]) -> None:
        """Take over how often each value comes, counted in another way."""
        told = self.values or Counter()
        self.values = Counter({value: counts[value] for value in {**told, **counts}})
        self.values = +self.values
        self.picture = Picture.of(counts)

    def forget(self, keys: Sequence[Key], cells: Cells) -> None:
        """Take back a batch without failures that is to be told anew."""
        self.picture.forget(cells)
        if self.values is not None:
            self.values.subtract(cells.counts())
            self.values = +self.values
        for samples in (self.telling, self.leading):
            for key in [key for key in samples if keys[0] <= key <= keys[-1]]:  # type: ignore[operator]
                del samples[key]

    def samples(self) -> tuple[Sample, ...]:
        """At most `MAX_SAMPLES`, one of each new value first."""
        chosen = dict(self.telling)
        for key, sample in self.leading.items():
            if len(chosen) >= MAX_SAMPLES:
                break
            chosen.setdefault(key, sample)
        return tuple(chosen.values())

    def distribution(self) -> tuple[ValueCount, ...]:
        """The most frequent new values; none where nearly all differ."""
        counts = self.values or Counter()
        if len(counts) > MAX_DISTRIBUTION and len(counts) * 2 > counts.total():
            return ()
        return tuple(
            ValueCount(shown(value, self.storage), count)
            for value, count in counts.most_common(MAX_DISTRIBUTION)
        )

    def told_reasons(self) -> tuple[ReasonCount, ...]:
        """The most frequent reasons for failures; none where nearly all differ."""
        counts = self.reasons or Counter()
        if len(counts) * 2 > counts.total():
            return ()
        return tuple(
            ReasonCount(Failure(None, message).reason(self.backfill.column), count)
            for message, count in counts.most_common(MAX_REASONS)
        )

    def _count_reasons(self, messages: Iterable[str]) -> None:
        if self.reasons is not None:
            self.reasons.update(messages)
            if len(self.reasons) > DISTINCT:
                self.reasons = None

    def _sampled(
        self, documents: Documents, batch: Batch, answer: BatchAnswer, indexes: list[int]
    ) -> dict[Key, Sample]:
        rows = documents.rows(batch.keys[i] for i in indexes)
        samples: dict[Key, Sample] = {}
        for index in indexes:
            key, after = batch.keys[index], shown(answer.values[index], self.storage)
            samples[key] = Sample.of(rows.get(key, {}), self.backfill.column, after)
        return samples
