"""The names that one scope of a module declares, read off its syntax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from tree_sitter import Node

from valet_studio.schema.syntax import text_of

FUNCTIONS = frozenset(
    {
        "arrow_function",
        "function_expression",
        "function_declaration",
        "generator_function",
        "generator_function_declaration",
        "method_definition",
    }
)
_DECLARATIONS = frozenset(
    {
        "function_declaration",
        "generator_function_declaration",
        "class_declaration",
        "abstract_class_declaration",
        "enum_declaration",
        "internal_module",
        "module",
    }
)
_ERASED = frozenset({"interface_declaration", "type_alias_declaration", "ambient_declaration"})

DeclaredName: TypeAlias = tuple[str, Node, str]
"""A name, the node that tells its value, and its kind: see `scopes.Binding`."""


def declared_names(scope: Node) -> Iterator[DeclaredName]:
    """Each name that a scope declares itself."""
    kind = scope.type
    if kind in FUNCTIONS:
        yield from _of_function(scope)
    elif kind in ("program", "statement_block", "switch_body"):
        yield from _of_block(scope)
    elif kind == "for_statement":
        initializer = scope.child_by_field_name("initializer")
        if initializer is not None:
            yield from names_of(initializer)
    elif kind == "for_in_statement":
        if scope.child_by_field_name("kind") is not None:
            for name in _pattern_names(scope.child_by_field_name("left")):
                yield name, scope.child_by_field_name("right") or scope, "loop"
    elif kind == "catch_clause":
        for name in _pattern_names(scope.child_by_field_name("parameter")):
            yield name, scope, "value"
    elif kind == "class":
        yield from _own_name(scope)


def _of_function(function: Node) -> Iterator[DeclaredName]:
    """Its parameters, what is hoisted in its body, and the name of an expression."""
    single = function.child_by_field_name("parameter")
    if single is not None:
        yield text_of(single), single, "parameter"
    parameters = function.child_by_field_name("parameters")
    for node in parameters.named_children if parameters is not None else []:
        for name in _pattern_names(node.child_by_field_name("pattern")):
            yield name, node, "parameter"
    body = function.child_by_field_name("body")
    if body is not None:
        yield from _hoisted(body)
    if function.type in ("function_expression", "generator_function"):
        yield from _own_name(function)


def _of_block(block: Node) -> Iterator[DeclaredName]:
    statements = block.named_children
    if block.type == "switch_body":
        statements = [child for case in statements for child in case.named_children]
    for statement in statements:
        if statement.type == "import_statement":
            yield from _imported(statement)
        elif statement.type == "export_statement":
            declaration = statement.child_by_field_name("declaration")
            if declaration is not None:
                yield from names_of(declaration)
        else:
            yield from names_of(statement)
    if block.type == "program":
        yield from _hoisted(block)


def _own_name(scope: Node) -> Iterator[DeclaredName]:
    """The name of a class or function expression, which is known within it alone."""
    name = scope.child_by_field_name("name")
    if name is not None:
        yield text_of(name), scope, "value"


def names_of(statement: Node) -> Iterator[DeclaredName]:
    """The names that a statement declares in the scope that it stands in."""
    if statement.type in ("lexical_declaration", "variable_declaration"):
        for declarator in statement.named_children:
            if declarator.type == "variable_declarator":
                for name in _pattern_names(declarator.child_by_field_name("name")):
                    yield name, declarator, "value"
    elif statement.type in _DECLARATIONS:
        declared = declared_name(statement)
        if declared is not None:
            yield declared, statement, "value"
    elif statement.type == "expression_statement":
        # tree-sitter gives `namespace X { … }` as an expression statement.
        for child in statement.named_children:
            if child.type == "internal_module":
                yield from names_of(child)


def declared_name(declaration: Node) -> str | None:
    """The name that a declaration gives its scope: `X` for `namespace X.Y { … }`."""
    name = declaration.child_by_field_name("name")
    return text_of(name).partition(".")[0].strip() if name is not None else None


def _hoisted(body: Node) -> Iterator[DeclaredName]:
    """Names of `var` declarations anywhere in a function's body, but not in inner functions."""
    stack = list(body.named_children)
    while stack:
        node = stack.pop()
        if node.type in FUNCTIONS or node.type in _ERASED:
            continue
        if node.type == "variable_declaration":
            yield from names_of(node)
        stack.extend(node.named_children)


def _imported(statement: Node) -> Iterator[DeclaredName]:
    clause = next((c for c in statement.named_children if c.type == "import_clause"), None)
    for child in clause.named_children if clause is not None else []:
        if child.type == "identifier":
            yield text_of(child), child, "import"
        elif child.type == "namespace_import":
            yield text_of(child.named_children[0]), child, "import"
        elif child.type == "named_imports":
            for specifier in child.named_children:
                if specifier.type != "import_specifier":
                    continue
                local = specifier.child_by_field_name("alias") or specifier.child_by_field_name(
                    "name"
                )
                if local is not None:
                    yield text_of(local), specifier, "import"


def _pattern_names(pattern: Node | None) -> Iterator[str]:
    """The names that a binding pattern declares, not those that its defaults use."""
    if pattern is None:
        return
    if pattern.type in ("identifier", "shorthand_property_identifier_pattern"):
        yield text_of(pattern)
    elif pattern.type == "pair_pattern":
        yield from _pattern_names(pattern.child_by_field_name("value"))
    elif pattern.type in ("assignment_pattern", "object_assignment_pattern"):
        yield from _pattern_names(pattern.child_by_field_name("left"))
    elif pattern.type in ("object_pattern", "array_pattern", "rest_pattern"):
        for child in pattern.named_children:
            yield from _pattern_names(child)
