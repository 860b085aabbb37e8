"""The quick fixes of a change: edits of schema.ts that follow the seed's own recipes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import partial

from tree_sitter import Node

from valet_studio.fixes.conversion import Function, can_be_constant, constant, conversion
from valet_studio.fixes.fix import CannotEdit, Fix
from valet_studio.fixes.narrowing import mending
from valet_studio.fixes.page import TablePlace, table_place
from valet_studio.fixes.tables import former_name
from valet_studio.plan.changes import (
    AddColumn,
    AnyChange,
    ChangeType,
    CreateTable,
    NarrowField,
    Plan,
    RemoveField,
    RemoveTable,
    Risk,
    RunBackfill,
)
from valet_studio.plan.naming import replacement_name
from valet_studio.plan.types import affinity, column_holds, held_as
from valet_studio.schema.model import Field, Schema, Storage, Table
from valet_studio.schema.names import fold
from valet_studio.schema.syntax import string_value, text_of, walk

_ALIKE = 0.6
"""Above this likeness, two names may be one field before and after a rename."""

_Attempt = Callable[[], Fix | None]
"""None where nothing is wrong."""


def fixes_for(change: AnyChange, schema: Schema, plan: Plan) -> tuple[Fix, ...]:
    """The edits that would mend a change, best first; none where nothing is wrong with it, or
    where no edit is safe (`why_none` says which)."""
    fixes = []
    for attempt in _attempts(change, schema, plan):
        try:
            fix = attempt()
        except CannotEdit:
            continue
        if fix is not None and fix.before != fix.after:
            fixes.append(fix)
    return tuple(fixes)


def why_none(change: AnyChange, schema: Schema, plan: Plan) -> str | None:
    """Why no fix is offered for a change that could do with one; None for any other."""
    reason = None
    for attempt in _attempts(change, schema, plan):
        try:
            attempt()
        except CannotEdit as error:
            reason = reason or str(error)
        else:
            return None
    return reason


@dataclass(frozen=True, slots=True)
class Rename:
    """A field that left its table together with one that came, and may be the same."""

    table: str
    gone: str
    came: str


def likely_renames(schema: Schema, plan: Plan) -> tuple[Rename, ...]:
    """The fields of a plan that look renamed, and whose values nothing carries over."""
    found = []
    for change in plan.changes:
        table = schema.table_named(change.table)
        if isinstance(change, AddColumn) and table is not None and not change.backfilled:
            gone = _renamed_from(change, table, plan)
            if gone is not None:
                found.append(Rename(table.name, gone.name, change.field.name))
    return tuple(found)


def _attempts(change: AnyChange, schema: Schema, plan: Plan) -> Iterator[_Attempt]:
    if isinstance(change, CreateTable | RemoveTable):
        yield lambda: former_name(change, schema, plan)
        return
    table = schema.table_named(change.table)
    if table is None:
        return
    match change:
        case ChangeType():
            yield lambda: _recipe(change, table, schema, plan)
            # A type that SQLite does not know, such as JSON, does not tell what the column holds.
            if change.before is not None or affinity(change.before_sql_type) != "NUMERIC":
                yield lambda: _former_type(_former(change), change.after, table, schema)
        case RemoveField(field=Field() as gone):
            came = _renamed_to(gone, table, plan)
            if came is not None and not came.backfilled:
                yield lambda: _rename(gone, came.field, table, schema)
            yield lambda: _keep(gone, table, schema)
            for other in _possible(gone, table, plan):
                if other is not came:
                    yield partial(_rename, gone, other.field, table, schema)
        case AddColumn(field=added) if table.field_named(added.name) is not None:
            removed = _renamed_from(change, table, plan)
            if removed is not None and not change.backfilled:
                yield lambda: _rename(removed, added, table, schema)
            if change.risk is Risk.WARNING:
                yield lambda: _optional(added, table, schema)
                if can_be_constant(added.validator):
                    yield lambda: _constant(added, table, schema)
            for field in _removed(plan, table):
                if field is not removed and change in _possible(field, table, plan):
                    yield partial(_rename, field, added, table, schema)
        case NarrowField(after_backfill=True):
            pass  # What its backfill returns keeps the promise, or the dry run tells.
        case NarrowField(before=Field() as before, field=after) if change.offending != 0:
            if before.nullable and not after.nullable:
                yield lambda: _optional(after, table, schema)
            yield lambda: _mended(change, table, schema)
            if before.validator != after.validator:
                yield lambda: _former_type(before, after, table, schema)
        case NarrowField(adopted=True, field=after) if change.rows:
            if change.nulls:
                yield lambda: _optional(after, table, schema)
            yield lambda: _mended(change, table, schema)
        case _:
            pass


def _recipe(change: ChangeType, table: Table, schema: Schema, plan: Plan) -> Fix:
    """The seed's "Type changes are not allowed": deprecate, add a new column, backfill it."""
    before, after = _former(change), change.after
    place = table_place(schema, table)
    style = place.page.style
    member = place.field(after.name)
    _set_value(place, member, after.name, f"{style.field(before)}.deprecated()")
    if after.deprecated:
        return place.page.fix(
            f"Give {after.name} its former type back",
            "A deprecated field keeps its data, so it keeps its type.",
        )
    taken = [field.name for field in table.fields]
    taken += [c.column for c in plan.changes if c.table == table.name and c.column is not None]
    name = replacement_name(after, taken)
    place.add_field(f"{style.key(name)}: {_value(member)}", member)
    _search_for(place, after, before, name)
    if any(isinstance(c, RunBackfill) and c.column == after.name for c in _of(plan, table)):
        _aim_backfill(place, after.name, name)
    else:
        of_json = change.before is None and "JSON" in change.before_sql_type.upper()
        filled = conversion(before, replace(after, name=name), style, of_json_column=of_json)
        _add_backfill(place, name, filled)
    return place.page.fix(
        f"Deprecate {after.name}, add {name} and backfill it",
        f"A column's type cannot change: {name} takes over, filled from {after.name}. Read the "
        "conversion, and mend what only you can know.",
    )


def _former_type(before: Field, after: Field, table: Table, schema: Schema) -> Fix:
    place = table_place(schema, table)
    style = place.page.style
    member = place.field(after.name)
    ending = ".deprecated()" if after.deprecated else ""
    _set_value(place, member, before.name, f"{style.field(before)}{ending}")
    return place.page.fix(
        f"Give {before.name} its former type back",
        "Nothing of the database has to change then.",
    )


def _former(change: ChangeType) -> Field:
    """The field as the column holds it."""
    after = change.after
    if after.name.startswith("_"):
        raise CannotEdit(f"{after.name} is no field of schema.ts: no edit there can mend it.")
    if change.before is None:
        return replace(after, validator=held_as(change.before_sql_type))
    if not column_holds(change.before_sql_type, change.before.storage):
        raise CannotEdit(
            f"The column {after.name} is {change.before_sql_type}, which is not what the last "
            "schema declared either."
        )
    return replace(after, validator=change.before, optional=change.before_optional)


def _search_for(place: TablePlace, after: Field, before: Field, name: str) -> None:
    """Let search indexes follow the field where its former type cannot be searched."""
    if before.validator.storage is Storage.TEXT:
        return
    for _, arguments in place.chained("searchIndex"):
        for node in (n for argument in arguments[1:] for n in walk(argument)):
            if node.type == "string" and string_value(node) == after.name:
                place.page.replace(node, place.page.style.string(name))


def _aim_backfill(place: TablePlace, column: str, name: str) -> None:
    """Let the backfill that was written for the new type fill the new column."""
    for _, arguments in place.chained("backfill"):
        if arguments and arguments[0].type == "string" and string_value(arguments[0]) == column:
            place.page.replace(arguments[0], place.page.style.string(name))
            return
    raise CannotEdit(f"The backfill of {column} is not in the chain of its table.")


def _rename(gone: Field, came: Field, table: Table, schema: Schema) -> Fix:
    place = table_place(schema, table)
    style = place.page.style
    kept = f"{style.key(gone.name)}: {style.field(gone)}.deprecated()"
    place.add_field(kept, place.field(came.name), before=True)
    _add_backfill(place, came.name, conversion(gone, came, style))
    return place.page.fix(
        f"Rename {gone.name} to {came.name}",
        f"{came.name} gets the values of {gone.name}, which stays for older clients.",
    )


def _keep(gone: Field, table: Table, schema: Schema) -> Fix:
    place = table_place(schema, table)
    style = place.page.style
    place.add_field(f"{style.key(gone.name)}: {style.field(gone)}.deprecated()", None)
    return place.page.fix(
        f"Keep {gone.name} as deprecated",
        "The generated types are the same, and backfills and readers still see the field.",
    )


def _renamed_to(gone: Field, table: Table, plan: Plan) -> AddColumn | None:
    added = _added(plan, table)
    same = [c for c in added if c.field.validator == gone.validator]
    alone = len(same) == len(_removed(plan, table)) == 1
    fitting = [
        c
        for c in added
        if not c.field.deprecated
        and (_likeness(gone.name, c.field.name) >= _ALIKE or (alone and c in same))
    ]
    return max(fitting, key=lambda c: _likeness(gone.name, c.field.name), default=None)


def _possible(gone: Field, table: Table, plan: Plan) -> list[AddColumn]:
    """What a field may have been renamed to, likely or not: what has its very type and no backfill
    yet, the most alike name first."""
    same = [
        c
        for c in _added(plan, table)
        if c.field.validator == gone.validator and not c.field.deprecated and not c.backfilled
    ]
    return sorted(same, key=lambda c: -_likeness(gone.name, c.field.name))


def _renamed_from(change: AddColumn, table: Table, plan: Plan) -> Field | None:
    found = [gone for gone in _removed(plan, table) if _renamed_to(gone, table, plan) == change]
    return max(found, key=lambda gone: _likeness(gone.name, change.field.name), default=None)


def _added(plan: Plan, table: Table) -> list[AddColumn]:
    found = (c for c in _of(plan, table) if isinstance(c, AddColumn))
    return [c for c in found if table.field_named(c.field.name) is not None]


def _removed(plan: Plan, table: Table) -> list[Field]:
    return [c.field for c in _of(plan, table) if isinstance(c, RemoveField) and c.field is not None]


def _likeness(one: str, other: str) -> float:
    first, second = (fold(name).replace("_", "") for name in (one, other))
    if min(len(first), len(second)) > 2 and (first in second or second in first):
        return 1.0
    return SequenceMatcher(None, first, second).ratio()


def _optional(field: Field, table: Table, schema: Schema) -> Fix:
    place = table_place(schema, table)
    style = place.page.style
    member = place.field(field.name)
    text = f"{style.v}.optional({_value(member)})"
    _set_value(place, member, field.name, text)
    return place.page.fix(
        f"Make {field.name} optional",
        "Documents without it keep the promise, and readers must expect it to be missing.",
    )


def _constant(field: Field, table: Table, schema: Schema) -> Fix:
    place = table_place(schema, table)
    place.field(field.name)
    _add_backfill(place, field.name, constant(field, place.page.style))
    return place.page.fix(
        f"Backfill {field.name}",
        "Every document that exists gets a value. Read it, and put the right one in its place.",
    )


def _mended(change: NarrowField, table: Table, schema: Schema) -> Fix | None:
    field = change.field
    if any(fold(backfill.column) == fold(field.name) for backfill in table.backfills):
        return None
    place = table_place(schema, table)
    mended = mending(change, place.page.style)
    if mended is None:
        return None
    function, why = mended
    place.field(field.name)
    _add_backfill(place, field.name, function)
    return place.page.fix(
        f"Backfill {field.name} in its place",
        why,
    )


def _add_backfill(place: TablePlace, column: str, function: Function) -> None:
    style = place.page.style
    place.add_call("backfill", (f"{style.string(column)}, ", function.written("\0", style)))


def _set_value(place: TablePlace, member: Node, name: str, text: str) -> None:
    if member.type == "pair":
        place.page.replace(_value_node(member), text)
    else:
        place.page.replace(member, f"{place.page.style.key(name)}: {text}")


def _value(member: Node) -> str:
    """The text of a property's value, as the developer wrote it."""
    return text_of(_value_node(member)) if member.type == "pair" else text_of(member)


def _value_node(member: Node) -> Node:
    value = member.child_by_field_name("value")
    assert value is not None
    return value


def _of(plan: Plan, table: Table) -> list[AnyChange]:
    return [change for change in plan.changes if change.table == table.name]
