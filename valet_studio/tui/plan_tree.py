"""The plan as a tree by table. Only the rows in sight are drawn: a long plan costs no more."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from valet_studio.tui.plan_rows import (
    PlanRow,
    RowKey,
    marked_rows,
    matching,
    rejected,
    row_to_select,
)
from valet_studio.tui.text import SIGN_STYLES, shortened

LEAST_TEXT = 16
"""Cells below which a row's count gives way to its sentence."""


class PlanTree(ScrollView, can_focus=True, inherit_bindings=False):
    """Tables and their changes. Cursor, folding, scroll and filter survive a new plan."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"plan-tree--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "go_to(0)", show=False),
        Binding("end", "go_to(-1)", show=False),
        Binding("enter,space", "fold_or_unfold", show=False),
        Binding("left", "fold", show=False),
        Binding("right", "unfold", show=False),
        Binding("minus", "fold_all", show=False),
        Binding("equals_sign", "unfold_all", show=False),
    ]

    class Moved(Message):
        """Another row has the cursor."""

    def __init__(self) -> None:
        super().__init__(id="plan-tree")
        self.rows: tuple[PlanRow, ...] = ()
        """All rows, hidden ones too."""
        self.shown: list[PlanRow] = []
        """The rows that neither folding nor the filter hides."""
        self.folded: set[RowKey] = set()
        self.filter = ""
        self.cursor = 0
        self._anchor: tuple[RowKey, int] | None = None
        self.moved = False
        """Whether the user chose the row under the cursor; the studio chooses it otherwise."""

    @property
    def selected(self) -> PlanRow | None:
        """The row under the cursor."""
        return self.shown[self.cursor] if 0 <= self.cursor < len(self.shown) else None

    def show_rows(self, rows: tuple[PlanRow, ...]) -> None:
        """Show a new plan's rows, the cursor where it was or as near as can be.

        It goes to the first rejected change of a plan that is rejected now, unless the user put
        it where it is.
        """
        order = [row.key for row in self.rows]
        before = self.selected.key if self.selected is not None else None
        self.moved = self.moved and before in {row.key for row in rows}
        if not self.moved and rejected(rows) is not None and rejected(self.rows) is None:
            before = None
        # Where a plan is drawn again before the last one was scrolled to, its place holds.
        self._anchor = self._anchor or self._in_sight()
        self.rows = rows
        self.folded &= {row.key for row in rows}
        self._lay_out(row_to_select(rows, before, order) if rows else None)
        kept = self.selected is not None and self.selected.key == before
        self.call_after_refresh(self._scroll_back if kept else self._into_sight)

    def _in_sight(self) -> tuple[RowKey, int] | None:
        """A row in sight and the line that it stands on: the one under the cursor, or the first."""
        top = self.scroll_offset.y
        line = self.cursor - top
        if not 0 <= line < self.size.height:
            line = 0
        at = top + line
        return (self.shown[at].key, line) if at < len(self.shown) else None

    def _scroll_back(self) -> None:
        """Put the row that was in sight on the line that it stood on, where it still is shown."""
        if self._anchor is None:
            return
        (key, line), self._anchor = self._anchor, None
        at = next((at for at, row in enumerate(self.shown) if row.key == key), None)
        if at is not None:
            self.scroll_to(y=max(0, at - line), animate=False, force=True)

    def show_filtered(self, text: str) -> None:
        """Show only the rows that match; folded tables open while a filter is on."""
        before = self.selected.key if self.selected is not None else None
        self.filter = text
        self._lay_out(before)
        self.scroll_to(y=0, animate=False, force=True)
        self.call_after_refresh(self._into_sight)
        self.post_message(self.Moved())

    def _lay_out(self, select: RowKey | None) -> None:
        """Choose the rows to show, and put the cursor on one of them."""
        if self.filter.strip():
            self.shown = matching(self.rows, self.filter)
        else:
            self.shown = [row for row in self.rows if row.heading or row.parent not in self.folded]
        at: dict[RowKey | None, int] = {row.key: at for at, row in enumerate(self.shown)}
        heading: RowKey = (select[0], "", "") if select is not None else ("", "", "")
        first = next((at for at, row in enumerate(self.shown) if not row.heading), 0)
        if heading in self.folded and not self.filter.strip():
            first = at.get(heading, first)
        self.cursor = at.get(select, first)
        taller = self.virtual_size.height != len(self.shown)
        self.virtual_size = Size(0, len(self.shown))
        self.refresh(layout=taller)

    def on_resize(self) -> None:
        """Another height: what is selected stays in sight."""
        self.call_after_refresh(self._into_sight)

    def _into_sight(self) -> None:
        self._anchor = None
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)

    def _put_cursor(self, at: int) -> None:
        if not self.shown:
            return
        self.moved = True
        at = max(0, min(len(self.shown) - 1, at))
        if at != self.cursor:
            self.cursor = at
            self.refresh()
            self.post_message(self.Moved())
        self._into_sight()

    def action_move(self, step: int) -> None:
        """Move the cursor by that many rows."""
        self._put_cursor(self.cursor + step)

    def action_page(self, step: int) -> None:
        """Move the cursor by pages."""
        self._put_cursor(self.cursor + step * max(1, self.size.height - 1))

    def action_go_to(self, at: int) -> None:
        """Move the cursor to a row; -1 is the last one."""
        self._put_cursor(at if at >= 0 else len(self.shown) - 1)

    def go_to_mark(self, step: int) -> bool:
        """Move the cursor to the next marked row, or the one before, around the end; a folded
        table opens for it. False where no row is marked."""
        rows = self.shown if self.filter.strip() else self.rows
        marks = marked_rows(rows)
        if not marks:
            return False
        here = self.selected.key if self.selected is not None else None
        at = next((at for at, row in enumerate(rows) if row.key == here), 0)
        ahead = [*rows[at + 1 :], *rows[: at + 1]] if step > 0 else [*rows[at:], *rows[:at]][::-1]
        row = next(row for row in ahead if row.key in marks)
        self.folded.discard(row.parent)
        self._lay_out(row.key)
        self.moved = True
        self.call_after_refresh(self._into_sight)
        self.post_message(self.Moved())
        return True

    def action_fold_or_unfold(self) -> None:
        """Fold or unfold the table under the cursor."""
        row = self.selected
        if row is not None and row.heading:
            self._fold(row, row.key not in self.folded)

    def action_fold(self) -> None:
        """Fold the table under the cursor, or go to the table of the change under it."""
        row = self.selected
        if row is not None and row.heading:
            self._fold(row, True)
        elif row is not None:
            self._put_cursor(next(i for i, r in enumerate(self.shown) if r.key == row.parent))

    def action_unfold(self) -> None:
        """Unfold the table under the cursor."""
        row = self.selected
        if row is not None and row.heading:
            self._fold(row, False)

    def action_fold_all(self) -> None:
        """Fold every table; the cursor goes to the table that it was in."""
        self.folded = {row.key for row in self.rows if row.heading}
        self._fold_all(self.selected.parent if self.selected is not None else None)

    def action_unfold_all(self) -> None:
        """Unfold every table."""
        self.folded = set()
        self._fold_all(self.selected.key if self.selected is not None else None)

    def _fold_all(self, select: RowKey | None) -> None:
        self._lay_out(select)
        self.call_after_refresh(self._into_sight)
        self.post_message(self.Moved())

    def _fold(self, row: PlanRow, folded: bool) -> None:
        if folded:
            self.folded.add(row.key)
        else:
            self.folded.discard(row.key)
        self._lay_out(row.key)
        self.call_after_refresh(self._into_sight)

    def on_click(self, event: events.Click) -> None:
        """Select the row; on a table's mark, fold or unfold it."""
        at = event.y - self.gutter.top + self.scroll_offset.y
        if not 0 <= at < len(self.shown):
            return
        self._put_cursor(at)
        if self.shown[at].heading and event.x - self.gutter.left < 2:
            self.action_fold_or_unfold()

    def render_line(self, y: int) -> Strip:
        """Fold mark or sign, sentence, and the documents it touches at the right edge."""
        width = self.scrollable_content_region.width
        at = y + self.scroll_offset.y
        if at >= len(self.shown):
            return Strip.blank(width, self.rich_style)
        style = self.visual_style
        if at == self.cursor:
            style = self.get_visual_style("plan-tree--cursor")
        row = self.shown[at]
        folded = row.key in self.folded and not self.filter.strip()
        content = row_content(row, folded, width)
        return Visual.to_strips(self, content, width, 1, style, pad=True)[0]


def row_content(row: PlanRow, folded: bool, width: int) -> Content:
    """One row in that many cells. A `!` before the sign says that a change needs a look."""
    if row.heading:
        head = Content.styled("▸ " if folded else "▾ ", "$muted")
    else:
        alarm = "!" if row.warns and row.sign not in "!✗" else " "
        head = Content.assemble(
            "  ", (alarm, "bold $warning"), (f"{row.sign} ", f"bold {SIGN_STYLES[row.sign]}")
        )
    counted = f"  {row.counted} " if row.counted else ""
    room = width - head.cell_length - len(counted)
    if room < LEAST_TEXT:
        counted, room = "", width - head.cell_length
    text = Content.styled(shortened(row.text, room), "bold" if row.heading else "")
    gap = " " * max(0, room - text.cell_length)
    return Content.assemble(head, text, gap, (counted, "$muted"))
