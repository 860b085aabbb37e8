"""Where a schema's parts stand, read off the text of schema.ts where they are written out there.

JavaScript knows the place of every call, but takes a tenth of a millisecond to tell one, which is
most of the time that a large schema needs. Only what is not written out plainly (a spread, a
helper's validator, a table in a variable) is asked of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from tree_sitter import Node

from valet_studio.errors import Location
from valet_studio.schema.model import Sources
from valet_studio.schema.syntax import (
    arguments_of,
    imports_from,
    locator,
    name_of,
    parse,
    parse_part,
    text_of,
)
from valet_studio.typescript.modules import SERVER_MODULE, shown_path


@dataclass(frozen=True, slots=True)
class LiteralTable:
    """One table that is written as `name: defineTable({ … }).sync({ … })`."""

    place: Location
    """Of its name."""
    fields: dict[str, Location]
    """Places of the names of the fields whose validators are written out."""
    calls: dict[str, list[Location]] = field(default_factory=dict)
    """Places of `sync`, `index`, … in the order of the calls, by method."""


_Written: TypeAlias = tuple[dict[str, Location], dict[str, list[Location]]]
"""Fields and calls of a table, with their places in its text."""


def literal_tables(sources: Sources) -> dict[str, LiteralTable]:
    """The tables that are written out in the default export of the entry module."""
    text = sources.files[sources.entry]
    root = parse(text)
    names = set(_imported(root))
    exported = _exported(root)
    given = _object_given(exported, "defineSchema") if "defineSchema" in names else None
    if given is None or "defineTable" not in names or root.has_error:
        return {}
    locate = locator(root, shown_path(sources.folder, sources.entry))
    tables = {}
    for key, value in _pairs(given):
        written = _written(text_of(value), "v" in names)
        if written is not None:
            tables[name_of(key)] = _placed(written, locate(key), locate(value))
    return tables


@lru_cache(maxsize=4096)
def _written(text: str, has_v: bool) -> _Written | None:
    """What the text of one table says. Most saves leave most tables as they are."""
    if not text.startswith("defineTable"):
        return None
    root = parse_part(text)
    parts = [part for statement in root.named_children for part in statement.named_children]
    return _table(parts[0], locator(root, ""), has_v) if len(parts) == 1 else None


def _placed(written: _Written, place: Location, begin: Location) -> LiteralTable:
    """The same where the table's text begins at a place."""
    fields, calls = written

    def placed(within: Location) -> Location:
        before = begin.column - 1 if within.line == 1 else 0
        return Location(begin.file, begin.line + within.line - 1, before + within.column)

    return LiteralTable(
        place,
        {name: placed(within) for name, within in fields.items()},
        {method: [placed(within) for within in places] for method, places in calls.items()},
    )


def _imported(root: Node) -> Iterator[str]:
    """What the module imports of `valet-dev/server` under its own name."""
    for statement in imports_from(root, SERVER_MODULE):
        clause = next((n for n in statement.named_children if n.type == "import_clause"), None)
        for part in clause.named_children if clause is not None else ():
            for specifier in part.named_children if part.type == "named_imports" else ():
                if specifier.child_by_field_name("alias") is None:
                    yield text_of(specifier)


def _exported(root: Node) -> Node | None:
    """What `export default` exports."""
    for statement in root.named_children:
        if statement.type == "export_statement":
            value = statement.child_by_field_name("value")
            if value is not None:
                return value
    return None


def _object_given(call: Node | None, function: str) -> Node | None:
    """The object literal that is the one argument of a call of a function."""
    if call is None or call.type != "call_expression":
        return None
    called = call.child_by_field_name("function")
    if called is None or called.type != "identifier" or text_of(called) != function:
        return None
    given = arguments_of(call)
    return given[0] if len(given) == 1 and given[0].type == "object" else None


def _pairs(node: Node) -> list[tuple[Node, Node]]:
    """The `key: value` of an object; none where a spread or a computed key may overwrite them."""
    pairs = []
    for member in node.named_children:
        if member.type == "comment":
            continue
        key, value = (member.child_by_field_name(n) for n in ("key", "value"))
        if member.type != "pair" or key is None or value is None:
            return []
        if key.type not in ("property_identifier", "string"):
            return []
        pairs.append((key, value))
    return pairs


def _table(node: Node, locate: Callable[[Node], Location], has_v: bool) -> _Written | None:
    """Fields and calls of a chain that begins with `defineTable({ … })`."""
    calls: dict[str, list[Location]] = {}
    while (given := _object_given(node, "defineTable")) is None:
        called = node.child_by_field_name("function") if node.type == "call_expression" else None
        owner = called.child_by_field_name("object") if called is not None else None
        method = called.child_by_field_name("property") if called is not None else None
        if owner is None or method is None or called is None or called.type != "member_expression":
            return None
        calls.setdefault(text_of(method), []).insert(0, locate(method))
        node = owner
    pairs = _pairs(given) if has_v else []
    fields = {name_of(key): locate(key) for key, value in pairs if _is_validator(value)}
    return fields, calls


_USUAL = re.compile(r"v\.(?!optional\b|deprecated\b)\w+\(\)(\.deprecated\(\))?")
"""What most validators look like; their text says it ten times sooner than their nodes."""


def _is_validator(node: Node) -> bool:
    """Whether the validator itself is made here: `v.string()`, `v.optional(…)` of such a one."""
    if _USUAL.fullmatch(text_of(node)):
        return True
    called = node.child_by_field_name("function") if node.type == "call_expression" else None
    if called is None or called.type != "member_expression":
        return False
    owner, method = (called.child_by_field_name(n) for n in ("object", "property"))
    if owner is None or method is None:
        return False
    if text_of(method) == "deprecated":
        return _is_validator(owner)
    if owner.type != "identifier" or text_of(owner) != "v":
        return False
    if text_of(method) != "optional":
        return True
    inner = arguments_of(node)
    return len(inner) == 1 and _is_validator(inner[0])
