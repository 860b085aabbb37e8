"""The help screen: every key, those of the focused pane first."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from valet_studio.tui.actions import ACTIONS, MOVES, Action
from valet_studio.tui.facts import Facts
from valet_studio.tui.key_names import key_shown
from valet_studio.tui.text import BLANK, hanging, lines, rule

TITLES = {"plan": "Plan", "types": "Types", "dry-run": "Dry run", "log": "Log"}
KEYS = 13
"""Cells that the longest usual keys take."""
SIGNS = (
    ("+", "added to the database"),
    ("-", "leaves the types; kept in the database"),
    ("~", "altered"),
    ("!", "needs a look"),
    ("✗", "rejected: nothing is applied"),
)


class HelpScreen(ModalScreen[None]):
    """Closes with any of the keys that a person would try."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "dismiss", show=False)
    ]

    def on_click(self, event: events.Click) -> None:
        """A click beside it closes it."""
        if event.widget is self:
            self.dismiss()

    def __init__(self, pane: str, facts: Facts, width: int) -> None:
        super().__init__()
        self.text = help_text(pane, facts, min(78, int(width * 0.96)) - 8)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = Content("Keys")
            box.border_subtitle = Content("esc closes")
            yield Static(self.text, markup=False)


def help_text(pane: str, facts: Facts, width: int) -> Content:
    """Keys of one pane, then those that work everywhere, each with why it is off now."""
    parts = [rule(f"In this pane: {TITLES[pane]}", "$primary")]
    parts += [help_line(keys, told, width) for keys, told in MOVES[pane]]
    for action in ACTIONS:
        if action.pane == pane:
            parts.append(help_line(_keys(action, facts), action.help, width))
    parts += [BLANK, rule("Everywhere", "$primary")]
    for action in ACTIONS:
        if action.pane is None and (facts.tour is not None or not action.of_tour):
            parts.append(help_line(_keys(action, facts), action.help, width))
            reason = action.reason(facts)
            if reason is not None and action.always_shown:
                parts.append(help_line("", f"Now: {reason}", width, "$muted"))
    parts.append(help_line("ctrl+p", "Find an action by its name.", width))
    parts += [BLANK, rule("Signs", "$primary")]
    parts += [help_line(sign, told, width) for sign, told in SIGNS]
    return lines(parts)


def _keys(action: Action, facts: Facts) -> str:
    return " ".join(key_shown(key) for key in facts.keys[action.id])


def help_line(keys: str, told: str, width: int, style: str = "") -> Content:
    """Keys and what they do, side by side; more keys than their column holds take more lines."""
    first, *rest = textwrap.wrap(keys, KEYS, break_long_words=False) or [""]
    room = max(KEYS, *map(len, (first, *rest))) + 4
    drawn = hanging(Content.styled(f"  {first:<{room - 2}}", "bold"), told, width, style).split(
        "\n"
    )
    for at, more in enumerate(rest, start=1):
        beside = drawn[at][room:] if at < len(drawn) else BLANK
        drawn[at : at + 1] = [Content.styled(f"  {more:<{room - 2}}", "bold") + beside]
    return lines(drawn)
