"""Names of keys: as textual has them, and as a person reads and writes them. Pure."""

from __future__ import annotations

import unicodedata

from textual.keys import KEY_NAME_REPLACEMENTS, Keys, key_to_character

_MODIFIERS = ("ctrl", "shift", "alt", "super", "hyper", "meta")
_NAMES = {key.value for key in Keys} | {"space"}
_ALIASES = {
    "esc": "escape",
    "return": "enter",
    "pgup": "pageup",
    "pgdn": "pagedown",
    "del": "delete",
}
_SHOWN = {
    "escape": "esc",
    "plus": "+",
    "slash": "/",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "pgup",
    "pagedown": "pgdn",
}


def key_shown(key: str) -> str:
    """A key of textual's as a person would name it: `?`, `esc`, `shift+↓`."""
    *modifiers, name = key.split("+")
    sign = name if len(name) == 1 else _SHOWN.get(name) or key_to_character(name) or name
    return "+".join((*modifiers, sign if sign.isprintable() and sign != " " else name))


def textual_key(text: str) -> str | None:
    """A key as textual names it; None where there is no such key. `ctrl+?`, `F5`, `G`, `esc`."""
    text = text.strip()
    head, _, name = text[:-1].rpartition("+")
    name += text[-1:]
    modifiers = [part.strip().lower() for part in head.split("+")] if head else []
    if not name or any(part not in _MODIFIERS for part in modifiers):
        return None
    if len(name) == 1:
        name = name if name.isalnum() else _name_of(name)
    else:
        name = _ALIASES.get(name.lower(), name.lower())
        if name not in _NAMES and key_to_character(name) is None:
            return None
    return "+".join((*modifiers, name))


def _name_of(sign: str) -> str:
    name = unicodedata.name(sign, "").lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name)
