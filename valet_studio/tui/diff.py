"""The generated files: what stands on disk against what the schema asks for. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TypeAlias

from textual.content import Content

from valet_studio.codegen.files import render
from valet_studio.config import Language
from valet_studio.database.structure import Structures
from valet_studio.pipeline import GeneratedFile, StudioState
from valet_studio.plan.changes import Plan
from valet_studio.report import plan_sql
from valet_studio.schema.model import Schema
from valet_studio.tui.text import code, count

CONTEXT = 3
MAX_LINES = 600
"""Lines of one difference that are drawn; more are counted only."""
LEAST_SIDE = 36
"""Cells that a side needs for two to stand beside each other."""
HASH_LINE = re.compile(r"(//|#) Schema hash: ")
"""Differs after every edit and says nothing about the types."""

Block: TypeAlias = tuple[bool, tuple[Content, ...], tuple[Content, ...]]
"""Whether it differs, the lines before, the lines after."""


@dataclass(frozen=True, slots=True)
class Tab:
    """One text that follows from the schema: a whole file, or how it differs."""

    title: str
    head: Content
    hunks: tuple[tuple[Block, ...], ...] = ()
    """What differs, each with its neighbours; empty where `body` is the whole text."""
    body: tuple[Content, ...] = ()
    stops: tuple[int, ...] = ()
    """Lines of `body` that can be jumped to as hunks can."""
    tail: Content | None = None
    counted: str = ""
    """ "+2 -1", or nothing."""


@dataclass(frozen=True, slots=True)
class TypesView:
    """All that pane 2 can show of one state."""

    tabs: tuple[Tab, ...]
    stale: int = 0
    """Files that are to be written."""


LANGUAGES: tuple[Language, ...] = ("ts", "python")
TITLES = (
    ("TypeScript", "types.ts", "typescript"),
    ("Python", "types.py", "python"),
    ("schema.json", "schema.json", "json"),
)


def all_written(files: Sequence[GeneratedFile]) -> bool:
    """Whether the settings ask for a file of every kind, so that each has a text on disk."""
    names = {file.path.name for file in files}
    return all(name in names for _, name, _ in TITLES)


def types_view(
    state: StudioState, files: Sequence[GeneratedFile], applied: Schema | None = None
) -> TypesView | None:
    """Tabs for TypeScript, Python, SQL and schema.json; None where there is no schema.

    `files` are what is generated of it. A text that no file holds is compared with the one that
    the `applied` schema would give.
    """
    if state.schema is None:
        return None
    wanted = render(state.schema, LANGUAGES)
    before = render(applied, LANGUAGES) if applied is not None else {}
    held = {file.path.name: file for file in files}
    tabs = []
    for title, name, language in TITLES:
        file = held.get(name)
        if file is None:
            tabs.append(_unwritten(title, name, language, before.get(name), wanted[name]))
        elif file.stale:
            tabs.append(_compared(title, name, language, file.before, file.after))
        else:
            what = "Types are" if language != "json" else f"{name} is"
            head = Content.assemble(("✓ ", "bold $success"), f"{what} up to date.")
            tabs.append(Tab(title, head, body=_whole(file.after, language)))
    if state.plan is not None:
        tabs.insert(2, _statements(state.plan))
    return TypesView(tuple(tabs), sum(file.stale for file in files))


def with_structures(view: TypesView, plan: Plan, told: Structures) -> TypesView:
    """The same tabs, the SQL one with how the plan changes the database's structure."""
    sql = _statements(plan)
    if told.before == told.after:
        good = Content.assemble(("✓ ", "bold $success"), "The structure stays as it is.")
        head = good if not plan.pending else Content.assemble(good, "  ", sql.head)
        sql = replace(sql, head=head, body=sql.body or _whole(told.after, "sql"))
    else:
        tab = _compared("SQL", "structure", "sql", told.before, told.after)
        below = (Content(""), sql.head)
        stops = tuple(stop + len(below) for stop in sql.stops)
        tail = tab.tail or sql.tail
        sql = replace(tab, body=(*below, *sql.body), stops=stops, tail=tail)
    tabs = (sql if tab.title == "SQL" else tab for tab in view.tabs)
    return replace(view, tabs=tuple(tabs))


def unified(tab: Tab) -> tuple[list[Content], list[int]]:
    """A tab as lines, signs at their left, and at which of them each hunk begins."""

    def signed(text: Content, sign: str) -> Content:
        return _marked(Content.assemble((f"{sign} ", MARKS[sign]), text), sign)

    def lines() -> Iterator[list[Content]]:
        for hunk in tab.hunks:
            drawn = []
            for differs, before, after in hunk:
                drawn += [signed(text, "-" if differs else " ") for text in before]
                drawn += [signed(text, "+") for text in after] if differs else []
            yield drawn

    return _drawn(tab, lines())


def side_by_side(tab: Tab, width: int) -> tuple[list[Content], list[int]]:
    """A tab in two columns: before at the left, after at the right; and where hunks begin."""
    room = (width - 1) // 2

    def side(text: Content | None, sign: str) -> Content:
        line = Content.assemble((f"{sign} ", MARKS[sign]), text if text is not None else "")
        line = line.truncate(room, ellipsis=True)
        return _marked(line + " " * max(0, room - line.cell_length), sign)

    def lines() -> Iterator[list[Content]]:
        for hunk in tab.hunks:
            drawn = []
            for differs, before, after in hunk:
                left, right = ("-", "+") if differs else (" ", " ")
                for old, new in zip_longest(before, after):
                    first = side(old, left if old is not None else " ")
                    second = side(new, right if new is not None else " ")
                    drawn.append(Content.assemble(first, ("│", "$border-idle"), second))
            yield drawn

    return _drawn(tab, lines())


def fits_side_by_side(width: int) -> bool:
    """Whether two sides can stand beside each other in that many cells."""
    return width >= 2 * LEAST_SIDE


MARKS = {"+": "bold $success", "-": "bold $error", " ": ""}


def _marked(line: Content, sign: str) -> Content:
    style = {"+": "on $added-line", "-": "on $removed-line", " ": ""}[sign]
    return line.stylize_before(style) if style else line


def _drawn(tab: Tab, hunks: Iterator[list[Content]]) -> tuple[list[Content], list[int]]:
    lines = [tab.head]
    begins: list[int] = []
    for hunk in hunks:
        if begins:
            lines.append(Content.styled("  ⋯", "$muted"))
        begins.append(len(lines))
        lines += hunk
    begins += [len(lines) + stop for stop in tab.stops]
    lines += tab.body
    if tab.tail is not None:
        lines.append(tab.tail)
    return lines, begins


def _compared(title: str, name: str, language: str, before: str | None, after: str) -> Tab:
    old, new = _lines(before or ""), _lines(after)
    # A column that another one now follows gains a comma, which says nothing.
    blank = "," if language == "sql" else ""
    keys = [[line.rstrip(blank) for line in side] for side in (old, new)]
    groups = difflib.SequenceMatcher(None, keys[0], keys[1]).get_grouped_opcodes(CONTEXT)
    hunks: list[tuple[Block, ...]] = []
    added = removed = drawn = left_out = 0
    for group in groups:
        blocks: list[Block] = []
        for tag, i1, i2, j1, j2 in group:
            differs = tag != "equal"
            if differs:
                removed += i2 - i1
                added += j2 - j1
            room = max(0, MAX_LINES - drawn)
            first = old[i1:i2][:room]
            second = new[j1:j2][: max(0, room - len(first)) if differs else room]
            shown = len(first) + (len(second) if differs else 0)
            whole = i2 - i1 + (j2 - j1 if differs else 0)
            drawn += shown
            left_out += whole - shown
            if shown:
                blocks.append((differs, _coloured(first, language), _coloured(second, language)))
        if blocks:
            hunks.append(tuple(blocks))
    counted = f"+{added} -{removed}"
    new_file = " · new file" if before is None else ""
    head = Content.assemble((name, "bold"), (f"  {counted}{new_file}", "$muted"))
    tail = None
    if left_out:
        tail = Content.styled(f"  ⋯ {count(left_out, 'more line')}", "$muted")
    elif not hunks:
        tail = Content.styled("  Only the schema's hash in it changes.", "$muted")
    return Tab(title, head, tuple(hunks), tail=tail, counted=counted if hunks else "")


def _unwritten(title: str, name: str, language: str, before: str | None, after: str) -> Tab:
    """A text that no file is asked for: how a migration changes it, or the whole of it."""
    told = ("  not written: --lang ts,python writes it", "$muted")
    if before is None or _lines(before) == _lines(after):
        head = Content.assemble((name, "bold"), told)
        return Tab(title, head, body=_whole(after, language))
    tab = _compared(title, name, language, before, after)
    return replace(tab, head=Content.assemble(tab.head, told))


def _statements(plan: Plan) -> Tab:
    """What apply will run, in its order."""
    number = sum(len(change.sql) for change in plan.pending)
    text = ["", *plan_sql(plan).splitlines()] if plan.pending else []
    told = count(number, "statement") if number else "No statement is to be run."
    order = "  and what goes with them, in the order of the apply" if number else ""
    cut = Content.styled("⋯ The rest is shown with each change.", "$muted")
    tail = cut if len(text) > MAX_LINES else None
    begins = (at + 1 for at, line in enumerate(text[:MAX_LINES]) if not line)
    stops = [at for at in begins if at < len(text)]
    head = Content.assemble((told, "bold"), (order, "$muted"))
    return Tab("SQL", head, body=_coloured(text[:MAX_LINES], "sql"), stops=tuple(stops), tail=tail)


def _whole(text: str, language: str) -> tuple[Content, ...]:
    return (Content(""), *_coloured(text.splitlines()[:MAX_LINES], language))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not HASH_LINE.match(line)]


def _coloured(texts: list[str], language: str) -> tuple[Content, ...]:
    return tuple(code("\n".join(texts), language).split("\n")) if texts else ()
