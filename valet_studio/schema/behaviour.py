"""What a backfill does, as a digest: the function and all that it can reach, and nothing else.

The functions here are pure: they read the syntax trees of the modules and run nothing. Two
texts that differ in comments, layout, quotes, trailing commas, semicolons, parentheses or types
have one digest; a change of any helper or constant that the function can reach changes it, and so
does a change of what modules do to these while they load.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from valet_studio.errors import Location, lines_of
from valet_studio.schema.canonical import canonical
from valet_studio.schema.effects import Effects
from valet_studio.schema.impurity import impurities_in
from valet_studio.schema.model import Impurity, Sources
from valet_studio.schema.scopes import Binding, Module, ModuleNode, Program
from valet_studio.schema.syntax import (
    arguments_of,
    inside,
    location_of,
    name_of,
    node_at,
    text_of,
    walk,
)
from valet_studio.typescript.modules import shown_path


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One backfill's behaviour."""

    digest: str
    """SHA-256 (hex) over the canonical text of all that the function can reach."""
    code: str
    """The function as written."""
    impurities: tuple[Impurity, ...] = ()


class Behaviours:
    """The behaviours of one schema's backfills. Modules are parsed when they are first needed."""

    def __init__(self, sources: Sources):
        self._sources = sources
        self._program = Program(sources.files)
        self._effects = Effects(self._program)

    def of(self, location: Location, code: str) -> Behaviour:
        """The behaviour of the `.backfill(…)` called at a place; `code` is what its function's
        toString gives, for calls that the syntax tree does not show."""
        reach = self._reach(location)
        if reach is None:
            return self._opaque(code)
        found = [
            Impurity(name, location_of(node, shown_path(self._sources.folder, owner.file)))
            for owner, root in reach.roots
            for name, node in impurities_in(root, owner)
        ]
        digest = hashlib.sha256(reach.text.encode("utf-8", "surrogatepass")).hexdigest()
        distinct = {(i.name, i.location): i for i in found}
        return Behaviour(digest, _dedent(reach.roots[0][1]), tuple(distinct.values()))

    def reached(self, location: Location) -> list[ModuleNode]:
        """All that the function of the `.backfill(…)` called at a place can reach, itself first;
        empty where it cannot be found."""
        reach = self._reach(location)
        return reach.roots if reach is not None else []

    def field_place(self, name: str, call: Location) -> Location:
        """Where a field's name is written, given the place of its validator's call."""
        file = self._file(call)
        node = node_at(self._program.module(file).root, call) if self._has(file) else None
        while node is not None and node.type not in ("statement_block", "program"):
            if node.type == "pair":
                key = node.child_by_field_name("key")
                if key is not None and name_of(key) == name:
                    return location_of(key, call.file)
                return call
            node = node.parent
        return call

    def key_place(self, key: str, call: Location) -> Location:
        """Where a property is written in the first object that a call is given, or the call."""
        node = self._call_around(self._file(call), call)
        objects = [value for value in arguments_of(node) if value.type == "object"]
        for pair in (pair for value in objects for pair in value.named_children):
            name = pair.child_by_field_name("key") or pair
            if name_of(name) == key:
                return location_of(name, call.file)
        return call

    def loop_place(self) -> Location | None:
        """The one loop of the modules that has no end in sight, or their only loop."""
        loops: list[tuple[bool, Location]] = []
        for file in self._sources.files:
            if not self._has(file):
                continue
            shown = shown_path(self._sources.folder, file)
            for node in walk(self._program.module(file).root):
                if node.type in ("for_statement", "while_statement", "do_statement"):
                    condition = node.child_by_field_name("condition")
                    text = text_of(condition).strip("(); ") if condition is not None else ""
                    loops.append((text in ("", "true", "1"), location_of(node, shown)))
        for found in ([place for endless, place in loops if endless], [p for _, p in loops]):
            if len(found) == 1:
                return found[0]
        return None

    def _file(self, location: Location) -> str:
        folder = self._sources.folder
        prefix = "" if folder in ("", ".") else f"{folder.rstrip('/')}/"
        return location.file.removeprefix(prefix)

    def _has(self, file: str) -> bool:
        return file in self._sources.files and not file.endswith(".json")

    def _call_around(self, file: str, location: Location) -> Node | None:
        node = node_at(self._program.module(file).root, location) if self._has(file) else None
        while node is not None and node.type != "call_expression":
            node = node.parent
        return node

    def _call_at(self, file: str, location: Location) -> Node | None:
        node = self._call_around(file, location)
        function = node.child_by_field_name("function") if node is not None else None
        name = function.child_by_field_name("property") if function is not None else None
        return node if name is not None and text_of(name) == "backfill" else None

    def _reach(self, location: Location) -> _Reach | None:
        """What the function of a `.backfill(…)` leads to; None where the tree does not show it."""
        file = self._file(location)
        call = self._call_at(file, location)
        values = arguments_of(call)
        if len(values) < 2 or any(value.type == "spread_element" for value in values[:2]):
            return None
        reach = _Reach(self._program, self._effects)
        reach.trace(self._program.module(file), values[1])
        return reach

    def _opaque(self, code: str) -> Behaviour:
        """For a function that cannot be found: its text, and everything of all modules."""
        parts = [code]
        for file, text in sorted(self._sources.files.items()):
            module = self._program.module(file)
            parts.append(text if file.endswith(".json") else canonical(module.root))
        digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
        return Behaviour(digest, code)


@dataclass(slots=True)
class _Reach:
    """Follows the names of a function to their declarations, and theirs to others."""

    program: Program
    effects: Effects
    roots: list[ModuleNode] = field(default_factory=list)
    """Every piece of text that was reached, in the order in which names lead to it."""
    text: str = ""
    """The canonical text of all of it: pieces numbered as they are met, and every name followed
    by the number of the piece that it stands for."""
    _numbers: dict[tuple[str, int, int], int] = field(default_factory=dict)
    _bindings: list[Binding] = field(default_factory=list)

    def trace(self, module: Module, start: Node) -> None:
        """Follow all that `start` reaches."""
        pieces: list[str] = []
        self._add(module, start)
        done = 0
        while done < len(self.roots):
            while done < len(self.roots):
                owner, root = self.roots[done]
                pieces.append(self._piece(owner, root))
                done += 1
            for owner, statement in self._changes(module, start):
                self._add(owner, statement)
        self.text = "\n".join(pieces)

    def _add(self, module: Module, node: Node) -> int:
        key = (module.file, node.start_byte, node.end_byte)
        if key not in self._numbers:
            self._numbers[key] = len(self.roots)
            self.roots.append((module, node))
        return self._numbers[key]

    def _piece(self, module: Module, root: Node) -> str:
        if module.file.endswith(".json"):
            return json.dumps(json.loads(module.text)) if module.text else ""

        def number(node: Node) -> str | None:
            binding = module.resolve(node)
            if binding is None:
                return None
            if binding.module is module and inside(binding.node, root):
                return None
            return ",".join(str(i) for i in self._targets(binding, node))

        text = canonical(root, number)
        imported = self._pieces(self.program.imported_at(module, root))
        return text + "".join(f"#{i}" for i in imported)

    def _targets(self, binding: Binding, use: Node) -> list[int]:
        """The pieces that a name outside of the current one stands for."""
        return self._pieces(self.program.follow(binding, use))

    def _pieces(self, bindings: Iterable[Binding]) -> list[int]:
        found = []
        for target in bindings:
            if target not in self._bindings:
                self._bindings.append(target)
            found += [self._add(module, node) for module, node in self.program.pieces(target)]
        return found

    def _changes(self, module: Module, start: Node) -> Iterator[ModuleNode]:
        """Statements that may change what a declaration holds (`mapping.high = 3`)."""
        for binding in list(self._bindings):
            for owner, statement in self.effects.on(binding):
                if not (owner is module and inside(start, statement)):
                    yield owner, statement
            for statement in self.program.statements_beside(binding):
                if binding.module is module and inside(start, statement):
                    continue
                if any(
                    inside(statement, root) and owner is binding.module
                    for owner, root in self.roots
                ):
                    continue
                for node in walk(statement):
                    if (
                        node.type in ("identifier", "shorthand_property_identifier")
                        and text_of(node) == binding.name
                        and binding.module.resolve(node) == binding
                    ):
                        yield binding.module, statement
                        break


def _dedent(node: Node) -> str:
    """The text of a node without the indentation that its surroundings gave it."""
    first, *rest = lines_of(text_of(node)) or [""]
    margin = min((len(x) - len(x.lstrip()) for x in rest if x.strip()), default=0)
    return "\n".join([first, *(line[margin:] for line in rest)])
