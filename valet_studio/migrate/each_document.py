"""The values of a backfill document by document: known ones where a document still is what it was,
else computed, some batches ahead of the writes, so that SQLite and JavaScript work at the same
time."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TypeAlias

import apsw

from valet_studio.errors import MigrationFailed
from valet_studio.migrate.by_input import foreign_triggers
from valet_studio.migrate.changing import LOOKED_AT
from valet_studio.migrate.column_writer import ColumnWriter
from valet_studio.migrate.computed import Computed, Piece
from valet_studio.migrate.documents import Batch, Key
from valet_studio.migrate.evaluators import Stopped
from valet_studio.migrate.events import BackfillProgress
from valet_studio.migrate.way_back import WayBack, way_to_take_back
from valet_studio.migrate.work import Work
from valet_studio.typescript.cells import Cells

BatchValues: TypeAlias = "tuple[Batch | Piece, Cells]"
"""Some documents and their values."""


class EachDocument:
    """One backfill that takes every document by itself."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def batches(self, kept: Computed | None) -> Iterator[BatchValues]:
        """Every document with its value; `kept` learns which value each input gave."""
        work = self._work
        if work.known is None and (not work.total or work.tally.failed):
            return
        try:
            if work.known is None:
                yield from self._computed(None, None, kept)
                return
            for number, piece in enumerate(work.known.pieces):
                until = work.known.until(number)
                cells = work.known.cells(piece)
                if work.settled or self._unchanged(piece, until):
                    work.done += len(piece.keys)
                    yield piece, cells
                else:
                    work.tally.forget(piece.keys, cells)
                    yield from self._computed(piece.after, until, kept)
        except Stopped as stopped:
            work.stop(stopped, work.done)

    def write(
        self, held: bool, kept: Computed | None
    ) -> Generator[BackfillProgress, None, tuple[int, int]]:
        """Set the column; how many documents were set, and how many held their value before. What
        was set is taken back where a document failed.

        Args:
            held: whether any document holds a value.
            kept: gets the values.

        Raises:
            MigrationFailed: a trigger changed what was written.
        """
        work, writer = self._work, self._work.writer()
        may_fail = work.known is None or not work.settled
        way_back = way_to_take_back(writer) if may_fail else None
        unchanged = 0
        triggers = foreign_triggers(work.documents)
        written: list[BatchValues] = []
        many = None
        if way_back is not None and kept is None and not triggers:
            many = self._written_by_many(writer, way_back)
        updated = many or 0
        for batch, cells in self.batches(kept) if many is None else ():
            if not work.tally.failed:
                if held:
                    holding = writer.holding(batch.keys, cells)
                    unchanged += holding
                    if holding < len(batch.keys) and not work.changing.is_full:
                        self._note_changing(writer, batch.keys, cells)
                updated += writer.write(batch.keys, cells)
                if triggers:
                    written.append((batch, cells))
                if kept is not None:
                    kept.add(batch, cells)
            yield work.progress()
        if way_back is not None:
            if work.tally.failed:
                way_back.take_back()
            way_back.end()
        if triggers and not work.tally.failed:
            self._check_held(writer, written, triggers)
        return 0 if work.tally.failed else updated, unchanged

    def _note_changing(self, writer: ColumnWriter, keys: Sequence[Key], cells: Cells) -> None:
        differing = set(writer.differing(keys, cells, LOOKED_AT))
        values = zip(keys, cells.listed, strict=True)
        found = {key: value for key, value in values if key in differing}
        self._work.changing.note(self._work.documents, found)

    def _check_held(
        self, writer: ColumnWriter, written: list[BatchValues], triggers: tuple[str, ...]
    ) -> None:
        holding = sum(writer.holding(batch.keys, cells) for batch, cells in written)
        lost = sum(len(batch.keys) for batch, _ in written) - holding
        if lost:
            named = f"{'Trigger' if len(triggers) == 1 else 'Triggers'} {', '.join(triggers)}"
            table, column = self._work.documents.table.name, self._work.backfill.column
            raise MigrationFailed(
                f"{named} on {table} changed what the backfill of {table}.{column} wrote: "
                f"{lost:,} of {self._work.total:,} documents hold another value. Everything was "
                "rolled back.",
                "Keep its text (SELECT sql FROM sqlite_master WHERE type = 'trigger'), drop it, "
                "apply, and make it again; or mend what it does.",
            )

    def _written_by_many(self, writer: ColumnWriter, way_back: WayBack) -> int | None:
        """Write values by more inputs than SQL tells apart quickly, where all of them are known.

        How many it set; None, and nothing is set, where that cannot be done.
        """
        work = self._work
        by_input = work.known.outcomes.by_input if work.known is not None else None
        if not by_input or work.documents.only is None:
            return None
        (read,) = work.documents.only
        updated = writer.fill_by_input(read, by_input)
        if updated is None:
            way_back.take_back()
        else:
            work.done = updated
        return updated

    def _computed(
        self, after: Key | None, until: Key | None, kept: Computed | None
    ) -> Iterator[BatchValues]:
        work = self._work
        work.choose()
        for batch, answers in work.evaluators.answers(work.documents, work.cancelled, after, until):
            work.tally.tell(work.documents, batch, answers)
            work.done += len(batch.keys)
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
        documents = self._work.documents
        if isinstance(until, int) and isinstance(piece.after, int):
            span = until - piece.after
            if span <= 2 * len(piece.keys):
                return documents.batch(piece.after, until, span, near=True)
        return documents.batch(piece.after, until, len(piece.keys) + 1)
