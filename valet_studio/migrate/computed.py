"""The values of a backfill, computed before they are written, and kept until they are.

They stand in a temporary file, so that ten million of them take little memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from valet_studio.migrate.documents import Batch, Key
from valet_studio.migrate.tally import Tally
from valet_studio.schema.model import Backfill
from valet_studio.typescript.cells import Cells, Value

_IN_MEMORY = 16 * 1024 * 1024
"""Bytes of values that are kept in memory before a file is made for them."""

_FEW = 1_000
"""Distinct inputs up to which values are looked up by input."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One batch: which documents, what they were, and where their values stand."""

    after: Key | None
    """The key before the first document, exclusive; None where it is the first of all."""
    keys: Sequence[Key]
    digest: bytes
    """Of the batch: see `Batch.digest`."""
    offset: int
    length: int


class Outcomes:
    """Which value each input gave: of a backfill that reads one field of few distinct values.

    Seen on every document, not assumed: an input that gave two values ends it.
    """

    def __init__(self) -> None:
        self.by_input: dict[Value, Value] | None = {}
        """None once it cannot be told."""

    def learn(self, told: Mapping[Value, Value] | None) -> None:
        """Take in what a batch's inputs gave."""
        if self.by_input is None or not told:
            self.by_input = None
            return
        for cell, value in told.items():
            if self.by_input.setdefault(cell, value) != value:
                self.by_input = None
                return
        if len(self.by_input) > _FEW:
            self.by_input = None


class Computed:
    """The values of one backfill for all documents of its table, in key order."""

    def __init__(self, backfill: Backfill) -> None:
        self.tally = Tally(backfill, None)
        self.reads: frozenset[str] | None = None
        """The fields that the values depend on; None for all."""
        self.pieces: list[Piece] = []
        self.outcomes = Outcomes()
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._end = 0

    def add(self, batch: Batch | Piece, cells: Cells) -> None:
        """Keep the values of the next batch."""
        data = cells.dumped()
        after = self.pieces[-1].keys[-1] if self.pieces else None
        self._file.seek(self._end)
        self._file.write(data)
        self.pieces.append(Piece(after, batch.keys, batch.digest, self._end, len(data)))
        self._end += len(data)

    def settle(self, tally: Tally, reads: frozenset[str] | None) -> None:
        """Say what is known of the whole, once all batches are added."""
        self.tally = tally
        self.reads = reads
        if tally.impure or tally.failed or not tally.same:
            self.outcomes.by_input = None

    def cells(self, piece: Piece) -> Cells:
        """The values of a batch, in the order of its keys."""
        self._file.seek(piece.offset)
        return Cells.loaded(self._file.read(piece.length))

    def until(self, number: int) -> Key | None:
        """The last key of the span that a piece stands for; None for the last piece, whose span
        has no end: documents that were added since lie in it."""
        return self.pieces[number].keys[-1] if number + 1 < len(self.pieces) else None

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
