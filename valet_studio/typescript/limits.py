"""What schema.ts and its backfills may use up before they are stopped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one Deno process. All of them can be set by the user."""

    evaluate_seconds: float = 5.0
    """Wall time for running schema.ts."""
    document_seconds: float = 5.0
    """Wall time for one document of a backfill."""
    heap_mb: int = 512
    """JavaScript heap; on Linux the process may hold twice that plus 512 MiB of data in all."""
