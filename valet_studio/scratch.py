"""Temporary directories of this program: named for its process, so that none outlives it for long.

What they hold may be a copy of somebody's data, or the place where schema.ts runs. A program that
is killed can neither delete its own nor end a schema.ts without an end; the next one that starts
does it.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "valet-studio-"


def make_scratch(within: Path | None = None) -> Path:
    """A new directory, for the caller to delete; where the system has its own, unless told.

    Raises:
        OSError: none can be made.
    """
    sweep(within or Path(tempfile.gettempdir()))
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=within))


@contextmanager
def scratch(within: Path | None = None) -> Iterator[Path]:
    """A new directory that is deleted at the end of the block.

    Raises:
        OSError: none can be made.
    """
    folder = make_scratch(within)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Delete the directories in `folder` that are named for programs which were killed, and end
    what still works in them."""
    if os.name != "posix":
        return
    for left in folder.glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if not owner.isdigit():
            continue
        try:
            os.kill(int(owner), 0)
        except ProcessLookupError:
            _end_those_in(left)
            shutil.rmtree(left, ignore_errors=True)
        except (OSError, OverflowError):
            continue


def _end_those_in(folder: Path) -> None:
    """End the Deno processes that work in a directory; where the system does not list them, so be
    it."""
    place = os.path.realpath(folder)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str((process / "cwd").readlink()) != place:
                continue
            if (process / "comm").read_text().startswith("deno"):
                os.kill(int(process.name), signal.SIGKILL)
