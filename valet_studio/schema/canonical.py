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
    if kind in _LEFT_OUT:
        return
    if kind in _TYPED or kind == "parenthesized_expression":
        inner = next((c for c in node.named_children if c.type != "comment"), None)
        if inner is not None:
            _write(inner, number, parts)
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
