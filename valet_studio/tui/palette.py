"""The command palette: every action by its name, those that are off with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from valet_studio.tui.actions import ACTIONS, Action
from valet_studio.tui.facts import Facts


class Studio(Protocol):
    """The app that the actions are done in."""

    facts: Facts

    def choose(self, name: str) -> None:
        """Do an action of the registry, or say why it is off."""


class ActionsProvider(Provider):
    """The registry. What works now comes first; choosing what does not says why."""

    @property
    def studio(self) -> Studio:
        """The app that the actions are done in."""
        return cast("Studio", self.app)

    async def discover(self) -> Hits:
        """All actions, before anything is typed."""
        for action, reason in self._ordered():
            name = _name(action, self.studio)
            shown = _shown(Content(name), reason)
            yield DiscoveryHit(shown, self._choose(action), name, _told(action, reason))

    async def search(self, query: str) -> Hits:
        """The actions whose name is like what was typed, then those whose help holds it."""
        matcher = self.matcher(query)
        for action, reason in self._ordered():
            name = _name(action, self.studio)
            score = matcher.match(name)
            if score <= 0 and query.casefold() in action.help.casefold():
                score = 0.01
            if score > 0:
                # Of two that match alike, the one that works comes first.
                score *= 1.0 if reason is None else 0.9
                shown = _shown(matcher.highlight(name), reason)
                yield Hit(score, shown, self._choose(action), name, _told(action, reason))

    def _ordered(self) -> Iterator[tuple[Action, str | None]]:
        facts = self.studio.facts
        reasons = [(action, _reason(action, facts)) for action in ACTIONS]
        yield from (each for each in reasons if each[1] is None)
        yield from (each for each in reasons if each[1] is not None)

    def _choose(self, action: Action) -> partial[None]:
        return partial(self.studio.choose, action.id)


def _reason(action: Action, facts: Facts) -> str | None:
    """Why an action is off; where nothing can be mended, a quick fix is off too."""
    if action.id == "fix" and not facts.fixes:
        return action.reason(facts) or "There is nothing to fix in what is selected."
    return action.reason(facts)


def _name(action: Action, app: Studio) -> str:
    label = action.label[:1].upper() + action.label[1:]
    return f"{label}  ({app.facts.key(action.id)})"


def _shown(name: Content, reason: str | None) -> Content:
    """A word says that it is off, colour repeats it."""
    if reason is None:
        return name
    return Content.assemble(name, "  off").stylize("$muted")


def _told(action: Action, reason: str | None) -> str:
    return action.help if reason is None else reason
