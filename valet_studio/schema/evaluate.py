"""Runs schema.ts in Deno and turns what it declared into a `Schema`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from valet_studio.errors import IsCancelled, Location, Problem, SchemaError, never
from valet_studio.schema.behaviour import Behaviours
from valet_studio.schema.declared import read_schema
from valet_studio.schema.duplicates import duplicate_keys
from valet_studio.schema.literal import LiteralTable, literal_tables
from valet_studio.schema.model import Schema, Sources
from valet_studio.schema.read_context import ReadContext
from valet_studio.schema.syntax import location_of, node_at, parse, text_of
from valet_studio.typescript.endings import ChildStopped
from valet_studio.typescript.limits import Limits
from valet_studio.typescript.modules import shown_path
from valet_studio.typescript.warm import give_back, take

_DEFAULT_LIMITS = Limits()

_NAMES = [
    *("string", "number", "int", "int64", "float64", "boolean", "bytes", "null", "id", "any"),
    *("literal", "array", "object", "record", "union", "optional"),
]
_VALIDATORS = f"v has {', '.join(_NAMES[:-1])} and {_NAMES[-1]}."
_OF_TABLES = ("sync", "index", "searchIndex", "backfill")
_ELSEWHERE = {
    **dict.fromkeys(("date", "datetime", "timestamp"), "v.string() or v.number()"),
    **dict.fromkeys(("decimal", "double", "real"), "v.number()"),
    **dict.fromkeys(("list", "set", "tuple"), "v.array()"),
    **dict.fromkeys(("dict", "map"), "v.record()"),
    **dict.fromkeys(("nullable", "nullish"), "v.optional(), or v.union() with v.null()"),
    **dict.fromkeys(("json", "unknown"), "v.any()"),
    **dict.fromkeys(("text", "varchar"), "v.string()"),
    "blob": "v.bytes()",
    "enum": "v.union() of v.literal()",
}
"""What other libraries have, and how it is said here."""


def _nothing() -> None:
    pass


def evaluate(
    sources: Sources,
    limits: Limits = _DEFAULT_LIMITS,
    cancelled: IsCancelled = never,
    meanwhile: Callable[[], None] = _nothing,
) -> Schema:
    """Run the modules and read off their schema.

    Args:
        sources: the modules.
        limits: what they may use up.
        cancelled: polled while they run.
        meanwhile: called once, while they run.

    Raises:
        Cancelled: `cancelled` answered True.
        SchemaError: the schema is wrong; its problems are all that this run could find.
        SandboxError: Deno is missing or cannot be started.
    """
    global _asks_places
    if not _asks_places:
        with suppress(_PlaceNeeded):
            return _evaluated(sources, limits, cancelled, meanwhile, with_places=False)[0]
        meanwhile = _nothing
    schema, _asks_places = _evaluated(sources, limits, cancelled, meanwhile, with_places=True)
    return schema


_asks_places = True
"""Whether JavaScript had to be asked for places of the last schema. Most saves change nothing
about that, so this tells whether it should note them at all."""


class _PlaceNeeded(Exception):
    """A place has to be asked of JavaScript, which did not note any."""


def _evaluated(
    sources: Sources,
    limits: Limits,
    cancelled: IsCancelled,
    meanwhile: Callable[[], None],
    *,
    with_places: bool,
) -> tuple[Schema, bool]:
    """The schema, and whether JavaScript was asked for places.

    Raises:
        _PlaceNeeded: it had to be, and had noted none.
    """
    entry = Location(shown_path(sources.folder, sources.entry), 1, 1)
    behaviours = Behaviours(sources)
    literal: dict[str, LiteralTable] = {}
    twice: list[Problem] = []
    asked = False

    def read_text() -> None:
        literal.update(literal_tables(sources))
        twice.extend(duplicate_keys(sources))
        meanwhile()

    def places(sites: Sequence[int]) -> list[Location | None]:
        nonlocal asked
        asked = asked or bool(sites)
        if sites and not with_places:
            raise _PlaceNeeded
        return child.places(sites)

    with ExitStack() as ending:
        child = take(sources, limits)
        ending.callback(give_back, child)
        try:
            raw = child.evaluate(cancelled, read_text, with_places=with_places)
        except ChildStopped as stopped:
            place = behaviours.loop_place() or entry
            raise _wrong([replace(stopped.problems[0], location=place)], sources) from stopped
        if "thrown" in raw:
            thrown = raw["thrown"]
            thrown_at = child.locate(thrown["stack"])
            raise _wrong([_thrown(thrown, sources, entry, thrown_at)], sources)
        context = ReadContext(places, entry, behaviours, literal)
        schema = read_schema(raw, context)
    problems = [*context.problems, *twice]
    if problems:
        ordered = sorted(dict.fromkeys(problems), key=lambda p: p.location or Location("", 0, 0))
        raise _wrong(ordered, sources)
    return replace(schema, sources=sources), asked


def _wrong(problems: Iterable[Problem], sources: Sources) -> SchemaError:
    """The error that tells them, each with the text of its line."""

    def with_line(problem: Problem) -> Problem:
        place = problem.location
        return problem if place is None else replace(problem, source_line=sources.line(place))

    return SchemaError([*map(with_line, problems)])


def _thrown(
    thrown: dict[str, Any], sources: Sources, entry: Location, location: Location | None
) -> Problem:
    """The sentence for what schema.ts threw, or for a syntax error."""
    message: str = thrown["message"]
    first = message.split("\n", 1)[0].strip()
    missing = re.search(
        r"requested module '([^']*)' does not provide an export named '(.*)'", first
    )
    if missing:
        return Problem(
            f'"{PurePosixPath(missing[1]).name}" has no export named "{missing[2]}".',
            "Export it there, or mend the import.",
            location or entry,
        )
    if "SyntaxError" in first or "parse error" in first.lower():
        what = re.sub(r"^.*?SyntaxError: |^(TypeError: )?The module's source code .*?: ", "", first)
        return _wrong_syntax(what, location)
    unknown = re.search(r"\bv\.(\w+) is not a function", first)
    if unknown:
        said_here = _ELSEWHERE.get(unknown[1].lower())
        near = _near(unknown[1], _NAMES)
        hint = (
            f"Use {said_here}." if said_here else f"Did you mean v.{near}?" if near else _VALIDATORS
        )
        return Problem(f"There is no validator v.{unknown[1]}.", hint, location)
    chained = re.search(r"\b(v\.\w+|defineTable)\(\.\.\.\).*\.(\w+) is not a function", first)
    if chained:
        return _no_method(chained[1], chained[2], location)
    hint = "schema.ts is run as a program: mend the line that throws."
    undefined = re.search(r"ReferenceError: (\S+) is not defined", first)
    if undefined:
        location = _place_of_name(undefined[1], location, sources)
        near = _near(undefined[1], ("defineSchema", "defineTable", "v"))
        if near == undefined[1]:
            hint = f"Import it: import {{ {near} }} from 'valet-dev/server'."
        elif near:
            hint = f"Did you mean {near}?"
        elif undefined[1] == "require":
            hint = "Write import { … } from '…'."
    first = re.sub(r"^((Type)?Error: )+(?=\w+(\.\w+)? is not available:)", "", first)
    if "is not available:" in first:
        hint = "Declare the schema from constants and the modules of the valet directory alone."
    return Problem(f"schema.ts failed: {_sentence(first)}", hint, location or entry)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _wrong_syntax(what: str, location: Location | None) -> Problem:
    """The sentence for a syntax error, without what its finder tells of itself."""
    hint = "Mend the line and save."
    character = re.search(r"<lexing error: .*UnexpectedChar \{ c: '(.+?)' \}", what)
    if character:
        what = f"Unexpected character '{character[1]}'"
    elif "<eof>" in what:
        what = "The file ends too early"
        hint = "Close the bracket or the comment that is still open."
    what = re.sub(r" at file:///\S+$", "", what)
    return Problem(f"Syntax error: {_sentence(what)}", hint, location)


def _place_of_name(name: str, location: Location | None, sources: Sources) -> Location | None:
    """Where a name stands: JavaScript tells the last call of a chain that begins with it."""
    shown = {shown_path(sources.folder, file): text for file, text in sources.files.items()}
    if location is None or location.file not in shown:
        return location
    node = node_at(parse(shown[location.file]), location)
    if node is None or text_of(node) == name:
        return location
    while node is not None and node.type not in ("member_expression", "call_expression"):
        node = node.parent
    while node is not None and node.type in ("member_expression", "call_expression"):
        node = node.child_by_field_name("function") or node.child_by_field_name("object")
    if node is None or text_of(node) != name:
        return location
    return location_of(node, location.file)


def _no_method(of: str, method: str, location: Location | None) -> Problem:
    """The sentence for a method that a table or a validator does not have."""
    table = of == "defineTable"
    near = _near(method, _OF_TABLES if table else ("deprecated",))
    if near:
        hint = f"Did you mean .{near}()?"
    elif table:
        hint = f"A table has .{'(), .'.join(_OF_TABLES[:-1])}() and .{_OF_TABLES[-1]}()."
    elif method == "default":
        hint = "Fill documents that exist with .backfill(); v.optional() lets a field be missing."
    else:
        hint = "Validators wrap each other: v.optional(v.string()), v.array(v.string())."
    what = "table" if table else "validator"
    return Problem(f"There is no .{method}() of a {what}.", hint, location)


def _near(name: str, known: Sequence[str]) -> str | None:
    from difflib import get_close_matches

    same = [each for each in known if each.lower() == name.lower()]
    return next(iter(same), None) or next(iter(get_close_matches(name, known, n=1)), None)
