"""A piece of TypeScript as text in which only what it does is left."""

from __future__ import annotations

import json
from collections.abc import Callable

from tree_sitter import Node

from valet_studio.schema.syntax import string_value, text_of

_LEFT_OUT = frozenset(
    {
        "comment",
        "type_annotation",
        "type_arguments",
        "type_parameters",
        "type_predicate_annotation",
        "asserts_annotation",
        "accessibility_modifier",
        "override_modifier",
        "interface_declaration",
        "type_alias_declaration",
        "implements_clause",
        "readonly",
        "declare",
        "export",
        ";",
        "hash_bang_line",
    }
)
_TYPED = frozenset({"as_expression", "satisfies_expression", "non_null_expression"})
_TRANSPARENT = _TYPED | {"parenthesized_expression"}
_LINKS = {"member_expression": "object", "subscript_expression": "object"} | {
    "call_expression": "function"
}
"""What a chain is made of, and the field in which each link holds the chain before it."""
_MAKES_PROPERTY = frozenset({"accessibility_modifier", "override_modifier", "readonly"})
_CLOSING = frozenset({")", "]", "}"})
NAMES = frozenset({"identifier", "shorthand_property_identifier"})


def canonical(root: Node, number: Callable[[Node], str | None] = lambda _: None) -> str:
    """The structure of a piece of syntax: no comments, layout, types, quotes or parentheses.

    Args:
        root: the piece.
        number: what stands for a name that is declared outside of the piece; None for others.
    """
    parts: list[str] = []
    _write(root, number, parts)
    return "".join(parts)


def _write(node: Node, number: Callable[[Node], str | None], parts: list[str]) -> None:
    kind = node.type
    if kind in _LEFT_OUT or _is_declared_only(node):
        return
    if kind in _TRANSPARENT:
        inner = _inner(node)
        if inner is not None:
            ends = _ends_chain(node, inner)
            parts.append("(parenthesized_expression " if ends else "")
            _write(inner, number, parts)
            parts.append(")" if ends else "")
        return
    if kind == "string":
        parts.append(json.dumps(string_value(node)) + " ")
        return
    if kind == "property_identifier" and _is_key(node):
        parts.append(json.dumps(text_of(node)) + " ")
        return
    if kind == "empty_statement" and _stands_alone(node):
        return
    if kind in NAMES:
        target = number(node)
        parts.append(text_of(node) + (f"#{target} " if target is not None else " "))
        return
    if not node.children:
        parts.append(text_of(node) + " ")
        return
    parts.append(f"({kind} ")
    if kind in ("required_parameter", "optional_parameter") and any(
        child.type in _MAKES_PROPERTY for child in node.children
    ):
        parts.append("this. ")
    if kind == "arrow_function" and (single := node.child_by_field_name("parameter")) is not None:
        _write_single_parameter(node, single, number, parts)
    else:
        for child in node.children:
            if child.type == "," and _is_trailing(child):
                continue
            _write(child, number, parts)
    parts.append(")")


def _write_single_parameter(
    arrow: Node, single: Node, number: Callable[[Node], str | None], parts: list[str]
) -> None:
    """`row => …` as `(row) => …`."""
    for child in arrow.children:
        if child == single:
            parts.append("(formal_parameters ( (required_parameter ")
            _write(child, number, parts)
            parts.append(")) )")
        else:
            _write(child, number, parts)


def _is_declared_only(node: Node) -> bool:
    """Whether it is a class's `declare`d member, which makes no property."""
    return node.type == "public_field_definition" and any(
        child.type == "declare" for child in node.children
    )


def _inner(node: Node) -> Node | None:
    """What stands between parentheses or before a type."""
    return next((c for c in node.named_children if c.type != "comment"), None)


def _ends_chain(node: Node, inner: Node) -> bool:
    """Whether parentheses keep what follows out of a chain: where a is null, `(a?.b).c` fails
    and `a?.b.c` is undefined, as is `(a?.b)?.c`."""
    if node.type != "parenthesized_expression":
        return False
    outer: Node | None = node.parent
    held = node
    while outer is not None and outer.type == "non_null_expression":
        held, outer = outer, outer.parent
    link = _LINKS.get(outer.type) if outer is not None else None
    if outer is None or link is None or outer.child_by_field_name(link) != held:
        return False
    if _is_optional(outer):
        return False
    chain: Node | None = inner
    while chain is not None and chain.type in _TRANSPARENT:
        chain = _inner(chain)
    while chain is not None:
        if _is_optional(chain):
            return True
        if chain.type == "non_null_expression":
            chain = _inner(chain)
        else:
            chain = chain.child_by_field_name(_LINKS.get(chain.type, ""))
    return False


def _is_optional(link: Node) -> bool:
    return any(child.type in ("optional_chain", "?.") for child in link.children)


def _stands_alone(empty: Node) -> bool:
    """Whether an empty statement is none of a loop's or a condition's parts."""
    return empty.parent is not None and empty.parent.type in ("statement_block", "program")


def _is_key(node: Node) -> bool:
    parent = node.parent
    return (
        parent is not None and parent.type == "pair" and parent.child_by_field_name("key") == node
    )


def _is_trailing(comma: Node) -> bool:
    """Whether a comma stands last in a list, where it means nothing (unlike in `[,]`)."""
    following, before = comma.next_sibling, comma.prev_sibling
    while following is not None and following.type == "comment":
        following = following.next_sibling
    while before is not None and before.type == "comment":
        before = before.prev_sibling
    return (
        following is not None
        and following.type in _CLOSING
        and before is not None
        and before.is_named
    )
