"""Opening the user's editor at a line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from shutil import which

from valet_studio.errors import Location

WINDOWED = frozenset(
    {"code", "code-insiders", "codium", "cursor", "windsurf", "subl", "zed", "gedit", "kate"}
)
"""Editors that open a window of their own, so that the terminal need not be handed over."""
TAKE_A_LINE = frozenset(
    {"sensible-editor", "vi", "vim", "nvim", "view", "gvim", "nano", "kak", "joe", "ne", "gedit"}
)
"""Editors that go to the line of `+N`."""


@dataclass(frozen=True, slots=True)
class EditorCall:
    """What to run, and whether it needs the terminal while it runs."""

    arguments: tuple[str, ...]
    in_terminal: bool


USUAL = ("sensible-editor", "vi", "nano")
"""Where no editor is set; the first that is there."""


def editor_call(environ: Mapping[str, str], place: Location) -> EditorCall | None:
    """The command that opens $VISUAL, $EDITOR or the system's own editor at a place; None where
    there is none of them.

    An editor that is not known by name gets the file alone: a wrong flag would open a wrong file.
    """
    command = environ.get("VISUAL", "").strip() or environ.get("EDITOR", "").strip()
    command = command or next(filter(which, USUAL), "")
    if not command:
        return None
    words = shlex.split(command)
    name = PurePath(words[0]).name.removesuffix(".exe").removesuffix(".cmd").lower()
    at_line = f"{place.file}:{place.line}:{place.column}"
    target: tuple[str, ...]
    match name:
        case "code" | "code-insiders" | "codium" | "cursor" | "windsurf":
            target = ("-g", at_line)
        case "subl" | "zed" | "hx" | "helix":
            target = (at_line,)
        case _ if name in TAKE_A_LINE:
            target = (f"+{place.line}", place.file)
        case "emacs" | "emacsclient" | "micro":
            target = (f"+{place.line}:{place.column}", place.file)
        case "kate":
            target = ("-l", str(place.line), place.file)
        case _:
            target = (place.file,)
    return EditorCall((*words, *target), name not in WINDOWED)
