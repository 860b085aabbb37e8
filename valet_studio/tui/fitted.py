"""Textual's own themes, fitted to the studio. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from valet_studio.tui.theme import DARK, LIGHT

LEAST_CONTRAST = 4.5
"""Of text to its ground (https://www.w3.org/TR/WCAG22/#contrast-minimum)."""
_GROUNDS = ("background", "surface", "panel")
_CODE = {
    "code-keyword": "accent",
    "code-string": "success",
    "code-number": "warning",
    "code-type": "primary",
    "code-name": "foreground",
    "code-comment": "muted",
}
"""The colours of code, and which of a theme's they are where it has none for code."""


@cache
def fitted(name: str) -> Theme:
    """One of Textual's themes with the colours that only ours define, mixed from its own. Signs and
    words are written in colours that it means for grounds, so these are made to stand out."""
    theme = BUILTIN_THEMES[name]
    generated = theme.to_color_system().generate()
    named = ("primary", "secondary", "accent", "success", "warning", "error", "foreground")
    own = {what: Color.parse(generated[what]) for what in (*named, *_GROUNDS)}
    ground = own["background"]
    if ground.ansi is not None:  # The terminal's own, of which nothing can be mixed.
        ours = DARK if theme.dark else LIGHT
        return replace(theme, variables={**ours.variables, **theme.variables})
    lines = {
        "cursor-line": ground.blend(own["primary"], 0.2),
        "cursor-idle": ground.blend(own["foreground"], 0.08),
        "added-line": ground.blend(own["success"], 0.12),
        "removed-line": ground.blend(own["error"], 0.12),
        "marked-line": ground.blend(own["warning"], 0.12),
    }
    grounds = (*(own[what] for what in _GROUNDS), *lines.values())
    own["muted"] = own["foreground"].blend(ground, 0.4)
    text = {
        what: standing_out(own[what], grounds, dark=theme.dark).hex for what in (*named, "muted")
    }
    mixed = {what: colour.hex for what, colour in lines.items()}
    mixed["border-idle"] = own["foreground"].blend(ground, 0.75).hex
    mixed |= {what: text[of] for what, of in _CODE.items()}
    return replace(
        theme,
        primary=text["primary"],
        secondary=text["secondary"],
        accent=text["accent"],
        success=text["success"],
        warning=text["warning"],
        error=text["error"],
        foreground=text["foreground"],
        variables={**theme.variables, **mixed, "muted": text["muted"]},
    )


def standing_out(colour: Color, grounds: Sequence[Color], *, dark: bool) -> Color:
    """The nearest colour, lighter in a dark theme and darker in a light one, that can be read on
    every one of the grounds."""
    end = Color(255, 255, 255) if dark else Color(0, 0, 0)
    for part in range(20):
        tried = colour.blend(end, part / 20, 1.0)
        if all(contrast(tried.rgb, ground.rgb) >= LEAST_CONTRAST for ground in grounds):
            return tried
    return end


def contrast(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    """The contrast ratio of WCAG 2, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: tuple[int, int, int]) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (number / 255 for number in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
