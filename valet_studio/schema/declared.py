"""Reads the child's raw declarations as a schema, and judges all that needs no JavaScript.

Every rule adds a problem and goes on, so that one run tells everything that it can find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from valet_studio.errors import Location, Problem
from valet_studio.schema.behaviour import Behaviours
from valet_studio.schema.literal import LiteralTable
from valet_studio.schema.model import (
    Backfill,
    Field,
    Index,
    Json,
    ObjectField,
    Schema,
    SearchIndex,
    Storage,
    Sync,
    Table,
    Validator,
)
from valet_studio.schema.names import FTS5_SHADOWS, fold

Raw = dict[str, Any]

_METHODS = {
    "index": "indexes",
    "searchIndex": "searchIndexes",
    "sync": "syncs",
    "backfill": "backfills",
}
"""Where the raw data of a table has the calls of each method, in their order."""

_PLAIN = {
    kind: Validator(kind) for kind in ("string", "number", "int", "boolean", "bytes", "null", "any")
}
"""Validators of no arguments: one each, since a large schema has thousands of them."""
MOST_NESTED = 60
NAMED_TABLES = 5
"""Tables that a hint lists."""
_BUILT_IN = {"_id": "an id", "_version": "a version"}


@dataclass(slots=True)
class ReadContext:
    """Where raw declarations stand in the source, and what was found wrong with them."""

    places: Callable[[Sequence[int]], list[Location | None]]
    """Where calls stand, by the numbers that raw data gives them; takes time."""
    entry: Location
    behaviours: Behaviours
    literal: Mapping[str, LiteralTable]
    """What is known of places without asking."""
    problems: list[Problem] = field(default_factory=list)
    tables: dict[str, frozenset[str]] = field(default_factory=dict)
    """Names of the fields, by table."""

    _known: dict[int, Location | None] = field(default_factory=dict)

    def at(self, raw: Raw) -> Location:
        """Where something was declared."""
        site: int = raw["site"]
        if site not in self._known:
            self.ask([site])
        return self._known[site] or self.entry

    def ask(self, sites: list[int]) -> None:
        """Learn places, many at once."""
        self._known.update(zip(sites, self.places(sites), strict=True))

    def table_place(self, raw: Raw) -> Location:
        """Where a table's name is written, or else its declaration."""
        known = self.literal.get(raw["name"])
        return known.place if known else self.behaviours.field_place(raw["name"], self.at(raw))

    def field_place(self, table: str, raw: Raw) -> Location:
        """Where a field's name is written, or else its validator."""
        name: str = raw["name"]
        known = self.literal[table].fields.get(name) if table in self.literal else None
        return known or self.behaviours.field_place(name, self.at(raw["validator"]))

    def ask_ahead(self, raw: Raw) -> None:
        """Learn at once all places that are needed and not written out."""
        wanted = list(raw["problems"])
        for table in raw["tables"]:
            known = self.literal.get(table["name"])
            if known is None:
                wanted.append(table)
            wanted += (
                item["validator"]
                for item in table["fields"]
                if item["validator"] and (known is None or item["name"] not in known.fields)
            )
            for method, kind in _METHODS.items():
                places = known.calls.get(method, []) if known else []
                if len(places) == len(table[kind]):
                    self._known.update(zip((c["site"] for c in table[kind]), places, strict=True))
                else:
                    wanted += table[kind]
        self.ask([item["site"] for item in wanted])

    def problem(self, message: str, hint: str | None, location: Location) -> None:
        """Note that something is wrong."""
        self.problems.append(Problem(message, hint, location))


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
        if not name.strip():
            context.problem(
                f"A {what.lower()}{owner} has an empty name.", "Give it a name.", location
            )
        elif not _is_text(name):
            context.problem(
                f"{what} {name!a}{owner} has a name that is no text: half of a character.",
                "Write the whole character, or leave it out.",
                location,
            )
        elif "\0" in name:
            context.problem(
                f"{what}{owner} has a name that holds a NUL character.", "Leave it out.", location
            )
        elif fold(name) in built_in:
            context.problem(
                f'{what} "{name}"{owner} is built in: every document has {built_in[fold(name)]}.',
                "Leave it out; it is there by itself.",
                location,
            )
        elif name.startswith("_"):
            context.problem(
                f'{what} "{name}"{owner} begins with "_", which is reserved.',
                f'Rename it, for example to "{name.lstrip("_") or "name"}".',
                location,
            )
        elif what == "Table" and fold(name).startswith("sqlite_"):
            context.problem(
                f'{what} "{name}" begins with "sqlite_", which SQLite reserves.',
                "Rename it.",
                location,
            )
        elif twin != name:
            context.problem(
                f'{what} "{name}"{owner} and "{twin}" are one name to SQLite, which ignores case.',
                "Rename one of them.",
                location,
            )


def _table(raw: Raw, context: ReadContext) -> Table:
    name: str = raw["name"]
    where = context.table_place(raw)
    fields = tuple(
        Field(
            item["name"],
            _validator(item["validator"], context, name),
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


def _is_text(text: str) -> bool:
    """Whether SQLite can hold it: half of a surrogate pair is no Unicode text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _declare_or_name(context: ReadContext) -> str:
    known = sorted(context.tables)
    more = ", …" if len(known) > NAMED_TABLES else ""
    return f"Declare the table, or name another: {', '.join(known[:NAMED_TABLES])}{more}."


def _validator(raw: Raw, context: ReadContext, table: str, depth: int = 0) -> Validator:
    kind = raw["kind"]
    if kind == "id" and "table" in raw and raw["table"] not in context.tables:
        context.problem(
            f'v.id("{raw["table"]}") points to a table that is not in the schema.',
            _did_you_mean(raw["table"], context.tables) or _declare_or_name(context),
            context.at(raw),
        )
    if depth and kind == "bytes":
        context.problem(
            "JSON cannot hold bytes.", "Give them a column of their own.", context.at(raw)
        )
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "literal" and isinstance(raw.get("value"), str) and not _is_text(raw["value"]):
        context.problem(
            f"The text of v.literal({raw['value']!a}) holds half of a character.",
            "Write the whole character, or leave it out.",
            context.at(raw),
        )
    if depth > MOST_NESTED:
        context.problem(
            f"A validator is nested more than {MOST_NESTED} deep.",
            "Use v.any() for what is below.",
            context.at(raw),
        )
        return _PLAIN["any"]
    items = tuple(
        _nested(item, context, table, depth, f"v.{kind}") for item in raw.get("items", ())
    )
    if kind == "union":
        items = tuple(_union_items(raw, items, context))
    properties = tuple(
        ObjectField(
            item["name"],
            _nested(item["validator"], context, table, depth, "v.object", optional_allowed=True),
            item["validator"].get("optional", False),
        )
        for item in raw.get("fields", ())
        if item["validator"] is not None
    )
    if kind == "record" and items and not _is_key(items[0]):
        context.problem(
            "The keys of v.record must be strings.",
            "Use v.string(), v.id() or a v.union() of string literals as its first argument.",
            context.at(raw),
        )
    return Validator(kind, raw.get("table"), raw.get("value"), items, properties)


def _nested(
    raw: Raw,
    context: ReadContext,
    table: str,
    depth: int,
    parent: str,
    optional_allowed: bool = False,
) -> Validator:
    if raw.get("optional") and not optional_allowed:
        context.problem(
            f"v.optional cannot stand inside {parent}.",
            "Put v.optional around the whole field, or use v.union(…, v.null()).",
            context.at(raw),
        )
    if raw.get("deprecated"):
        context.problem(
            f".deprecated() cannot stand inside {parent}.",
            "Call .deprecated() on the validator of a whole field.",
            context.at(raw),
        )
    # A union's bytes are judged by the union: alone, they have a column of their own.
    inner = depth if parent == "v.union" else depth + 1
    return _validator(raw, context, table, inner)


def _union_items(
    raw: Raw, items: tuple[Validator, ...], context: ReadContext
) -> Iterator[Validator]:
    if not items and not raw.get("items"):
        context.problem(
            "v.union has no members.", "Give it one validator or more.", context.at(raw)
        )
    if Validator("union", items=items).storage is Storage.JSON and any(
        item.kind == "bytes" for item in items
    ):
        context.problem(
            "JSON cannot hold bytes.",
            "A v.union with v.bytes() may have no other member but v.null().",
            context.at(raw),
        )
    yield from items


def _is_key(validator: Validator) -> bool:
    match validator.kind:
        case "string" | "id":
            return True
        case "literal":
            return isinstance(validator.value, str)
        case "union":
            return all(_is_key(item) for item in validator.items)
        case _:
            return False


def _check_field(
    name: str, table: str, what: str, raw: Raw, context: ReadContext, built_in: str = "_id"
) -> bool:
    if name in context.tables[table] or name == built_in:
        return True
    context.problem(
        f'{what} names the field "{name}", which table "{table}" does not have.',
        _did_you_mean(name, context.tables[table]) or "Declare the field, or name another.",
        context.at(raw),
    )
    return False


def _did_you_mean(name: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f'Did you mean "{close[0]}"?' if close else None


def _indexes(raw: Raw, context: ReadContext) -> Iterator[Index]:
    seen: set[str] = set()
    _check_index_names(raw["indexes"] + raw["searchIndexes"], raw["name"], seen, context)
    for item in raw["indexes"]:
        location, name = context.at(item), item["name"]
        for column in item["fields"]:
            _check_field(column, raw["name"], f'Index "{name}"', item, context)
        if len(set(item["fields"])) < len(item["fields"]):
            context.problem(
                f'Index "{name}" names one field twice.', "Name each field once.", location
            )
        yield Index(name, tuple(item["fields"]), location)


def _check_index_names(items: list[Raw], table: str, seen: set[str], context: ReadContext) -> None:
    for item in items:
        name = item["name"]
        if not name.strip():
            context.problem(
                f'An index of table "{table}" has an empty name.', "Name it.", context.at(item)
            )
        elif not _is_text(name):
            context.problem(
                f'An index of table "{table}" has a name that is no text: half of a character.',
                "Write the whole character, or leave it out.",
                context.at(item),
            )
        elif fold(name) in seen:
            context.problem(
                f'Table "{table}" has two indexes named "{name}".',
                "Rename one of them.",
                context.at(item),
            )
        seen.add(fold(name))


def _search_indexes(
    raw: Raw, fields: dict[str, Field], context: ReadContext
) -> Iterator[SearchIndex]:
    names = {fold(item["name"]): item["name"] for item in raw["searchIndexes"]}
    for item in raw["searchIndexes"]:
        _check_shadows(item, names, context)
        location, name, searched = context.at(item), item["name"], item["searchField"]
        what = f'Search index "{name}"'
        known = _check_field(searched, raw["name"], what, item, context, built_in="")
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
                _did_you_mean(other, context.tables) or _declare_or_name(context),
                context.at(raw),
            )
            return None
        _check_field(raw["field"], other, "The sync filter", raw, context)
        return {**data, "where": _condition(raw["where"], other, context)}
    if "args" in raw:
        return {**data, "args": [_condition(item, table, context) for item in raw["args"]]}
    if "arg" in raw:
        return {**data, "arg": _condition(raw["arg"], table, context)}
    if isinstance(raw["field"], str):
        _check_field(raw["field"], table, "The sync filter", raw, context)
    return {**data, "value": _condition(raw["value"], table, context)}


def _backfills(raw: Raw, context: ReadContext) -> Iterator[Backfill]:
    seen: set[str] = set()
    for item in raw["backfills"]:
        location, column = context.at(item), item["name"]
        _check_field(column, raw["name"], ".backfill", item, context, built_in="")
        if column in seen:
            context.problem(
                f'Column "{column}" of table "{raw["name"]}" has two backfills.',
                "Keep one of them: a backfill runs once a column.",
                location,
            )
        seen.add(column)
        behaviour = context.behaviours.of(location, item["code"])
        yield replace(
            Backfill(column, behaviour.digest, behaviour.code, behaviour.impurities),
            location=location,
        )
