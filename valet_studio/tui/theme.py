"""The studio's two themes, and the colours of code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pygments.token import Token
from textual.highlight import HighlightTheme, TokenType
from textual.theme import Theme

DARK = Theme(
    name="valet-dark",
    primary="#7aa2d6",
    secondary="#959eb0",
    accent="#c7a6e6",
    success="#8cc48a",
    warning="#e0b368",
    error="#e8837f",
    foreground="#d5d9e0",
    background="#15181d",
    surface="#15181d",
    panel="#1e232b",
    boost="#252b35",
    dark=True,
    variables={
        "border-idle": "#343c49",
        "muted": "#939cac",
        "cursor-line": "#26344a",
        "cursor-idle": "#20262f",
        "added-line": "#1b2a20",
        "removed-line": "#2e1f22",
        "marked-line": "#2a2a22",
        "code-keyword": "#c7a6e6",
        "code-string": "#a9cf8f",
        "code-number": "#e0b368",
        "code-type": "#7fc1c9",
        "code-name": "#d5d9e0",
        "code-comment": "#939cac",
        "scrollbar": "#343c49",
        "scrollbar-hover": "#4a5567",
        "scrollbar-active": "#7aa2d6",
        "scrollbar-background": "#15181d",
        "scrollbar-background-hover": "#15181d",
        "scrollbar-background-active": "#15181d",
        "scrollbar-corner-color": "#15181d",
    },
)

LIGHT = Theme(
    name="valet-light",
    primary="#2b5f9e",
    secondary="#596273",
    accent="#7a3fa3",
    success="#2c7135",
    warning="#8a5a00",
    error="#b3322e",
    foreground="#23272e",
    background="#fbfaf7",
    surface="#fbfaf7",
    panel="#efede7",
    boost="#e6e3db",
    dark=False,
    variables={
        "border-idle": "#c9c6bd",
        "muted": "#5d636e",
        "cursor-line": "#d5e2f3",
        "cursor-idle": "#eae8e1",
        "added-line": "#e3f0e0",
        "removed-line": "#f7e2df",
        "marked-line": "#f5ecd2",
        "code-keyword": "#7a3fa3",
        "code-string": "#2c7135",
        "code-number": "#8a5a00",
        "code-type": "#17697a",
        "code-name": "#23272e",
        "code-comment": "#5d636e",
        "scrollbar": "#c9c6bd",
        "scrollbar-hover": "#aeaaa0",
        "scrollbar-active": "#2b5f9e",
        "scrollbar-background": "#fbfaf7",
        "scrollbar-background-hover": "#fbfaf7",
        "scrollbar-background-active": "#fbfaf7",
        "scrollbar-corner-color": "#fbfaf7",
    },
)


_DARK_SIXTEEN = {
    **dict.fromkeys(("primary", "code-type", "scrollbar-active"), "#55ffff"),
    **dict.fromkeys(("success", "code-string"), "#55ff55"),
    **dict.fromkeys(("warning", "code-number"), "#ffff55"),
    "error": "#ff5555",
    **dict.fromkeys(("accent", "code-keyword"), "#ff55ff"),
    **dict.fromkeys(("foreground", "code-name"), "#ffffff"),
    **dict.fromkeys(("secondary", "muted", "code-comment", "scrollbar-hover"), "#aaaaaa"),
    **dict.fromkeys(("boost", "border-idle", "cursor-idle", "scrollbar"), "#555555"),
    "cursor-line": "#0000aa",
}
_LIGHT_SIXTEEN = {
    **dict.fromkeys(("primary", "code-type", "scrollbar-active"), "#0000aa"),
    **dict.fromkeys(("success", "code-string"), "#00aa00"),
    **dict.fromkeys(("warning", "code-number"), "#aa5500"),
    "error": "#aa0000",
    **dict.fromkeys(("accent", "code-keyword"), "#aa00aa"),
    **dict.fromkeys(("foreground", "code-name"), "#000000"),
    **dict.fromkeys(("secondary", "muted", "code-comment", "scrollbar-hover"), "#555555"),
    **dict.fromkeys(("boost", "border-idle", "cursor-idle", "scrollbar"), "#aaaaaa"),
    "cursor-line": "#55ffff",
}
"""The sixteen colours that a terminal without more of them has; all else is the ground's."""


def _in_sixteen_colours(theme: Theme, chosen: dict[str, str]) -> Theme:
    """A theme that keeps its hues where a terminal has but sixteen colours: the nearest of these to
    soft ones are greys."""
    ground = "#000000" if theme.dark else "#ffffff"
    return replace(
        theme,
        name=f"{theme.name}-16",
        primary=chosen["primary"],
        secondary=chosen["secondary"],
        accent=chosen["accent"],
        success=chosen["success"],
        warning=chosen["warning"],
        error=chosen["error"],
        foreground=chosen["foreground"],
        boost=chosen["boost"],
        background=ground,
        surface=ground,
        panel=ground,
        variables={name: chosen.get(name, ground) for name in theme.variables},
    )


DARK_16 = _in_sixteen_colours(DARK, _DARK_SIXTEEN)
LIGHT_16 = _in_sixteen_colours(LIGHT, _LIGHT_SIXTEEN)
THEMES = (DARK, LIGHT, DARK_16, LIGHT_16)


def in_sixteen(name: str) -> str:
    """The same theme in sixteen colours, where it is one of ours."""
    return f"{name}-16" if name in (DARK.name, LIGHT.name) else name


def other_theme(name: str, *, sixteen: bool = False) -> str:
    """Light after any other, dark after light."""
    dark, light = (DARK_16, LIGHT_16) if sixteen else (DARK, LIGHT)
    return dark.name if name == light.name else light.name


class CodeColours(HighlightTheme):
    """TypeScript and SQL, in few colours: keywords, strings, numbers, types, comments."""

    STYLES: dict[TokenType, str] = {  # noqa: RUF012
        Token.Comment: "$code-comment italic",
        Token.Keyword: "$code-keyword",
        Token.Keyword.Type: "$code-type",
        Token.Keyword.Constant: "$code-number",
        Token.Literal.Number: "$code-number",
        Token.Literal.String: "$code-string",
        Token.Name: "$code-name",
        Token.Name.Builtin: "$code-type",
        Token.Name.Class: "$code-type",
    }


def starting_theme(environ: Mapping[str, str], remembered: str | None = None) -> str:
    """The theme to open with: the remembered one, else light where the terminal says that its
    background is light.

    Many terminals set COLORFGBG to "foreground;background" in the sixteen colours' numbers;
    7 and 15 are the whites.
    """
    if remembered is not None:
        return remembered.removesuffix("-16")
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in ("7", "15") else DARK.name
