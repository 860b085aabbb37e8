"""What stands at a path that somebody typed, and writing a file there.

The questions are always answered: `Path.exists` and its like raise where a directory may not be
entered or a name is too long, and `Path.expanduser` where nobody has the name after `~`.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import threading
from pathlib import Path

from valet_studio.errors import StudioError, reason_of

PIPE_SECONDS = 5.0
"""How long somebody may take to write into a pipe that is read as a file."""
_LONGEST = 1 << 20
"""Bytes of what is no file."""


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


def text_of(path: Path) -> str:
    """What a file says; a pipe too, into which a keeper of secrets writes it when it is asked for.

    Raises:
        OSError: it cannot be read, or nobody writes into it, or it does not end.
        UnicodeDecodeError: it is not UTF-8.
    """
    mode = _mode(path)
    if mode is None or stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return path.read_text(encoding="utf-8")
    found: list[bytes | OSError] = []

    def read() -> None:
        try:
            with path.open("rb") as file:
                found.append(file.read(_LONGEST + 1))
        except OSError as error:
            found.append(error)

    # Who opens a pipe waits until another opens it too, and nothing else would end that.
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(PIPE_SECONDS)
    if not found:
        raise TimeoutError("it is no file, and nobody writes into it")
    if isinstance(found[0], OSError):
        raise found[0]
    if len(found[0]) > _LONGEST:
        raise OSError("it is no file, and does not end")
    return found[0].decode("utf-8")


def why_not_written(folder: Path) -> str:
    """Why no file can be made in a directory, to stand inside a sentence; "" where one can."""
    if os.access(folder, os.W_OK | os.X_OK):
        return ""
    try:
        fixed = sys.platform != "win32" and os.statvfs(folder).f_flag & os.ST_RDONLY
    except OSError:
        fixed = 0
    return "its file system is read-only" if fixed else "permission denied"


def room_in(folder: Path) -> int | None:
    """Bytes that can still be written there; None where nobody can tell."""
    from shutil import disk_usage  # Slow to import, where only help is asked for.

    try:
        return disk_usage(folder).free
    except OSError:
        return None


def expanded(typed: str) -> Path:
    """The path with `~` as the home directory; as it was typed where there is none."""
    try:
        return Path(typed).expanduser()
    except RuntimeError:
        return Path(typed)


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old text or the new one, never a part.

    Raises:
        StudioError: the file cannot be written; the old one stands.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        partial = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            partial.chmod(mode)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StudioError(
            f"{path} cannot be written: {reason_of(error)}.",
            f"Check that you may write in {path.parent}, and that its disk has free space.",
        ) from error


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None
