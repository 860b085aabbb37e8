"""Which fields of a document a backfill can read, as far as its text proves it.

A proof, not an observation: a function that reads a field of one document in a million reads it.
Wherever the document itself may go elsewhere (into a helper, a spread, an object, `arguments`),
nothing is proved, and all fields count as read.
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from valet_studio.schema.syntax import parse, parts_of, string_value, text_of, walk

_FUNCTIONS = {"arrow_function", "function_expression"}
_WRAPPERS = {"parenthesized_expression", "as_expression", "non_null_expression"}
_NAMES = {
    "identifier",
    "shorthand_property_identifier",
    "shorthand_property_identifier_pattern",
}
_REACH_EVERYTHING = {"arguments", "eval"}


def fields_read(code: str) -> frozenset[str] | None:
    """The properties that a function takes of its one argument; None where that is not sure.

    Args:
        code: the text of the function, as its `toString` gives it.
    """
    root = parse(f"({code})")
    function = _function(root)
    if function is None or root.has_error:
        return None
    names = [node for node in walk(function) if node.type in _NAMES]
    if any(text_of(node) in _REACH_EVERYTHING for node in names):
        return None
    given = function.child_by_field_name("parameter") or _first_parameter(function)
    if given is None:
        return frozenset()
    if given.type == "object_pattern":
        keys = list(_pattern_keys(given))
        return None if None in keys else frozenset(key for key in keys if key is not None)
    if given.type != "identifier":
        return None
    uses = [n for n in names if text_of(n) == text_of(given) and n.start_byte != given.start_byte]
    read = [_property_taken(use) for use in uses]
    return None if None in read else frozenset(name for name in read if name is not None)


def _function(root: Node) -> Node | None:
    """The one function that the text consists of."""
    node = root
    while node.type not in _FUNCTIONS:
        inner = parts_of(node)
        if len(inner) != 1 or node.type not in ("program", "expression_statement", *_WRAPPERS):
            return None
        node = inner[0]
    return node


def _first_parameter(function: Node) -> Node | None:
    given = parts_of(function.child_by_field_name("parameters"))
    if not given:
        return None
    if given[0].type != "required_parameter" or given[0].child_by_field_name("value") is not None:
        return given[0]
    return given[0].child_by_field_name("pattern")


def _pattern_keys(pattern: Node) -> Iterator[str | None]:
    """The properties that `{ a, b: c, d = 1 }` takes; None for one that is not written out."""
    for part in pattern.named_children:
        if part.type == "object_assignment_pattern":
            part = part.child_by_field_name("left") or part
        if part.type == "shorthand_property_identifier_pattern":
            yield text_of(part)
        elif part.type == "pair_pattern":
            yield _key(part.child_by_field_name("key"))
        elif part.type != "comment":
            yield None


def _property_taken(use: Node) -> str | None:
    """The property of `row.name` or `row["name"]`; None for any other use of the document."""
    node = use
    while node.parent is not None and node.parent.type in _WRAPPERS:
        node = node.parent
    taken = node.parent
    if taken is None or taken.child_by_field_name("object") != node:
        return None
    around = taken.parent
    if around is not None and around.child_by_field_name("function") == taken:
        return None  # A call hands the document on, as `this`.
    if taken.type == "member_expression":
        return _key(taken.child_by_field_name("property"))
    if taken.type == "subscript_expression":
        return _key(taken.child_by_field_name("index"))
    return None


def _key(node: Node | None) -> str | None:
    if node is None:
        return None
    if node.type == "string":
        return string_value(node)
    return (
        text_of(node) if node.type == "property_identifier" and "\\" not in text_of(node) else None
    )
