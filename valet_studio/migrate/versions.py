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
from valet_studio.migrate.history import HistoryEntry, MigrationId, entries
from valet_studio.migrate.reruns import runs_between
from valet_studio.schema.document import schema_hash, to_document
from valet_studio.schema.model import Json

POSITION = "replica_position"
"""The key in a replica's `_valet_meta` under which its position stands."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a replica is: the last version of its server that it holds."""

    hash: str | None = None
    """Its own schema hash; None for a replica that holds none yet."""
    migration: MigrationId | None = None
    """The server's migration that brought it; None where that is not known."""
    noted: bool = False
    """Whether the server itself said so. Else it is read off the replica's own history, which is
    the server's where the replica is a copy of it."""


@dataclass(frozen=True, slots=True)
class Version:
    """One schema that was pushed and completed."""

    history_id: int
    hash: str
    document: dict[str, Json]
    """Its schema.json."""
    applied_at: str | None = None
    """None where the history does not hold it."""
    backfills: tuple[str, ...] = ()
    """Keys of the backfills that it ran, also of those that had run before and were reset."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What lies between a position and now."""

    hash: str | None
    """The schema hash of the database now; None where nothing was pushed yet."""
    known: bool
    """Whether the database ever held the position's schema; if not, it is ahead, or astray."""
    after: tuple[Version, ...] = ()
    """In the order in which they were pushed; the last one is what holds now."""
    migration: MigrationId | None = None
    """The last one that completed; None where there is none."""


def after(connection: apsw.Connection, position: Position) -> Versions:
    """What was pushed after a position. Reads only."""
    with connection:
        now = inspect(connection).applied_hash
        completed = [entry for entry in reversed(entries(connection)) if entry.hash_after]
        last = completed[-1].identity if completed else None
        start = _start(completed, position, now)
        if start is None:
            return Versions(now, known=False, migration=last)
        wanted = [entry for entry in completed if entry.id > start]
        if position.hash is None:
            # A replica without a schema holds no document that a skipped backfill could set.
            wanted = wanted[-1:]
        found = []
        for entry in wanted:
            ran = runs_between(connection, start, entry.id)
            document = _document(connection, entry.id)
            found.append(Version(entry.id, entry.hash_after or "", document, entry.applied_at, ran))
            start = entry.id
        reached = found[-1].hash if found else position.hash
        if now is not None and reached != now:
            found += _unrecorded(connection, now)
    return Versions(now, known=True, after=tuple(found), migration=last)


def _start(completed: list[HistoryEntry], position: Position, now: str | None) -> int | None:
    """The migration after which a replica goes on; None where it is ahead, or astray."""
    newest = completed[-1] if completed else None
    if position.hash is None or newest is None:
        return 0 if position.hash in (None, now) else None
    held = [entry for entry in completed if entry.hash_after == position.hash]
    at = position.migration
    exact = next((entry for entry in held if at is not None and entry.is_it(at)), None)
    if exact is not None:
        return exact.id
    if at is not None and position.noted and held:
        if newest.id < at.id and newest.applied_at <= (at.applied_at or ""):
            return None
        # Undone and pushed again: what that ran may have met other documents than before.
        return held[-1].id - 1
    if now == position.hash:
        return newest.id
    return held[-1].id if held else None


def position_of(connection: apsw.Connection) -> Position:
    """Where a replica stands."""
    own = inspect(connection).applied_hash
    try:
        noted = json.loads(read_meta(connection).get(POSITION, "null"))
    except ValueError:
        noted = None
    if isinstance(noted, dict) and noted.get("hash") == own:
        number, at = noted.get("id"), noted.get("applied_at")
        if isinstance(number, int):
            known = isinstance(at, str)
            return Position(own, MigrationId(number, at if known else None), noted=known)
    held = [entry.identity for entry in entries(connection) if entry.hash_after == own]
    return Position(own, held[0] if held else None)


def note_position(connection: apsw.Connection, version: Version) -> None:
    """Record that a replica holds a version; within the transaction that brings it there."""
    note = {"hash": version.hash, "id": version.history_id, "applied_at": version.applied_at}
    write_meta(connection, POSITION, json.dumps(note))


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
