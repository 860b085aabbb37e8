"""What a table does besides holding documents: sync, and the backfills it runs."""

from __future__ import annotations

from collections.abc import Iterator

from valet_studio.plan import sentences as say
from valet_studio.plan import sql
from valet_studio.plan.changes import AnyChange, ChangeSync, Risk, RunBackfill
from valet_studio.plan.view import TableView
from valet_studio.schema.names import fold
from valet_studio.schema.state import backfill_key


def sync_changes(at: TableView) -> Iterator[AnyChange]:
    """Mode and filter, and the triggers that log changes for clients."""
    if at.found is None:
        return
    after = at.table.sync
    here = {fold(t.name): t for t in at.found.triggers}
    wanted = sql.tracking_triggers(at.table)
    missing = [n for n, _ in wanted if not say.logs_changes(here.get(fold(n)), at.name)]
    surplus = [n for n in sql.trigger_names(at.name) if fold(n) in here] if not wanted else []
    past = at.past.sync if at.past is not None else None
    if past is None:
        past = after if not (missing or surplus) else say.sync_of_triggers(at.found)
    changed = past != after
    if not (changed or missing or surplus):
        return
    drops = [sql.drop_trigger(t) for t in (*missing, *surplus) if fold(t) in here]
    creates = [statement for name, statement in wanted if name in missing]
    declared_before = at.past is not None and at.past.sync is not None
    rule = say.SYNC_RULE_FIRST
    if declared_before:
        rule = say.SYNC_RULE if changed or surplus else say.SYNC_REPAIR
    yield ChangeSync(
        table=at.name,
        risk=Risk.WARNING if declared_before or surplus else Risk.SAFE,
        summary=say.change_sync(at.name, past, after, missing, surplus, declared_before),
        rule=rule,
        sql=(*drops, *creates),
        location=after.location or at.table.location,
        before=past,
        after=after,
    )


def backfills(at: TableView) -> Iterator[AnyChange]:
    """Backfills that have not run yet."""
    if at.in_the_way is not None:
        return
    for backfill in at.pending_backfills:
        column = at.columns.get(fold(backfill.column))
        risk = Risk.SAFE
        ran = at.before.backfill_digest(backfill_key(at.name, backfill.column)) is not None
        rule = say.BACKFILL_EDITED if ran else say.BACKFILL
        summary = f"Run the backfill of {at.name}.{backfill.column} for every document."
        if column is not None and column.generated:
            risk = Risk.BREAKING
            summary = (
                f"Cannot backfill {at.name}.{backfill.column}: "
                "it is a generated column, which SQLite computes itself."
            )
            rule = "Remove the backfill, or fill another column."
        elif backfill.impurities and at.strict:
            risk = Risk.BREAKING
            summary = say.impure(at.name, backfill)
            rule = say.IMPURE
        elif backfill.impurities:
            risk, rule = Risk.WARNING, say.VARIES
        yield RunBackfill(
            table=at.name,
            column=backfill.column,
            risk=risk,
            summary=summary,
            rule=rule,
            location=backfill.location,
            declared=backfill,
        )
