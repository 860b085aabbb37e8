"""What clients ask of a push server, and what it tells of what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from valet_studio.errors import StudioError
from valet_studio.migrate.events import Report
from valet_studio.migrate.history import MigrationId
from valet_studio.migrate.reruns import BackfillReset
from valet_studio.migrate.undo import UndoReport

Done: TypeAlias = Report | UndoReport | BackfillReset
"""What a request did to the database."""


@dataclass(frozen=True, slots=True)
class PushOrder:
    """What a client asks for besides its schema."""

    fingerprint: str | None = None
    """The plan that was reviewed; None takes whatever plan holds."""
    strict: bool = False
    push: str | None = None
    """The client's name for this push, by which it can ask what became of it."""
    client: str | None = None
    """The client's name for itself: what it has rehearsed is what its push writes."""


@dataclass(frozen=True, slots=True)
class UndoOrder:
    """Which migration a client wants to be undone; without an id the last one."""

    id: int | None = None
    applied_at: str | None = None

    @property
    def migration(self) -> MigrationId | None:
        """The migration that is meant."""
        return MigrationId(self.id, self.applied_at) if self.id is not None else None


@dataclass(frozen=True, slots=True)
class ResetOrder:
    """Which backfill a client wants to run again."""

    table: str
    column: str


@dataclass(frozen=True, slots=True)
class Became:
    """What became of one push, or of what else was to change the database."""

    state: Literal["running", "applied", "unknown"]
    history_id: int | None = None
    """The migration that it was."""
    report: Done | None = None
    """None where the server was started again since."""


class UnknownTable(StudioError):
    """Documents of what is no table were asked for."""
