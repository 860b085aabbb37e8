"""The screen of applied migrations: each with what it changed in the schema; any two compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import Worker, WorkerState

from valet_studio.errors import Problem
from valet_studio.migrate.history import HistoryEntry
from valet_studio.plan.diff import SchemaChange
from valet_studio.tui.runs import problems_of
from valet_studio.tui.text import (
    BLANK,
    SIGN_STYLES,
    count,
    duration,
    hanging,
    lines,
    one_line,
    problem,
    shortened,
)

LEAST_WIDTH = 100
"""Cells below which the list stands above the difference."""

Diff = Callable[[int | None, int], Sequence[SchemaChange]]


class HistoryScreen(Screen[None]):
    """Newest first. `space` marks one to compare the selected one with.

    Args:
        label: the database, as the user named it.
        read: gives the applied migrations, newest first; may take long and raise a `StudioError`.
        diff: gives what differs between the schemas of two migrations, the earlier one first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,h,backspace", "close", show=False),
        Binding("space,m", "mark", show=False),
        Binding("c", "copy", show=False),
        Binding("j", "move(1)", show=False),
        Binding("k", "move(-1)", show=False),
        Binding("shift+down,J,pagedown", "scroll(3)", show=False),
        Binding("shift+up,K,pageup", "scroll(-3)", show=False),
    ]
    KEYS = "esc closes · space marks one to compare with · c copies · shift+↓ scrolls"

    def __init__(self, label: str, read: Callable[[], Sequence[HistoryEntry]], diff: Diff) -> None:
        super().__init__()
        self.label, self.read, self.diff = label, read, diff
        self.entries: Sequence[HistoryEntry] = ()
        self.marked: int | None = None
        self.differences: dict[tuple[int | None, int], Sequence[SchemaChange]] = {}
        self.drawn = BLANK

    def compose(self) -> ComposeResult:
        yield Static(id="history-head", markup=False)
        with Horizontal(id="history-body"):
            with Vertical(id="history-left", classes="pane") as left:
                left.border_title = Content("Applied migrations")
                yield OptionList(id="history-list", markup=False)
            with VerticalScroll(id="history-right", classes="pane", can_focus=False) as right:
                right.border_title = Content("Schema")
                yield Static(id="history-diff", markup=False)
        yield Static(Content.styled(f" {self.KEYS}", "$muted"), id="history-keys", markup=False)

    def on_mount(self) -> None:
        """Read on a worker."""
        head = Content.assemble(
            (" History  ", "bold"), ("│ ", "$border-idle"), (self.label, "bold")
        )
        self.query_one("#history-head", Static).update(head)
        self.query_one("#history-diff", Static).update(Content.styled("Reading…", "$muted"))
        self.on_resize()
        self.query_one("#history-list").focus()
        self.run_worker(self.read, group="history", thread=True, exit_on_error=False, name="read")

    def on_resize(self) -> None:
        """Side by side where that fits."""
        self.set_class(self.app.size.width < LEAST_WIDTH, "-stacked")
        if self.entries:
            self.call_after_refresh(self._fill)

    @property
    def selected(self) -> HistoryEntry | None:
        """The migration under the cursor."""
        at = self.query_one(OptionList).highlighted
        return self.entries[at] if at is not None and at < len(self.entries) else None

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """The history or a difference was read, or could not be."""
        event.stop()
        worker = event.worker
        if event.state is WorkerState.ERROR:
            error = worker.error
            self._tell(problems_of(error if isinstance(error, Exception) else Exception(error)))
        elif event.state is WorkerState.SUCCESS and worker.name == "read":
            self.entries = tuple(worker.result or ())
            self.call_after_refresh(self._fill)
        elif event.state is WorkerState.SUCCESS and worker.result is not None:
            pair, changes = worker.result
            self.differences[pair] = changes
            self._show()

    def _tell(self, problems: Sequence[Problem]) -> None:
        width = max(20, self.query_one("#history-right").scrollable_content_region.width)
        self._draw(Content("\n\n").join(problem(item, width) for item in problems))

    def _draw(self, drawn: Content) -> None:
        self.drawn = drawn
        self.query_one("#history-diff", Static).update(drawn)

    def _fill(self) -> None:
        options = self.query_one(OptionList)
        if not self.entries:
            self._draw(
                lines(
                    (
                        Content.styled("Nothing was applied yet.", "bold"),
                        Content.styled("Each apply adds a migration here.", "$muted"),
                    )
                )
            )
            return
        at = options.highlighted or 0
        width = max(20, options.scrollable_content_region.width - 2)
        options.clear_options()
        options.add_options([Option(self._line(entry, width)) for entry in self.entries])
        options.highlighted = at

    def _line(self, entry: HistoryEntry, width: int) -> Content:
        mark = "◆" if entry.id == self.marked else " "
        incomplete = entry.hash_after is None
        head = f"{mark} {entry.id:>3}  {entry.when}"
        parts = [duration(entry.seconds)]
        parts[:0] = [count(entry.rows, "value")] if entry.rows else []
        parts += ["incomplete"] if incomplete else []
        # The right side tells all of it; here a line must not break.
        while len(parts) > 1 and len(head) + len(" · ".join(parts)) + 1 > width:
            parts.pop(-2 if incomplete else -1)
        told = " · ".join(parts)
        gap = max(2, width - len(head) - len(told))
        return lines(
            (
                Content.assemble(
                    (head, "bold"), " " * gap, (told, "$warning" if incomplete else "$muted")
                ),
                Content.styled(f"       {shortened(one_line(entry.summary), width - 7)}", "$muted"),
            )
        )

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another migration has the cursor: read what it changed."""
        event.stop()
        self._show()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter marks as space does."""
        event.stop()
        self.action_mark()

    def _pair(self) -> tuple[int | None, int] | None:
        entry = self.selected
        if entry is None:
            return None
        if self.marked is not None and self.marked != entry.id:
            return min(self.marked, entry.id), max(self.marked, entry.id)
        return max((e.id for e in self.entries if e.id < entry.id), default=None), entry.id

    def _show(self) -> None:
        pair = self._pair()
        if pair is None:
            return
        right = self.query_one("#history-right")
        start = "an empty schema" if pair[0] is None else f"migration {pair[0]}"
        right.border_title = Content(f"From {start} to migration {pair[1]}")
        if pair in self.differences:
            width = max(20, right.scrollable_content_region.width)
            self._draw(self._difference(pair, width))
        else:
            self._draw(Content.styled("Reading…", "$muted"))
            self.run_worker(
                partial(self._read_difference, pair),
                group="difference",
                thread=True,
                exclusive=True,
                exit_on_error=False,
            )

    def _read_difference(
        self, pair: tuple[int | None, int]
    ) -> tuple[tuple[int | None, int], Sequence[SchemaChange]]:
        return pair, self.diff(*pair)

    def _difference(self, pair: tuple[int | None, int], width: int) -> Content:
        changes = self.differences[pair]
        parts: list[Content] = []
        table = None
        for change in changes:
            if change.table != table:
                parts += ([BLANK] if parts else []) + [Content.styled(change.table, "bold")]
                table = change.table
            sign = Content.styled(f"{change.sign} ", f"bold {SIGN_STYLES[change.sign]}")
            parts.append(hanging(sign, change.summary, width))
        if not parts:
            parts.append(Content("The two schemas are the same."))
        entry = self.selected
        if entry is not None and self.marked in (None, entry.id):
            parts += [BLANK, *_facts(entry)]
        return lines(parts)

    def action_mark(self) -> None:
        """Mark the selected one, or take the mark away."""
        entry = self.selected
        if entry is not None:
            self.marked = None if self.marked == entry.id else entry.id
            self._fill()
            self._show()

    def action_copy(self) -> None:
        """Copy the difference."""
        self.app.copy_to_clipboard(self.drawn.plain)
        self.query_one("#history-keys", Static).update(Content(" Copied to the clipboard."))

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_scroll(self, step: int) -> None:
        """Scroll the difference."""
        self.query_one("#history-right").scroll_relative(y=step, animate=False)

    def action_close(self) -> None:
        """Back to the panes."""
        self.dismiss()


def _facts(entry: HistoryEntry) -> list[Content]:
    after = entry.hash_after[:12] if entry.hash_after else "incomplete: a backfill failed"
    told = (
        ("Applied", entry.when),
        ("Values", f"{entry.rows:,} filled in {duration(entry.seconds)}"),
        ("Before", entry.hash_before[:12] if entry.hash_before else "no schema"),
        ("After", after),
    )
    return [Content.assemble((f"{name:<8} ", "$muted"), text) for name, text in told]
