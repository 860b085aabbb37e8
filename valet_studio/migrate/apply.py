"""Carry out a reviewed plan on the live database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import apsw

from valet_studio.database.errors import database_errors
from valet_studio.database.layout import CREATE_BOOKKEEPING
from valet_studio.database.target import FileTarget
from valet_studio.database.written_early import written_early
from valet_studio.errors import IsCancelled, PlanIsStale
from valet_studio.migrate.ahead import Ahead, ByColumn, look_ahead
from valet_studio.migrate.early_copy import EarlyCopy
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import Event, PhaseStarted, Report
from valet_studio.migrate.history import next_id
from valet_studio.migrate.migration import migrate
from valet_studio.migrate.order import Order
from valet_studio.migrate.snapshot import Snapshot


def apply(
    target: FileTarget,
    order: Order,
    cancelled: IsCancelled,
    *,
    rehearsed: ByColumn | None = None,
    snapshot: bool = True,
    note: Callable[[apsw.Connection], None] = lambda _connection: None,
    completed: Callable[[apsw.Connection], None] = lambda _connection: None,
) -> Iterator[Event]:
    """Migrate the database by exactly this plan, in one transaction; the last event is the report.

    The values of backfills are computed before the write lock is taken, or taken over from a dry
    run of the same plan (`rehearsed`).

    Args:
        snapshot: whether to keep a snapshot of the database for `undo`.
        note: called once it is certain that something will be done; what it writes is committed
            or rolled back together with the migration.
        completed: as `note`, but at the end and only where no backfill failed.

    Raises:
        PlanIsStale: the database is not in the state for which the plan was made, or a document
            fails that did not when it was rehearsed.
        Cancelled: stopped; rolled back.
        DatabaseBusy: another process holds the write lock.
        DatabaseError, MigrationFailed: rolled back.
    """

    began = time.perf_counter()
    kept: Snapshot | None = None
    quiet = threading.Event()

    def before_changes(connection: apsw.Connection) -> None:
        nonlocal kept
        if snapshot:
            kept = Snapshot(target, connection, early, cancelled, quiet)
        else:
            quiet.set()
        for sql in CREATE_BOOKKEEPING:
            connection.execute(sql)
        note(connection)

    _check_there(target, order)
    with (
        database_errors(target.label),
        target.writing(cancelled) as connection,
        Evaluators(order.schema.sources, order.limits, twice=order.strict) as evaluators,
        Ahead(tuple(rehearsed or ())) as ahead,
        EarlyCopy(target) as early,
    ):
        place = _place(target)
        yield from look_ahead(ahead, connection, order, evaluators, cancelled, rehearsed or {})
        if snapshot and ahead.version is not None:
            yield from early.make(connection, cancelled)
        yield PhaseStarted("lock")
        migrating = migrate(
            connection,
            order,
            evaluators,
            cancelled,
            before_changes=before_changes,
            completed=completed,
            ahead=ahead,
            began=began,
            quiet=quiet,
        )
        try:
            with written_early(target.path), closing(migrating):
                for event in migrating:
                    if isinstance(event, Report) and kept is not None:
                        kept.settle()
                        event = replace(event, snapshot=str(kept.path))
                    yield event
                    if event == PhaseStarted("commit"):
                        if kept is not None:
                            kept.finish(connection)
                        if _place(target) != place:
                            raise _gone(target, "while it was being migrated")
        finally:
            # What was rolled back needs no way back, least of all on a full disk.
            if kept is not None and _next_id(connection) == kept.migration:
                kept.abandon()


def _check_there(target: FileTarget, order: Order) -> None:
    """Find out that the database of a plan is not there before a new one is made in its place.

    Raises:
        PlanIsStale: it is not.
    """
    if not target.exists():
        with target.reading() as nothing:
            _, fresh = order.planned_anew(nothing)
        if order.is_stale(fresh):
            raise _gone(target, "after this plan was made")


def _place(target: FileTarget) -> tuple[int, int] | None:
    """What tells the database's file from any other of its name; None where there is none."""
    try:
        found = target.path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _gone(target: FileTarget, when: str) -> PlanIsStale:
    return PlanIsStale(
        f"The database {target.label} was moved, replaced or deleted {when}. Nothing was applied.",
        "Put it back, or look at the new plan, then apply that.",
    )


def _next_id(connection: apsw.Connection) -> int | None:
    try:
        return next_id(connection)
    except apsw.Error:
        return None
