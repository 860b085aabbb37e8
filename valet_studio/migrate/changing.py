"""Documents whose value a backfill changes, for a report to show before all others."""

from __future__ import annotations

import json
from collections.abc import Mapping

from valet_studio.migrate.documents import Documents, Key
from valet_studio.migrate.events import MAX_SAMPLES, Sample
from valet_studio.schema.model import Storage
from valet_studio.schema.telling import shown
from valet_studio.typescript.cells import Value

LOOKED_AT = 10 * MAX_SAMPLES
"""Documents of one batch among which the ones to show are chosen."""
_MOST = 10 * LOOKED_AT
"""Documents looked at in all."""


class Changing:
    """One document of each change that a value undergoes, and others while there is room.

    Args:
        column: what the backfill fills.
        storage: how its values are stored.
    """

    def __init__(self, column: str, storage: Storage | None) -> None:
        self._column = column
        self._storage = storage
        self._telling: dict[str, Sample] = {}
        self._others: list[Sample] = []
        self._looked_at = 0

    @property
    def is_full(self) -> bool:
        """Whether enough documents were looked at."""
        return len(self._telling) >= MAX_SAMPLES or self._looked_at >= _MOST

    def note(self, documents: Documents, values: Mapping[Key, Value]) -> None:
        """Take in documents with their new values, before these are written."""
        for key, row in documents.rows(values).items():
            sample = Sample.of(row, self._column, shown(values[key], self._storage))
            self._looked_at += 1
            change = json.dumps([sample.before, sample.after])
            if change not in self._telling and len(self._telling) < MAX_SAMPLES:
                self._telling[change] = sample
            elif len(self._others) < MAX_SAMPLES:
                self._others.append(sample)

    def before(self, samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        """These samples after the ones known here, each document once, `MAX_SAMPLES` in all."""
        told = {s.id: s for s in (*self._telling.values(), *self._others, *samples)}
        return tuple(told.values())[:MAX_SAMPLES]
