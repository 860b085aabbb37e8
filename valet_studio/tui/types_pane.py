"""Pane 2: what the generated types gain and lose."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from valet_studio.tui.facts import Facts
from valet_studio.tui.text import count


class TypesPane(VerticalScroll):
    """The difference between the generated files on disk and what the schema asks for."""

    BORDER_TITLE = "2 Types"

    def __init__(self) -> None:
        super().__init__(id="types", classes="pane", can_focus=True)
        self.drawn: Content | None = None
        self.text = ""

    def compose(self) -> ComposeResult:
        yield Static(id="types-text", markup=False)

    def show(self, facts: Facts, diff: Content | None) -> None:
        """Draw the difference, made by a worker, or say that there is none."""
        self.set_class(facts.broken, "-broken")
        stale = facts.good.files if facts.good is not None else ()
        number = sum(file.stale for file in stale)
        if diff is not None:
            drawn = diff
        elif facts.good is None:
            drawn = Content.styled("No types yet.", "$muted")
        else:
            drawn = Content.assemble(("✓ ", "bold $success"), "Types are up to date.")
        self.border_subtitle = Content(f"{count(number, 'file')} stale") if number else None
        if drawn is not self.drawn:
            self.drawn, self.text = drawn, drawn.plain
            self.query_one("#types-text", Static).update(drawn)
