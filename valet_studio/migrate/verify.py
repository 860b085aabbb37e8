"""What must hold before a migration is committed; whatever does not rolls everything back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import apsw

from valet_studio.database.ask import ask
from valet_studio.database.inspect import inspect
from valet_studio.errors import MigrationFailed, PlanIsStale, PlanRejected
from valet_studio.migrate.events import BackfillReport, TableRows
from valet_studio.migrate.order import Order
from valet_studio.plan.changes import NarrowField, Plan, RunBackfill
from valet_studio.plan.compare import compare
from valet_studio.plan.measure import answered, questions
from valet_studio.plan.sentences import count
from valet_studio.plan.sql import is_own_trigger, tracking_triggers
from valet_studio.schema.names import fold, quote
from valet_studio.schema.state import DatabaseState


@dataclass(frozen=True, slots=True)
class Counts:
    """What a migration must not change: documents by table, and broken foreign keys."""

    rows: dict[str, int]
    violations: int

    @staticmethod
    def of(connection: apsw.Connection, state: DatabaseState) -> Counts:
        """The counts as they are now."""
        rows = {
            table.name: int(connection.execute(f"SELECT count(*) FROM {quote(table.name)}").get)
            for table in state.tables
            if table.kind == "table"
        }
        broken = connection.execute("SELECT count(*) FROM pragma_foreign_key_check").get
        return Counts(rows, int(broken))


def failed_backfills(reports: Sequence[BackfillReport]) -> set[tuple[str, str]]:
    """Table and column of the backfills that failed."""
    return {(report.table, report.column) for report in reports if report.failed}


def verify(
    connection: apsw.Connection, order: Order, reports: Sequence[BackfillReport], before: Counts
) -> tuple[TableRows, ...]:
    """The checks without which nothing is committed; how many documents each table holds.

    Args:
        reports: what each backfill of the migration did.
        before: the counts when it began.

    Raises:
        MigrationFailed: one of them did not hold.
    """
    state = inspect(connection)
    after = Counts.of(connection, state)
    for name, rows in before.rows.items():
        if after.rows.get(name) != rows:
            raise _other_count(
                reports, state, f'"{name}" held {rows:,} documents', after.rows.get(name)
            )
    for table in order.schema.tables:
        held = state.table_named(table.name)
        names = {fold(trigger.name) for trigger in held.triggers} if held else set()
        if table.tracked and any(fold(n) not in names for n, _ in tracking_triggers(table)):
            raise _unexpected(f'The change-tracking triggers of "{table.name}" are not all there.')
    if after.violations > before.violations:
        raise _unexpected("A foreign key points to nothing that pointed to something before.")
    left = compare(order.schema, state, strict=order.strict)
    left = answered(left, ask(connection, questions(left, order.schema, state)))
    failed = failed_backfills(reports)
    for change in left.pending:
        tried = isinstance(change, RunBackfill | NarrowField)
        if not tried or (change.table, change.column) not in failed:
            raise _unexpected(f"Planning again still finds something to do: {change.summary}")
    return tuple(TableRows(name, before.rows.get(name, 0), now) for name, now in after.rows.items())


def refuse_unreviewed(
    reports: Sequence[BackfillReport], rehearsed: Collection[tuple[str, str]]
) -> None:
    """Refuse an outcome that differs from what was reviewed: there, every document got its value.

    Raises:
        PlanIsStale: a document fails.
    """
    for report in reports:
        if report.failed and (report.table, report.column) in rehearsed:
            verb = "fails" if report.failed == 1 else "fail"
            first = report.errors[0]
            who = f" {first.id}:" if first.id else ""
            raise PlanIsStale(
                f"{count(report.failed)} {verb} the backfill of {report.table}.{report.column}, "
                f"and none did in the dry run:{who} {first.message.rstrip('.')}. "
                "Nothing was applied.",
                "Another program wrote the database meanwhile. Rehearse the plan again.",
            )


def refuse_varying(reports: Sequence[BackfillReport], plan: Plan) -> None:
    """Refuse what only running a function twice could find.

    Raises:
        PlanRejected: a backfill gave a document two values.
    """
    varying = [report for report in reports if report.deterministic is False]
    if not varying:
        return
    names = {(report.table, report.column) for report in varying}
    backfills = (change for change in plan.pending if isinstance(change, RunBackfill))
    places = [b.location for b in backfills if (b.table, b.declared.column) in names]
    uses = sorted({name for report in varying for name in report.impure})
    why = f" (it uses {', '.join(uses)})" if uses else ""
    raise PlanRejected(
        f"A second run of the backfill of {', '.join(f'{t}.{c}' for t, c in sorted(names))}, "
        f"backwards and in another time zone, computed other values{why}, which --strict refuses. "
        "Everything was rolled back.",
        "Compute the value from the document alone: no time, no time zone (a date and time in text "
        "needs its zone, such as a Z at its end), no random numbers, nothing that is counted on "
        "from document to document.",
        next(iter(places), None),
    )


def _other_count(
    reports: Sequence[BackfillReport], state: DatabaseState, held: str, now: int | None
) -> MigrationFailed:
    told = f"Table {held}, now {'none' if now is None else f'{now:,}'}."
    filled = {report.table for report in reports}
    triggers = [
        f"{trigger.name} on {table.name}"
        for table in state.tables
        if table.name in filled
        for trigger in table.triggers
        if trigger.event == "UPDATE" and not is_own_trigger(trigger.name, table.name)
    ]
    if not triggers:
        return _unexpected(told)
    return MigrationFailed(
        f"{told} Everything was rolled back.",
        f"These triggers run for every document that a backfill sets: {', '.join(triggers)}. "
        "Keep their text (SELECT sql FROM sqlite_master WHERE type = 'trigger'), drop them, apply, "
        "and make them again.",
    )


def _unexpected(what: str) -> MigrationFailed:
    return MigrationFailed(
        f"{what} Everything was rolled back.",
        "Nothing was changed. Please report this, with the output of `valet-studio plan --json`.",
    )
