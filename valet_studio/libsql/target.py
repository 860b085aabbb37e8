"""A database on a libSQL server: the same plans, events and failures as with a file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import apsw

from valet_studio.database.ask import ask
from valet_studio.database.errors import database_errors
from valet_studio.database.inspect import inspect
from valet_studio.errors import IsCancelled, Unsupported, never
from valet_studio.libsql.apply import apply, refuse_replica
from valet_studio.libsql.hrana import LibsqlServer, Statement, StepFailed, server_at
from valet_studio.libsql.mirror import mirror
from valet_studio.libsql.rehearse import dry_run, retry
from valet_studio.libsql.session import as_connection, reading
from valet_studio.migrate import rehearsal
from valet_studio.migrate.ahead import ByColumn
from valet_studio.migrate.events import Event, Report
from valet_studio.migrate.order import Order
from valet_studio.migrate.target import DatabaseInfo, DocumentIds, Planner, ReadTarget
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.written import TableWrites
from valet_studio.plan.changes import Plan
from valet_studio.plan.compare import compare
from valet_studio.plan.measure import answered, questions
from valet_studio.schema.model import Schema
from valet_studio.schema.questions import CONFORMS, Answer, Question
from valet_studio.schema.state import backfill_key
from valet_studio.scratch import scratch


@dataclass(frozen=True, slots=True)
class LibsqlTarget(ReadTarget):
    """A database on a libSQL server."""

    server: LibsqlServer

    @staticmethod
    def at(url: str, token: str | None) -> LibsqlTarget:
        """The target at an address.

        Raises:
            ServerError: the address or the token cannot be used.
        """
        return LibsqlTarget(server_at(url, token))

    @property
    def label(self) -> str:
        """The address."""
        return self.server.url

    def info(self) -> DatabaseInfo:
        """Address and size; read-only where the server is a replica."""
        with self.reading() as connection:
            pages, page = (
                int(connection.execute(f"SELECT * FROM pragma_{name}").get)
                for name in ("page_count", "page_size")
            )
        read_only = self.server.role() != "primary"
        return DatabaseInfo(
            self.label,
            exists=True,
            size=pages * page,
            read_only=read_only,
            keeps_snapshots=False,
        )

    def planner(self, *, strict: bool) -> Planner:
        """What tells what the push of a schema would do to the database as it is now."""
        with self.reading() as connection:
            return partial(compare, state=inspect(connection), strict=strict)

    def measure(self, schema: Schema, cancelled: IsCancelled, *, strict: bool) -> Plan:
        """What a push would do, counts and data checks included. Reads only."""
        with self.reading(cancelled) as connection:
            held = inspect(connection)
            plan = compare(schema, held, strict=strict)
            asked = questions(plan, schema, held)
            there = [replace(one, check=None) for one in asked if not _by_python(one)]
            answers = ask(connection, there)
        return answered(plan, answers | self._ask_here(cancelled, [*filter(_by_python, asked)]))

    def dry_run(self, order: Order, cancelled: IsCancelled) -> Iterator[Event]:
        """Rehearse a plan on a copy made here; the last event is the report."""
        kept: ByColumn = {}
        for event in dry_run(self.server, order, cancelled, kept):
            if isinstance(event, Report):
                # Who reads the report may apply at once, before what follows here has run.
                rehearsal.keep(self.label, order.plan.fingerprint, kept)
            yield event

    def apply(self, order: Order, cancelled: IsCancelled) -> Iterator[Event]:
        """Carry out exactly this plan; see `libsql.apply`."""
        values = rehearsal.take(self.label, order.plan.fingerprint)
        try:
            yield from apply(self.server, order, cancelled, rehearsed=values)
        finally:
            rehearsal.close(values)

    def retry(
        self, order: Order, documents: DocumentIds, cancelled: IsCancelled
    ) -> Iterator[Event]:
        """Rehearse a plan on a copy that holds these documents alone."""
        return retry(self.server, order, documents, cancelled)

    def written_since(self, cancelled: IsCancelled) -> tuple[TableWrites, ...]:  # noqa: ARG002
        """Refused, as `undo` is."""
        raise self._nothing_kept()

    def undo(self, cancelled: IsCancelled, migration: object = None) -> UndoReport:  # noqa: ARG002
        """Refused: no snapshot is kept of a server's database."""
        raise self._nothing_kept()

    def _nothing_kept(self) -> Unsupported:
        return Unsupported(
            f"{self.label} is a libSQL server, of which no snapshot is kept, so there is nothing "
            "to undo from.",
            "Restore it from the server's own backup, or push the schema of before: "
            f"`valet-studio history --db {self.label}` lists what was applied.",
        )

    def reset_backfill(self, table: str, column: str) -> bool:
        """Forget that a backfill ran; False where it never had."""
        key = backfill_key(table, column)
        with self.reading() as connection:
            if key not in inspect(connection).backfills:
                return False
        refuse_replica(self.server)
        forget = Statement('DELETE FROM "_valet_meta" WHERE "key" = ?', (key,))
        try:
            self.server.atomic([forget])
        except StepFailed as failed:
            raise self.server.refused({"message": str(failed)}) from failed
        return True

    def _ask_here(self, cancelled: IsCancelled, asked: list[Question]) -> dict[str, Answer]:
        """Answers that Python has to check each value for: on a copy of those tables."""
        if not asked:
            return {}
        with scratch() as folder:
            path = folder / "asked.db"
            deque(mirror(self.server, path, cancelled, {one.table for one in asked}), 0)
            with database_errors(self.label), closing(apsw.Connection(str(path))) as copy:
                return ask(copy, asked)

    @contextmanager
    def reading(self, cancelled: IsCancelled | None = None) -> Iterator[apsw.Connection]:
        """A connection that only reads, by way of the server."""
        with database_errors(self.label), reading(self.server, cancelled or never) as session:
            yield as_connection(session)


def _by_python(question: Question) -> bool:
    return question.check is not None and CONFORMS in (question.condition or "")
