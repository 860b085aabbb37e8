"""Mutations that a client queued while it was offline, and whether a new schema still takes them.

They stand in `_valet_mutations` (id, "table", row_id, operation, document): what to do to which
document, the fields to set as a JSON object. A migration never touches them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import apsw

from valet_studio.schema.model import Field, Json, Schema, Storage
from valet_studio.schema.values import StoredValue, conforms

TABLE = "_valet_mutations"
COLUMNS = ("id", "table", "row_id", "operation", "document")
_BUILT_IN = frozenset({"_id", "_version"})


@dataclass(frozen=True, slots=True)
class Mutation:
    """One queued write."""

    id: int
    table: str
    row_id: str
    operation: str
    """insert, update or delete."""
    document: str | None
    """The fields to set, as a JSON object; None for a delete."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """A queued mutation that a schema no longer takes, and why."""

    mutation: Mutation
    reason: str


def queued(connection: apsw.Connection) -> tuple[Mutation, ...] | None:
    """The queue in order; None where it has another layout than the documented one."""
    found = connection.execute("SELECT name FROM pragma_table_info(?)", (TABLE,)).fetchall()
    if not found:
        return ()
    if not {(column,) for column in COLUMNS} <= set(found):
        return None
    columns = ", ".join(f'"{column}"' for column in COLUMNS)
    rows = connection.execute(f'SELECT {columns} FROM "{TABLE}" ORDER BY "id"')
    return tuple(
        Mutation(int(number), str(table), str(row), str(operation), document)
        for number, table, row, operation, document in rows
    )


def unfit(mutations: tuple[Mutation, ...], schema: Schema) -> tuple[Unfit, ...]:
    """Those that the schema no longer takes."""
    judged = ((mutation, _reason(mutation, schema)) for mutation in mutations)
    return tuple(Unfit(mutation, reason) for mutation, reason in judged if reason is not None)


def _reason(mutation: Mutation, schema: Schema) -> str | None:
    table = schema.table_named(mutation.table)
    if table is None:
        return f'table "{mutation.table}" is not in the schema'
    if mutation.operation == "delete":
        return None
    try:
        document = json.loads(mutation.document or "")
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return "its document is not a JSON object"
    for name, value in document.items():
        field = table.field_named(name)
        if field is None and name not in _BUILT_IN:
            return f'field "{name}" is not in the schema'
        wrong = _misfit(field, value) if field is not None else None
        if wrong is not None:
            return f'field "{name}": {wrong}'
    if mutation.operation == "insert":
        for field in table.fields:
            if not (field.nullable or field.deprecated or field.name in document):
                return f'field "{field.name}" is required, and it lacks it'
    return None


def _misfit(field: Field, value: Json) -> str | None:
    """Why a field does not take a value as JSON writes it."""
    if value is None:
        return None if field.nullable else "it is null"
    stored: StoredValue
    match field.validator.storage:
        case Storage.BYTES:
            return None
        case Storage.JSON:
            stored = json.dumps(value)
        case Storage.BOOLEAN:
            if not isinstance(value, bool):
                return f"{json.dumps(value)} is not a boolean"
            stored = int(value)
        case _:
            if isinstance(value, bool | list | dict):
                return f"{json.dumps(value)} is not what it was"
            stored = value
    return conforms(field.validator, stored)
