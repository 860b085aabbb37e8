"""Run one backfill over every document of its table: all of them, or none.

Values are computed in the sandbox some batches ahead of the writes, so that SQLite and JavaScript
work at the same time; or once for each input, where that is proved to be enough (`by_input`).
Where they were computed before the write lock was taken, only documents that changed meanwhile
are computed again. Whether a document changed is told by a digest of the cells that the function
reads, never by a trigger or a version.

The caller's transaction holds; what was written of the column is taken back where one document
failed (the seed's "Backfill rules").
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cached_property
from typing import TypeAlias

import apsw

from valet_studio.errors import MigrationFailed
from valet_studio.migrate import alone
from valet_studio.migrate.by_input import (
    WORTHWHILE,
    ByInput,
    FoundOut,
    Learner,
    foreign_triggers,
)
from valet_studio.migrate.changing import LOOKED_AT, Changing
from valet_studio.migrate.column_writer import MOST_BRANCHES, ColumnWriter
from valet_studio.migrate.computed import Computed, Piece
from valet_studio.migrate.counting import Counting
from valet_studio.migrate.documents import Batch, Documents, Key
from valet_studio.migrate.evaluators import Evaluators, Stopped
from valet_studio.migrate.events import BackfillProgress, BackfillReport, Failure, IsCancelled
from valet_studio.migrate.tally import Tally
from valet_studio.migrate.way_back import WayBack, way_to_take_back
from valet_studio.schema.model import Backfill
from valet_studio.schema.purity import is_pure
from valet_studio.typescript.cells import Cells

_Step: TypeAlias = "tuple[Batch | Piece, Cells]"
"""Some documents and their values."""


class BackfillRun:
    """One backfill on one connection: `compute` its values, or `write` them.

    Args:
        documents: the table as it stands.
        backfill: what is to be run.
        evaluators: where it runs.
        cancelled: polled; where it answers True `Cancelled` is raised, and the caller's
            transaction is to be rolled back.
        known: values computed before, if any.
        settled: whether it is certain that nothing was written since `known` was computed.
        untouched: whether this transaction has written no cell that the function reads.
        total: how many documents there are, where that was counted already.
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
    ):
        if known is not None and not settled and known.tally.failed:
            known = None
        self.documents = documents.reading(known.reads if known else None)
        self.backfill = backfill
        self._evaluators = evaluators
        self._cancelled = cancelled
        self._known = known
        self._settled = settled
        self._untouched = untouched
        self._tally = known.tally.copy() if known else self._fresh_tally()
        self._changing = self._fresh_changing()
        self._began = time.perf_counter()
        self._total = documents.count() if total is None else total
        self._done = 0
        # Two processes win where nothing is written meanwhile; else they wait for the writer.
        self._shared = False

    def compute(self, kept: Computed) -> Iterator[BackfillProgress]:
        """Compute every value into `kept` and write none.

        Raises:
            DatabaseError: a document cannot be read.
        """
        yield self._progress()
        self._shared = self._pure
        reviewed = self._known is not None and bool(self._known.pieces)
        by_input = None if reviewed else self._by_input()
        if by_input is not None:
            kept.outcomes.by_input = dict(by_input.inputs)
            self._done = self._total
            yield self._progress()
        else:
            if self._known is not None:
                kept.outcomes = self._known.outcomes
            for batch, cells in self._steps(kept):
                if not self._tally.failed:
                    kept.add(batch, cells)
                yield self._progress()
        kept.settle(self._tally, self.documents.only)

    def write(self, kept: Computed | None = None) -> Iterator[BackfillProgress | BackfillReport]:
        """Set the column of every document; the last event is the report.

        Values that had to be computed go to `kept`, too.

        Raises:
            DatabaseError: a document cannot be read.
            MigrationFailed: a document did not get its own value.
        """
        yield self._progress()
        # Counted in a rehearsal alone: an apply has a lock to give back.
        counts = self._evaluators.twice
        looked_at = alone.spread(self.documents) if counts else ()
        held = counts and ColumnWriter(self.documents, self.backfill.column).holds_values()
        updated, unchanged, done = 0, 0, None
        by_input = self._hoped_for()
        if by_input is not None:
            unchanged = self._holding(by_input) if held else 0
            done = yield from self._fill_and_count(by_input)
        if done is not None:
            updated = done
        else:
            self._changing = self._fresh_changing()  # Other inputs were taken for known ones.
            by_input = self._by_input()
            if by_input is None:
                updated, unchanged = yield from self._write_each(held, kept)
            else:
                unchanged = self._holding(by_input) if held else 0
                yield from self._filled(by_input)
                updated = self._done
        if looked_at:
            self._check_alone(looked_at)
        if by_input is not None and kept is not None:
            kept.outcomes.by_input = dict(by_input.inputs)
        if not held:
            unchanged = self._tally.picture.nulls
        if kept is not None:
            kept.settle(self._tally, self.documents.only)
        yield self._report(updated, unchanged if counts and not self._tally.failed else None)

    def _check_alone(self, looked_at: tuple[Batch, ...]) -> None:
        """Compare what some documents hold with what the function gives for each of them alone.

        Raises:
            MigrationFailed: they differ, although the function is proved to be pure.
        """
        if self._tally.failed or not self._tally.same:
            return
        self._choose()
        table, column = self.documents.table.name, self.backfill.column
        writer = ColumnWriter(self.documents, column)
        key = alone.other_value(looked_at, writer, self._evaluators, self._cancelled)
        if key is None:
            return
        if is_pure(self._evaluators.sources, self.backfill):
            (who,) = self.documents.ids([key])
            raise MigrationFailed(
                f'Document "{who}" of "{table}" was given another value than its backfill of '
                f'"{column}" computes for it. Everything was rolled back.',
                "Please report this, with the backfill's function.",
            )
        self._tally.same = False

    def _holding(self, by_input: ByInput) -> int:
        """How many documents hold their value already; some of the others are noted."""
        holding = by_input.holding()
        if holding < self._total:
            self._changing.note(self.documents, by_input.differing(LOOKED_AT))
        return holding

    def _by_input(self) -> ByInput | None:
        """What decides the values, where it is certain that the documents hold no other inputs.

        Documents need not be compared with what they were then: this is why others wait a
        shorter time.
        """
        known = self._known
        if known is not None:
            found = self._by_known_input(known)
            if found is not None or known.pieces or known.tally.failed:
                return found
            self._known, self._tally = None, self._fresh_tally()
        found = self._learned(Learner.learn) if self._guessed is not None else None
        if found is not None and self._learner is not None:
            self._tally = self._learner.tally
        return found

    @cached_property
    def _learner(self) -> Learner | None:
        """For what is proved to be pure; nothing is known yet."""
        if not self._pure:
            return None
        self._choose()
        return Learner(
            self.documents, self.backfill, self._evaluators, self._fresh_tally(), self._cancelled
        )

    @cached_property
    def _guessed(self) -> ByInput | None:
        return self._learned(Learner.guess)

    def _learned(self, step: Callable[[Learner], ByInput | None]) -> ByInput | None:
        try:
            return step(self._learner) if self._learner is not None else None
        except FoundOut:
            self._shared = False
        except Stopped as stopped:
            told = self._learner.tally.values if self._learner is not None else None
            self._tally.stop(self._stopped_at(stopped), told.total() if told else 0)
        return None

    def _hoped_for(self) -> ByInput | None:
        """What most likely decides the values: what did when they were computed, since when others
        have written; else what decides those of the first documents. Only where it can be found
        out while it is written whether it does."""
        if self._settled or not self._untouched:
            return None
        if self._known is None:
            found = self._guessed
        else:
            inputs = self._known.outcomes.by_input
            if not inputs or len(inputs) > MOST_BRANCHES:
                return None
            found = ByInput.of(self.documents, self.backfill.column, inputs)
        return found if found is not None and found.path and not found.reads_itself else None

    def _fill_and_count(self, by_input: ByInput) -> Generator[BackfillProgress, None, int | None]:
        """Set the column and count the inputs at the same time, so that others wait a shorter time;
        how many documents were set. None, and none is set, where there are other inputs."""
        way_back = way_to_take_back(ColumnWriter(self.documents, self.backfill.column))
        connection = self.documents.connection
        with Counting(by_input, connection, self._cancelled) as counting:
            for progress in self._filled(by_input):
                yield progress
                if counting.sees_others():
                    break
            counts = counting.result()
        if counts is None:
            way_back.take_back()
        way_back.end()
        if counts is None:
            self._done = 0
            return None
        if self._known is None and self._learner is not None:
            self._tally = self._learner.tally
        self._tally.recount(counts)
        return self._done

    def _filled(self, by_input: ByInput) -> Iterator[BackfillProgress]:
        for done in by_input.fill(self._total):
            self._done = done
            yield self._progress()

    def _by_known_input(self, known: Computed) -> ByInput | None:
        inputs = known.outcomes.by_input
        if not inputs or len(inputs) > MOST_BRANCHES:
            return None
        found = ByInput.of(self.documents, self.backfill.column, inputs)
        if found is not None and not self._settled:
            counts = found.counted()
            if counts is None:
                return None
            self._tally.recount(counts)
        return found

    def _write_each(
        self, held: bool, kept: Computed | None
    ) -> Generator[BackfillProgress, None, tuple[int, int]]:
        """How many documents were set, and how many held their value before.

        Raises:
            MigrationFailed: a trigger changed what was written.
        """
        writer = ColumnWriter(self.documents, self.backfill.column)
        may_fail = self._known is None or not self._settled
        way_back = way_to_take_back(writer) if may_fail else None
        unchanged = 0
        triggers = foreign_triggers(self.documents)
        written: list[_Step] = []
        many = None
        if way_back is not None and kept is None and not triggers:
            many = self._written_by_many(writer, way_back)
        updated = many or 0
        for batch, cells in self._steps(kept) if many is None else ():
            if not self._tally.failed:
                if held:
                    holding = writer.holding(batch.keys, cells)
                    unchanged += holding
                    if holding < len(batch.keys) and not self._changing.is_full:
                        self._note_changing(writer, batch.keys, cells)
                updated += writer.write(batch.keys, cells)
                if triggers:
                    written.append((batch, cells))
                if kept is not None:
                    kept.add(batch, cells)
            yield self._progress()
        if way_back is not None:
            if self._tally.failed:
                way_back.take_back()
            way_back.end()
        if triggers and not self._tally.failed:
            self._check_held(writer, written, triggers)
        return 0 if self._tally.failed else updated, unchanged

    def _note_changing(self, writer: ColumnWriter, keys: Sequence[Key], cells: Cells) -> None:
        differing = set(writer.differing(keys, cells, LOOKED_AT))
        values = zip(keys, cells.listed, strict=True)
        found = {key: value for key, value in values if key in differing}
        self._changing.note(self.documents, found)

    def _check_held(
        self, writer: ColumnWriter, written: list[_Step], triggers: tuple[str, ...]
    ) -> None:
        holding = sum(writer.holding(batch.keys, cells) for batch, cells in written)
        lost = sum(len(batch.keys) for batch, _ in written) - holding
        if lost:
            named = f"{'Trigger' if len(triggers) == 1 else 'Triggers'} {', '.join(triggers)}"
            table, column = self.documents.table.name, self.backfill.column
            raise MigrationFailed(
                f"{named} on {table} changed what the backfill of {table}.{column} wrote: "
                f"{lost:,} of {self._total:,} documents hold another value. Everything was "
                "rolled back.",
                "Drop the trigger, apply, and make it again; or mend what it does.",
            )

    def _written_by_many(self, writer: ColumnWriter, way_back: WayBack) -> int | None:
        """Write values by more inputs than SQL tells apart quickly, where all of them are known.

        How many it set; None, and nothing is set, where that cannot be done.
        """
        by_input = self._known.outcomes.by_input if self._known is not None else None
        if not by_input or self.documents.only is None:
            return None
        (read,) = self.documents.only
        updated = writer.fill_by_input(read, by_input)
        if updated is None:
            way_back.take_back()
        else:
            self._done = updated
        return updated

    def _steps(self, kept: Computed | None) -> Iterator[_Step]:
        """Every document with its value: known, where it still is what it was; else computed.

        `kept` learns which value each input gave.
        """
        if not self._total or (self._known is None and self._tally.failed):
            return
        try:
            if self._known is None:
                yield from self._computed(None, None, kept)
                return
            for number, piece in enumerate(self._known.pieces):
                until = self._known.until(number)
                if self._settled or self._unchanged(piece, until):
                    self._done += len(piece.keys)
                    yield piece, self._known.cells(piece)
                else:
                    self._tally.forget(piece.keys, self._known.cells(piece))
                    yield from self._computed(piece.after, until, kept)
        except Stopped as stopped:
            self._tally.stop(self._stopped_at(stopped), self._done)

    def _computed(
        self, after: Key | None, until: Key | None, kept: Computed | None
    ) -> Iterator[_Step]:
        self._choose()
        for batch, answers in self._evaluators.answers(
            self.documents, self._cancelled, after, until
        ):
            self._tally.tell(self.documents, batch, answers)
            self._done += len(batch.keys)
            if kept is not None:
                kept.outcomes.learn(answers[0].outcomes)
            yield batch, answers[0].cells

    def _unchanged(self, piece: Piece, until: Key | None) -> bool:
        """Whether the span holds the very documents that it held, read cell by read cell."""
        try:
            now = self._now(piece, until)
        except (apsw.TooBigError, apsw.NoMemError):
            return False
        return now is not None and now.digest == piece.digest

    def _now(self, piece: Piece, until: Key | None) -> Batch | None:
        """The documents of a piece's span as they are now, one more than it had at most."""
        if isinstance(until, int) and isinstance(piece.after, int):
            span = until - piece.after
            if span <= 2 * len(piece.keys):
                return self.documents.batch(piece.after, until, span, near=True)
        return self.documents.batch(piece.after, until, len(piece.keys) + 1)

    @cached_property
    def _pure(self) -> bool:
        """Whether the function is proved to be pure, and it is worth its while to know."""
        return self._total >= WORTHWHILE and is_pure(self._evaluators.sources, self.backfill)

    def _choose(self) -> None:
        table, column = self.documents.table.name, self.backfill.column
        reads = self._evaluators.choose(table, column, shared=self._shared)
        self.documents = self.documents.reading(reads)

    def _fresh_changing(self) -> Changing:
        return Changing(self.backfill.column, self._tally.storage)

    def _fresh_tally(self) -> Tally:
        field = self.documents.table.field_named(self.backfill.column)
        return Tally(self.backfill, field.validator.storage if field else None)

    def _stopped_at(self, stopped: Stopped) -> Failure:
        problem = stopped.reason.problems[0]
        index = stopped.reason.index
        who = None
        if index is not None:
            (who,) = self.documents.ids([stopped.batch.keys[index]])
        return Failure(who, problem.message, problem.location or self.backfill.location)

    def _progress(self) -> BackfillProgress:
        return BackfillProgress(
            self.documents.table.name,
            self.backfill.column,
            self._done,
            self._total,
            self._tally.failed,
            time.perf_counter() - self._began,
        )

    def _report(self, updated: int, unchanged: int | None) -> BackfillReport:
        tally = self._tally
        return BackfillReport(
            table=self.documents.table.name,
            column=self.backfill.column,
            rows=self._total,
            updated=updated,
            failed=tally.failed,
            seconds=time.perf_counter() - self._began,
            samples=self._changing.before(tally.samples()),
            errors=tuple(tally.failures),
            distribution=tally.distribution(),
            deterministic=tally.same if self._evaluators.twice else None,
            impure=tuple(sorted(tally.impure)),
            nulls=tally.picture.nulls,
            unchanged=unchanged,
            tried=tally.tried,
            histogram=tally.picture.histogram(),
        )
