"""The record of applied migrations, in `_valet_history`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import apsw

from valet_studio.errors import StudioError
from valet_studio.plan.changes import Change, Plan
from valet_studio.plan.sentences import count
from valet_studio.schema.document import from_document, to_document
from valet_studio.schema.model import Schema


@dataclass(frozen=True, slots=True)
class MigrationId:
    """Which migration. An id alone does not tell: after an undo it is given once more."""

    id: int
    applied_at: str | None = None
    """As in the history; None where only the id is known."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One applied migration; as JSON it has these very names."""

    id: int
    applied_at: str
    """UTC, ISO 8601."""
    hash_before: str | None
    hash_after: str | None
    """None where a backfill failed, so that the hash was not stored."""
    summary: str
    rows: int
    """Values that its backfills set."""
    seconds: float

    @property
    def identity(self) -> MigrationId:
        """Which migration it is."""
        return MigrationId(self.id, self.applied_at)

    @property
    def when(self) -> str:
        """When it was applied, as a person would write it, in UTC."""
        return self.applied_at[:16].replace("T", " ") + " UTC"

    def is_it(self, migration: MigrationId) -> bool:
        """Whether it is that migration."""
        return self.id == migration.id and migration.applied_at in (None, self.applied_at)


@dataclass(frozen=True, slots=True)
class Earlier:
    """That a schema is one that the database held before, and has gone on from."""

    entry: HistoryEntry
    """The last migration that applied it."""
    since: int
    """Migrations that were completed after that one."""

    @property
    def sentence(self) -> str:
        """Of which migration the schema is, and how far the database has gone on."""
        return (
            f"This is the schema of migration {self.entry.id}, of {self.entry.when}; "
            f"{count(self.since, 'migration')} came after it."
        )


def earlier(applied: Sequence[HistoryEntry], plan: Plan) -> Earlier | None:
    """Where the plan's schema stands in the history, newest first; None where it does not, or where
    it is what the database holds now."""
    completed = [entry for entry in applied if entry.hash_after]
    if plan.schema_hash == plan.applied_hash:
        return None
    places = (at for at, entry in enumerate(completed) if entry.hash_after == plan.schema_hash)
    at = next(places, None)
    return Earlier(completed[at], at) if at is not None else None


def record(
    connection: apsw.Connection,
    schema: Schema,
    plan: Plan,
    *,
    completed: bool,
    rows: int,
    seconds: float,
) -> int:
    """Write one migration into the history, inside its own transaction; returns its id."""
    connection.execute(
        "INSERT INTO _valet_history"
        " (applied_at, hash_before, hash_after, schema_json, summary, rows, seconds)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            # To the microsecond: with its number it tells a migration from one that was undone.
            datetime.now(UTC).isoformat(timespec="microseconds"),
            plan.applied_hash,
            plan.schema_hash if completed else None,
            json.dumps(to_document(schema), ensure_ascii=False),
            summary(plan),
            rows,
            seconds,
        ),
    )
    return connection.last_insert_rowid()


def summary(plan: Plan) -> str:
    """A plan in a few words: `3 changes: + todos.dueDate, ~ todos.priorityNum`."""
    parts = [f"{change.shown_sign} {_subject(change)}" for change in plan.pending]
    count = f"{len(parts)} change{'' if len(parts) == 1 else 's'}"
    return f"{count}: {', '.join(parts)}" if parts else count


def _subject(change: Change) -> str:
    member = change.column or change.index
    return f"{change.table}.{member}" if member else change.table


def entries(connection: apsw.Connection) -> tuple[HistoryEntry, ...]:
    """All applied migrations, newest first; none where the database has no history."""
    exists = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_valet_history'"
    if connection.execute(exists).fetchone() is None:
        return ()
    rows = connection.execute(
        "SELECT id, applied_at, hash_before, hash_after, summary, rows, seconds"
        " FROM _valet_history ORDER BY id DESC"
    )
    return tuple(HistoryEntry(*row) for row in rows)


def last_completed(connection: apsw.Connection) -> MigrationId | None:
    """The last migration whose backfills are all done."""
    return next((entry.identity for entry in entries(connection) if entry.hash_after), None)


def schema_at(connection: apsw.Connection, migration: int) -> Schema:
    """The schema that a migration applied.

    Raises:
        StudioError: there is no such migration, or its schema is not recorded.
    """
    known = [entry.id for entry in entries(connection)]
    if migration not in known:
        raise StudioError(
            f"There is no migration {migration} in the history.",
            f"It holds {_span(known)}; `valet-studio history` lists them."
            if known
            else "Nothing was applied to this database yet.",
        )
    text = connection.execute(
        "SELECT schema_json FROM _valet_history WHERE id = ?", (migration,)
    ).get
    try:
        return from_document(json.loads(text if isinstance(text, str) else ""))
    except (ValueError, KeyError, TypeError) as error:
        raise StudioError(
            f"The schema of migration {migration} cannot be read from the history.",
            "Another program may have written it; compare other migrations.",
        ) from error


def _span(ids: list[int]) -> str:
    low, high = min(ids), max(ids)
    return f"migration {low}" if low == high else f"migrations {low} to {high}"


def next_id(connection: apsw.Connection) -> int:
    """The id that the next migration will get."""
    return max((entry.id for entry in entries(connection)), default=0) + 1
