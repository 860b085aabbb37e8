"""Pane 2: what follows from the schema. Types and what they gain and lose, SQL, schema.json."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from valet_studio.tui.diff import Tab, TypesView, fits_side_by_side, side_by_side, unified
from valet_studio.tui.facts import Facts
from valet_studio.tui.lines import Lines
from valet_studio.tui.pane import Titled
from valet_studio.tui.text import count

TITLES = ("TypeScript", "Python", "SQL", "schema.json")


class TypesPane(Vertical, Titled):
    """Tabs of generated text, as a difference where the file on disk is another."""

    heading = "2 Types"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "tab(-1)", show=False),
        Binding("right", "tab(1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="types", classes="pane")
        self.view: TypesView | None = None
        self.current = 0
        self.sides = False
        """Whether differences stand side by side where the pane is wide enough."""
        self._drawn_width = 0
        self.begins: list[int] = []
        """At which line each hunk begins."""
        self.stale = 0
        self.outdated = False
        """Whether the newest schema.ts has none: these are of the one before."""

    def compose(self) -> ComposeResult:
        yield Static(id="types-tabs", markup=False)
        yield Lines(id="types-text")

    @property
    def entry(self) -> Lines:
        """What the focus goes to."""
        return self.query_one(Lines)

    @property
    def text(self) -> str:
        """The tab that is shown, as plain text."""
        return self.entry.text

    @property
    def tab(self) -> Tab | None:
        """The tab that is shown."""
        tabs = self.view.tabs if self.view is not None else ()
        return next((tab for tab in tabs if tab.title == TITLES[self.current]), None)

    def show(self, facts: Facts, view: TypesView | None) -> None:
        """Draw the texts, made by a worker."""
        self.set_class(facts.broken, "-broken")
        self.outdated = facts.broken and not facts.unreadable
        self.stale = len(facts.stale_files)
        if view is not self.view or not self.entry.lines:
            self.view = view
            self.draw()
        self._draw_subtitle()

    def on_resize(self, _: events.Resize) -> None:
        """Two sides fit, or no longer do."""
        self.draw()

    def fit(self) -> None:
        """Draw anew what was drawn for another width."""
        if self.entry.scrollable_content_region.width not in (self._drawn_width, 0):
            self.draw()

    def draw(self) -> None:
        """Draw the tab that is chosen."""
        self.query_one("#types-tabs", Static).update(self._titles())
        tab = self.tab
        self._drawn_width = width = self.entry.scrollable_content_region.width
        if tab is None:
            lines, self.begins = [Content.styled("No types yet.", "$muted")], []
        elif self.sides and tab.hunks and fits_side_by_side(width):
            lines, self.begins = side_by_side(tab, width)
        else:
            lines, self.begins = unified(tab)
        self.entry.show(lines)
        self._draw_subtitle()

    def toggle_sides(self) -> bool:
        """Side by side, or below each other; False where two sides do not fit."""
        self.sides = not self.sides
        self.draw()
        return not self.sides or fits_side_by_side(self.entry.scrollable_content_region.width)

    def go_to_hunk(self, step: int) -> None:
        """Scroll to the next difference, or to the one before."""
        if not self.begins:
            return
        here = self.entry.scroll_offset.y
        if step > 0:
            target = next((at for at in self.begins if at > here + 1), self.begins[-1])
        else:
            target = next((at for at in reversed(self.begins) if at - 1 < here), self.begins[0])
        self.entry.scroll_to(y=target - 1, animate=False)
        self._draw_subtitle(self.begins.index(target) + 1)

    def action_tab(self, step: int) -> None:
        """Show another text, from its top."""
        self.current = (self.current + step) % len(TITLES)
        self.draw()
        self.entry.scroll_to(0, 0, animate=False)

    def on_click(self, event: events.Click) -> None:
        """A click on a title shows its text."""
        if event.widget is not self.query_one("#types-tabs"):
            return
        at = 0
        for number, title in enumerate(TITLES):
            end = at + len(title) + 2
            if at <= event.x < end:
                self.action_tab(number - self.current)
                return
            at = end

    def _titles(self) -> Content:
        """The current one stands in brackets: colour only repeats it."""
        parts = []
        for at, title in enumerate(TITLES):
            here = at == self.current
            text = f"[{title}]" if here else f" {title} "
            parts.append(Content.styled(text, "bold $primary" if here else "$muted"))
        return Content.assemble(*parts)

    def _draw_subtitle(self, hunk: int = 0) -> None:
        said = []
        if self.begins and (hunk or len(self.begins) > 1):
            number = count(len(self.begins), "hunk")
            said.append(f"hunk {hunk} of {len(self.begins)}" if hunk else number)
        if self.outdated:
            said.append("of the last good schema")
        elif self.stale:
            said.append(f"{count(self.stale, 'file')} stale")
        self.border_subtitle = Content(" · ".join(said)) if said else None
