"""Some documents of a rehearsed backfill, each computed once more alone, against what was stored.

Batches are packed, shared out and written in several ways. A document that is computed alone goes
through none of them, so a fault in any shows as another value.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import apsw

from valet_studio.errors import DatabaseError, IsCancelled
from valet_studio.migrate.column_writer import ColumnWriter
from valet_studio.migrate.documents import Batch, Documents, Key
from valet_studio.migrate.evaluators import Evaluators, Stopped
from valet_studio.schema.names import quote

CHECKED = 32
_LARGEST = 1 << 18
"""Bytes of a document that is looked at."""
_SECONDS = 1.0
"""After which no further document is looked at."""
_BEGINNINGS = "048CGKOSWaeimquy"
"""What the `_id`s between which documents are looked for begin with, where there is no rowid."""


def spread(documents: Documents) -> tuple[Batch, ...]:
    """At most `CHECKED` documents from all over the table, as they are now, each a batch."""
    found: dict[Key, Batch] = {}
    for after in _starts(documents):
        try:
            batch = documents.batch(after, None, 1)
        except (DatabaseError, apsw.TooBigError, apsw.NoMemError):
            continue  # Who reads all documents tells of it.
        if batch is not None and len(batch.payload) <= _LARGEST:
            found[batch.keys[0]] = batch
    return tuple(found.values())


def other_value(
    batches: tuple[Batch, ...],
    writer: ColumnWriter,
    evaluators: Evaluators,
    cancelled: IsCancelled,
) -> Key | None:
    """The first of some documents, each a batch, that holds another value than it gets alone.

    Args:
        evaluators: the backfill is chosen.
    """
    deadline = time.monotonic() + _SECONDS
    for batch in batches:
        if time.monotonic() > deadline:
            break
        try:
            answer = evaluators.answer(batch, cancelled)[0]
        except Stopped:
            return batch.keys[0]
        if answer.failures or not writer.holding(batch.keys, answer.cells):
            return batch.keys[0]
    return None


def _starts(documents: Documents) -> Iterator[Key | None]:
    """What the documents that are looked at come after."""
    yield None
    if documents.key == quote("_id"):
        yield from _BEGINNINGS
        return
    first, last = documents.ends()
    for part in range(1, CHECKED):
        yield max(first, first + (last - first) * part // (CHECKED - 1) - 1)
