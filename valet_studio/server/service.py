"""One database and the pushes to it: serialised, remembered by their ids, rolled back at the end.

Nothing here knows of HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import apsw

from valet_studio.database.inspect import inspect
from valet_studio.database.target import FileTarget
from valet_studio.errors import Cancelled, DatabaseBusy, IsCancelled, PlanIsStale, ServerError
from valet_studio.migrate import rehearsal
from valet_studio.migrate.ahead import ByColumn
from valet_studio.migrate.apply import apply
from valet_studio.migrate.events import Event, Report
from valet_studio.migrate.history import MigrationId, last_completed, next_id
from valet_studio.migrate.order import Order
from valet_studio.migrate.pushed import KEPT_PUSHES, note_push, push_noted
from valet_studio.migrate.reruns import BackfillReset, reset_backfill
from valet_studio.migrate.target import DocumentIds, LocalTarget
from valet_studio.migrate.undo import UndoReport, undo, undone
from valet_studio.migrate.written import Undoable, undoable
from valet_studio.plan.changes import Plan
from valet_studio.schema.model import Json, Schema
from valet_studio.schema.received import ReceivedSchemas
from valet_studio.server.orders import Became, Done, PushOrder, UnknownTable
from valet_studio.server.runs import Run
from valet_studio.server.sync import hello
from valet_studio.typescript.limits import Limits

DRY_RUNS_AT_ONCE = 4
_LOOK_SECONDS = 0.25

E = TypeVar("E")


class Service:
    """The state of one push server. Make it within a running event loop.

    Args:
        wait_seconds: how long a push waits for another one to end.
        pushed: told of the report of each push, and of all else that changed the database.
    """

    def __init__(
        self,
        file: FileTarget,
        limits: Limits,
        *,
        wait_seconds: float,
        pushed: Callable[[Done], None],
    ):
        self.target = LocalTarget(file)
        self.schemas = ReceivedSchemas(limits)
        self._limits = limits
        self._wait_seconds = wait_seconds
        self._pushed = pushed
        self._turn = asyncio.Lock()
        self._room = asyncio.Semaphore(DRY_RUNS_AT_ONCE)
        self._pushes: set[Run[Any]] = set()
        self._dry_runs: set[Run[Any]] = set()
        self._under_way: set[str] = set()
        self._reports: OrderedDict[str, Done] = OrderedDict()
        self._abandoned: OrderedDict[str, None] = OrderedDict()
        self._stopping = False

    def stop_rehearsing(self) -> None:
        """Cancel every dry run and begin no other; pushes may still end."""
        self._stopping = True
        for run in self._dry_runs:
            run.cancel()

    @property
    def runs(self) -> frozenset[Run[Any]]:
        """All that is under way."""
        return frozenset(self._pushes | self._dry_runs)

    def forget(self) -> None:
        """Forget the reports of past pushes, as a server does that is started again."""
        self._reports.clear()

    async def stop(self) -> None:
        """Cancel all that runs, and wait until it has rolled back."""
        self.stop_rehearsing()
        for run in self.runs:
            await run.end()

    @asynccontextmanager
    async def dry_run(
        self, schema: Schema, order: PushOrder, documents: DocumentIds | None = None
    ) -> AsyncIterator[Run[Report]]:
        """A rehearsal, to be consumed within the block; with `documents`, on these alone.

        Raises:
            PlanIsStale: the plan that was reviewed no longer holds.
            UnknownTable: `documents` names what is no table.
        """
        async with self._room:
            plan = await self._reviewed(schema, order)
            if documents is not None:
                await asyncio.to_thread(self._check_tables, documents)

            def work(cancelled: IsCancelled) -> Iterator[Event]:
                meant = Order(schema, plan, self._limits, order.strict)
                if documents is None:
                    return self.target.dry_run(meant, cancelled, order.client)
                return self.target.retry(meant, documents, cancelled)

            async with self._running(Run(work, Report), self._dry_runs) as run:
                yield run

    @asynccontextmanager
    async def push(
        self, schema: Schema, order: PushOrder, gone: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Run[Report]]:
        """A push, to be consumed within the block. One runs at a time.

        Args:
            gone: whether the client went away while the push waited for others.

        Raises:
            Cancelled: the client went away.
            DatabaseBusy: other pushes took too long.
            PlanIsStale: the plan that was reviewed no longer holds.
        """
        async with self._alone(gone):
            plan = await self._reviewed(schema, order)

            def note(connection: apsw.Connection) -> None:
                if order.push is not None:
                    note_push(connection, order.push, next_id(connection))

            def work(cancelled: IsCancelled) -> Iterator[Event]:
                reviewed = self._reviewed_values(plan, order)
                events = apply(
                    self.target.file,
                    Order(schema, plan, self._limits, order.strict),
                    cancelled,
                    rehearsed=reviewed,
                    note=note,
                )
                try:
                    for event in events:
                        if isinstance(event, Report):
                            self._remember(order.push, event)
                        yield event
                finally:
                    rehearsal.close(reviewed)

            async with self._running(Run(work, Report), self._pushes) as run:
                yield run

    def _reviewed_values(self, plan: Plan, order: PushOrder) -> ByColumn:
        """What the client's own dry run of this plan computed, where that was the last one."""
        if order.client is None or order.fingerprint is None:
            return {}
        return rehearsal.take(self.target.file.path, plan.fingerprint, order.client)

    @asynccontextmanager
    async def undoable(self) -> AsyncIterator[Run[Undoable]]:
        """What an undo would take back, to be consumed within the block."""

        def work(cancelled: IsCancelled) -> Iterator[Undoable]:
            found = undoable(self.target.file, cancelled)
            yield replace(found, snapshot=found.snapshot.resolve())

        async with self._room, self._running(Run(work, Undoable), self._dry_runs) as run:
            yield run

    @asynccontextmanager
    async def undo(
        self, migration: MigrationId | None, push: str | None, gone: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Run[UndoReport]]:
        """Take the last push back, to be consumed within the block. Pushes wait for it, and it for
        them.

        Raises:
            Cancelled: the client went away.
            DatabaseBusy: other pushes took too long.
        """

        def work(cancelled: IsCancelled) -> Iterator[UndoReport]:
            report = _absolute(undo(self.target.file, cancelled, migration))
            self._remember(push, report)
            yield report

        async with self._alone(gone), self._running(Run(work, UndoReport), self._pushes) as run:
            yield run

    @asynccontextmanager
    async def reset(
        self, table: str, column: str, push: str | None, gone: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Run[BackfillReset]]:
        """Arm a backfill again, to be consumed within the block; raises as `undo` does."""

        def note(connection: apsw.Connection) -> None:
            if push is not None:
                note_push(connection, push, None)

        def work(_cancelled: IsCancelled) -> Iterator[BackfillReset]:
            done = reset_backfill(self.target.file, table, column, note)
            if done.armed:
                self._remember(push, done)
            yield done

        run = Run(work, BackfillReset)
        async with self._alone(gone), self._running(run, self._pushes):
            yield run

    @contextmanager
    def under_way(self, push: str | None) -> Iterator[None]:
        """Within the block, whoever asks of a push is told that it is running.

        Raises:
            ServerError: it runs already, or was asked of before it arrived and so given up.
        """
        if push is None:
            yield
            return
        if push in self._under_way or push in self._abandoned or push in self._reports:
            raise ServerError(
                "A push of this id was here before, or its client has given it up.",
                "Push again under a new id.",
            )
        self._under_way.add(push)
        try:
            yield
        finally:
            self._under_way.discard(push)

    async def undone(self, push: str, migration: MigrationId | None) -> Became:
        """What became of an undo of that migration.

        The database cannot record it: what is put back is what was there before. But a migration
        that stands in its history no longer was undone.
        """
        became = await self.became(push)
        if became.state != "unknown" or migration is None:
            return became
        report = await asyncio.to_thread(undone, self.target.file, migration)
        return Became("applied", report=_absolute(report)) if report is not None else became

    async def became(self, push: str) -> Became:
        """What became of a push. An unknown one will be refused should it yet arrive."""
        noted = await asyncio.to_thread(self._noted, push)
        # From here on nothing is awaited, so that no push can begin in between.
        if push in self._under_way:
            return Became("running")
        report = self._reports.get(push)
        if report is not None:
            return Became("applied", _history_id(report), report)
        if noted is not None:
            return noted
        self._abandoned[push] = None
        _trim(self._abandoned, KEPT_PUSHES * 10)
        return Became("unknown")

    def schema_hash(self) -> str | None:
        """The hash of the schema that the database holds."""
        with self.target.file.reading() as connection:
            return inspect(connection).applied_hash

    def hello(self) -> dict[str, Json]:
        """What replicas are told of it."""
        with self.target.file.reading() as connection:
            connection.execute("BEGIN")
            return hello(inspect(connection).applied_hash, last_completed(connection))

    def _noted(self, push: str) -> Became | None:
        """What became of a push or a reset that the database records."""
        with self.target.file.reading() as connection:
            found = push_noted(connection, push)
        return Became("applied", found.history_id) if found is not None else None

    def _check_tables(self, names: Iterable[str]) -> None:
        with self.target.file.reading() as connection:
            state = inspect(connection)
        for name in names:
            table = state.table_named(name)
            if table is None or table.kind != "table" or table.column_named("_id") is None:
                raise UnknownTable(
                    f"documents names {name!a}, which is no table of documents here.",
                    "Name the tables whose backfills failed, as the dry run told them.",
                )

    async def _reviewed(self, schema: Schema, order: PushOrder) -> Plan:
        plan = await asyncio.to_thread(lambda: self.target.planner(strict=order.strict)(schema))
        if order.fingerprint not in (None, plan.fingerprint):
            raise PlanIsStale(
                "The database or the schema changed after this plan was made. Nothing was done.",
                "Look at the new plan, then go on with that.",
            )
        return plan

    @asynccontextmanager
    async def _alone(self, gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
        """Wait for other pushes; whoever goes away meanwhile leaves the line."""
        turn = asyncio.ensure_future(self._turn.acquire())
        ends = time.monotonic() + self._wait_seconds
        try:
            while not turn.done():
                left = ends - time.monotonic()
                if left <= 0:
                    raise DatabaseBusy(
                        "Another push is running, and did not end within "
                        f"{self._wait_seconds:g} seconds.",
                        "Nothing was changed. Look at the plan, then push again.",
                    )
                await asyncio.wait({turn}, timeout=min(left, _LOOK_SECONDS))
                if not turn.done() and await gone():
                    raise Cancelled
            yield
        finally:
            if not turn.cancel():
                self._turn.release()

    @asynccontextmanager
    async def _running(self, run: Run[E], among: set[Run[Any]]) -> AsyncIterator[Run[E]]:
        if self._stopping:
            raise Cancelled("The server is stopping. Nothing was changed.")
        among.add(run)
        try:
            yield run
        finally:
            await asyncio.shield(run.end())
            among.discard(run)

    def _remember(self, push: str | None, report: Done) -> None:
        nothing_done = isinstance(report, Report) and report.status in ("noop", "rejected")
        if push is not None and not nothing_done:
            self._reports[push] = report
            _trim(self._reports, KEPT_PUSHES)
        self._pushed(report)


def _absolute(report: UndoReport) -> UndoReport:
    """With paths that hold wherever they are read on this machine."""
    before, kept = report.restored_from.resolve(), report.kept.resolve()
    return replace(report, restored_from=before, kept=kept, on_server=True)


def _history_id(report: Done) -> int | None:
    return report.history_id if isinstance(report, Report) else None


def _trim(kept: OrderedDict[str, Any], size: int) -> None:
    while len(kept) > size:
        kept.popitem(last=False)
