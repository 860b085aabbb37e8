"""The migration of a server's database, carried out on a copy here."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from valet_studio.database.errors import database_errors
from valet_studio.database.layout import CREATE_BOOKKEEPING, PLANNED_BY
from valet_studio.errors import IsCancelled
from valet_studio.libsql.hrana import LibsqlServer
from valet_studio.libsql.mirror import Moment, key_of, mirror, renew
from valet_studio.libsql.session import reading
from valet_studio.migrate.ahead import Ahead, ByColumn
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import (
    BackfillReport,
    CopyProgress,
    Event,
    PhaseStarted,
    Report,
    StatementRun,
)
from valet_studio.migrate.history import next_id
from valet_studio.migrate.migration import migrate
from valet_studio.migrate.order import Order
from valet_studio.migrate.pushed import note_push
from valet_studio.migrate.target import DocumentIds
from valet_studio.schema.names import quote, text_literal
from valet_studio.scratch import scratch


@dataclass(slots=True)
class Copies:
    """The copy of a server's database as it stands, and one more that is migrated."""

    server: LibsqlServer
    folder: Path
    moment: Moment | None = None

    @property
    def standing(self) -> Path:
        """The copy that is never migrated."""
        return self.folder / "copy.db"

    @property
    def migrated(self) -> Path:
        """The copy after the last migration of it."""
        return self.folder / "migrated.db"

    def make(self, cancelled: IsCancelled) -> Iterator[Event]:
        """Copy the server's database.

        Raises:
            Cancelled, DatabaseError, ServerError: as `mirror` raises.
        """
        yield PhaseStarted("copy")
        self.standing.unlink(missing_ok=True)
        for item in mirror(self.server, self.standing, cancelled):
            if isinstance(item, CopyProgress):
                yield item
            else:
                self.moment = item


@contextmanager
def copies(server: LibsqlServer) -> Iterator[Copies]:
    """Room for copies, which are deleted at the end of the block."""
    with scratch() as folder:
        yield Copies(server, folder)


@dataclass(slots=True)
class Rehearsal:
    """One migration of a copy, and what it did, to be done on the server."""

    made: Copies
    order: Order
    push: str
    """The name by which the server's database records it."""
    script: list[str | tuple[str, str]] = field(default_factory=list)
    """Its statements in order; table and column where a backfill set its values."""
    values: ByColumn = field(default_factory=dict)
    report: Report | None = None

    def run(self, evaluators: Evaluators, cancelled: IsCancelled, ahead: Ahead) -> Iterator[Event]:
        """Migrate a copy of the copy; every event but the commit and the report is passed on.

        Raises:
            PlanIsStale: the database is not in the state for which the plan was made, or a
                document fails that did not in the dry run.
            Cancelled, MigrationFailed, DatabaseError: nothing of it is of use.
        """
        made = self.made
        made.migrated.unlink(missing_ok=True)
        with (
            database_errors(made.server.url),
            closing(apsw.Connection(str(made.migrated))) as connection,
        ):
            with (
                closing(apsw.Connection(str(made.standing))) as standing,
                connection.backup("main", standing, "main") as backup,
            ):
                backup.step(-1)
            _unsafe(connection)
            for event in migrate(
                connection,
                self.order,
                evaluators,
                cancelled,
                before_changes=self._note,
                ahead=ahead,
                kept=self.values,
            ):
                match event:
                    case Report():
                        self.report = event
                        continue
                    case PhaseStarted("commit"):
                        continue
                    case StatementRun():
                        self.script.append(event.sql)
                    case BackfillReport() if not event.failed:
                        self.script.append((event.table, event.column))
                yield event

    def _note(self, connection: apsw.Connection) -> None:
        for sql in CREATE_BOOKKEEPING:
            connection.execute(sql)
        note_push(connection, self.push, next_id(connection))


def dry_run(
    server: LibsqlServer, order: Order, cancelled: IsCancelled, kept: ByColumn
) -> Iterator[Event]:
    """Copy the server's database, migrate the copy, report, delete the copy.

    Every backfill is computed by two processes, and their answers are compared. Its values go to
    `kept`, for an apply of the same plan.

    Raises:
        PlanIsStale: the database is not in the state for which the plan was made.
        Cancelled: stopped; the copy is deleted.
        DatabaseError, ServerError: the database cannot be read, or the copy cannot be written.
    """
    with copies(server) as made:
        yield from made.make(cancelled)
        yield from _twice(made, order, cancelled, kept)


def retry(
    server: LibsqlServer, order: Order, documents: DocumentIds, cancelled: IsCancelled
) -> Iterator[Event]:
    """The same on a copy that holds these documents alone, which are `_id`s by table.

    Raises:
        PlanIsStale, Cancelled, DatabaseError, ServerError: as `dry_run` raises.
    """
    with copies(server) as made:
        deque(mirror(server, made.standing, cancelled, PLANNED_BY), 0)
        with database_errors(server.url), reading(server, cancelled) as session, session:
            for table, ids in documents.items():
                listed = text_literal(json.dumps(ids))
                key = key_of(made.standing, table)
                renew(
                    session,
                    made.standing,
                    table,
                    f'SELECT {key} FROM {quote(table)} WHERE "_id" IN '
                    f"(SELECT value FROM json_each({listed}))",
                )
        yield from _twice(made, order, cancelled)


def _twice(
    made: Copies, order: Order, cancelled: IsCancelled, kept: ByColumn | None = None
) -> Iterator[Event]:
    with (
        database_errors(made.server.url),
        closing(apsw.Connection(str(made.standing))) as connection,
        Evaluators(order.schema.sources, order.limits, twice=True) as evaluators,
    ):
        _unsafe(connection)
        yield from migrate(connection, order, evaluators, cancelled, kept=kept)


def _unsafe(connection: apsw.Connection) -> None:
    """Nobody needs a copy after a crash, so it need not survive one."""
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")
