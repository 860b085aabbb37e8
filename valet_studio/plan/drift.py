"""What a database holds that no schema explains. Nothing is done about it but to say so."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

from valet_studio.plan import sentences as say
from valet_studio.plan import sql
from valet_studio.plan.before import SYSTEM_COLUMNS, Before
from valet_studio.plan.changes import Drift, Risk
from valet_studio.schema.model import Field, Schema, Table
from valet_studio.schema.names import fold
from valet_studio.schema.state import TableState

OF_TOOLS = ("d1_migrations", "libsql_wasm_func_table", "libsql_vector_meta_shadow")
"""Tables that D1's migrations and libSQL make, under names that a schema could declare."""

_drift = partial(Drift, risk=Risk.WARNING, rule=say.DRIFT)


def drift(
    schema: Schema, before: Before, settled: Collection[str] = frozenset()
) -> Iterator[Drift]:
    """One change for each thing that is unexplained, or that is recorded and missing.

    Args:
        schema: The schema as written.
        before: The database as it stands.
        settled: Names of declared tables of which it is known that there is nothing to say.
    """
    declared = {fold(t.name): t for t in schema.tables}
    for past in before.dropped():
        table = declared.get(fold(past.name))
        outcome = "it is created again" if table is not None else "nothing is done about it"
        yield _drift(
            table=past.name,
            summary=f"Table {past.name} was applied before but is not in the database; {outcome}.",
            location=table.location if table is not None else None,
        )
    for found in before.state.tables:
        table = declared.get(fold(found.name))
        if table is not None and table.name in settled:
            continue
        if found.kind == "shadow":
            continue  # hangs on its virtual table, which is told of
        if found.kind == "view":
            yield _drift(
                table=found.name, summary=f"{found.name} is a view that no schema explains."
            )
        elif found.kind == "virtual":
            if not _is_search_table(found.name, schema, before):
                yield _drift(
                    table=found.name,
                    summary=f"{found.name} is a virtual table that no schema explains.",
                )
        elif table is not None:
            yield from _table_drift(table, found, before)
        elif before.table(found.name) is None and fold(found.name) not in OF_TOOLS:
            yield _drift(
                table=found.name,
                summary=f"Table {found.name} is in the database, but in no schema.",
                rule=say.undeclared(found),
            )


def _table_drift(table: Table, found: TableState, before: Before) -> Iterator[Drift]:
    yield from _missing_columns(table, before)
    yield from _unexplained_columns(table, found, before)
    yield from _unexplained_triggers_and_indexes(table, found)


def _missing_columns(table: Table, before: Before) -> Iterator[Drift]:
    past = before.table(table.name)
    declared = {fold(f.name): f for f in table.fields}
    for field in past.missing if past is not None else ():
        again = declared.get(fold(field.name))
        outcome = "it is added again" if again is not None else "nothing is done about it"
        yield _drift(
            table=table.name,
            summary=f"Column {table.name}.{field.name} was applied before but is not in the "
            f"database; {outcome}.",
            location=again.location if again is not None else table.location,
            column=field.name,
        )


def _unexplained_columns(table: Table, found: TableState, before: Before) -> Iterator[Drift]:
    past = before.table(table.name)
    declared = {fold(f.name): f for f in table.fields}
    recorded = before.state.applied is not None or not before.state.has_bookkeeping
    for column in found.columns:
        name = fold(column.name)
        if name in SYSTEM_COLUMNS:
            continue
        burden = column.not_null and not column.has_default and not column.generated
        wanted = declared.get(name)
        left = past is not None and past.field(column.name) is not None
        if wanted is not None or left:
            if burden and (wanted is None or wanted.nullable or wanted.deprecated):
                yield _burden(table, column.name, wanted)
            continue
        if name.startswith("_") and not recorded:
            continue  # Valet's own, in a database that Valet made
        yield _drift(
            table=table.name,
            summary=f"Column {table.name}.{column.name} is in the database, but in no schema"
            + (", and inserts fail because it is NOT NULL." if burden else "."),
            location=table.location,
            column=column.name,
        )


def _unexplained_triggers_and_indexes(table: Table, found: TableState) -> Iterator[Drift]:
    for trigger in found.triggers:
        if not sql.is_own_trigger(trigger.name, table.name):
            yield _drift(
                table=table.name,
                summary=f"Trigger {trigger.name} on {table.name} is in no schema; it runs on every "
                f"{trigger.event.lower()}{', backfills included' * (trigger.event == 'UPDATE')}.",
                location=table.location,
                made_by=trigger.sql,
            )
    for index in found.indexes:
        serves = any(say.serves(index, wanted.fields) for wanted in table.indexes)
        if not serves and not sql.is_index_name(index.name, table.name):
            yield _drift(
                table=table.name,
                summary=f"Index {index.name} on {table.name} is in no schema.",
                location=table.location,
                index=index.name,
                made_by=index.sql,
            )


def _burden(table: Table, column: str, field: Field | None) -> Drift:
    """That documents made by the types are refused: `field` is None where it was removed."""
    optional = field is not None and not field.deprecated
    how = "the schema lets documents lack it" if optional else "not in the types"
    return _drift(
        table=table.name,
        summary=f"Column {table.name}.{column} is NOT NULL, but {how}: inserts without it fail.",
        location=(field.location if field is not None else None) or table.location,
        column=column,
        rule=say.NOT_NULL,
    )


def _is_search_table(name: str, schema: Schema, before: Before) -> bool:
    owners = [t.name for t in schema.tables] + [t.name for t in before.tables()]
    return any(sql.is_search_name(name, owner) for owner in owners)
