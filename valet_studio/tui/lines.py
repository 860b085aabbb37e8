"""A view of many lines of text: only those in sight are drawn, so that length costs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from valet_studio.tui.find import Found, next_match, occurrences

SIDEWAYS = 8
"""Cells that one press of shift+left or shift+right scrolls."""


class Lines(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines that are not wrapped; a wider one ends in "…", and scrolls sideways."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", show=False),
        Binding("down,j", "scroll_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("home", "scroll_home", show=False),
        Binding("end", "scroll_end", show=False),
        Binding("shift+left", f"sideways(-{SIDEWAYS})", show=False),
        Binding("shift+right", f"sideways({SIDEWAYS})", show=False),
    ]

    def __init__(self, id: str, steady: bool = False) -> None:
        """With `steady`, lines that fit stay where they are while wider ones scroll sideways."""
        super().__init__(id=id)
        self.steady = steady
        self.lines: tuple[Content, ...] = ()
        self._strips: dict[int, Strip] = {}
        self._looked_for = ""
        self._at = -1
        """The line that holds what is looked for, and was gone to last."""

    @property
    def text(self) -> str:
        """All lines as plain text, to be copied."""
        return "\n".join(line.plain.rstrip() for line in self.lines)

    def show(self, parts: Iterable[Content]) -> None:
        """Show these; a part that holds line breaks is as many lines. Scrolling stays."""
        new = tuple(line for part in parts for line in (part.split("\n") if part else (part,)))
        if new == self.lines:
            return
        taller = len(new) != len(self.lines)
        self.lines = new
        self._strips.clear()
        width = max((line.cell_length for line in new), default=0)
        self.virtual_size = Size(width, len(new))
        self.refresh(layout=taller)

    def find(self, text: str, step: int = 0) -> Found:
        """Go to a line that holds the text; every place that holds it is marked."""
        matches = [at for at, line in enumerate(self.lines) if occurrences(text, line.plain)]
        number = next_match(matches, self._at, self.scroll_offset.y, step) if matches else -1
        self._looked_for = text
        self._strips.clear()
        self.refresh()
        if not matches:
            self._at = self._at if text else -1
            return Found(0, 0)
        self._at = matches[number]
        line = self.lines[self._at]
        begin, end = occurrences(text, line.plain)[0]
        width, height = self.scrollable_content_region.size
        across = 0 if line[:end].cell_length < width else line[:begin].cell_length - width // 2
        down = self.scroll_offset.y
        if not down <= self._at < down + height:
            down = self._at - height // 3
        self.scroll_to(max(0, across), max(0, down), animate=False, force=True)
        return Found(number + 1, len(matches))

    def action_sideways(self, cells: int) -> None:
        """Scroll by that many cells to the right."""
        self.scroll_relative(x=cells, animate=False)

    def notify_style_update(self) -> None:
        """Colours changed: what was drawn with the old ones is of no use."""
        self._strips.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """One line, from the column that is scrolled to."""
        width = self.scrollable_content_region.width
        across, down = self.scroll_offset
        at = y + down
        if at >= len(self.lines):
            return Strip.blank(width, self.rich_style)
        if at not in self._strips:
            line = self.lines[at]
            style = "bold reverse" if at == self._at else "underline"
            for begin, end in occurrences(self._looked_for, line.plain):
                line = line.stylize(style, begin, end)
            room = max(1, line.cell_length)
            drawn = Visual.to_strips(self, line, room, 1, self.visual_style) if line else []
            self._strips[at] = drawn[0] if drawn else Strip([])
        strip = self._strips[at]
        across = 0 if self.steady and strip.cell_length <= width else across
        if strip.cell_length > across + width:
            kept = strip.crop(across, across + width - 1)
            return Strip.join([kept, Strip([Segment("…", self.rich_style)])])
        return strip.crop(across, across + width).extend_cell_length(width, self.rich_style)
