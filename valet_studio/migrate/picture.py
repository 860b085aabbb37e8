"""A picture of the values that a backfill computes: how many are null, how numbers spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from math import isqrt

from valet_studio.migrate.events import Bin
from valet_studio.typescript.cells import Cells, Value

BINS = 8
WHOLE = 3_000
"""Up to so many values, a batch is counted whole."""
BATCH_SAMPLE = 250
"""About how many values of a larger batch are drawn: too few to cost anything."""
LEAST = 24
"""Fewer numbers than these are no spread."""


@dataclass(slots=True)
class Picture:
    """Grows by one batch of values at a time."""

    nulls: int = 0
    numbers: Counter[float] = field(default_factory=Counter)
    """For how many documents each number that was drawn stands."""

    def add(self, cells: Cells, failed: int) -> None:
        """Take in a batch; a document that failed has null as its value."""
        self.nulls += cells.nulls() - failed
        step = _stride(len(cells))
        drawn = [v for v in cells.every(step) if type(v) is int or type(v) is float]
        for number, times in Counter(drawn).items():
            self.numbers[float(number)] += times * step

    @staticmethod
    def of(counts: Mapping[Value, int]) -> Picture:
        """The picture of values of which it is known how often each comes."""
        found = Picture(counts.get(None, 0))
        for value, count in counts.items():
            if count and (type(value) is int or type(value) is float):
                found.numbers[float(value)] += count
        return found

    def forget(self, cells: Cells) -> None:
        """Take back the count of a batch that is to be told anew."""
        self.nulls -= cells.nulls()

    def histogram(self) -> tuple[Bin, ...]:
        """The numbers in `BINS` spans of equal width; empty where there are few, or all equal."""
        total = self.numbers.total()
        if total < LEAST:
            return ()
        low, high = min(self.numbers), max(self.numbers)
        width = (high - low) / BINS
        if not 0 < width < float("inf"):
            return ()
        if all(number.is_integer() for number in self.numbers):
            width = float(-(-(high - low + 1) // BINS))
        counts = [0] * BINS
        for number, times in self.numbers.items():
            counts[min(BINS - 1, int((number - low) / width))] += times
        last = max(at for at, counted in enumerate(counts) if counted)
        return tuple(
            Bin(low + at * width, low + (at + 1) * width, counts[at] / total)
            for at in range(last + 1)
        )


@cache
def _stride(values: int) -> int:
    """How far apart the values of a batch are drawn.

    A prime, so that values which repeat every few documents are drawn in their true shares.
    """
    if values <= WHOLE:
        return 1
    return next(
        step
        for step in range(values // BATCH_SAMPLE, 1, -1)
        if all(step % divisor for divisor in range(2, isqrt(step) + 1))
    )
