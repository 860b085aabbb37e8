"""Pane 4: the log. Every save, every statement that ran, every error; each line can be copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from valet_studio.tui.find import Found, next_match, occurrences
from valet_studio.tui.pane import Titled
from valet_studio.tui.text import one_line

Mark: TypeAlias = Literal["·", "$", "✓", "✗", "!"]
"""`·` something happened, `$` a statement ran, `✓` done, `✗` failed, `!` a warning."""

MOST_ENTRIES = 20_000
MOMENT = 0.25
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    when: datetime
    mark: Mark
    text: str
    """In full; shown on one line, copied as it is."""


class LogPane(ScrollView, Titled, can_focus=True):
    """One line an entry. The cursor follows the end until it is moved away from it."""

    heading = "4 Log"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--time",
        "log--ok",
        "log--failed",
        "log--warning",
        "log--statement",
        "log--cursor",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor(-1)", show=False),
        Binding("down,j", "cursor(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "cursor(-1000000)", show=False),
        Binding("end", "cursor(1000000)", show=False),
        Binding("enter", "open", show=False),
    ]

    @dataclass
    class Opened(Message):
        """A line is to be read whole."""

        entry: Entry

    def __init__(self) -> None:
        super().__init__(id="log", classes="pane")
        self.entries: list[Entry] = []
        self.cursor = -1
        self._looked_for = ""

    @property
    def selected(self) -> Entry | None:
        """The entry under the cursor."""
        return self.entries[self.cursor] if self.entries else None

    def add(self, *entries: Entry, at_once: bool = True) -> None:
        """Append entries in order; not `at_once`, they are drawn with the next, or in a moment."""
        follows = self.cursor >= len(self.entries) - 1
        self.entries += entries
        excess = len(self.entries) - MOST_ENTRIES
        if excess > 0:
            del self.entries[:excess]
            self.cursor = max(0, self.cursor - excess)
        if follows:
            self.cursor = len(self.entries) - 1
        if at_once:
            self._draw()
        else:
            self.set_timer(MOMENT, self._draw)

    def _draw(self) -> None:
        self.virtual_size = Size(0, len(self.entries))
        if self.cursor == len(self.entries) - 1:
            self.call_after_refresh(self.scroll_end, animate=False, force=True)
        self.refresh()

    def action_cursor(self, step: int) -> None:
        """Move the cursor by that many lines."""
        if not self.entries:
            return
        self.cursor = max(0, min(len(self.entries) - 1, self.cursor + step))
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)
        self.refresh()

    def action_page(self, step: int) -> None:
        """Move the cursor by pages."""
        self.action_cursor(step * max(1, self.size.height - 1))

    def find(self, text: str, step: int = 0) -> Found:
        """Put the cursor on the last entry that holds the text, or by `step` on another one."""
        self._looked_for = text
        self.refresh()
        matches = [
            at for at, entry in enumerate(self.entries) if occurrences(text, one_line(entry.text))
        ]
        if not matches:
            return Found(0, 0)
        # What happened last is most likely what is looked for.
        last = len(matches) - 1
        number = next_match(matches, self.cursor, self.cursor, step) if step else last
        self.action_cursor(matches[number] - self.cursor)
        return Found(number + 1, len(matches))

    def action_open(self) -> None:
        """Read the whole of the line under the cursor."""
        if self.selected is not None:
            self.post_message(self.Opened(self.selected))

    def on_click(self, event: object) -> None:
        """Select the line under the mouse."""
        y = getattr(event, "y", 0) - self.gutter.top + self.scroll_offset.y
        if 0 <= y < len(self.entries):
            self.cursor = y
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Time, mark, text, cut at the pane's edge."""
        width = self.scrollable_content_region.width
        at = y + self.scroll_offset.y
        base = self.rich_style
        if at >= len(self.entries):
            return Strip.blank(width, base)
        entry = self.entries[at]
        style = base
        if at == self.cursor and (self.has_focus or self._looked_for):
            style = base + self.get_component_rich_style("log--cursor")
        marks: dict[Mark, str] = {
            "✓": "log--ok",
            "✗": "log--failed",
            "!": "log--warning",
            "$": "log--statement",
        }
        marked = marks.get(entry.mark)
        mark_style = style
        if marked is not None:
            mark_style = style + _foreground(self.get_component_rich_style(marked, partial=True))
        time_style = style + _foreground(self.get_component_rich_style("log--time", partial=True))
        text = one_line(entry.text)
        text_style = mark_style if entry.mark != "$" else style
        strip = Strip(
            [
                Segment(f"{entry.when:%H:%M:%S} ", time_style),
                Segment(f"{entry.mark} ", mark_style),
                *_marked(text, occurrences(self._looked_for, text), text_style),
            ]
        )
        if strip.cell_length > width:
            return strip.crop(0, width - 1).join(
                [strip.crop(0, width - 1), Strip([Segment("…", time_style)])]
            )
        return strip.extend_cell_length(width, style)


def _marked(text: str, places: list[tuple[int, int]], style: Style) -> Iterator[Segment]:
    """A text with some places of it marked."""
    done = 0
    for begin, end in places:
        yield Segment(text[done:begin], style)
        yield Segment(text[begin:end], style + Style(underline=True, bold=True))
        done = end
    yield Segment(text[done:], style)


def _foreground(style: Style) -> Style:
    return Style(color=style.color, bold=style.bold)
