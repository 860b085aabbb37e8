"""Reads the child's raw declarations as a schema, and judges all that needs no JavaScript.

Every rule adds a problem and goes on, so that one run tells everything that it can find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from valet_studio.errors import Location
from valet_studio.schema.model import (
    Backfill,
    Field,
    Index,
    Json,
    Schema,
    SearchIndex,
    Storage,
    Sync,
    Table,
)
from valet_studio.schema.names import FTS5_SHADOWS, fold
from valet_studio.schema.read_context import (
    Raw,
    ReadContext,
    check_field,
    declare_or_name,
    did_you_mean,
    is_text,
)
from valet_studio.schema.validators import read_validator

_BUILT_IN = {"_id": "an id", "_version": "a version"}


def read_schema(raw: Raw, context: ReadContext) -> Schema:
    """The schema that was declared; what is wrong with it is left in `context.problems`."""
    context.ask_ahead(raw)
    for problem in raw["problems"]:
        location = context.at(problem)
        if problem["key"] is not None:
            location = context.behaviours.key_place(problem["key"], location)
        context.problem(problem["message"], problem["hint"], location)
    if "wrongDefault" in raw:
        shown = raw["wrongDefault"]
        context.problem(
            "schema.ts has no default export."
            if shown is None
            else f"The default export of schema.ts is {shown} and not a defineSchema({{ … }}).",
            "Write `export default defineSchema({ … })`.",
            context.entry,
        )
    _check_names(
        "Table",
        "",
        ((table["name"], context.table_place(table)) for table in raw["tables"]),
        {},
        context,
    )
    context.tables = {
        table["name"]: frozenset(item["name"] for item in table["fields"])
        for table in raw["tables"]
    }
    return Schema(tuple(_table(table, context) for table in raw["tables"]))


def _check_names(
    what: str,
    owner: str,
    names: Iterable[tuple[str, Location]],
    built_in: dict[str, str],
    context: ReadContext,
) -> None:
    seen: dict[str, str] = {}
    for name, location in names:
        twin = seen.setdefault(fold(name), name)
        wrong = _wrong_name(what, owner, name, twin, built_in)
        if wrong is not None:
            context.problem(*wrong, location)


def _wrong_name(
    what: str, owner: str, name: str, twin: str, built_in: dict[str, str]
) -> tuple[str, str] | None:
    """What is wrong with the name of a table or field, and the way out.

    Args:
        twin: the first name that SQLite holds equal; the name itself where it is the first.
    """
    if not name.strip():
        return f"A {what.lower()}{owner} has an empty name.", "Give it a name."
    if not is_text(name):
        return (
            f"{what} {name!a}{owner} has a name that is no text: half of a character.",
            "Write the whole character, or leave it out.",
        )
    if "\0" in name:
        return f"{what}{owner} has a name that holds a NUL character.", "Leave it out."
    if fold(name) in built_in:
        return (
            f'{what} "{name}"{owner} is built in: every document has {built_in[fold(name)]}.',
            "Leave it out; it is there by itself.",
        )
    if name.startswith("_"):
        return (
            f'{what} "{name}"{owner} begins with "_", which is reserved.',
            f'Rename it, for example to "{name.lstrip("_") or "name"}".',
        )
    if what == "Table" and fold(name).startswith("sqlite_"):
        return f'{what} "{name}" begins with "sqlite_", which SQLite reserves.', "Rename it."
    if twin != name:
        return (
            f'{what} "{name}"{owner} and "{twin}" are one name to SQLite, which ignores case.',
            "Rename one of them.",
        )
    return None


def _table(raw: Raw, context: ReadContext) -> Table:
    name: str = raw["name"]
    where = context.table_place(raw)
    fields = tuple(
        Field(
            item["name"],
            read_validator(item["validator"], context),
            item["validator"].get("optional", False),
            item["validator"].get("deprecated", False),
            context.field_place(name, item),
        )
        for item in raw["fields"]
        if item["validator"] is not None
    )
    places = {item.name: item.location or where for item in fields}
    _check_names(
        "Field",
        f' of table "{name}"',
        ((item["name"], places.get(item["name"], where)) for item in raw["fields"]),
        _BUILT_IN,
        context,
    )
    return Table(
        name,
        fields,
        tuple(_indexes(raw, context)),
        tuple(_search_indexes(raw, {item.name: item for item in fields}, context)),
        _sync(raw, context),
        tuple(_backfills(raw, context)),
        where,
    )


def _indexes(raw: Raw, context: ReadContext) -> Iterator[Index]:
    _check_index_names(raw["indexes"] + raw["searchIndexes"], raw["name"], context)
    for item in raw["indexes"]:
        location, name = context.at(item), item["name"]
        for column in item["fields"]:
            check_field(column, raw["name"], f'Index "{name}"', item, context)
        if len(set(item["fields"])) < len(item["fields"]):
            context.problem(
                f'Index "{name}" names one field twice.', "Name each field once.", location
            )
        yield Index(name, tuple(item["fields"]), location)


def _check_index_names(items: list[Raw], table: str, context: ReadContext) -> None:
    seen: set[str] = set()
    for item in items:
        name = item["name"]
        if not name.strip():
            wrong = f'An index of table "{table}" has an empty name.', "Name it."
        elif not is_text(name):
            wrong = (
                f'An index of table "{table}" has a name that is no text: half of a character.',
                "Write the whole character, or leave it out.",
            )
        elif fold(name) in seen:
            wrong = f'Table "{table}" has two indexes named "{name}".', "Rename one of them."
        else:
            seen.add(fold(name))
            continue
        context.problem(*wrong, context.at(item))


def _search_indexes(
    raw: Raw, fields: dict[str, Field], context: ReadContext
) -> Iterator[SearchIndex]:
    names = {fold(item["name"]): item["name"] for item in raw["searchIndexes"]}
    for item in raw["searchIndexes"]:
        _check_shadows(item, names, context)
        location, name, searched = context.at(item), item["name"], item["searchField"]
        what = f'Search index "{name}"'
        known = check_field(searched, raw["name"], what, item, context, built_in="")
        found = fields.get(searched)
        if known and found is not None and found.validator.storage is not Storage.TEXT:
            context.problem(
                f'{what} needs a string field, but "{searched}" is none.',
                "Search a field of v.string().",
                location,
            )
        yield SearchIndex(name, searched, location)


def _check_shadows(item: Raw, names: Mapping[str, str], context: ReadContext) -> None:
    """Refuse a search index by whose name another one keeps a table of its own."""
    name = fold(item["name"])
    for suffix in FTS5_SHADOWS:
        other = names.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if other is not None:
            context.problem(
                f'Search index "{item["name"]}" is called as a table that search index '
                f'"{other}" keeps for itself.',
                "Rename one of them.",
                context.at(item),
            )


def _sync(raw: Raw, context: ReadContext) -> Sync:
    for again in raw["syncs"][1:]:
        context.problem(
            f'Table "{raw["name"]}" has two .sync(…).', "Keep one of them.", context.at(again)
        )
    if not raw["syncs"]:
        return Sync()
    item = raw["syncs"][0]
    location = context.at(item)
    return Sync(item["mode"], _condition(item["filter"], raw["name"], context), location)


def _condition(raw: Any, table: str, context: ReadContext) -> Json:
    """The condition as data, its places left out; `table` is whose fields it may name."""
    if not isinstance(raw, dict) or "op" not in raw:
        return raw
    data = {key: value for key, value in raw.items() if key != "site"}
    if raw["op"] == "select":
        other = raw["from"]
        if other not in context.tables:
            context.problem(
                f'The sync filter selects from "{other}", which is no table of the schema.',
                did_you_mean(other, context.tables) or declare_or_name(context),
                context.at(raw),
            )
            return None
        check_field(raw["field"], other, "The sync filter", raw, context)
        return {**data, "where": _condition(raw["where"], other, context)}
    if "args" in raw:
        return {**data, "args": [_condition(item, table, context) for item in raw["args"]]}
    if "arg" in raw:
        return {**data, "arg": _condition(raw["arg"], table, context)}
    if isinstance(raw["field"], str):
        check_field(raw["field"], table, "The sync filter", raw, context)
    return {**data, "value": _condition(raw["value"], table, context)}


def _backfills(raw: Raw, context: ReadContext) -> Iterator[Backfill]:
    seen: set[str] = set()
    for item in raw["backfills"]:
        location, column = context.at(item), item["name"]
        check_field(column, raw["name"], ".backfill", item, context, built_in="")
        if column in seen:
            context.problem(
                f'Column "{column}" of table "{raw["name"]}" has two backfills.',
                "Keep one of them: a backfill runs once a column.",
                location,
            )
        seen.add(column)
        behaviour = context.behaviours.of(location, item["code"])
        yield Backfill(column, behaviour.digest, behaviour.code, behaviour.impurities, location)
