"""Apply a plan and write a note into the database in the very same transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import apsw

from valet_studio.database.errors import database_errors
from valet_studio.database.layout import CREATE_BOOKKEEPING
from valet_studio.database.target import FileTarget
from valet_studio.migrate.ahead import Ahead, look_ahead
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import Event, IsCancelled, Report
from valet_studio.migrate.migration import migrate
from valet_studio.migrate.undo import keep_snapshot
from valet_studio.plan.changes import Plan
from valet_studio.schema.model import Schema
from valet_studio.typescript.limits import Limits


def apply_noting(
    file: FileTarget,
    schema: Schema,
    plan: Plan,
    cancelled: IsCancelled,
    note: Callable[[apsw.Connection], None] = lambda _connection: None,
    *,
    limits: Limits,
    strict: bool = False,
    snapshot: bool = True,
    completed: Callable[[apsw.Connection], None] = lambda _connection: None,
    again: Collection[str] = (),
) -> Iterator[Event]:
    """As `migrate.apply`, with `note` called once it is certain that something will be done.

    What it writes is committed or rolled back together with the migration.

    Args:
        snapshot: whether to keep a snapshot of the database for `undo`.
        completed: as `note`, but only where no backfill failed.
        again: keys of backfills that are run although they ran before.

    Raises:
        StudioError: as `migrate.apply` raises.
    """

    kept: str | None = None

    def before_changes(connection: apsw.Connection) -> None:
        nonlocal kept
        if snapshot:
            kept = str(keep_snapshot(file, connection, cancelled))
        for sql in CREATE_BOOKKEEPING:
            connection.execute(sql)
        note(connection)

    with (
        database_errors(file.label),
        file.writing() as connection,
        Evaluators(schema.sources, limits, twice=False) as evaluators,
        Ahead() as ahead,
    ):
        yield from look_ahead(
            ahead, connection, schema, plan, evaluators, cancelled, strict=strict, again=again
        )
        for event in migrate(
            connection,
            schema,
            plan,
            evaluators,
            cancelled,
            strict=strict,
            before_changes=before_changes,
            completed=completed,
            again=again,
            ahead=ahead,
        ):
            yield replace(event, snapshot=kept) if isinstance(event, Report) else event
