"""How many documents a batch holds: few at first, then as many as take a moment, so that progress
and a cancellation are seen however slow a function is."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_ROWS = 10
"""Documents of the first batch, of which nothing is known yet."""
BATCH_SECONDS = 0.25
"""What one batch may take: progress is then seen four times a second."""
_CLOCK_SECONDS = 0.001
"""What JavaScript's clock tells apart: a batch of no time may have taken nearly this."""


@dataclass(slots=True)
class Pace:
    """Learns from each batch how many documents the next one may hold."""

    most: int
    rows: int = FIRST_ROWS
    known: bool = False
    """Whether any batch was answered."""

    def learn(self, rows: int, seconds: float) -> None:
        """Take in how long JavaScript worked on a batch of so many documents."""
        fitting = rows * BATCH_SECONDS / max(seconds, _CLOCK_SECONDS)
        self.rows = max(1, min(self.most, int(fitting)))
        self.known = True
