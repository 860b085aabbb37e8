"""Which declaration a name stands for, within a module and across imports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from tree_sitter import Node

from valet_studio.schema.declarations import FUNCTIONS, declared_name, declared_names, names_of
from valet_studio.schema.syntax import (
    arguments_of,
    import_sources,
    inside,
    name_of,
    parse,
    parts_of,
    string_value,
    text_of,
    walk,
)
from valet_studio.typescript.modules import resolve_module

_MERGED = frozenset({"enum_declaration", "internal_module", "module"})
"""Declarations of which several under one name make one thing together."""
_SCOPES = FUNCTIONS | {
    "program",
    "statement_block",
    "switch_body",
    "for_statement",
    "for_in_statement",
    "catch_clause",
    "class",
    "class_declaration",
}
NAME_TYPES = frozenset(
    {"identifier", "shorthand_property_identifier", "shorthand_property_identifier_pattern"}
)


@dataclass(eq=False, slots=True)
class Module:
    """One module's text and tree, and the names that its scopes declare."""

    file: str
    text: str
    root: Node
    _scopes: dict[int, dict[str, Binding]] = field(default_factory=dict)

    def resolve(self, use: Node) -> Binding | None:
        """What a name means where it stands; None for a global."""
        name = text_of(use)
        scope: Node | None = use.parent
        while scope is not None:
            if scope.type in _SCOPES:
                found = self.names(scope).get(name)
                if found is not None:
                    return found
            scope = scope.parent
        return None

    def declares(self, use: Node) -> bool:
        """Whether a name is the user's own and no global."""
        return self.resolve(use) is not None

    def names(self, scope: Node) -> dict[str, Binding]:
        """The names that a scope itself declares."""
        found = self._scopes.get(scope.id)
        if found is None:
            found = {}
            for name, node, kind in declared_names(scope):
                found.setdefault(name, Binding(self, name, node, kind, scope))
            self._scopes[scope.id] = found
        return found


ModuleNode: TypeAlias = tuple[Module, Node]
"""A piece of source text, and the module that it stands in."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One declared name."""

    module: Module
    name: str
    node: Node
    """What must be read to know its value: a declarator, function, class, parameter, …"""
    kind: str
    """`value`, `parameter`, `loop`, `import` or `json`."""
    scope: Node


class Program:
    """All modules of a schema, parsed when they are first needed."""

    def __init__(self, files: dict[str, str]):
        self._files = files
        self._modules: dict[str, Module] = {}

    def module(self, file: str) -> Module:
        """A module by its path in the valet directory."""
        if file not in self._modules:
            text = self._files[file]
            source = f"export default ({text})" if file.endswith(".json") else text
            self._modules[file] = Module(file, text, parse(source))
        return self._modules[file]

    def modules(self) -> Iterator[Module]:
        """All modules of TypeScript or JavaScript."""
        return (self.module(file) for file in sorted(self._files) if not file.endswith(".json"))

    def follow(self, binding: Binding, use: Node) -> list[Binding]:
        """The declarations in other modules that an imported name stands for."""
        if binding.kind != "import":
            return [binding]
        statement = _enclosing(binding.node, "import_statement")
        source = statement.child_by_field_name("source") if statement is not None else None
        file = self._target(binding.module, source)
        if file is None:
            return [binding]
        if binding.node.type == "namespace_import":
            member = use.parent
            name = None
            if member is not None and member.type == "member_expression":
                picked = member.child_by_field_name("property")
                name = text_of(picked) if picked is not None and picked != use else None
            return self.exported(file, name)
        if binding.node.type == "import_specifier":
            original = binding.node.child_by_field_name("name")
            return self.exported(file, name_of(original) if original is not None else binding.name)
        return self.exported(file, "default")

    def imported_at(self, module: Module, root: Node) -> list[Binding]:
        """All that the modules export which a piece of text imports where it runs."""
        sources = import_sources(root) if "import" in text_of(root) else ()
        files = [self._target(module, node) for node in sources if _is_given(node)]
        return [found for file in files if file is not None for found in self.exported(file, None)]

    def exported(
        self, file: str, name: str | None, seen: frozenset[tuple[str, str | None]] = frozenset()
    ) -> list[Binding]:
        """What a module exports under a name; all of it where the name is None."""
        if (file, name) in seen:
            return []
        seen |= {(file, name)}
        module = self.module(file)
        found: list[Binding] = []
        for statement in module.root.named_children:
            if statement.type == "export_statement":
                found += self._exports(module, statement, name, seen)
        return found

    def _exports(
        self,
        module: Module,
        statement: Node,
        name: str | None,
        seen: frozenset[tuple[str, str | None]],
    ) -> Iterator[Binding]:
        target = self._target(module, statement.child_by_field_name("source"))
        declaration = statement.child_by_field_name("declaration")
        value = statement.child_by_field_name("value")
        is_default = any(child.type == "default" for child in statement.children)
        if is_default:
            if name in (None, "default") and (declaration or value) is not None:
                node = declaration or value
                assert node is not None
                yield Binding(module, "default", node, "value", module.root)
            return
        if declaration is not None:
            for declared, node, kind in names_of(declaration):
                if name in (None, declared):
                    yield Binding(module, declared, node, kind, module.root)
            return
        clause = next((c for c in statement.children if c.type == "export_clause"), None)
        if clause is not None:
            for specifier in clause.named_children:
                original = specifier.child_by_field_name("name")
                alias = specifier.child_by_field_name("alias") or original
                if original is None or alias is None or name not in (None, name_of(alias)):
                    continue
                if target is not None:
                    yield from self.exported(target, name_of(original), seen)
                else:
                    local = module.names(module.root).get(name_of(original))
                    if local is not None:
                        yield from self.follow(local, original)
            return
        if target is not None:
            namespace = next((c for c in statement.children if c.type == "namespace_export"), None)
            if namespace is None:
                if name != "default":
                    yield from self.exported(target, name, seen)
            elif name is None or name == name_of(namespace.named_children[0]):
                yield from self.exported(target, None, seen)

    def _target(self, module: Module, source: Node | None) -> str | None:
        if source is None:
            return None
        specifier = string_value(source)
        if not specifier.startswith("."):
            return None
        return resolve_module(module.file, specifier, self._files.__contains__)

    def pieces(self, binding: Binding) -> list[ModuleNode]:
        """The text that must be read to know a name's value."""
        module = binding.module
        if binding.kind != "parameter":
            return [(module, binding.node)]
        function = binding.scope
        position = _position(function, binding.node)
        found = [(module, binding.node)]
        callee = self.named(module, function)
        if callee is not None and position is not None:
            for owner, call in self._calls(callee):
                found += [(owner, node) for node in _arguments(call, position)]
            return found
        holder = function.parent
        while holder is not None and holder.type in ("arguments", "parenthesized_expression"):
            holder = holder.parent
        if holder is not None and holder.type == "call_expression":
            # `names.map((name) => …)`: the parameter comes from the callee and its arguments.
            called = holder.child_by_field_name("function")
            nodes = [called, *(n for n in arguments_of(holder) if not inside(function, n))]
            return found + [(module, n) for n in nodes if n is not None]
        statement: Node = function
        while statement.parent is not None and statement.parent.type != "program":
            statement = statement.parent
        return [*found, (module, statement)]

    def named(self, module: Module, function: Node) -> Binding | None:
        """The binding under which a function can be called by name."""
        name = function.child_by_field_name("name")
        if function.type in ("function_declaration", "generator_function_declaration"):
            if name is None:
                return None
            return module.resolve(name)
        holder = function.parent
        if holder is not None and holder.type == "variable_declarator":
            name = holder.child_by_field_name("name")
            if name is not None and name.type == "identifier":
                return module.resolve(name)
        return None

    def _calls(self, callee: Binding) -> Iterator[ModuleNode]:
        for file in sorted(self._files):
            if file.endswith(".json") or callee.name not in self._files[file]:
                # A renaming import still has to mention the name.
                continue
            module = self.module(file)
            for node in walk(module.root):
                if node.type != "call_expression":
                    continue
                called = node.child_by_field_name("function")
                use = called
                if called is not None and called.type == "member_expression":
                    use = called.child_by_field_name("object")
                if use is None or use.type != "identifier":
                    continue
                binding = module.resolve(use)
                if binding is None or (use != called and binding.node.type != "namespace_import"):
                    continue
                if any(
                    target.module is callee.module
                    and (target.node == callee.node or inside(callee.node, target.node))
                    for target in self.follow(binding, use)
                ):
                    yield module, node

    def statements_beside(self, binding: Binding) -> Iterator[Node]:
        """The statements of a declaration's own block that declare nothing themselves, or more of
        the same enum or namespace."""
        if binding.scope.type not in ("program", "statement_block"):
            return
        for statement in binding.scope.named_children:
            if statement.type in (
                "expression_statement",
                "if_statement",
                "for_statement",
                "for_in_statement",
                "while_statement",
                "do_statement",
                "try_statement",
                "switch_statement",
                "statement_block",
            ):
                yield statement
                continue
            more = statement.child_by_field_name("declaration") or statement
            same_name = more.type in _MERGED and declared_name(more) == binding.name
            if same_name and more != binding.node:
                yield more


def _is_given(source: Node) -> bool:
    """Whether the string of an import is the argument of `import(…)`."""
    return source.parent is not None and source.parent.type == "arguments"


def _enclosing(node: Node, kind: str) -> Node | None:
    found: Node | None = node
    while found is not None and found.type != kind:
        found = found.parent
    return found


def _position(function: Node, parameter: Node) -> int | None:
    if function.child_by_field_name("parameter") is not None:
        return 0
    names = parts_of(function.child_by_field_name("parameters"))
    return next((i for i, node in enumerate(names) if node == parameter), None)


def _arguments(call: Node, position: int) -> list[Node]:
    """What a call passes at a position; all of it where a spread or a rest hides that."""
    given = arguments_of(call)
    if any(node.type == "spread_element" for node in given):
        return given
    return given[position : position + 1]
