"""Run one backfill over every document of its table: all of them, or none.

Values are computed for each document (`each_document`), or once for each input where that is
proved to be enough (`deciding`, `by_input`). Where they were computed before the write lock was
taken, only documents that changed meanwhile are computed again. Whether a document changed is told
by a digest of the cells that the function reads, never by a trigger or a version.

The caller's transaction holds; what was written of the column is taken back where one document
failed (the seed's "Backfill rules").
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from valet_studio.errors import MigrationFailed
from valet_studio.migrate import alone
from valet_studio.migrate.by_input import ByInput
from valet_studio.migrate.changing import LOOKED_AT
from valet_studio.migrate.computed import Computed
from valet_studio.migrate.counting import Counting
from valet_studio.migrate.deciding import Deciding
from valet_studio.migrate.documents import Batch
from valet_studio.migrate.each_document import EachDocument
from valet_studio.migrate.events import BackfillProgress, BackfillReport
from valet_studio.migrate.way_back import way_to_take_back
from valet_studio.migrate.work import Work


class BackfillRun:
    """One backfill on one connection: `compute` its values, or `write` them.

    Both raise `Cancelled` where the work was cancelled; the caller's transaction is then to be
    rolled back.
    """

    def __init__(self, work: Work):
        self._work = work
        self._deciding = Deciding(work)
        self._each = EachDocument(work)

    def compute(self, kept: Computed) -> Iterator[BackfillProgress]:
        """Compute every value into `kept` and write none.

        Raises:
            DatabaseError: a document cannot be read.
        """
        work = self._work
        yield work.progress()
        work.shared = work.is_large_and_pure
        reviewed = work.known is not None and bool(work.known.pieces)
        by_input = None if reviewed else self._deciding.certain()
        if by_input is not None:
            kept.outcomes.by_input = dict(by_input.inputs)
            work.done = work.total
            yield work.progress()
        else:
            if work.known is not None:
                kept.outcomes = work.known.outcomes
            for batch, cells in self._each.batches(kept):
                if not work.tally.failed:
                    kept.add(batch, cells)
                yield work.progress()
        kept.settle(work.tally, work.documents.only)

    def write(self, kept: Computed | None = None) -> Iterator[BackfillProgress | BackfillReport]:
        """Set the column of every document; the last event is the report.

        Values that had to be computed go to `kept`, too.

        Raises:
            DatabaseError: a document cannot be read.
            MigrationFailed: a document did not get its own value.
        """
        work = self._work
        yield work.progress()
        # Counted in a rehearsal alone: an apply has a lock to give back.
        counts = work.evaluators.twice
        looked_at = alone.spread(work.documents) if counts else ()
        held = counts and work.writer().holds_values()
        updated, unchanged, done = 0, 0, None
        by_input = self._deciding.hoped_for()
        if by_input is not None:
            unchanged = self._holding(by_input) if held else 0
            done = yield from self._fill_and_count(by_input)
        if done is not None:
            updated = done
        else:
            work.changing = work.fresh_changing()  # Other inputs were taken for known ones.
            by_input = self._deciding.certain()
            if by_input is None:
                updated, unchanged = yield from self._each.write(held, kept)
            else:
                unchanged = self._holding(by_input) if held else 0
                yield from self._filled(by_input)
                updated = work.done
        if looked_at:
            self._check_alone(looked_at)
        if by_input is not None and kept is not None:
            kept.outcomes.by_input = dict(by_input.inputs)
        if not held:
            unchanged = work.tally.picture.nulls
        if kept is not None:
            kept.settle(work.tally, work.documents.only)
        yield work.report(updated, unchanged if counts and not work.tally.failed else None)

    def _holding(self, by_input: ByInput) -> int:
        """How many documents hold their value already; some of the others are noted."""
        holding = by_input.holding()
        if holding < self._work.total:
            self._work.changing.note(self._work.documents, by_input.differing(LOOKED_AT))
        return holding

    def _fill_and_count(self, by_input: ByInput) -> Generator[BackfillProgress, None, int | None]:
        """Set the column and count the inputs at the same time, so that others wait a shorter time;
        how many documents were set. None, and none is set, where there are other inputs."""
        work = self._work
        way_back = way_to_take_back(work.writer())
        writer = work.documents.connection
        with Counting(by_input, writer, work.cancelled, work.quiet) as counting:
            for progress in self._filled(by_input):
                yield progress
                if counting.sees_others():
                    break
            counts = counting.result()
        if counts is None:
            way_back.take_back()
        way_back.end()
        if counts is None:
            work.done = 0
            return None
        self._deciding.adopt_tally()
        work.tally.recount(counts)
        return work.done

    def _filled(self, by_input: ByInput) -> Iterator[BackfillProgress]:
        for done in by_input.fill(self._work.total):
            self._work.done = done
            yield self._work.progress()

    def _check_alone(self, looked_at: tuple[Batch, ...]) -> None:
        """Compare what some documents hold with what the function gives for each of them alone.

        Raises:
            MigrationFailed: they differ, although the function is proved to be pure.
        """
        work = self._work
        if work.tally.failed or not work.tally.same:
            return
        work.choose()
        key = alone.other_value(looked_at, work.writer(), work.evaluators, work.cancelled)
        if key is None:
            return
        if work.is_pure:
            (who,) = work.documents.ids([key])
            raise MigrationFailed(
                f'Document "{who}" of "{work.documents.table.name}" was given another value than '
                f'its backfill of "{work.backfill.column}" computes for it. Everything was rolled '
                "back.",
                "Please report this, with the backfill's function.",
            )
        work.tally.same = False
