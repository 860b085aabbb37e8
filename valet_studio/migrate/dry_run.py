"""Rehearse a migration on a copy of the database; the database itself is only read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw

from valet_studio.database.copy import copy_to
from valet_studio.database.errors import database_errors
from valet_studio.database.target import FileTarget
from valet_studio.migrate.ahead import ByColumn
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import CopyProgress, Event, IsCancelled, PhaseStarted
from valet_studio.migrate.migration import migrate
from valet_studio.plan.changes import Plan
from valet_studio.schema.model import Schema
from valet_studio.typescript.limits import Limits


def dry_run(
    target: FileTarget,
    schema: Schema,
    plan: Plan,
    cancelled: IsCancelled,
    *,
    limits: Limits,
    strict: bool = False,
    kept: ByColumn | None = None,
) -> Iterator[Event]:
    """Copy the database, run the very same migration on the copy, report, delete the copy.

    Every backfill is computed by two processes, and their answers are compared. Its values go to
    `kept`, for an apply of the same plan.

    Raises:
        PlanIsStale: the database is not in the state for which the plan was made.
        Cancelled: stopped; the copy is deleted.
        DatabaseError: the database cannot be read, or the copy cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="valet-studio-") as folder:
        copy = Path(folder) / "copy.db"
        yield PhaseStarted("copy")
        for done, total in copy_to(target, copy, cancelled):
            yield CopyProgress(done, total)
        with database_errors(str(copy)):
            connection = apsw.Connection(str(copy))
            try:
                # Nobody needs the copy after a crash, so it need not survive one.
                connection.execute("PRAGMA journal_mode = MEMORY")
                connection.execute("PRAGMA synchronous = OFF")
                with Evaluators(schema.sources, limits, twice=True) as evaluators:
                    yield from migrate(
                        connection, schema, plan, evaluators, cancelled, strict=strict, kept=kept
                    )
            finally:
                connection.close()
