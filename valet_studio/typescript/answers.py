"""What a Deno process makes of a batch of documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from valet_studio.errors import Location
from valet_studio.typescript.cells import Cells, Value, decoded
from valet_studio.typescript.frames import split_answer


@dataclass(frozen=True, slots=True)
class BatchFailure:
    """One document of a batch that got no value."""

    index: int
    message: str
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What a backfill made of one batch."""

    cells: Cells
    """Stored form, one a document: null also for a document that failed."""
    failures: tuple[BatchFailure, ...]
    used: frozenset[str]
    """Sources of differing values that were called: `Date.now`, `Math.random`, …"""
    seconds: float
    """How long JavaScript worked on it."""
    raw: bytes
    """The values as received: two processes' answers compare by it."""
    outcomes: Mapping[Value, Value] | None = None
    """Of documents with one field: which value each of its few inputs gave; empty where one gave
    two values. None where there are many inputs, or more fields."""

    @property
    def values(self) -> list[Any]:
        """Every value as an object."""
        return self.cells.listed


def batch_answer(payload: bytes, locate: Callable[[str], Location | None]) -> BatchAnswer:
    """The answer that a frame's payload holds.

    Args:
        locate: the place in the user's modules that a stack names.
    """
    head, raw = split_answer(payload)
    data = json.loads(head)
    failures = tuple(
        BatchFailure(f["index"], f["message"], locate(f["stack"])) for f in data["failures"]
    )
    form = data["form"]
    return BatchAnswer(
        Cells.unpack(form, raw, data["large"]),
        failures,
        frozenset(data["used"]),
        data["seconds"],
        json.dumps(form).encode() + raw,
        _outcomes(data["outcomes"]),
    )


def _outcomes(pairs: list[tuple[Any, Any]] | None) -> dict[Value, Value] | None:
    try:
        if pairs is None:
            return None
        told, gave = [cell for cell, _ in pairs], [value for _, value in pairs]
        return dict(
            zip(decoded(told, large=True), decoded(gave, large=True, bytes_too=True), strict=True)
        )
    except TypeError:
        return None  # Bytes are an object here.
