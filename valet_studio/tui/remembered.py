"""What the studio remembers from one session to the next, in the user's state directory."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from valet_studio.errors import StudioError
from valet_studio.paths import expanded, write_atomically


@dataclass(frozen=True, slots=True)
class Remembered:
    """Options that a user turned on or off."""

    live: bool = False
    """Whether each save is dry-run by itself."""
    theme: str | None = None
    """The theme that was chosen; None where none was."""


def memory_path(
    environ: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> Path | None:
    """Where it is kept: XDG_STATE_HOME, Application Support, or LOCALAPPDATA; None for a user
    without a home directory."""
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or expanded("~"))
    if platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        named = environ.get("XDG_STATE_HOME", "")
        base = Path(named) if Path(named).is_absolute() else home / ".local" / "state"
    return None if base.parts[0] == "~" else base / "valet-studio" / "studio.json"


def recall(path: Path) -> Remembered:
    """What is remembered; the defaults where nothing, or nothing readable, is."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Remembered()
    if not isinstance(kept, dict):
        return Remembered()
    theme = kept.get("theme")
    return Remembered(kept.get("live") is True, theme if isinstance(theme, str) else None)


def remember(path: Path, what: Remembered) -> None:
    """Keep it for the next session; where that cannot be written, this session goes on without."""
    with suppress(StudioError):
        write_atomically(path, json.dumps(asdict(what), indent=2) + "\n")
