"""The schema.ts that a database begins with where there is none: the one that was applied last,
or else what its tables look like. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from valet_studio.database.held import Held
from valet_studio.fixes.writing import Style
from valet_studio.plan import sentences as say
from valet_studio.plan.before import SYSTEM_COLUMNS
from valet_studio.plan.drift import OF_TOOLS
from valet_studio.plan.types import affinity, column_holds
from valet_studio.schema.model import Field, Sources, Storage, Validator
from valet_studio.schema.names import fold
from valet_studio.schema.state import ColumnState, DatabaseState, TableState

_HEAD = """\
// The schema of your database, as its tables stand now. Save it, and `valet-studio` shows what the
// change will do. A field that held null somewhere is v.optional(); say more where you know more:
// v.boolean(), v.union(), v.object().
"""
_TAKE_OVER = """\
// To use a column that is left out for its type, declare the field as you want it: the plan refuses
// that, and `f` in the studio writes the new field that takes its values over.
"""
_IMPORT = "import { defineSchema, defineTable, v } from 'valet-dev/server'\n\n"
_STYLE = Style()
_UNTYPED = {
    "any": Validator("any"),
    "string": Validator("string"),
    "number": Validator("number"),
    "bytes": Validator("bytes"),
}


def sources_for(state: DatabaseState, held: Mapping[str, Held]) -> Sources | None:
    """The modules to begin with; None where the database holds nothing that a schema declares."""
    if state.applied is not None and state.applied.sources.files:
        return state.applied.sources
    fit = [table for table in state.tables if _is_fit(table)]
    left = [t.name for t in state.tables if t not in fit and _is_foreign(t)]
    if not (fit or left):
        return None
    return Sources("schema.ts", {"schema.ts": "".join(_lines(fit, left, held))})


def _is_foreign(table: TableState) -> bool:
    return table.kind == "table" and fold(table.name) not in OF_TOOLS


def _is_fit(table: TableState) -> bool:
    """Whether a schema can declare it as it stands."""
    return _is_foreign(table) and _may_be_named(table.name) and say.has_fit_id(table)


def _may_be_named(name: str) -> bool:
    return bool(name.strip()) and not name.startswith("_")


def _declared(table: TableState, found: Held) -> list[ColumnState]:
    return [
        c
        for c in table.columns
        if fold(c.name) not in SYSTEM_COLUMNS and _may_be_named(c.name) and not _left_out(c, found)
    ]


def _left_out(column: ColumnState, found: Held) -> str:
    """Why Valet has no type for a column; "" where it has one."""
    name = fold(column.name)
    if column.generated:
        return "SQLite computes it"
    if column.untyped:
        fits = found.untyped.get(name, "any")
        return "" if fits else "no type fits all the values that it holds"
    if _is_mistyped(column, found):
        declared = " ".join(column.sql_type.split())
        return f"a column of type {declared} is for numbers, and it holds others"
    return ""


def _is_mistyped(column: ColumnState, found: Held) -> bool:
    """Whether SQLite takes a column's type, such as DATETIME or JSON, for one of numbers, and it
    holds others."""
    numeric = not column.untyped and column_holds(column.sql_type, Storage.NUMBER)
    return numeric and not column.generated and fold(column.name) in found.not_numbers


def _lines(
    fit: Sequence[TableState], left: Sequence[str], held: Mapping[str, Held]
) -> Iterator[str]:
    yield _HEAD
    if left:
        yield "// Left out, since Valet finds documents by an _id TEXT PRIMARY KEY:\n"
        yield from (f"//   {_STYLE.string(name)}\n" for name in left)
    if any(_is_mistyped(c, held[table.name]) for table in fit for c in table.columns):
        yield _TAKE_OVER
    yield _IMPORT
    yield "export default defineSchema({\n"
    names = {fold(table.name): table.name for table in fit}
    for table in fit:
        yield f"    {_STYLE.key(table.name)}: defineTable({{\n"
        found = held[table.name]
        for column in table.columns:
            if why := _left_out(column, found):
                yield f"        // {_STYLE.key(column.name)} is left out: {why}.\n"
        names_here = {c.name for c in _declared(table, found)}
        for index in table.indexes:
            if left_out := say.why_not_declared(index, names_here):
                yield f"        // Index {_STYLE.key(index.name)} stays, undeclared: {left_out}.\n"
        for column in _declared(table, found):
            name = fold(column.name)
            validator = _validator(column, names.get(found.targets.get(name, "")), found)
            required = column.not_null or name in found.filled or validator.allows_null
            field = Field(column.name, validator, optional=not required)
            yield f"        {_STYLE.key(column.name)}: {_STYLE.field(field)},\n"
        yield "    })"
        yield from _calls(table, found)
        yield ",\n"
    yield "})\n"


def _calls(table: TableState, found: Held) -> Iterator[str]:
    names = {c.name for c in _declared(table, found)}
    for index in table.indexes:
        if names.issuperset(index.columns) and say.serves(index, index.columns):
            columns = ", ".join(map(_STYLE.string, index.columns))
            yield f"\n        .index({_STYLE.string(index.name)}, [{columns}])"
    if say.sync_of_triggers(table).mode != "none":
        yield "\n        .sync({ mode: 'full' }) // add its filter: the database does not hold it"


def _validator(column: ColumnState, target: str | None, found: Held) -> Validator:
    kind = affinity(column.sql_type)
    if column.untyped:
        return _UNTYPED[found.untyped.get(fold(column.name), "any")]
    if kind == "TEXT":
        return Validator("id", table=target) if target is not None else Validator("string")
    if kind == "BLOB":
        return Validator("bytes")
    is_boolean = column.sql_type.upper().startswith("BOOL")
    return Validator("boolean" if is_boolean else "number")
