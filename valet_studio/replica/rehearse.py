"""What a push will do on one client, tried on a copy of that client's file."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from valet_studio.database.copy import copy_to
from valet_studio.database.target import FileTarget
from valet_studio.errors import Cancelled, DatabaseError, IsCancelled, Problem, StudioError
from valet_studio.migrate.events import BackfillReport, Report, TableRows
from valet_studio.migrate.target import LocalTarget, Target
from valet_studio.migrate.versions import Version, Versions
from valet_studio.paths import is_there
from valet_studio.plan.changes import Plan, RunBackfill
from valet_studio.replica.catch_up import ReplicaAhead, catch_up, check_known, where
from valet_studio.replica.mutations import Unfit, queued, unfit
from valet_studio.schema.document import schema_hash, to_document
from valet_studio.schema.model import Schema
from valet_studio.schema.received import ReceivedSchemas
from valet_studio.schema.state import backfill_key
from valet_studio.scratch import scratch
from valet_studio.typescript.limits import Limits

ReplicaStatus: TypeAlias = Literal["ok", "noop", "failed", "rejected", "ahead"]


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What will happen on one client when it connects after the push."""

    label: str
    """The client's file, as the user named it."""
    status: ReplicaStatus
    versions: int = 0
    """How many schemas it will go through, the pushed one included."""
    reports: tuple[Report, ...] = ()
    """One for each version that has something to do, in order."""
    mutations: int = 0
    """How many mutations are queued."""
    unfit: tuple[Unfit, ...] = ()
    """Those that the pushed schema no longer takes."""
    problems: tuple[Problem, ...] = ()
    """Why it cannot follow, or what could not be checked."""

    @property
    def tables(self) -> tuple[TableRows, ...]:
        """Rows before and after. No version changes how many there are, and one that has nothing to
        do, or is refused, counts none."""
        return next((report.tables for report in reversed(self.reports) if report.tables), ())

    @property
    def backfills(self) -> tuple[BackfillReport, ...]:
        """What the backfills of all versions do."""
        return tuple(backfill for report in self.reports for backfill in report.backfills)


def rehearse_replica(
    replica: Path, target: Target, schema: Schema, cancelled: IsCancelled, *, limits: Limits
) -> ReplicaReport:
    """Copy a client's file and let the copy follow the push of `schema` to `target`.

    The file itself and the target are only read.

    Raises:
        DatabaseError: there is no such file, or it cannot be read.
        Cancelled: the copy is deleted.
    """
    file = FileTarget(str(replica), replica)
    if not is_there(replica):
        raise DatabaseError(
            f"There is no replica at {replica}.", "Name a client's database file with --replica."
        )
    label = target.info().label
    position = where(file)
    versions = target.versions(position)
    with file.reading() as connection:
        mutations = queued(connection)
    try:
        check_known(file, label, versions)
    except ReplicaAhead as error:
        return ReplicaReport(
            file.label, "ahead", mutations=len(mutations or ()), problems=error.problems
        )
    after = _with_push(versions, schema, target.planner(strict=False)(schema))
    reports, problems = _followed(file, after, cancelled, limits)
    unchecked = Problem("The queued mutations have another layout, and were not checked.")
    return ReplicaReport(
        label=file.label,
        status=_status(reports, problems),
        versions=len(after),
        reports=reports,
        mutations=len(mutations or ()),
        unfit=unfit(mutations or (), schema),
        problems=problems if mutations is not None else (*problems, unchecked),
    )


def _status(reports: tuple[Report, ...], problems: tuple[Problem, ...]) -> ReplicaStatus:
    if problems:
        return "failed"
    if not reports:
        return "noop"
    last = reports[-1].status
    applied = any(report.status == "ok" for report in reports)
    return "ok" if applied and last == "noop" else last


def _with_push(versions: Versions, schema: Schema, plan: Plan) -> tuple[Version, ...]:
    """The versions on the way, and the one that is to be pushed."""
    pushed = schema_hash(schema)
    runs = tuple(
        backfill_key(change.table, change.declared.column)
        for change in plan.pending
        if isinstance(change, RunBackfill)
    )
    if versions.hash == pushed and not runs:
        return versions.after
    last = versions.after[-1].history_id if versions.after else 0
    document = to_document(schema)
    return (*versions.after, Version(last + 1, pushed, document, backfills=runs))


def _followed(
    file: FileTarget, versions: tuple[Version, ...], cancelled: IsCancelled, limits: Limits
) -> tuple[tuple[Report, ...], tuple[Problem, ...]]:
    with scratch() as folder:
        copy = folder / "replica.db"
        deque(copy_to(file, copy, cancelled), 0)
        local = LocalTarget(FileTarget(file.label, copy))
        events = catch_up(local.file, versions, ReceivedSchemas(limits), cancelled, limits=limits)
        reports: list[Report] = []
        try:
            reports.extend(event for event in events if isinstance(event, Report))
        except Cancelled:
            raise
        except StudioError as error:
            return tuple(reports), error.problems
    return tuple(reports), ()
