"""Schema against database: the plan of what a push will do. Pure.

What a column holds now is told by the schema of the last push, where the database records one,
else by fields that earlier schemas declared (`DatabaseState.kept`), else by SQL types alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import replace

from valet_studio.errors import Problem
from valet_studio.plan import sentences as say
from valet_studio.plan.before import Before
from valet_studio.plan.changes import AnyChange, NarrowField, Plan, RemoveTable, Risk
from valet_studio.plan.columns import additions, alterations, creation
from valet_studio.plan.drift import drift
from valet_studio.plan.indexes import index_changes, search_changes
from valet_studio.plan.running import backfills, sync_changes
from valet_studio.plan.view import TableView
from valet_studio.schema.document import schema_hash
from valet_studio.schema.model import Schema, Table
from valet_studio.schema.names import fold
from valet_studio.schema.state import DatabaseState, backfill_key


def compare(schema: Schema, state: DatabaseState, *, strict: bool = False) -> Plan:
    """What a push of the schema will do to the database, in the order of doing it.

    Args:
        schema: The schema as written.
        state: The database as it stands.
        strict: Whether a backfill that is not deterministic is breaking, not just warned of.

    Returns:
        The plan; its counts are filled in by `plan.measure`.
    """
    before = Before(state)
    settled = _settled(schema, state)
    views = [
        TableView(table, before, strict) for table in schema.tables if table.name not in settled
    ]
    changes: list[AnyChange] = []
    for view in views:
        changes += creation(view)
    for view in views:
        changes += additions(view)
    for view in views:
        changes += alterations(view)
    changes += _removed_tables(schema, before)
    for view in views:
        changes += index_changes(view)
    for view in views:
        changes += search_changes(view)
    for view in views:
        changes += sync_changes(view)
    for view in views:
        changes += backfills(view)
    changes += drift(schema, before, settled)
    _remember(schema, state, changes)
    digest = schema_hash(schema)
    return Plan(
        schema_hash=digest,
        applied_hash=state.applied_hash,
        fingerprint=_fingerprint(digest, state),
        changes=tuple(changes),
        warnings=(*state.problems, *_warnings(schema, before, strict)),
    )


_last: tuple[DatabaseState | None, dict[str, Table]] = (None, {})
"""The last state that was compared, and the tables that needed no change."""


def _settled(schema: Schema, state: DatabaseState) -> frozenset[str]:
    """Names of tables that were compared with this very state before, and needed no change.

    A save changes a table or two of hundreds; what a table's comparison finds depends on no other
    table's declaration.
    """
    compared, tables = _last
    if compared is not state:
        return frozenset()
    return frozenset(t.name for t in schema.tables if tables.get(t.name) == t)


def _remember(schema: Schema, state: DatabaseState, changes: list[AnyChange]) -> None:
    global _last
    changed = {change.table for change in changes}
    # A backfill's digest is no part of the state's structure alone: it is always looked at.
    quiet = {t.name: t for t in schema.tables if t.name not in changed and not t.backfills}
    _last = (state, quiet)


def kept_after(schema: Schema, state: DatabaseState) -> tuple[Table, ...]:
    """What `DatabaseState.kept` has to be once this schema was pushed to this database.

    All that was ever declared, still has its column, and is no longer declared.
    """
    before = Before(state)
    declared = {fold(t.name): {fold(f.name) for f in t.fields} for t in schema.tables}
    kept = []
    for past in before.tables():
        here = declared.get(fold(past.name))
        fields = tuple(f for f in past.fields if here is None or fold(f.name) not in here)
        if here is None or fields:
            kept.append(Table(past.name, fields))
    return tuple(kept)


def promised_after(schema: Schema, plan: Plan, failed: Collection[tuple[str, str]]) -> Schema:
    """The schema whose promises the documents keep once this plan was carried out.

    A field whose backfill failed holds the values that it held, and promises what it did before.

    Args:
        schema: the one that was pushed.
        plan: what was carried out.
        failed: table and column of each backfill that failed.
    """
    before = {
        (change.table, change.field.name): change.before
        for change in plan.pending
        if isinstance(change, NarrowField)
        and change.before is not None
        and (change.table, change.field.name) in failed
    }
    tables = tuple(
        replace(table, fields=tuple(before.get((table.name, f.name), f) for f in table.fields))
        for table in schema.tables
    )
    return replace(schema, tables=tables) if before else schema


def _fingerprint(digest: str, state: DatabaseState) -> str:
    return hashlib.sha256(f"{digest}\n{state.signature}".encode()).hexdigest()


def _removed_tables(schema: Schema, before: Before) -> Iterator[AnyChange]:
    declared = {fold(t.name) for t in schema.tables}
    for past in before.tables(but=declared):
        if past.declared:
            yield RemoveTable(
                table=past.name,
                risk=Risk.WARNING,
                summary=f"Remove table {past.name} from the types; its documents are kept.",
                rule="Tables are never dropped. Declare it again to get it back.",
                fields=past.fields,
            )


def _warnings(schema: Schema, before: Before, strict: bool) -> Iterator[Problem]:
    for table in schema.tables:
        for backfill in table.backfills:
            key = backfill_key(table.name, backfill.column)
            target = f"{table.name}.{backfill.column}"
            ran = before.backfill_digest(key)
            if before.is_pending(table.name, backfill):
                if backfill.impurities and not strict:  # Then it is a breaking change.
                    first = backfill.impurities[0]
                    yield Problem(
                        say.impure(table.name, backfill),
                        say.IMPURE,
                        first.location or backfill.location,
                    )
            elif ran and ran != backfill.digest:
                yield Problem(
                    f"The backfill of {target} changed after it ran; it will not run again.",
                    "That is as it should be where it still means the same. To fill all documents "
                    f"anew, run `valet-studio backfill reset {target}` and push.",
                    backfill.location,
                )
