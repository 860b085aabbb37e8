"""The one screen: four panes side by side, or one pane and tabs where they do not fit."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.dom import DOMNode
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from valet_studio.tui.actions import ACTIONS, PANES
from valet_studio.tui.diff import TypesView
from valet_studio.tui.dry_run_pane import DryRunPane
from valet_studio.tui.facts import Facts
from valet_studio.tui.find import FindLine, Searched
from valet_studio.tui.jump import JumpTarget
from valet_studio.tui.log_pane import LogPane
from valet_studio.tui.plan_pane import PlanPane
from valet_studio.tui.progress import Progress
from valet_studio.tui.status import KeyLine, Notice, StatusLine, Tabs, Tone
from valet_studio.tui.tour_bar import TourBar
from valet_studio.tui.types_pane import TypesPane

ROWS = {"planned": "1fr 1fr 8", "rehearsed": "1fr 2fr 7", "failed": "6 1fr 6"}
"""Heights of types, dry run and log: the dry run has the more room the more it has to tell."""
LOG_PART = 6
"""Of a tall screen the log has a sixth."""
LEAST_WIDTH = 100
LEAST_HEIGHT = 28
"""Below either, one pane is shown at a time."""


class MainScreen(Screen[None]):
    """Lays out the panes and keeps the focus; what they show comes from the app."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            ",".join(action.keys),
            f"app.perform('{action.id}')",
            action.label,
            show=False,
            id=action.id,
        )
        for action in ACTIONS
    ]

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As the base class has it, but that panes draw their own frames: all four need not be drawn
    anew where the focus goes from one to another."""

    def __init__(self) -> None:
        super().__init__()
        self.current = 0
        self.zoomed = False
        self.rows = ROWS["planned"]
        self.searched: Searched | None = None
        """What text is being found in."""
        self._arranged: tuple[bool, int, str] | None = None

    def compose(self) -> ComposeResult:
        yield StatusLine()
        yield Tabs()
        with Container(id="panes"):
            yield PlanPane()
            yield TypesPane()
            yield DryRunPane()
            yield LogPane()
        yield TourBar()
        yield FindLine()
        yield Notice()
        yield KeyLine()

    def on_mount(self) -> None:
        """The plan has the focus."""
        self.go_to(0)

    @property
    def plan_pane(self) -> PlanPane:
        """Pane 1."""
        return self.query_one(PlanPane)

    @property
    def types_pane(self) -> TypesPane:
        """Pane 2."""
        return self.query_one(TypesPane)

    @property
    def dry_run_pane(self) -> DryRunPane:
        """Pane 3."""
        return self.query_one(DryRunPane)

    @property
    def log_pane(self) -> LogPane:
        """Pane 4."""
        return self.query_one(LogPane)

    @property
    def pane_name(self) -> str:
        """Which pane has the focus."""
        return PANES[self.current]

    @property
    def single(self) -> bool:
        """Whether one pane is shown at a time."""
        return self.zoomed or self.size.width < LEAST_WIDTH or self.size.height < LEAST_HEIGHT

    def show(self, facts: Facts, progress: Progress | None, types: TypesView | None) -> None:
        """Draw all from what is known now."""
        self.query_one(StatusLine).show(facts)
        self.query_one(KeyLine).show(facts)
        self.query_one(TourBar).show(facts)
        self.plan_pane.show(facts)
        self.types_pane.show(facts, types)
        self.show_run(facts, progress)

    def show_keys(self, facts: Facts) -> None:
        """Draw the line of keys."""
        self.query_one(KeyLine).show(facts)

    def show_run(self, facts: Facts, progress: Progress | None) -> None:
        """Draw only what a running dry run or apply changes."""
        failed = progress is not None and progress.ended and bool(progress.failures)
        rows = ROWS["failed" if failed else "rehearsed" if progress is not None else "planned"]
        tall = self.size.height // LOG_PART
        *others, log = rows.split()
        rows = " ".join((*others, str(max(int(log), tall))))
        if rows != self.rows:
            self.rows = rows
            self._arrange()
        self.dry_run_pane.show(facts, progress)

    def say(self, text: str, tone: Tone = "plain") -> None:
        """Say it in the line above the keys."""
        self.query_one(Notice).say(text, tone)

    @property
    def notice(self) -> str:
        """What was said last."""
        return self.query_one(Notice).text

    def go_to(self, pane: int) -> None:
        """Give a pane the focus, and show it where one is shown at a time."""
        self.current = pane % len(PANES)
        self._arrange()
        target: Widget = self.query_one(f"#{PANES[self.current]}")
        if isinstance(target, PlanPane | TypesPane | DryRunPane):
            target = target.entry
        # At once: the next key may be there already, and is meant for this pane.
        self.set_focus(target)
        if self.single:
            self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """Have text drawn anew that was drawn while its pane was hidden, and had no width: Textual
        does not always tell a pane that it is shown again."""
        for pane in (self.plan_pane, self.types_pane, self.dry_run_pane):
            pane.fit()

    def watch_focused(self, before: Widget | None, now: Widget | None) -> None:
        """Frame the pane that has the focus.

        `:focus-within` would do it too, and have the style sheet applied to all that the panes
        hold: 10 ms at each key that goes from one to another.
        """
        left, entered = _pane_around(before), _pane_around(now)
        if left is entered:
            return
        for pane in (left, entered):
            if pane is not None:
                pane.set_class(pane is entered, "-focused", update=False)
                self.app.stylesheet.apply(pane, animate=True)

    def targets(self) -> list[JumpTarget]:
        """Everything that can be gone to: the panes' titles, and the plan's rows in sight."""
        found = []
        for at, name in enumerate(PANES):
            pane = self.query_one(f"#{name}")
            if pane.region.height:
                found.append(JumpTarget(pane.region.x, pane.region.y, partial(self.go_to, at)))
            elif self.single:
                tabs = self.query_one(Tabs)
                x, y = tabs.region.offset
                found.append(JumpTarget(x + tabs.start(at), y, partial(self.go_to, at)))
        tree = self.plan_pane.changes
        first = tree.scroll_offset.y
        for line in range(min(tree.region.height, len(tree.shown) - first)):
            x, y = tree.region.offset
            found.append(JumpTarget(x, y + line, partial(self._go_to_row, first + line)))
        return found

    def _go_to_row(self, row: int) -> None:
        self.go_to(PANES.index("plan"))
        self.plan_pane.changes.action_go_to(row)

    def begin_finding(self) -> None:
        """Ask for text to find in the pane that has the focus."""
        searched: dict[str, Searched] = {
            "types": self.types_pane.entry,
            "dry-run": self.dry_run_pane.searched,
            "log": self.log_pane,
        }
        self.searched = searched.get(self.pane_name)
        if self.searched is not None:
            self.query_one(Notice).display = False
            self.query_one(FindLine).begin()

    def on_find_line_asked(self, event: FindLine.Asked) -> None:
        """Find it, or the next one."""
        if self.searched is not None:
            found = self.searched.find(event.text, event.step)
            self.query_one(FindLine).tell(found if event.text else None)

    def on_find_line_left(self, event: FindLine.Left) -> None:
        """Have the notice again; what was found stays in sight."""
        if self.searched is None:
            return
        self.searched.find("")
        self.searched = None
        self.query_one(FindLine).display = False
        self.query_one(Notice).display = True
        if event.back:
            self.go_to(self.current)

    def zoom(self) -> None:
        """Show the focused pane alone, or all four again."""
        self.zoomed = not self.zoomed
        self._arrange()

    def on_resize(self, _: events.Resize) -> None:
        """Choose the arrangement that fits."""
        self._arrange()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A click moved the focus."""
        for widget in (event.widget, *event.widget.ancestors):
            if widget.id in PANES:
                self.current = PANES.index(widget.id)
                self._arrange()
                return

    def _arrange(self) -> None:
        """Lay the panes out by their own styles.

        A class on the screen would do it too, and have the style sheet applied to every widget
        anew: 20 ms in which no key is heard.
        """
        single = self.single
        wanted = (single, self.current, self.rows)
        if wanted == self._arranged:
            return
        self._arranged = wanted
        tabs, panes = self.query_one(Tabs), self.query_one("#panes")
        tabs.display = single
        panes.styles.grid_size_columns = 1 if single else 2
        panes.styles.grid_size_rows = 1 if single else 3
        panes.styles.grid_columns = "1fr" if single else "1fr 1fr"
        panes.styles.grid_rows = "1fr" if single else self.rows
        self.plan_pane.styles.row_span = 1 if single else 2
        self.log_pane.styles.column_span = 1 if single else 2
        for at, name in enumerate(PANES):
            self.query_one(f"#{name}").display = not single or at == self.current
        tabs.show(self.current)


def _pane_around(widget: Widget | None) -> DOMNode | None:
    """The pane that a widget is, or lies in."""
    around = widget.ancestors_with_self if widget is not None else ()
    return next((each for each in around if each.id in PANES), None)
