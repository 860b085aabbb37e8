"""Keys that the user chose in the `[keys]` table of the configuration file. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeAlias

from valet_studio.errors import Problem
from valet_studio.tui.actions import ACTIONS
from valet_studio.tui.key_names import key_shown, textual_key

Bound: TypeAlias = Mapping[str, tuple[str, ...]]
"""Action and its keys, as textual names them."""

_KEPT = {
    **dict.fromkeys(("up", "down", "enter", "left", "right"), "moves and chooses in every pane"),
    "ctrl+p": "opens the palette",
    "ctrl+c": "is what a terminal stops programs with",
}


def bound(chosen: Iterable[tuple[str, str]]) -> tuple[dict[str, tuple[str, ...]], list[Problem]]:
    """The actions whose keys the user chose, and a sentence for each entry that cannot be.

    An entry is an action's id (`dry_run` or `dry-run`) and a key, or several with commas. What is
    wrong leaves the action its own key, so that nothing is ever out of reach.
    """
    found: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    known = {action.id: action for action in ACTIONS}
    for entry, text in chosen:
        action = entry.replace("-", "_")
        words = [text] if text.strip() == "," else text.split(",")
        keys = [textual_key(word) for word in words]
        kept = next((key for key in keys if key in _KEPT), None)
        if action not in known:
            near = get_close_matches(action, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
            problems.append(Problem(f"[keys] names no action of the studio: {entry}.", hint))
        elif None in keys:
            hint = "Write a letter, a sign, or a name as in ctrl+s, f5, escape."
            problems.append(Problem(f"[keys] {entry} = {text!r} is no key.", hint))
        elif kept is not None:
            problems.append(
                Problem(f"[keys] {entry} cannot be {kept}, which {_KEPT[kept]}.", "Choose another.")
            )
        else:
            found[action] = tuple(key for key in keys if key is not None)
    return found, problems + _without_clashes(found)


def _without_clashes(found: dict[str, tuple[str, ...]]) -> list[Problem]:
    """Take out what would give one key two meanings, until no key has two."""
    problems: list[Problem] = []
    while clash := _clash(found):
        action, key, other = clash
        del found[action]
        problems.append(
            Problem(
                f"[keys] {action} cannot be {key_shown(key)}: that is the key of {other}.",
                f"Choose another, or give {other} another key too.",
            )
        )
    return problems


def _clash(found: Bound) -> tuple[str, str, str] | None:
    owners: dict[str, str] = {}
    for action in sorted(ACTIONS, key=lambda action: action.id in found):
        for key in found.get(action.id, action.keys):
            if key in owners and action.id in found:
                return action.id, key, owners[key]
            owners.setdefault(key, action.id)
    return None
