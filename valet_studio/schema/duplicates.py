"""Keys that stand twice in one object of a schema: JavaScript silently keeps the last alone."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from valet_studio.errors import Problem
from valet_studio.schema.model import Sources
from valet_studio.schema.syntax import calls_of, location_of, name_of, parse
from valet_studio.typescript.modules import shown_path

_DECLARING = ("defineSchema", "defineTable", "v.object")


def duplicate_keys(sources: Sources) -> Iterator[Problem]:
    """One problem for each key of a table, field or property that is lost to a later one."""
    for file, text in sources.files.items():
        if file.endswith(".json"):
            continue
        for call in calls_of(parse(text), *_DECLARING):
            yield from _in_call(call, shown_path(sources.folder, file))


def _in_call(call: Node, file: str) -> Iterator[Problem]:
    arguments = call.child_by_field_name("arguments")
    first = arguments.named_children[0] if arguments and arguments.named_children else None
    if first is None or first.type != "object":
        return
    seen: dict[str, Node] = {}
    for member in first.named_children:
        key = member.child_by_field_name("key") if member.type == "pair" else member
        if key is None or key.type not in (
            "property_identifier",
            "string",
            "shorthand_property_identifier",
        ):
            continue
        name = name_of(key)
        if name in seen:
            before = location_of(seen[name], file)
            yield Problem(
                f'"{name}" stands twice in this object; the one in line {before.line} is lost.',
                "Remove one of them, or rename it.",
                location_of(key, file),
            )
        seen.setdefault(name, key)
