"""TypeScript as a syntax tree: the few ways in which other modules look at one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache

import tree_sitter_typescript
from tree_sitter import Language, Node, Parser, Query, QueryCursor

from valet_studio.errors import Location

_LANGUAGE = Language(tree_sitter_typescript.language_typescript())


@lru_cache(maxsize=16)
def parse(text: str) -> Node:
    """The root of a module's tree; wrong syntax gives ERROR nodes, never an exception."""
    return parse_part(text)


def parse_part(text: str) -> Node:
    """The same of what is no whole module; it keeps no module's tree from being kept."""
    return Parser(_LANGUAGE).parse(text.encode()).root_node


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order of the text."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(current.children))


def text_of(node: Node) -> str:
    """The source text of a node."""
    return (node.text or b"").decode()


_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]+)\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|[\s\S]))")
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_LINE_ENDS = ("\n", "\r\n", "\r", "\u2028", "\u2029")


def string_value(node: Node) -> str:
    """What a string literal means, whatever its quotes and escapes."""

    def unescape(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        if code:
            return chr(int(code, 16))
        return "" if match[4] in _LINE_ENDS else _NAMED.get(match[4], match[4])

    return _ESCAPE.sub(unescape, text_of(node)[1:-1])


def name_of(key: Node) -> str:
    """The name that the key of a property stands for, or what an import or export names."""
    return string_value(key) if key.type == "string" else text_of(key)


def parts_of(node: Node | None) -> list[Node]:
    """What a node is made of, comments left out; nothing where there is none."""
    return [n for n in node.named_children if n.type != "comment"] if node is not None else []


def arguments_of(call: Node | None) -> list[Node]:
    """What a call is given."""
    return parts_of(call.child_by_field_name("arguments")) if call is not None else []


def inside(node: Node, outer: Node) -> bool:
    """Whether a node lies within another of the same tree, or is it."""
    return outer.start_byte <= node.start_byte and node.end_byte <= outer.end_byte


def location_of(node: Node, file: str) -> Location:
    """Where a node begins, as editors count."""
    return _locator(_lines(_root(node)), file)(node)


def locator(root: Node, file: str) -> Callable[[Node], Location]:
    """A `location_of` for many nodes of one tree."""
    return _locator(_split(root), file)


def _locator(lines: list[bytes], file: str) -> Callable[[Node], Location]:
    def locate(node: Node) -> Location:
        row, column = node.start_point
        before = lines[row][:column]
        if not before.isascii():
            column = len(before.decode("utf-8", "replace").encode("utf-16-le")) // 2
        return Location(file, row + 1, column + 1)

    return locate


def node_at(root: Node, location: Location) -> Node | None:
    """The smallest node that stands at a place."""
    lines = _lines(root)
    row = location.line - 1
    if not 0 <= row < len(lines):
        return None
    before = lines[row].decode().encode("utf-16-le")[: 2 * (location.column - 1)]
    column = len(before.decode("utf-16-le", "replace").encode())
    return root.descendant_for_point_range((row, column), (row, column + 1))


def _root(node: Node) -> Node:
    while node.parent is not None:
        node = node.parent
    return node


@lru_cache(maxsize=16)
def _lines(root: Node) -> list[bytes]:
    return _split(root)


def _split(root: Node) -> list[bytes]:
    """The lines of a file; a tree begins only where its first token does."""
    start = root.start_point
    text = b"\n" * start.row + b" " * start.column + (root.text or b"")
    return text.split(b"\n")


_IMPORTS = """
    (import_statement source: (string) @source)
    (export_statement source: (string) @source)
    (import_require_clause source: (string) @source)
    (call_expression function: (import) arguments: (arguments . (string) @source))
"""


_MAY_BE_DEEP = re.compile(rb"import\s*[(/]|\b(namespace|module|declare)\b")
_STATEMENT_DEPTH = 2
"""Below the root; a require clause stands inside its statement."""


def import_sources(root: Node) -> list[Node]:
    """The string of every import, export … from and import(…), in the order of the text."""
    cursor = QueryCursor(_query(_IMPORTS))
    if not _MAY_BE_DEEP.search(root.text or b""):
        cursor.set_max_start_depth(_STATEMENT_DEPTH)
    found = cursor.captures(root).get("source", [])
    return sorted(found, key=lambda node: node.start_byte)


def imports_from(root: Node, specifier: str) -> Iterator[Node]:
    """The import statements of a module that name another one so."""
    for statement in root.named_children:
        if statement.type == "import_statement":
            source = statement.child_by_field_name("source")
            if source is not None and string_value(source) == specifier:
                yield statement


_MUTATORS = (
    *("add", "clear", "copyWithin", "delete", "fill", "pop", "push", "reverse", "set"),
    *("shift", "sort", "splice", "unshift"),
)
_OBJECT_MUTATORS = ("assign", "defineProperties", "defineProperty", "set", "setPrototypeOf")
_ASSIGNMENTS = """
    (assignment_expression left: (_) @written)
    (augmented_assignment_expression left: (_) @written)
    (update_expression argument: (_) @written)
    (unary_expression operator: "delete" argument: (_) @written)
    (for_in_statement !kind left: (_) @written)
"""
_CHANGING_CALLS = f"""
    (call_expression
        function: (member_expression
            object: (_) @written property: (property_identifier) @method)
        (#any-of? @method {" ".join(f'"{name}"' for name in _MUTATORS)}))
    (call_expression
        function: (member_expression
            object: (identifier) @owner property: (property_identifier) @method)
        arguments: (arguments . (_) @written)
        (#any-of? @owner "Object" "Reflect")
        (#any-of? @method {" ".join(f'"{name}"' for name in _OBJECT_MUTATORS)}))
"""
_MAY_ASSIGN = re.compile(
    r"(?:\.\s*#?[\w$]+|\]|(?:^|[;{}()=>,:])\s*[\w$]+)[!)}\s]*"
    r"(?:[-+*/%&|^]|\*\*|<<|>>>?|&&|\|\||\?\?)?=(?![=>])"
    r"|\+\+|--|\bdelete\b|\bfor\s*\(\s*(?!const\b|let\b|var\b)",
    re.MULTILINE,
)
_MAY_CHANGE = re.compile(rf"\.\s*(?:{'|'.join((*_MUTATORS, *_OBJECT_MUTATORS))})\s*\(")


def written_in(root: Node, text: str) -> list[Node]:
    """What the code of a module assigns to, deletes from, or calls a changing method of.

    Args:
        text: of the module; most hold nothing of the kind, and to look through it is faster.
    """
    found: list[Node] = []
    for sign, query in ((_MAY_ASSIGN, _ASSIGNMENTS), (_MAY_CHANGE, _CHANGING_CALLS)):
        if sign.search(text):
            found += QueryCursor(_query(query)).captures(root).get("written", [])
    return sorted(found, key=lambda node: node.start_byte)


_CALLS = "(call_expression function: [(identifier) (member_expression)] @name)"


def calls_of(node: Node, *names: str) -> list[Node]:
    """The calls of functions at or below a node, by the texts that name them."""
    found = QueryCursor(_query(_CALLS)).captures(node).get("name", [])
    named = sorted((n for n in found if text_of(n) in names), key=lambda n: n.start_byte)
    return [call for call in (n.parent for n in named) if call is not None]


@cache
def _query(text: str) -> Query:
    """A query, compiled when it is first asked: that takes longer than to parse a schema."""
    return Query(_LANGUAGE, text)
