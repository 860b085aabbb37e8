"""Finding text in a pane: one line in place of the notice, for whatever pane has the focus."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from valet_studio.tui.typed_input import TypedInput


class Found(NamedTuple):
    """Which of how many lines that hold the text is shown, from 1; 0 of 0 where none does."""

    number: int
    total: int


class Searched(Protocol):
    """What text can be found in."""

    def find(self, text: str, step: int = 0) -> Found:
        """Go to the first line from here that holds the text, or by `step` to another one.

        Upper and lower case are one. The empty text ends it.
        """
        ...


def occurrences(text: str, line: str) -> list[tuple[int, int]]:
    """Where a text begins and ends in a line."""
    if not text:
        return []
    return [match.span() for match in re.finditer(re.escape(text), line, re.IGNORECASE)]


def next_match(matches: list[int], at: int, here: int, step: int) -> int:
    """The index of the match to go to.

    Args:
        matches: the lines that match, at least one.
        at: the line that was gone to last; -1 where there was none.
        here: where to begin then.
        step: 1 for the next one, -1 for the one before; the last is followed by the first.
    """
    if step and at in matches:
        return (matches.index(at) + step) % len(matches)
    start = at if at >= 0 else here
    return next((number for number, line in enumerate(matches) if line >= start), 0)


class FindInput(TypedInput):
    """What is looked for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("enter,down", "step(1)", show=False),
        Binding("up", "step(-1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder="text to find", compact=True)

    def action_leave(self) -> None:
        """Done with it."""
        self.post_message(FindLine.Left(back=True))

    def action_step(self, step: int) -> None:
        """Go to the next line that holds it, or to the one before."""
        self.post_message(FindLine.Asked(self.value, step))

    def on_blur(self) -> None:
        """The user went elsewhere."""
        self.post_message(FindLine.Left(back=False))


class FindLine(Horizontal):
    """Hidden until it is asked for."""

    @dataclass
    class Asked(Message):
        """Find this."""

        text: str
        step: int = 0

    @dataclass
    class Left(Message):
        """The user is done with it, and goes `back` to the pane."""

        back: bool

    def __init__(self) -> None:
        super().__init__(id="find")

    def compose(self) -> ComposeResult:
        yield Static("/", markup=False)
        yield FindInput()
        yield Static(id="find-told", markup=False)

    def begin(self) -> None:
        """Ask what to find."""
        self.display = True
        self.query_one(FindInput).value = ""
        self.tell(None)
        self.query_one(FindInput).focus()

    def tell(self, found: Found | None) -> None:
        """Say how it went."""
        if found is None:
            told = Content.styled("enter next  ↑ before  esc ends", "$muted")
        elif found.total:
            told = Content.assemble(
                (f"{found.number:,} of {found.total:,}", "bold"),
                ("  enter next  ↑ before  esc ends", "$muted"),
            )
        else:
            told = Content.styled("nothing holds this  esc ends", "$warning")
        self.query_one("#find-told", Static).update(told)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Find as the user types."""
        event.stop()
        self.post_message(self.Asked(event.value))
