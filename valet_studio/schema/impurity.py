"""Sources of values that differ from run to run, as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tree_sitter import Node

from valet_studio.schema.syntax import text_of, walk

_MEMBERS = {"Date.now", "Math.random", "performance.now", "Temporal.Now"}


class DeclaresNames(Protocol):
    """What knows whether a name is the user's own and no global."""

    def declares(self, node: Node) -> bool:
        """Whether the identifier is declared somewhere around it."""


def impurities_in(root: Node, names: DeclaresNames) -> Iterator[tuple[str, Node]]:
    """Each source's name and where it stands."""
    for node in walk(root):
        if node.type == "member_expression":
            owner = _global(node.child_by_field_name("object"), names)
            member = node.child_by_field_name("property")
            name = f"{owner}.{text_of(member)}" if owner and member is not None else ""
            if name in _MEMBERS or owner == "crypto":
                yield name, node
        elif node.type == "new_expression":
            arguments = node.child_by_field_name("arguments")
            if _global(node.child_by_field_name("constructor"), names) == "Date" and (
                arguments is None or not arguments.named_children
            ):
                yield "new Date()", node
        elif (
            node.type == "call_expression"
            and _global(node.child_by_field_name("function"), names) == "Date"
        ):
            yield "Date()", node


def _global(node: Node | None, names: DeclaresNames) -> str | None:
    """The name of a global object, whether or not it is reached through `globalThis`."""
    if node is None:
        return None
    if node.type == "identifier":
        return None if names.declares(node) else text_of(node)
    if node.type == "member_expression":
        owner, member = node.child_by_field_name("object"), node.child_by_field_name("property")
        if owner is not None and text_of(owner) == "globalThis" and member is not None:
            return text_of(member)
    return None
