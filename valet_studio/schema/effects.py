"""Which statements change, while the modules load, what a name of theirs holds: `ranks.low = 1`,
`list.push(3)`, or a call of a function that does so.

Syntax alone is read. What is changed under another name (`const alias = ranks`) is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from valet_studio.schema.declarations import FUNCTIONS
from valet_studio.schema.scopes import NAME_TYPES, Binding, Module, ModuleNode, Program
from valet_studio.schema.syntax import inside, walk, written_in

_DECLARING = frozenset(
    {
        "abstract_class_declaration",
        "class_declaration",
        "export_statement",
        "lexical_declaration",
        "variable_declaration",
    }
)
"""Statements that run at once but for the functions in them, which may be called later or never."""
_OBJECTS = {"member_expression": "object", "subscript_expression": "object"}
_WRAPPERS = frozenset({"as_expression", "non_null_expression", "parenthesized_expression"})


@dataclass(slots=True, eq=False)
class Effects:
    """The changes that the modules of a program make as they load."""

    program: Program
    _found: dict[Binding, list[ModuleNode]] | None = None
    _followed: set[Binding] = field(default_factory=set)

    def on(self, binding: Binding) -> list[ModuleNode]:
        """The statements that change what a declaration holds."""
        if self._found is None:
            self._found = {}
            for module in self.program.modules():
                for written in written_in(module.root, module.text):
                    self._note(module, written, self._found)
        return self._found.get(binding, [])

    def _note(self, module: Module, written: Node, found: dict[Binding, list[ModuleNode]]) -> None:
        for name in _changed(written):
            declared = module.resolve(name)
            if declared is None or declared.scope != module.root:
                continue
            running = list(self._running(module, name))
            for target in self.program.follow(declared, name) if running else ():
                found.setdefault(target, []).extend(running)

    def _running(self, module: Module, node: Node) -> Iterator[ModuleNode]:
        """The statements that run what stands at a node while the modules load."""
        statement, function = node, None
        while statement.parent is not None and statement.parent.type != "program":
            statement = statement.parent
            function = statement if statement.type in FUNCTIONS else function
        if function is None or statement.type not in _DECLARING | FUNCTIONS:
            yield module, statement
            return
        named = self.program.named(module, function)
        if named is None or named in self._followed:
            return
        self._followed.add(named)
        for owner, use in self._uses(named):
            if not (owner is module and inside(use, function)):
                yield from self._running(owner, use)
        self._followed.remove(named)

    def _uses(self, named: Binding) -> Iterator[ModuleNode]:
        """Where a function is called, or handed on by a statement that declares nothing."""
        for module in self.program.modules():
            if named.name not in module.text:
                continue
            for node in walk(module.root):
                if node.type not in NAME_TYPES or node == named.node.child_by_field_name("name"):
                    continue
                declared = module.resolve(node)
                if declared is None or named not in self.program.follow(declared, node):
                    continue
                if _is_called(node) or not _stands_in_declaration(node):
                    yield module, node


def _changed(written: Node) -> Iterator[Node]:
    """The names that are set, or whose objects are changed, where something is written."""
    node: Node | None = written
    while node is not None and node.type in _OBJECTS.keys() | _WRAPPERS:
        inner = node.child_by_field_name(_OBJECTS.get(node.type, ""))
        node = inner or next((c for c in node.named_children if c.type != "comment"), None)
    if node is None:
        return
    if node.type in NAME_TYPES:
        yield node
    elif node.type in ("array_pattern", "object_pattern", "array", "object"):
        yield from (part for part in walk(node) if part.type in NAME_TYPES)


def _is_called(name: Node) -> bool:
    holder = name.parent
    if holder is not None and holder.type == "member_expression":  # of a namespace import
        name, holder = holder, holder.parent
    return holder is not None and name in (
        holder.child_by_field_name("function"),
        holder.child_by_field_name("constructor"),
    )


def _stands_in_declaration(node: Node) -> bool:
    while node.parent is not None and node.parent.type != "program":
        node = node.parent
    return node.type in _DECLARING | FUNCTIONS | {"import_statement"}
