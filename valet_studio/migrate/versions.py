"""The schemas that a database went through: what a replica replays to catch up.

A backfill runs once, with the code of the push that brought it. A replica that skips versions
must therefore replay each of them in order, or it would miss backfills that later schemas no
longer hold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import apsw

from valet_studio.database.inspect import inspect
from valet_studio.database.layout import read_meta, write_meta
from valet_studio.migrate.history import entries
from valet_studio.schema.document import schema_hash, to_document
from valet_studio.schema.model import Json

POSITION = "replica_position"
"""The key in a replica's `_valet_meta` under which its position stands."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a replica is: the last version of its server that it holds."""

    hash: str | None = None
    """Its own schema hash; None for a replica that holds none yet."""
    history_id: int | None = None
    """The server's migration that brought it; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Version:
    """One schema that was pushed and completed."""

    history_id: int
    hash: str
    document: dict[str, Json]
    """Its schema.json."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What lies between a position and now."""

    hash: str | None
    """The schema hash of the database now; None where nothing was pushed yet."""
    known: bool
    """Whether the database ever held the position's schema; if not, it is ahead, or astray."""
    after: tuple[Version, ...] = ()
    """In the order in which they were pushed; the last one is what holds now."""


def after(connection: apsw.Connection, position: Position) -> Versions:
    """What was pushed after a position. Reads only."""
    with connection:
        now = inspect(connection).applied_hash
        if now is None or now == position.hash:
            return Versions(now, position.hash is None or now == position.hash)
        completed = [entry for entry in reversed(entries(connection)) if entry.hash_after]
        held = [e.id for e in completed if e.hash_after == position.hash]
        if position.hash is not None and not held:
            return Versions(now, known=False)
        exact = position.history_id if position.history_id in held else None
        start = 0 if position.hash is None else exact or held[-1]
        wanted = [entry for entry in completed if entry.id > start]
        if position.hash is None:
            # A replica without a schema holds no document that a skipped backfill could set.
            wanted = wanted[-1:]
        found = tuple(
            Version(entry.id, entry.hash_after or "", _document(connection, entry.id))
            for entry in wanted
        )
        if not found or found[-1].hash != now:
            found = (*found, *_unrecorded(connection, now))
    return Versions(now, known=True, after=found)


def position_of(connection: apsw.Connection) -> Position:
    """Where a replica stands."""
    own = inspect(connection).applied_hash
    try:
        noted = json.loads(read_meta(connection).get(POSITION, "null"))
    except ValueError:
        noted = None
    if isinstance(noted, dict) and noted.get("hash") == own and isinstance(noted.get("id"), int):
        return Position(own, noted["id"])
    return Position(own)


def note_position(connection: apsw.Connection, version: Version) -> None:
    """Record that a replica holds a version; within the transaction that brings it there."""
    note = json.dumps({"hash": version.hash, "id": version.history_id})
    write_meta(connection, POSITION, note)


def _document(connection: apsw.Connection, history_id: int) -> dict[str, Json]:
    text = connection.execute(
        "SELECT schema_json FROM _valet_history WHERE id = ?", (history_id,)
    ).get
    document = json.loads(str(text))
    assert isinstance(document, dict)
    return document


def _unrecorded(connection: apsw.Connection, now: str) -> tuple[Version, ...]:
    """The schema of now where the history does not hold it: Valet itself, or another tool, may
    have pushed it."""
    state = inspect(connection)
    if state.applied is None or schema_hash(state.applied) != now:
        return ()
    return (Version(0, now, to_document(state.applied)),)
