"""Measurements, and the table that they are printed as."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Row:
    """One line: ours against a peer, or against a bound."""

    case: str
    ours: float
    """Median seconds (or whatever `unit` says)."""
    peer: str
    theirs: float | None
    target: float | None
    better: Literal["peer/ours ≥", "ours/peer ≤", "ours ≤", ""]
    unit: str = "s"

    @property
    def ratio(self) -> float | None:
        if self.theirs is None:
            return None
        return self.theirs / self.ours if self.better == "peer/ours ≥" else self.ours / self.theirs

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        if self.better == "peer/ours ≥":
            return self.ratio is not None and self.ratio >= self.target
        measured = self.ratio if self.better == "ours/peer ≤" else self.ours
        return measured is not None and measured <= self.target


def printed(rows: Iterable[Row]) -> Iterator[str]:
    """A Markdown table, line by line."""
    yield "| case | ours | peer | peer's | ratio | target | met? |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        theirs = f"{row.theirs:.3f} {row.unit}" if row.theirs is not None else ""
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        target = f"{row.better} {row.target:g}" if row.target is not None else ""
        met = {True: "yes", False: "NO", None: ""}[row.met]
        yield (
            f"| {row.case} | {row.ours:.3f} {row.unit} | {row.peer} | {theirs} | {ratio} "
            f"| {target} | {met} |"
        )


def medians(runs: int, **measured: Callable[[], float]) -> dict[str, float]:
    """The median of each function's answers; they take turns, so that load hits all alike."""
    answers: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(runs):
        for name, run in measured.items():
            answers[name].append(run())
    return {name: statistics.median(found) for name, found in answers.items()}


def p95(values: Iterable[float]) -> float:
    """The value that 95 of 100 do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * 0.95) - 1]


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
