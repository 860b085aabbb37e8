"""Tables and columns: what is created, added, altered, or leaves the types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from valet_studio.plan import sentences as say
from valet_studio.plan import sql
from valet_studio.plan.changes import (
    AddColumn,
    AnyChange,
    ChangeType,
    CreateTable,
    DeprecateField,
    NarrowField,
    RemoveField,
    RestoreField,
    RestoreTable,
    Risk,
    WidenField,
)
from valet_studio.plan.types import column_holds, describe, relation
from valet_studio.plan.view import TableView
from valet_studio.schema.model import Field, Storage, Validator
from valet_studio.schema.names import fold
from valet_studio.schema.state import UNKNOWN, ColumnState, TableState

_STRICT = re.compile(r"\)[^)]*\bSTRICT\b[^)]*$", re.IGNORECASE)
"""A table option after the last parenthesis of CREATE TABLE."""

VERSION_FIELD = Field("_version", Validator("int"))
ID_FIELD = Field("_id", Validator("string"))


def creation(at: TableView) -> Iterator[AnyChange]:
    """The table itself, where it is missing."""
    if at.found is not None:
        return
    if at.in_the_way is not None:
        yield CreateTable(
            table=at.name,
            risk=Risk.BREAKING,
            summary=f'Cannot create table "{at.name}": {at.in_the_way}.',
            rule="Rename the table in schema.ts, or move the other thing out of the way.",
            location=at.table.location,
            declared=at.table,
        )
        return
    triggers = (statement for _, statement in sql.tracking_triggers(at.table))
    yield CreateTable(
        table=at.name,
        summary=say.create_table(at.table),
        rule="New tables are created with all columns.",
        sql=(sql.create_table(at.table), *triggers),
        location=at.table.location,
        declared=at.table,
    )


def additions(at: TableView) -> Iterator[AnyChange]:
    """Columns that are declared and missing."""
    if at.found is None:
        return
    if "_version" not in at.columns:
        yield AddColumn(
            table=at.name,
            column="_version",
            summary=f"Add column {at.name}._version, the counter that locks optimistically.",
            rule="Valet keeps it in every table; existing documents start at 0.",
            sql=(sql.add_version(at.name),),
            location=at.table.location,
            field=VERSION_FIELD,
            backfilled=True,
        )
    strict_table = _STRICT.search(at.found.sql) is not None
    for field in at.table.fields:
        if fold(field.name) in at.columns:
            continue
        refused = fold(field.name) in sql.ROWID_NAMES
        yield AddColumn(
            table=at.name,
            column=field.name,
            risk=Risk.BREAKING if refused else Risk.SAFE,
            summary=say.unaddable(at.name, field.name)
            if refused
            else f"Add column {at.name}.{field.name} ({describe(field)}).",
            rule=say.UNADDABLE if refused else say.ADD_COLUMN,
            sql=() if refused else (sql.add_column(at.name, field, strict=strict_table),),
            location=field.location,
            field=field,
            backfilled=fold(field.name) in at.filled,
        )


def alterations(at: TableView) -> Iterator[AnyChange]:
    """What becomes of the columns that are there."""
    if at.found is None:
        return
    yield from _unfit_system_columns(at, at.found)
    if at.restored:
        yield RestoreTable(
            table=at.name,
            summary=f"Table {at.name} is declared again; its documents are still there.",
            rule="Removed tables are kept in the database, so nothing has to be created.",
            location=at.table.location,
        )
    for field in at.table.fields:
        column = at.columns.get(fold(field.name))
        if column is not None:
            yield from _alter(at, field, column)
    yield from _removed_fields(at)


def _unfit_system_columns(at: TableView, found: TableState) -> Iterator[AnyChange]:
    key = at.columns.get("_id")
    if not say.has_fit_id(found):
        yield ChangeType(
            table=at.name,
            column="_id",
            risk=Risk.BREAKING,
            summary=say.unfit_id(at.name, key),
            rule=say.move_rows(found),
            location=at.table.location,
            before=None,
            before_sql_type=key.sql_type if key else "",
            after=ID_FIELD,
        )
    version = at.columns.get("_version")
    if version is not None and not column_holds(version.sql_type, Storage.NUMBER):
        yield ChangeType(
            table=at.name,
            column="_version",
            risk=Risk.BREAKING,
            summary=f"{at.name}._version is {version.sql_type}, but must be INTEGER.",
            rule="Valet counts in it. Rename the column, and the next push adds its own.",
            location=at.table.location,
            before=None,
            before_sql_type=version.sql_type,
            after=VERSION_FIELD,
        )


def _alter(at: TableView, field: Field, column: ColumnState) -> Iterator[AnyChange]:
    past = at.past.field(field.name) if at.past is not None else None
    known = past.field if past is not None and past.field.validator != UNKNOWN else None
    how = relation(known, field) if known is not None else "same"
    if how == "change" or not column_holds(column.sql_type, field.validator.storage):
        yield _change_type(at, field, known, column)
        return
    if past is None:
        if at.past is not None and at.past.declared:
            yield _restore(at, field, say.joins(at.name, field.name))
            if not field.deprecated:
                # What holds null is told of by the change before.
                yield replace(_adopt(at, field), field=replace(field, optional=True))
        elif not at.before.state.has_bookkeeping and not field.deprecated:
            yield _adopt(at, field)
        return
    declared_again = past.removed and not at.restored
    if declared_again or (past.field.deprecated and not field.deprecated):
        # A new promise that the values may break is checked by the narrowing below.
        yield _restore(at, field, say.restored(at.name, field.name, past.removed))
        if how == "narrow" and known is not None and not _only_null_is_lost(known, field):
            yield _narrow(at, known, field)
        return
    if field.deprecated:
        if not past.field.deprecated:
            yield DeprecateField(
                table=at.name,
                column=field.name,
                summary=f"Deprecate {at.name}.{field.name}: it leaves the generated types.",
                rule="The column stays, so existing data is preserved and older clients work.",
                location=field.location,
            )
        return
    if how == "narrow" and known is not None:
        yield _narrow(at, known, field)
    elif how == "widen" and known is not None:
        yield WidenField(
            table=at.name,
            column=field.name,
            summary=f"{at.name}.{field.name} allows more: {describe(known)} → {describe(field)}.",
            rule="All stored values stay valid. Code that reads the field must expect more.",
            location=field.location,
        )


def _adopt(at: TableView, field: Field) -> NarrowField:
    """A column made by hand, whose values nobody has held against a validator yet."""
    return NarrowField(
        table=at.name,
        column=field.name,
        summary=f"Adopt column {at.name}.{field.name} as {describe(field)}.",
        rule=say.ADOPT_ANY if field.validator.kind == "any" else say.ADOPT,
        location=field.location,
        field=field,
        storage=field.validator.storage,
        after_backfill=fold(field.name) in at.filled,
        adopted=True,
    )


def _change_type(
    at: TableView, field: Field, known: Field | None, column: ColumnState
) -> ChangeType:
    was = describe(known) if known is not None else (column.sql_type or "untyped")
    return ChangeType(
        table=at.name,
        column=field.name,
        risk=Risk.BREAKING,
        summary=f"{at.name}.{field.name} changes its type: {was} → {describe(field)}.",
        rule=say.recipe(field, known, column.sql_type),
        location=field.location,
        before=known.validator if known is not None else None,
        before_optional=known is not None and known.optional,
        before_sql_type=column.sql_type,
        after=field,
    )


def _restore(at: TableView, field: Field, summary: str) -> RestoreField:
    return RestoreField(
        table=at.name,
        column=field.name,
        summary=summary,
        rule="Columns are never dropped, so the field's data is still there.",
        location=field.location,
        field=field,
        backfill=_backfill_of(at, field),
    )


def _backfill_of(at: TableView, field: Field) -> Literal["none", "pending", "ran", "refused"]:
    name = fold(field.name)
    if at.columns[name].generated:
        return "refused"
    if name in at.filled:
        return "pending"
    return "ran" if any(fold(b.column) == name for b in at.table.backfills) else "none"


def _narrow(at: TableView, known: Field, field: Field) -> NarrowField:
    filled = fold(field.name) in at.filled
    return NarrowField(
        table=at.name,
        column=field.name,
        summary=f"{at.name}.{field.name} promises more: {describe(known)} → {describe(field)}.",
        rule=say.NARROW_FILLED if filled else say.NARROW,
        location=field.location,
        field=field,
        storage=field.validator.storage,
        before=known,
        after_backfill=filled,
    )


def _removed_fields(at: TableView) -> Iterator[AnyChange]:
    declared = {fold(f.name) for f in at.table.fields}
    if at.past is None:
        return
    for past in at.past.past:
        if fold(past.field.name) in declared or past.removed:
            continue
        yield RemoveField(
            table=at.name,
            column=past.field.name,
            risk=Risk.WARNING,
            summary=f"Remove {at.name}.{past.field.name} from the types; "
            "its column and data are kept.",
            rule=say.REMOVE_FIELD,
            location=at.table.location,
            field=past.field if past.field.validator != UNKNOWN else None,
        )


def _only_null_is_lost(before: Field, after: Field) -> bool:
    """Whether the new type refuses nothing of the old one but null."""
    return relation(before, Field(after.name, after.validator, optional=True)) != "narrow"
