"""What a migration can be planned for, rehearsed on and applied to: a file, or a server.

`pipeline` chooses one and asks nothing else; `LocalTarget` is a file here, `remote.ServerTarget`
a file behind a push server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from valet_studio.database.ask import ask
from valet_studio.database.inspect import inspect
from valet_studio.database.target import FileTarget
from valet_studio.errors import IsCancelled
from valet_studio.plan.changes import Plan
from valet_studio.plan.compare import compare
from valet_studio.plan.measure import answered, questions
from valet_studio.schema.model import Json, Schema

# A plan is shown before what carries it out is loaded: `LocalTarget` imports that when asked.
if TYPE_CHECKING:
    import apsw

    from valet_studio.database.structure import Structures
    from valet_studio.migrate.ahead import ByColumn
    from valet_studio.migrate.events import Event
    from valet_studio.migrate.history import HistoryEntry, MigrationId
    from valet_studio.migrate.order import Order
    from valet_studio.migrate.touched import Touched, Wanted
    from valet_studio.migrate.undo import UndoReport
    from valet_studio.migrate.versions import Position, Versions
    from valet_studio.migrate.written import TableWrites

Planner: TypeAlias = Callable[[Schema], Plan]
"""Makes the plan of one schema."""
DocumentIds: TypeAlias = Mapping[str, Sequence[str]]
"""Some documents: `_id`s by table."""


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """What the status line says of the database."""

    label: str
    """Path or URL, as the user would name it."""
    exists: bool
    size: int | None = None
    """Bytes on disk; None where there is none or it is not known."""
    read_only: bool = False
    """Whether this user may not write it, so that a plan can be reviewed but not applied."""
    keeps_snapshots: bool = True
    """Whether an apply keeps what an undo needs."""


class Target(Protocol):
    """A database that a schema is compared with and pushed to.

    Every function may raise a `StudioError`; those that take `cancelled` raise `Cancelled`.
    """

    def info(self) -> DatabaseInfo:
        """Name, size and whether it can be written."""

    def planner(self, *, strict: bool) -> Planner:
        """What tells what the push of a schema would do, without counts. Reads only.

        What it needs of the database is read now, where that can be told before the schema."""

    def measure(self, schema: Schema, cancelled: IsCancelled, *, strict: bool) -> Plan:
        """What a push would do, counts and data checks included. Reads only."""

    def dry_run(self, order: Order, cancelled: IsCancelled) -> Iterator[Event]:
        """Rehearse a plan on a copy; the last event is the report."""

    def apply(self, order: Order, cancelled: IsCancelled) -> Iterator[Event]:
        """Carry out exactly this plan; the last event is the report."""

    def retry(
        self, order: Order, documents: DocumentIds, cancelled: IsCancelled
    ) -> Iterator[Event]:
        """Rehearse a plan on these documents alone; the last event is the report. Reads only."""

    def structures(self, plan: Plan) -> Structures | None:
        """The structure before and after a plan; None where it cannot be told."""

    def touched(self, asked: Wanted, cancelled: IsCancelled) -> Touched | None:
        """How much a table holds, and some of its documents; None where there is no such table."""

    def documents(self, asked: Wanted, cancelled: IsCancelled) -> tuple[dict[str, Json], ...]:
        """Whole documents, decoded to be shown; those that are not there are left out."""

    def history(self) -> tuple[HistoryEntry, ...]:
        """What was applied, newest first."""

    def schema_at(self, history_id: int) -> Schema:
        """The schema that one of those migrations pushed."""

    def versions(self, position: Position) -> Versions:
        """The schemas that were pushed after a replica's position."""

    def written_since(self, cancelled: IsCancelled) -> tuple[TableWrites, ...]:
        """The tables with documents written since the last migration, which an undo would take
        back. Raises `NothingToUndo` where an undo would."""

    def undo(self, cancelled: IsCancelled, migration: MigrationId | None = None) -> UndoReport:
        """Put the database back as it was before the last migration; refused with `PlanIsStale`
        where that is not `migration`."""

    def reset_backfill(self, table: str, column: str) -> bool:
        """Forget that a backfill ran; False where it never had."""


class ReadTarget:
    """What is answered alike of every database that is read through a connection."""

    __slots__ = ()

    def reading(
        self, cancelled: IsCancelled | None = None
    ) -> AbstractContextManager[apsw.Connection]:
        """A connection that only reads."""
        raise NotImplementedError

    def structures(self, plan: Plan) -> Structures | None:
        """The structure before and after a plan; see `database.structure`."""
        from valet_studio.database.structure import structures

        with self.reading() as connection:
            return structures(inspect(connection), plan.statements)

    def touched(self, asked: Wanted, cancelled: IsCancelled) -> Touched | None:
        """How much a table holds, and some of its documents; None where there is no such table."""
        from valet_studio.migrate.touched import touched

        with self.reading(cancelled) as connection:
            return touched(connection, asked)

    def documents(self, asked: Wanted, cancelled: IsCancelled) -> tuple[dict[str, Json], ...]:
        """Whole documents, decoded to be shown; those that are not there are left out."""
        from valet_studio.migrate.touched import documents

        with self.reading(cancelled) as connection:
            return documents(connection, asked)

    def history(self) -> tuple[HistoryEntry, ...]:
        """What was applied, newest first."""
        from valet_studio.migrate.history import entries

        with self.reading() as connection:
            return entries(connection)

    def schema_at(self, history_id: int) -> Schema:
        """The schema that one of those migrations pushed."""
        from valet_studio.migrate.history import schema_at

        with self.reading() as connection:
            return schema_at(connection, history_id)

    def versions(self, position: Position) -> Versions:
        """The schemas that were pushed after a replica's position."""
        from valet_studio.migrate import versions

        with self.reading() as connection:
            return versions.after(connection, position)


@dataclass(frozen=True, slots=True)
class LocalTarget(ReadTarget):
    """A database in a file of this machine."""

    file: FileTarget

    def reading(
        self, cancelled: IsCancelled | None = None
    ) -> AbstractContextManager[apsw.Connection]:
        """A connection that only reads; an empty one where the file does not exist."""
        return self.file.reading(cancelled)

    def info(self) -> DatabaseInfo:
        """Name, size and whether it can be written."""
        exists = self.file.exists()
        read_only = exists and not os.access(self.file.path, os.W_OK)
        return DatabaseInfo(self.file.label, exists, self.file.size(), read_only)

    def planner(self, *, strict: bool) -> Planner:
        """What tells what the push of a schema would do to the database as it is now."""
        with self.file.reading(triggers=False) as connection:
            return partial(compare, state=inspect(connection), strict=strict)

    def measure(self, schema: Schema, cancelled: IsCancelled, *, strict: bool) -> Plan:
        """What a push would do, counts and data checks included. Reads only."""
        with self.file.reading(cancelled, triggers=False) as connection:
            held = inspect(connection)
            plan = compare(schema, held, strict=strict)
            return answered(plan, ask(connection, questions(plan, schema, held)))

    def dry_run(
        self, order: Order, cancelled: IsCancelled, who: str | None = None
    ) -> Iterator[Event]:
        """Rehearse a plan on a copy; see `migrate.dry_run`, and `migrate.rehearsal` for `who`."""
        from valet_studio.migrate import rehearsal
        from valet_studio.migrate.dry_run import dry_run
        from valet_studio.migrate.events import Report

        kept: ByColumn = {}
        for event in dry_run(self.file, order, cancelled, kept=kept):
            if isinstance(event, Report):
                # Who reads the report may apply at once, before what follows here has run.
                rehearsal.keep(self.file.path, order.plan.fingerprint, kept, who)
            yield event

    def apply(self, order: Order, cancelled: IsCancelled) -> Iterator[Event]:
        """Carry out exactly this plan; see `migrate.apply`."""
        from valet_studio.migrate import rehearsal
        from valet_studio.migrate.apply import apply

        values = rehearsal.take(self.file.path, order.plan.fingerprint)
        try:
            yield from apply(self.file, order, cancelled, rehearsed=values)
        finally:
            rehearsal.close(values)

    def retry(
        self, order: Order, documents: DocumentIds, cancelled: IsCancelled
    ) -> Iterator[Event]:
        """Rehearse a plan on these documents alone; see `migrate.retry`."""
        from valet_studio.migrate.retry import rehearse_documents

        yield from rehearse_documents(self.file, order, documents, cancelled)

    def written_since(self, cancelled: IsCancelled) -> tuple[TableWrites, ...]:
        """The tables with documents written since the last migration; see `migrate.written`."""
        from valet_studio.migrate.written import undoable

        return undoable(self.file, cancelled).writes

    def undo(self, cancelled: IsCancelled, migration: MigrationId | None = None) -> UndoReport:
        """Put the database back as it was before the last migration; see `migrate.undo`."""
        from valet_studio.migrate.undo import undo

        return undo(self.file, cancelled, migration)

    def reset_backfill(self, table: str, column: str) -> bool:
        """Forget that a backfill ran; False where it never had. See `migrate.reruns`."""
        from valet_studio.migrate.reruns import reset_backfill

        return reset_backfill(self.file, table, column).armed
