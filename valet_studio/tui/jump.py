"""Jump mode: a letter on everything that can be gone to; pressing it goes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

LETTERS = "asdfghjklqwertyuiopzxcvbnm"

Go: TypeAlias = Callable[[], object]


@dataclass(frozen=True, slots=True)
class JumpTarget:
    """One place on the screen, in cells from its top left corner."""

    x: int
    y: int
    go: Go


def labels(number: int) -> list[str]:
    """That many labels, none the beginning of another: one letter while they last, else two."""
    if number <= len(LETTERS):
        return list(LETTERS[:number])
    return [first + second for first in LETTERS for second in LETTERS][:number]


class JumpScreen(ModalScreen[Go | None]):
    """Ends with where to go, or None. Any other key leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", show=False)]

    def __init__(self, targets: Sequence[JumpTarget]) -> None:
        super().__init__()
        self.targets = dict(zip(labels(len(targets)), targets, strict=False))
        self.typed = ""

    def compose(self) -> ComposeResult:
        for label, target in self.targets.items():
            tag = Static(Content(f" {label} "), classes="jump-label", markup=False)
            tag.absolute_offset = None
            tag.styles.offset = (target.x, target.y)
            yield tag
        yield Static(" A letter jumps there; any other key leaves.", id="jump-hint", markup=False)

    def on_key(self, event: events.Key) -> None:
        """A label's letter; two for the longer labels."""
        event.stop()
        event.prevent_default()
        self.typed += event.character or " "
        if self.typed in self.targets:
            self.dismiss(self.targets[self.typed].go)
        elif not any(label.startswith(self.typed) for label in self.targets):
            self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """A click leaves."""
        event.stop()
        self.dismiss(None)

    def action_close(self) -> None:
        """Go nowhere."""
        self.dismiss(None)
