"""What a terminal shows around its text: the window's title, and progress in its tab or task bar.

The title is OSC 2, which every terminal of the xterm family takes; the old one is kept on the
terminal's own stack. Progress is OSC 9;4, sent only to terminals that are known to draw it:
another use of OSC 9 is to pop up a notification.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from valet_studio.tui.facts import Facts
from valet_studio.tui.progress import Progress
from valet_studio.tui.text import pending

KEEP_TITLE = "\x1b[22;2t"
GIVE_TITLE_BACK = "\x1b[23;2t"
NO_PROGRESS = "\x1b]9;4;0;0\x1b\\"

TITLED = re.compile(
    r"xterm|screen|tmux|rxvt|alacritty|kitty|foot|ghostty|wezterm|vte|gnome|konsole|st-|iterm"
)
"""The values of TERM whose terminals have a title."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def takes_title(environ: Mapping[str, str]) -> bool:
    """Whether the terminal has a title to set."""
    return TITLED.match(environ.get("TERM", "")) is not None


def takes_progress(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is known to draw progress; a multiplexer in between would not."""
    if environ.get("TMUX") or environ.get("STY"):
        return False
    program = environ.get("TERM_PROGRAM", "").lower()
    return bool(
        environ.get("WT_SESSION")
        or environ.get("ConEmuPID")
        or program in ("ghostty", "wezterm", "iterm.app")
    )


def window_title(facts: Facts) -> str:
    """The plan's state in a few words, then the project."""
    plan = facts.plan
    if facts.running is not None:
        said = f"● {facts.running}"
    elif facts.missing:
        said = "! no schema"
    elif facts.broken:
        said = "✗ broken"
    elif plan is None:
        said = "reading"
    elif plan.status == "in_sync":
        said = "✓ in sync"
    elif plan.status == "blocked":
        said = "✗ rejected"
    else:
        said = pending(plan)
    folder = ""
    with suppress(OSError):  # The working directory may have been deleted.
        folder = Path(os.path.realpath(facts.settings.schema_path)).parent.parent.name
    return f"{said} · {folder or facts.settings.schema_path} · Valet Studio"


def title_sequence(text: str) -> str:
    """What sets the title; control characters in a name do not reach the terminal."""
    return f"\x1b]2;{_CONTROL.sub('', text)}\x1b\\"


def progress_sequence(progress: Progress | None) -> str:
    """What draws how far a run is: part, unknown, failed, or nothing once it is over well."""
    if progress is None or (progress.ended and (progress.succeeded or progress.cancelled)):
        return NO_PROGRESS
    if progress.ended:
        return "\x1b]9;4;2;100\x1b\\"
    done = sum(live.done for live in progress.running.values())
    total = sum(live.total for live in progress.running.values())
    if total:
        return f"\x1b]9;4;1;{100 * done // total}\x1b\\"
    return "\x1b]9;4;3;0\x1b\\"


class Window:
    """Writes title and progress where they changed; `write` sends to the terminal."""

    def __init__(self, environ: Mapping[str, str], write: Callable[[str], object]) -> None:
        self._write = write
        self._titled = takes_title(environ)
        self._progressing = takes_progress(environ)
        self._title = ""
        self._progress = NO_PROGRESS

    def show(self, facts: Facts, progress: Progress | None) -> None:
        """Tell the terminal what is new."""
        title = title_sequence(window_title(facts)) if self._titled else ""
        if title != self._title:
            self._write(title if self._title else KEEP_TITLE + title)
            self._title = title
        drawn = progress_sequence(progress) if self._progressing else NO_PROGRESS
        if drawn != self._progress:
            self._write(drawn)
            self._progress = drawn

    def leave(self) -> None:
        """Give the terminal back as it was."""
        if self._title:
            self._write(GIVE_TITLE_BACK)
        if self._progress != NO_PROGRESS:
            self._write(NO_PROGRESS)
        self._title, self._progress = "", NO_PROGRESS
