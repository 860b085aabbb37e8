"""Two schemas side by side, as sentences: what a developer changed, whatever the database does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from valet_studio.plan.changes import Sign
from valet_studio.plan.sentences import count
from valet_studio.plan.types import describe, relation
from valet_studio.schema.model import Field, Schema, Table


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference of two schemas; as JSON it has these very names."""

    sign: Sign
    table: str
    member: str | None
    """The field or index; None where it is the table itself or its sync."""
    summary: str
    """One sentence."""


def schema_changes(before: Schema | None, after: Schema) -> tuple[SchemaChange, ...]:
    """What differs between two schemas, table by table in the order of the later one.

    Args:
        before: The earlier schema; None stands for an empty one.
        after: The later schema.
    """
    past = {table.name: table for table in before.tables} if before is not None else {}
    found: list[SchemaChange] = []
    for table in after.tables:
        old = past.pop(table.name, None)
        if old is None:
            fields = count(len(table.fields), "field")
            found.append(_of(table, "+", None, f"Table {table.name} with {fields}."))
            old = Table(table.name, table.fields)
        found += _fields(old, table)
        found += _indexes(old, table)
        found += _sync(old, table)
        found += _backfills(old, table)
    for table in past.values():
        found.append(_of(table, "-", None, f"Table {table.name} is no longer declared."))
    return tuple(found)


def _of(table: Table, sign: Sign, member: str | None, summary: str) -> SchemaChange:
    return SchemaChange(sign, table.name, member, summary)


def _fields(before: Table, after: Table) -> Iterator[SchemaChange]:
    for field in after.fields:
        name = f"{after.name}.{field.name}"
        old = before.field_named(field.name)
        if old is None:
            kind = f"{describe(field)}{', deprecated' if field.deprecated else ''}"
            yield _of(after, "+", field.name, f"Field {name} ({kind}).")
            continue
        if field.deprecated and not old.deprecated:
            yield _of(after, "-", field.name, f"Field {name} is deprecated.")
        elif old.deprecated and not field.deprecated:
            yield _of(after, "+", field.name, f"Field {name} is no longer deprecated.")
        if (old.validator, old.optional) != (field.validator, field.optional):
            yield _of(after, "~", field.name, f"Field {name} {_retyped(old, field)}.")
    for old in before.fields:
        if after.field_named(old.name) is None:
            yield _of(after, "-", old.name, f"Field {after.name}.{old.name} is no longer declared.")


def _retyped(before: Field, after: Field) -> str:
    verb = {"widen": "allows more", "narrow": "promises more", "change": "changes its type"}
    how = verb.get(relation(before, after), "is written otherwise")
    return f"{how}: {describe(before)} → {describe(after)}"


def _indexes(before: Table, after: Table) -> Iterator[SchemaChange]:
    kinds = (
        (
            "Index",
            {i.name: i.fields for i in before.indexes},
            {i.name: i.fields for i in after.indexes},
        ),
        (
            "Search index",
            {i.name: (i.search_field,) for i in before.search_indexes},
            {i.name: (i.search_field,) for i in after.search_indexes},
        ),
    )
    for what, old, new in kinds:
        for name, fields in new.items():
            over = f"{what} {after.name}.{name} over {', '.join(fields)}"
            if name not in old:
                yield _of(after, "+", name, f"{over}.")
            elif old[name] != fields:
                yield _of(after, "~", name, f"{over}, before {', '.join(old[name])}.")
        for name in (name for name in old if name not in new):
            yield _of(after, "-", name, f"{what} {after.name}.{name} is no longer declared.")


def _sync(before: Table, after: Table) -> Iterator[SchemaChange]:
    if before.sync.mode != after.sync.mode:
        modes = f"mode {before.sync.mode} → {after.sync.mode}"
        yield _of(after, "~", None, f"Sync of {after.name}: {modes}.")
    elif before.sync != after.sync:
        yield _of(after, "~", None, f"Sync of {after.name}: its filter changes.")


def _backfills(before: Table, after: Table) -> Iterator[SchemaChange]:
    old = {backfill.column: backfill.digest for backfill in before.backfills}
    new = {backfill.column: backfill.digest for backfill in after.backfills}
    for column, digest in new.items():
        name = f"Backfill of {after.name}.{column}"
        if column not in old:
            yield _of(after, "+", column, f"{name}.")
        elif old[column] != digest:
            yield _of(after, "~", column, f"{name} computes something else.")
    for column in (column for column in old if column not in new):
        summary = f"Backfill of {after.name}.{column} is no longer there."
        yield _of(after, "-", column, summary)
