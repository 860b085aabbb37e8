"""One module as it is edited: where a table's fields and calls stand in it, and how it is styled.

Edits are insertions and replacements of byte ranges, so that everything else of the file stays
as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from valet_studio.errors import Location
from valet_studio.fixes.fix import CannotEdit, Fix
from valet_studio.fixes.writing import Style
from valet_studio.schema.model import Schema, Table
from valet_studio.schema.syntax import (
    arguments_of,
    calls_of,
    imports_from,
    name_of,
    node_at,
    parse,
    parts_of,
    text_of,
    walk,
)
from valet_studio.typescript.modules import SERVER_MODULE, shown_path

_LINE = 100
"""Characters of a line that is not broken for being too long."""
_WRAPPERS = ("parenthesized_expression", "as_expression", "satisfies_expression")


@dataclass(slots=True)
class Page:
    """A module's text with the edits made so far."""

    file: str
    text: str
    root: Node
    style: Style
    define_table: str
    """What the file calls `defineTable`."""
    define_schema: str = "defineSchema"
    """What it calls `defineSchema`."""
    _edits: list[tuple[int, int, str]] = field(default_factory=list)

    def replace(self, node: Node, text: str) -> None:
        """Put a text in place of a node."""
        self._edits.append((node.start_byte, node.end_byte, text))

    def insert(self, position: int, text: str) -> None:
        """Put a text before the byte at a position."""
        self._edits.append((position, position, text))

    def fix(self, title: str, why: str) -> Fix:
        """All edits as one fix."""
        data = self.text.encode()
        # From the end to the start, so that no edit moves another; of two at one place, the later
        # one goes first and so stands behind.
        ordered = sorted(enumerate(self._edits), key=lambda e: (*e[1][:2], e[0]), reverse=True)
        for _, (start, end, text) in ordered:
            data = data[:start] + text.encode() + data[end:]
        return Fix(title, why, self.file, self.text, data.decode())

    def line_before(self, position: int) -> str:
        """The text between the start of a line and a position in it."""
        data = self.text.encode()
        return data[data.rfind(b"\n", 0, position) + 1 : position].decode()

    def indent(self, start: int, end: int) -> None:
        """Indent what begins a line between two positions by one step more; a text that goes on
        over several lines stays what it is."""
        data = self.text.encode()
        at = data.find(b"\n", start, end) + 1
        while at:
            inside = self.root.descendant_for_byte_range(at, at)
            in_text = inside is not None and inside.type in ("template_string", "string_fragment")
            if data[at : at + 1] != b"\n" and not in_text:
                self.insert(at, self.style.unit)
            at = data.find(b"\n", at, end) + 1

    def indent_of(self, position: int) -> str:
        """The white space at the start of the line of a position."""
        before = self.line_before(position)
        return before[: len(before) - len(before.lstrip(" \t"))]


@dataclass(frozen=True, slots=True)
class TablePlace:
    """One `defineTable({…})` and the calls chained to it."""

    page: Page
    fields: Node
    """The object literal of the fields."""
    chain: Node
    """The outermost call of the chain."""
    calls: tuple[Node, ...]
    """The chained calls, in their order."""

    def field(self, name: str) -> Node:
        """The property that declares a field.

        Raises:
            CannotEdit: it is not written here.
        """
        found = [node for node in self.fields.named_children if _key(node) == name]
        if len(found) != 1:
            raise CannotEdit(
                f"{name} is not written in the defineTable of its table but comes from a spread "
                "or a computed key, which other tables may share."
            )
        following = [
            node for node in self.fields.named_children if node.start_byte > found[0].end_byte
        ]
        if any(node.type == "spread_element" for node in following):
            raise CannotEdit(f"A spread after {name} may put another validator in its place.")
        return found[0]

    def chained(self, method: str) -> Iterator[tuple[Node, list[Node]]]:
        """The chained calls of a method, each with its arguments."""
        for call in self.calls:
            function = call.child_by_field_name("function")
            name = function.child_by_field_name("property") if function is not None else None
            if name is not None and text_of(name) == method:
                yield call, arguments_of(call)

    def add_field(self, text: str, beside: Node | None, *, before: bool = False) -> None:
        """Declare one more field after another one, or before it, or as the last.

        A comment above a field keeps belonging to it.
        """
        members = parts_of(self.fields)
        if beside is None and not members:
            self.page.insert(self.fields.start_byte + 1, f" {text} ")
            return
        at = beside or members[-1]
        above = at.prev_sibling
        own_line = not self.page.line_before(at.start_byte).strip()
        if before and not (above is not None and above.type == "comment" and own_line):
            separator = f"\n{self.page.indent_of(at.start_byte)}" if own_line else " "
            self.page.insert(at.start_byte, f"{text},{separator}")
            return
        self._add_after(at, text)

    def _add_after(self, node: Node, text: str) -> None:
        comma, rest = None, _next(node)
        if rest is not None and rest.type == ",":
            comma, rest = rest, _next(rest)
        end = comma or node
        if rest is None or rest.start_point.row == node.end_point.row:
            self.page.insert(node.end_byte, f", {text}")
            return
        position, trailing = end.end_byte, end.next_sibling
        while (
            trailing is not None
            and trailing.type == "comment"
            and trailing.start_point.row == end.end_point.row
        ):
            position, trailing = trailing.end_byte, trailing.next_sibling
        line = f"\n{self.page.indent_of(node.start_byte)}{text}"
        if comma is None:
            self.page.insert(node.end_byte, ",")
        self.page.insert(position, f"{line}," if comma is not None else line)

    def add_call(self, method: str, written: tuple[str, str]) -> None:
        """Chain one more call: `written` is its text up to the last argument, and the rest of it
        with "\\0" for the indentation of the line that it stands on.

        A second call and all after it stand on lines of their own, where one line is too short.
        """
        head, tail = written
        page = self.page
        indent = page.indent_of(self.chain.end_byte)
        text = f".{method}({head}{tail.replace(chr(0), indent)})"
        if self.calls:
            one_line = self.chain.start_point.row == self.chain.end_point.row and "\n" not in text
            if not one_line or len(page.line_before(self.chain.end_byte) + text) > _LINE:
                indent = self._break_chain()
                text = f"\n{indent}.{method}({head}{tail.replace(chr(0), indent)})"
        page.insert(self.chain.end_byte, text)

    def _break_chain(self) -> str:
        """Put each chained call on a line of its own; returns what those are indented by."""
        page = self.page
        last = _dot(self.calls[-1])
        if not page.line_before(last.start_byte).strip():
            return page.indent_of(last.start_byte)
        indent = page.indent_of(self.chain.start_byte) + page.style.unit
        for call in self.calls:
            dot = _dot(call)
            if page.line_before(dot.start_byte).strip():
                page.insert(dot.start_byte, f"\n{indent}")
                page.indent(dot.start_byte, call.end_byte)
        return indent


def table_place(schema: Schema, table: Table) -> TablePlace:
    """Where a table is declared.

    Raises:
        CannotEdit: it is not declared by one `defineTable({…})` of its own.
    """
    location = table.location
    if location is None:
        raise CannotEdit(f"It is not known where {table.name} is declared.")
    others = [t.name for t in schema.tables if t.location == location and t.name != table.name]
    if others:
        raise CannotEdit(f"{table.name} and {others[0]} are declared by the same lines.")
    page = _page(schema, location)
    node = node_at(page.root, location)
    while node is not None and node.type not in ("pair", "call_expression"):
        node = node.parent
    calls = calls_of(node, page.define_table) if node is not None else []
    if len(calls) != 1:
        raise CannotEdit(f"{location} does not show the defineTable of {table.name}.")
    given = arguments_of(calls[0])
    fields = given[0] if given else None
    while fields is not None and fields.type in _WRAPPERS:
        fields = fields.named_children[0]
    if fields is None or fields.type != "object":
        raise CannotEdit(f"The fields of {table.name} are not written in its defineTable.")
    chained = tuple(_chain(calls[0]))
    return TablePlace(page, fields, chained[-1] if chained else calls[0], chained)


def schema_page(schema: Schema) -> Page:
    """schema.ts itself, where the tables get their names."""
    sources = schema.sources
    text = sources.files[sources.entry]
    root = parse(text)
    names = {name: name for name in ("v", "defineTable", "defineSchema")} | _imported(root)
    file, style = shown_path(sources.folder, sources.entry), _style(text, names["v"])
    return Page(file, text, root, style, names["defineTable"], names["defineSchema"])


def _page(schema: Schema, location: Location) -> Page:
    sources = schema.sources
    for file, text in sources.files.items():
        if shown_path(sources.folder, file) == location.file and not file.endswith(".json"):
            root = parse(text)
            names = _imported(root)
            if "v" not in names or "defineTable" not in names:
                raise CannotEdit(f"{location.file} does not import v and defineTable itself.")
            style = _style(text, names["v"])
            return Page(location.file, text, root, style, names["defineTable"])
    raise CannotEdit(f"{location.file} is no module of this schema.")


def _imported(root: Node) -> dict[str, str]:
    """What a module calls the parts of the schema language."""
    names: dict[str, str] = {}
    for statement in imports_from(root, SERVER_MODULE):
        for node in walk(statement):
            if node.type == "namespace_import":
                space = text_of(node.named_children[0])
                names |= {n: f"{space}.{n}" for n in ("v", "defineTable", "defineSchema")}
            elif node.type == "import_specifier":
                name = node.child_by_field_name("name")
                alias = node.child_by_field_name("alias") or name
                if name is not None and alias is not None:
                    names[text_of(name)] = text_of(alias)
    return names


def _style(text: str, v: str) -> Style:
    """How a module is written, by what it does most."""
    lines = [line for line in text.splitlines() if line.strip()]
    quote = '"' if text.count('"') > text.count("'") else "'"
    statements = [line for line in lines if line.startswith("import ")]
    semicolon = ";" if any(line.rstrip().endswith(";") for line in statements) else ""
    steps = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines]
    if any(step.startswith("\t") for step in steps):
        return Style(v, quote, semicolon, "\t")
    # A line of a block comment is indented by one; it tells nothing of the step.
    unit = min((step for step in steps if len(step) > 1), key=len, default="    ")
    return Style(v, quote, semicolon, unit)


def _chain(call: Node) -> Iterator[Node]:
    node = call
    while True:
        member = node.parent
        if member is None or member.type != "member_expression":
            return
        outer = member.parent
        if outer is None or outer.type != "call_expression":
            return
        if outer.child_by_field_name("function") != member:
            return
        yield outer
        node = outer


def _dot(call: Node) -> Node:
    """The "." before the name of a chained call."""
    function = call.child_by_field_name("function")
    assert function is not None
    return next(n for n in function.children if n.type in (".", "?."))


def _next(node: Node) -> Node | None:
    """The next sibling that is no comment."""
    following = node.next_sibling
    while following is not None and following.type == "comment":
        following = following.next_sibling
    return following


def _key(node: Node) -> str | None:
    if node.type == "shorthand_property_identifier":
        return text_of(node)
    key = node.child_by_field_name("key") if node.type == "pair" else None
    if key is None or key.type == "computed_property_name":
        return None
    return name_of(key)
