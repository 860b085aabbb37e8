"""One migration on one connection: the same code for the live database and for a copy of it.

Everything happens in one transaction: structure, backfills (each in a savepoint), bookkeeping,
history, and the checks that must hold before COMMIT. Whatever stops it in between, a crash
included, leaves the state before.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import apsw

from valet_studio.database import layout
from valet_studio.database.ask import ask
from valet_studio.database.inspect import inspect
from valet_studio.errors import Cancelled, IsCancelled, MigrationFailed
from valet_studio.migrate.ahead import Ahead, ByColumn, check_intact
from valet_studio.migrate.backfill import BackfillRun
from valet_studio.migrate.computed import Computed
from valet_studio.migrate.documents import Documents
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import (
    BackfillReport,
    Event,
    PhaseStarted,
    Report,
    StatementRun,
)
from valet_studio.migrate.history import record
from valet_studio.migrate.order import Order, stale_plan
from valet_studio.migrate.reruns import note_runs
from valet_studio.migrate.verify import (
    Counts,
    failed_backfills,
    refuse_unreviewed,
    refuse_varying,
    verify,
)
from valet_studio.migrate.work import Work
from valet_studio.plan.changes import AddColumn, AnyChange, Plan, RunBackfill
from valet_studio.plan.compare import kept_after, promised_after
from valet_studio.plan.measure import answered, deciding, questions
from valet_studio.plan.sql import tracking_triggers, trigger_names
from valet_studio.schema.document import schema_hash, to_document
from valet_studio.schema.model import Schema
from valet_studio.schema.names import fold, quote
from valet_studio.schema.state import DatabaseState, backfill_key

CACHE_KIB = 32 * 1024
"""Memory for pages: batches that were read ahead are still there when they are written."""


@dataclass(slots=True)
class _Run:
    """What one migration has done so far."""

    connection: apsw.Connection
    began: float
    statements: list[str] = field(default_factory=list)
    backfills: list[BackfillReport] = field(default_factory=list)
    taken_away: dict[str, str] = field(default_factory=dict)
    """The tracking triggers that are to come back: folded name → text."""

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    @property
    def failed(self) -> bool:
        return any(report.failed for report in self.backfills)

    @property
    def filled(self) -> set[str]:
        """Keys of the backfills that succeeded."""
        return {backfill_key(r.table, r.column) for r in self.backfills if not r.failed}

    def execute(self, sql: str) -> StatementRun:
        began = time.perf_counter()
        self.connection.execute(sql)
        self.statements.append(sql)
        return StatementRun(sql, time.perf_counter() - began)


def migrate(
    connection: apsw.Connection,
    order: Order,
    evaluators: Evaluators,
    cancelled: IsCancelled,
    *,
    before_changes: Callable[[apsw.Connection], None] = lambda _connection: None,
    completed: Callable[[apsw.Connection], None] = lambda _connection: None,
    ahead: Ahead | None = None,
    kept: ByColumn | None = None,
    began: float | None = None,
    quiet: threading.Event | None = None,
) -> Generator[Event, None, None]:
    """Carry out a plan; the last event is its `Report`.

    Args:
        before_changes: runs once the write lock is held and it is certain that something will
            be done: the place to keep a snapshot.
        completed: runs before COMMIT, unless a backfill failed.
        ahead: what was known before the lock was taken.
        kept: gets the values of every backfill that succeeds.
        began: when the work of which this is a part began, by `time.perf_counter`.
        quiet: set once `before_changes` has nothing more read beside the migration.

    Raises:
        PlanIsStale: the database is not in the state for which the plan was made, or a document
            fails that came after the rehearsal.
        Cancelled: stopped; rolled back.
        PlanRejected: the order is strict, and a backfill varies; rolled back.
        MigrationFailed: a check before COMMIT did not hold; rolled back.
        apsw.Error: SQLite refused a statement; rolled back.
    """
    run = _Run(connection, time.perf_counter() if began is None else began)
    ahead, schema = ahead or Ahead(), order.schema
    with _transaction(connection, cancelled):
        settled = ahead.settled(connection)
        state, measured = _planned(connection, order, ahead, settled)
        if measured.status != "pending":
            rejected = measured.status == "blocked"
            yield Report("rejected" if rejected else "noop", measured, seconds=run.seconds)
            return
        if not ahead.intact:
            check_intact(connection, schema, state)
        before_changes(connection)
        before = Counts.of(connection, state)

        yield PhaseStarted("structure")
        yield from _structure(run, state, measured.pending)
        filled = _Filling(
            run, schema, evaluators, cancelled, ahead, settled, kept, before.rows, quiet
        )
        yield from filled.all(measured.pending)
        refuse_unreviewed(run.backfills, ahead.rehearsed)
        if order.strict:
            refuse_varying(run.backfills, measured)
        yield from _restore_triggers(run, schema)

        yield PhaseStarted("verify")
        _write_bookkeeping(run, schema, state, measured)
        history_id = record(
            connection,
            schema,
            measured,
            completed=not run.failed,
            rows=sum(report.updated for report in run.backfills),
            seconds=run.seconds,
        )
        note_runs(connection, run.filled, history_id)
        if not run.failed:
            completed(connection)
        tables = verify(connection, order, run.backfills, before)
        yield PhaseStarted("commit")
    yield Report(
        "failed" if run.failed else "ok",
        measured,
        tables,
        tuple(run.backfills),
        run.seconds,
        tuple(run.statements),
        history_id,
    )


def _planned(
    connection: apsw.Connection, order: Order, ahead: Ahead, settled: bool
) -> tuple[DatabaseState, Plan]:
    """The database as it is now, and the order's plan with what its data says.

    Raises:
        PlanIsStale: the plan was made for another state.
    """
    state, fresh = order.planned_anew(connection)
    if order.is_stale(fresh):
        raise stale_plan()
    asked = questions(fresh, order.schema, state)
    if ahead.answers:
        # Others wait for the lock: what only counts was counted before it was taken.
        asked = () if settled else deciding(asked)
    return state, answered(fresh, {**ahead.answers, **ask(connection, asked)})


@contextmanager
def _transaction(connection: apsw.Connection, cancelled: IsCancelled) -> Iterator[None]:
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.set_progress_handler(cancelled, 50_000)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        if cancelled():
            raise Cancelled
        # From here on it is decided: a COMMIT that is interrupted halfway helps nobody.
        connection.set_progress_handler(None)
        connection.execute("COMMIT")
    except BaseException as error:
        connection.set_progress_handler(None)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, apsw.InterruptError):
            raise Cancelled from None
        raise
    finally:
        connection.set_progress_handler(None)


def _structure(run: _Run, state: DatabaseState, changes: tuple[AnyChange, ...]) -> Iterator[Event]:
    """Bookkeeping, then the statements of every change, tracking triggers out of the way.

    The triggers come back at the end: neither a new column nor a backfill is a change that
    clients are to be told of, since they run the same migration themselves.
    """
    for sql in layout.CREATE_BOOKKEEPING:
        run.connection.execute(sql)
    yield from _drop_triggers(run, state, {c.table for c in changes if isinstance(c, AddColumn)})
    for change in changes:
        for sql in change.sql:
            yield run.execute(sql)


def _drop_triggers(run: _Run, state: DatabaseState, tables: set[str]) -> Iterator[Event]:
    for name in sorted(tables):
        held = state.table_named(name)
        ours = {fold(trigger) for trigger in trigger_names(name)}
        for trigger in held.triggers if held else ():
            if fold(trigger.name) in ours:
                run.taken_away[fold(trigger.name)] = trigger.sql
                yield run.execute(f"DROP TRIGGER {quote(trigger.name)}")


@dataclass(frozen=True, slots=True)
class _Filling:
    """The backfills of one migration."""

    run: _Run
    schema: Schema
    evaluators: Evaluators
    cancelled: IsCancelled
    ahead: Ahead
    settled: bool
    kept: ByColumn | None
    rows: Mapping[str, int]
    """Table → how many documents it holds, where it is not new."""
    quiet: threading.Event | None

    def all(self, changes: tuple[AnyChange, ...]) -> Iterator[Event]:
        """Run every pending backfill, one after the other."""
        pending = [change for change in changes if isinstance(change, RunBackfill)]
        if not pending:
            return
        yield PhaseStarted("backfill")
        state = inspect(self.run.connection)
        yield from _drop_triggers(self.run, state, {change.table for change in pending})
        filled: set[tuple[str, str]] = set()
        for change in pending:
            yield from self._one(change, state, filled)
            filled.add((change.table, change.declared.column))

    def _one(
        self, change: RunBackfill, state: DatabaseState, filled: set[tuple[str, str]]
    ) -> Iterator[Event]:
        table, held = self.schema.table_named(change.table), state.table_named(change.table)
        if table is None or held is None:
            raise MigrationFailed(f'Table "{change.table}" is not there to be backfilled.')
        column = change.declared.column
        known = self.ahead.values.get((change.table, column))
        reads = known.reads if known is not None else None
        # A column that another backfill has just filled was still empty when values were computed.
        stale = any(t == change.table and (reads is None or c in reads) for t, c in filled)
        work = Work(
            Documents(self.run.connection, table, held),
            change.declared,
            self.evaluators,
            self.cancelled,
            known,
            settled=self.settled and not stale,
            untouched=not stale,
            total=self.rows.get(held.name),
            quiet=self.quiet,
        )
        kept = Computed(change.declared) if self.kept is not None else None
        for event in BackfillRun(work).write(kept):
            if isinstance(event, BackfillReport):
                before = self.ahead.seconds.get((change.table, column), 0.0)
                event = replace(event, seconds=before + event.seconds)
                self.run.backfills.append(event)
                if self.kept is not None and kept is not None and not event.failed:
                    self.kept[change.table, column] = kept
            yield event


def _restore_triggers(run: _Run, schema: Schema) -> Iterator[Event]:
    """Make them again as they were: somebody may have extended one."""
    present = {
        fold(trigger.name) for table in inspect(run.connection).tables for trigger in table.triggers
    }
    for table in schema.tables:
        if table.tracked:
            for name, sql in tracking_triggers(table):
                if fold(name) not in present:
                    yield run.execute(run.taken_away.get(fold(name), sql))


def _write_bookkeeping(run: _Run, schema: Schema, state: DatabaseState, plan: Plan) -> None:
    """Store what was applied; the hash only where every backfill is done, so that a failed one
    is tried again by the next push (the seed's "Backfill rules")."""
    promised = promised_after(schema, plan, failed_backfills(run.backfills))
    document = json.dumps(to_document(promised), ensure_ascii=False)
    layout.write_meta(run.connection, layout.SCHEMA_JSON, document)
    kept = layout.kept_to_json(kept_after(schema, state))
    layout.write_meta(run.connection, layout.KEPT_JSON, kept)
    for change, report in zip(
        (change for change in plan.pending if isinstance(change, RunBackfill)),
        run.backfills,
        strict=True,
    ):
        if not report.failed:
            done = layout.backfill_record(change.declared.digest, report.updated)
            key = backfill_key(change.table, report.column)
            layout.write_meta(run.connection, key, done)
    layout.note_unsettled(run.connection, _unsettled(run, schema, state))
    if not run.failed:
        layout.write_meta(run.connection, layout.SCHEMA_HASH, schema_hash(schema))


def _unsettled(run: _Run, schema: Schema, state: DatabaseState) -> Iterable[str]:
    """Keys of the backfills that ran, now or before, in no push that completed."""
    if run.failed:
        return state.unsettled | run.filled
    brought = {fold(backfill_key(t.name, b.column)) for t in schema.tables for b in t.backfills}
    return (key for key in state.unsettled if fold(key) not in brought)
