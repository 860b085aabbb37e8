"""A push without its backfills: plan, run the plan's SQL, record the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from valet_studio.database import layout
from valet_studio.database.ask import ask
from valet_studio.database.inspect import inspect
from valet_studio.plan.changes import AnyChange, Plan, RunBackfill
from valet_studio.plan.compare import compare, kept_after
from valet_studio.plan.measure import answered, questions
from valet_studio.schema.document import schema_hash, to_document
from valet_studio.schema.model import Field, Schema, Table, Validator
from valet_studio.schema.state import backfill_key

STRING = Validator("string")
NUMBER = Validator("number")
INT = Validator("int")
BOOLEAN = Validator("boolean")
ANY = Validator("any")
BYTES = Validator("bytes")


def literal(value: str | int | float | bool) -> Validator:
    return Validator("literal", value=value)


def union(*members: Validator) -> Validator:
    return Validator("union", items=members)


def array(element: Validator) -> Validator:
    return Validator("array", items=(element,))


def reference(table: str) -> Validator:
    return Validator("id", table=table)


def table(name: str = "todos", /, **fields: Validator) -> Table:
    return Table(name, tuple(Field(n, v) for n, v in fields.items()))


def schema(*tables: Table) -> Schema:
    return Schema(tables)


@contextmanager
def database(*statements: str) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    for statement in statements:
        connection.execute(statement)
    yield connection
    connection.close()


def look(connection: apsw.Connection, wanted: Schema, *, strict: bool = False) -> Plan:
    """The measured plan."""
    state = inspect(connection)
    plan = compare(wanted, state, strict=strict)
    return answered(plan, ask(connection, questions(plan, wanted, state)))


def push(connection: apsw.Connection, wanted: Schema, *, backfills_fail: bool = False) -> Plan:
    """Carry out the plan as apply does, but for the values of backfills; returns the plan."""
    state = inspect(connection)
    plan = look(connection, wanted)
    if plan.status == "blocked":
        return plan
    for statement in layout.CREATE_BOOKKEEPING:
        connection.execute(statement)
    for change in plan.changes:
        for statement in change.sql:
            connection.execute(statement)
        if isinstance(change, RunBackfill) and not backfills_fail:
            record = layout.backfill_record(change.declared.digest, 0)
            key = backfill_key(change.table, change.declared.column)
            layout.write_meta(connection, key, record)
    layout.write_meta(connection, "schema_json", json.dumps(to_document(wanted)))
    layout.write_meta(connection, "kept_json", layout.kept_to_json(kept_after(wanted, state)))
    if not backfills_fail:
        layout.write_meta(connection, "schema_hash", schema_hash(wanted))
    return plan


def kinds(plan: Plan) -> list[str]:
    return [change.kind for change in plan.changes]


def only(plan: Plan) -> AnyChange:
    """The plan's single change."""
    assert len(plan.changes) == 1, [c.summary for c in plan.changes]
    return plan.changes[0]
