"""Carry out a reviewed plan on the live database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import apsw

from valet_studio.database.errors import database_errors
from valet_studio.database.target import FileTarget
from valet_studio.migrate.ahead import Ahead, ByColumn, look_ahead
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import Event, IsCancelled, Report
from valet_studio.migrate.migration import migrate
from valet_studio.migrate.undo import keep_snapshot
from valet_studio.plan.changes import Plan
from valet_studio.schema.model import Schema
from valet_studio.typescript.limits import Limits


def apply(
    target: FileTarget,
    schema: Schema,
    plan: Plan,
    cancelled: IsCancelled,
    *,
    limits: Limits,
    strict: bool = False,
    rehearsed: ByColumn | None = None,
) -> Iterator[Event]:
    """Migrate the database by exactly this plan, in one transaction; the last event is the report.

    The values of backfills are computed before the write lock is taken, or taken over from a dry
    run of the same plan (`rehearsed`). A snapshot of the database is kept first, for `undo`.

    Raises:
        PlanIsStale: the database is not in the state for which the plan was made.
        Cancelled: stopped; rolled back.
        DatabaseBusy: another process holds the write lock.
        DatabaseError, MigrationFailed: rolled back.
    """

    snapshot: str | None = None

    def before_changes(connection: apsw.Connection) -> None:
        nonlocal snapshot
        snapshot = str(keep_snapshot(target, connection, cancelled))

    with (
        database_errors(target.label),
        target.writing() as connection,
        Evaluators(schema.sources, limits, twice=False) as evaluators,
        Ahead() as ahead,
    ):
        yield from look_ahead(
            ahead,
            connection,
            schema,
            plan,
            evaluators,
            cancelled,
            strict=strict,
            rehearsed=rehearsed,
        )
        for event in migrate(
            connection,
            schema,
            plan,
            evaluators,
            cancelled,
            strict=strict,
            before_changes=before_changes,
            ahead=ahead,
        ):
            yield replace(event, snapshot=snapshot) if isinstance(event, Report) else event
