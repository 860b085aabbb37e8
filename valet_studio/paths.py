"""What stands at a path that somebody typed: questions that are always answered.

`Path.exists` and its like raise where a directory may not be entered or a name is too long, and
`Path.expanduser` where nobody has the name after `~`.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path


def is_there(path: Path) -> bool:
    """Whether anything is seen there."""
    return _mode(path) is not None


def is_file(path: Path) -> bool:
    """Whether a regular file is seen there."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: Path) -> bool:
    """Whether a directory is seen there."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def why_not_written(folder: Path) -> str:
    """Why no file can be made in a directory, to stand inside a sentence; "" where one can."""
    if os.access(folder, os.W_OK | os.X_OK):
        return ""
    try:
        fixed = sys.platform != "win32" and os.statvfs(folder).f_flag & os.ST_RDONLY
    except OSError:
        fixed = 0
    return "its file system is read-only" if fixed else "permission denied"


def expanded(typed: str) -> Path:
    """The path with `~` as the home directory; as it was typed where there is none."""
    try:
        return Path(typed).expanduser()
    except RuntimeError:
        return Path(typed)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None
