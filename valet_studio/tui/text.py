"""Small drawings: numbers, code, problems, source lines. Pure; colours are theme variables.

Everything is `Content`, never markup: a name such as `[/x]` stays what it is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from textual.content import Content
from textual.highlight import highlight

from valet_studio.errors import Location, Problem
from valet_studio.migrate.events import BackfillReport
from valet_studio.plan.changes import Plan
from valet_studio.plan.sentences import count as count
from valet_studio.schema.model import Json, Sources
from valet_studio.schema.telling import BytesLiteral, told
from valet_studio.schema.telling import one_line as one_line
from valet_studio.tui.theme import CodeColours

BLANK = Content("")
SIGN_STYLES = {
    "+": "$success",
    "-": "$muted",
    "~": "$primary",
    "!": "$warning",
    "✗": "$error",
}


def pending(plan: Plan) -> str:
    """ "~ 3 changes"; "~ schema only" where the database itself stays as it is."""
    return f"~ {count(len(plan.pending), 'change')}" if plan.pending else "~ schema only"


def filled(backfills: Sequence[BackfillReport]) -> str:
    """ "142 rows"; "1,040 values" of several backfills, which may fill the same rows."""
    return count(sum(item.updated for item in backfills), "value" if len(backfills) > 1 else "row")


def failed(backfills: Sequence[BackfillReport]) -> str:
    """The same for what could not be filled: "3 documents", "5 values"."""
    failing = [item.failed for item in backfills if item.failed]
    return count(sum(failing), "value" if len(failing) > 1 else "document")


def size(number: int) -> str:
    """Bytes for people: "812 B", "44 KB", "1.2 GB"."""
    amount = float(number)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def number(amount: float) -> str:
    """A number for people: "12", "1,200", "0.35", "1.2e+09"."""
    if (amount == int(amount) or abs(amount) >= 1000) and abs(amount) < 1e9:
        return f"{amount:,.0f}"
    return f"{amount:.3g}"


def duration(seconds: float) -> str:
    """ "0.03 s", "12.4 s", "3:07"."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def short_duration(seconds: float) -> str:
    """ "3ms" below a second, then as `duration`."""
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else duration(seconds)


def shortened(text: str, width: int) -> str:
    """The text in at most `width` cells, its end replaced by "…" where it is longer."""
    content = Content(text)
    return text if content.cell_length <= width else content.truncate(width, ellipsis=True).plain


def path_shortened(path: str, width: int) -> str:
    """The path in at most `width` characters: its beginning goes first, the name stays."""
    return path if len(path) <= width else "…" + path[len(path) - width + 1 :]


MOST_SHOWN = 4_000
"""Characters of a value beyond which no screen could show it: to lay out millions takes seconds."""


def value(item: Json) -> str:
    """A document's value in one line, as much of it as could be in sight."""
    if isinstance(item, str) and len(item) > MOST_SHOWN and not isinstance(item, BytesLiteral):
        item = f"{item[:MOST_SHOWN]}…"
    return told(item, MOST_SHOWN + 3)


def code(text: str, language: str) -> Content:
    """Highlighted code; an unknown language stays plain."""
    return highlight(text, language=language, theme=CodeColours, tab_size=4)


def hanging(head: Content, text: str, width: int, style: str = "") -> Content:
    """The text after the head, its further lines indented to where it began."""
    indent = head.cell_length
    wrapped = textwrap.wrap(text, max(20, width - indent)) or [""]
    return head + Content.styled(("\n" + " " * indent).join(wrapped), style)


def lines(parts: Iterable[Content]) -> Content:
    """The parts below each other."""
    return Content("\n").join(parts)


def rule(title: str, style: str = "$muted") -> Content:
    """A small heading."""
    return Content.styled(title, f"bold {style}")


def excerpt(
    sources: Sources,
    place: Location,
    width: int,
    before: int = 2,
    after: int = 2,
    notes: tuple[Problem, ...] = (),
) -> Content | None:
    """The source line at a place, marked, between its neighbours; None where it is not known.

    Of a long line the part around the place is shown. Below each line stands what `notes` say of
    it.
    """
    if sources.line(place) is None:
        return None
    first = max(1, place.line - before)
    shown: list[tuple[int, str]] = []
    for number in range(first, place.line + after + 1):
        text = sources.line(Location(place.file, number, 1))
        if text is not None:
            shown.append((number, text))
    wide = [text.expandtabs(4) for _, text in shown]
    indent = min((len(text) - len(text.lstrip()) for text in wide if text.strip()), default=0)
    coloured = code("\n".join(text[indent:] for text in wide), "typescript").split("\n")
    gutter = len(str(shown[-1][0]))
    noted = {
        note.location.line: note
        for note in reversed(notes)
        if note.location is not None and note.location.file == place.file
    }
    result = []
    for (number, text), line in zip(shown, coloured, strict=False):
        here = number == place.line
        mark = Content.styled(f"{'▶' if here else ' '} {number:>{gutter}} │ ", "$muted")
        room, half = width - mark.cell_length, max(1, width // 2 - mark.cell_length)
        across = len(_before(text, place, indent)) if here else 0
        cut = max(0, across - half) if across > room - 8 else 0
        drawn = (Content("…") + line[cut + 1 :] if cut else line).truncate(room, ellipsis=True)
        result.append(mark + (drawn.stylize("$foreground on $marked-line") if here else drawn))
        note = noted.get(number)
        if note is not None and note.location is not None:
            across = Content(_before(text, note.location, indent)[cut:]).cell_length
            blank = Content(" " * (mark.cell_length + across)).truncate(max(4, width // 2))
            result.append(hanging(blank + "^ ", f"✗ {note.message}", width, "bold $error"))
    return lines(result)


def _before(text: str, place: Location, indent: int) -> str:
    """What stands in a line before a place, without what all lines are indented by."""
    return text[: place.column - 1].expandtabs(4)[indent:]


def problem(item: Problem, width: int) -> Content:
    """One problem: place, sentence, source line with a caret, way out."""
    parts: list[Content] = []
    if item.location is not None:
        parts.append(Content.styled(str(item.location), "bold underline"))
    parts.append(Content.styled(f"✗ {item.message}", "bold $error"))
    if item.location is not None and item.source_line is not None:
        parts += _source_line(item.location, item.source_line, width)
    if item.hint is not None:
        parts.append(Content.assemble(("→ ", "bold $primary"), item.hint))
    return lines(parts)


def _source_line(place: Location, source: str, width: int) -> list[Content]:
    """The line and a caret below it; of a long line the part around the caret."""
    gutter = f"{place.line} │ "
    room = max(20, width - len(gutter))
    before = source[: max(0, place.column - 1)]
    cut = max(0, len(before) - room * 2 // 3) if len(before) > room - 8 else 0
    # Only what can be seen, and one character more, is to be coloured.
    seen = source[cut : cut + room + 1].expandtabs(4)
    line = code(seen, "typescript").truncate(room, ellipsis=True)
    blank = " " * (len(gutter) - 2) + "│ " + " " * Content(before[cut:].expandtabs(4)).cell_length
    return [
        Content.styled(gutter, "$muted") + line,
        Content.styled(blank, "$muted") + Content.styled("^", "bold $error"),
    ]


def problem_plain(item: Problem) -> str:
    """One problem as plain text, to be copied."""
    place = f"{item.location}: " if item.location is not None else ""
    hint = f"\n{item.hint}" if item.hint is not None else ""
    return f"{place}{item.message}{hint}"
