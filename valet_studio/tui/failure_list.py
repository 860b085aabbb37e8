"""The documents that a backfill could not fill, as a list to select from."""

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

from valet_studio.migrate.events import Sample
from valet_studio.schema.telling import told_fields
from valet_studio.tui.progress import FailedDocument, Progress
from valet_studio.tui.samples import MOST_CELLS, cell
from valet_studio.tui.text import one_line, shortened, value

LONGEST_NAME = 34


class FailureList(ScrollView, can_focus=True, inherit_bindings=False):
    """One line a document; `✓` where it worked when it was tried again."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"failure-list--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
    ]

    class Moved(Message):
        """Another document has the cursor."""

    def __init__(self) -> None:
        super().__init__(id="failures")
        self.progress: Progress | None = None
        self.items: tuple[FailedDocument, ...] = ()
        self.more = ""
        """What is said below the last of them of those that the report does not name."""
        self.cursor = 0
        self._room = 0
        """Cells for the names."""
        self._room_read = 0
        """Cells that what the functions read would take."""
        self._several = False
        """Whether more than one backfill failed."""

    @property
    def selected(self) -> FailedDocument | None:
        """The document under the cursor."""
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    def show(self, progress: Progress, dry_run_key: str) -> None:
        """Show a run's failures; the cursor stays on the document that it was on."""
        before = self.selected
        self.progress = progress
        unnamed = progress.failures_unnamed
        more = f"… and {unnamed:,} more: mend these, then {dry_run_key} names the next"
        more = more if unnamed else ""
        # Those that still fail come first, and of them one for each reason, so that a rare one is
        # not lost behind a common one.
        first = {id(item.failure) for item in progress.of_each_reason}
        items = tuple(
            sorted(
                progress.failures,
                key=lambda item: (progress.mended(item) is True, id(item.failure) not in first),
            )
        )
        if (items, more) != (self.items, self.more):
            self.items, self.more = items, more
            stays = before is not None and progress.mended(before) is not True
            kept = (i for i, item in enumerate(items) if stays and before and _same(item, before))
            self.cursor = next(kept, 0)
            self._several = len({(item.table, item.column) for item in items}) > 1
            longest = max(Content(self._called(item)).cell_length for item in items)
            self._room = min(LONGEST_NAME, longest)
            self._room_read = max(Content(_read(item)).cell_length for item in items)
            self.virtual_size = Size(0, len(self.items) + bool(self.more))
            self.refresh(layout=True)
            self.call_after_refresh(self._into_sight)
        else:
            self.refresh()

    def _into_sight(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)

    def _called(self, item: FailedDocument) -> str:
        who = item.failure.id or "?"
        return f"{item.table}.{item.column} {who}" if self._several else who

    def action_move(self, step: int) -> None:
        """Move the cursor by that many documents."""
        self._put_cursor(self.cursor + step)

    def action_page(self, step: int) -> None:
        """Move the cursor by pages."""
        self._put_cursor(self.cursor + step * max(1, self.size.height - 1))

    def _put_cursor(self, at: int) -> None:
        at = max(0, min(len(self.items) - 1, at))
        if at != self.cursor:
            self.cursor = at
            self.refresh()
            self.post_message(self.Moved())
        last = at == len(self.items) - 1 and bool(self.more)
        self.scroll_to_region(Region(0, at, 1, 1 + last), animate=False, force=True)

    def on_click(self, event: events.Click) -> None:
        """Select the document under the mouse."""
        at = event.y - self.gutter.top + self.scroll_offset.y
        if 0 <= at < len(self.items):
            self._put_cursor(at)

    def render_line(self, y: int) -> Strip:
        """Mark, `_id`, what the function read, and why it failed."""
        width = self.scrollable_content_region.width
        at = y + self.scroll_offset.y
        if at == len(self.items) and self.more:
            told = Content.styled(shortened(self.more, width), "$muted")
            return Visual.to_strips(self, told, width, 1, self.visual_style, pad=True)[0]
        if at >= len(self.items) or self.progress is None:
            return Strip.blank(width, self.rich_style)
        style = self.visual_style
        if at == self.cursor:
            style = self.get_visual_style("failure-list--cursor")
        item = self.items[at]
        newest = self.progress.newest(item)
        mended = newest is None
        room = self._room
        if newest is None:
            why = _works_now(self.progress.sample_now(item))
        else:
            why = newest.reason(item.column)
        left = max(4, width - room - 4)
        # The reason stands whole below the list: what differs between documents is told first.
        read = min(self._room_read, left * 3 // 5)
        held = f"{cell(_read(item), read)}  " if read else ""
        line = Content.assemble(
            ("✓ " if mended else "✗ ", "bold $success" if mended else "bold $error"),
            (cell(self._called(item), room), "bold"),
            "  ",
            held,
            (shortened(one_line(why), max(4, left - Content(held).cell_length)), "$muted"),
        )
        return Visual.to_strips(self, line, width, 1, style, pad=True)[0]


def _read(item: FailedDocument) -> str:
    return told_fields(item.failure.read, MOST_CELLS)


def _works_now(sample: Sample | None) -> str:
    return "works now" if sample is None else f"works now: {value(sample.after)}"


def _same(one: FailedDocument, other: FailedDocument) -> bool:
    return (one.table, one.column, one.failure.id) == (other.table, other.column, other.failure.id)
