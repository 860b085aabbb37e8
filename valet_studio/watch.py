"""Saves in the valet directory, as an async iterator."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TypeAlias

from valet_studio.typescript.modules import EXTENSIONS

DEBOUNCE_MS = 50
"""After which a row of changes is looked at even if it goes on."""
QUIET_MS = 5
"""Without a change, after which a save is taken to be complete. What follows even later is another
save, whose look supersedes the first one's."""
EMPTY_MS = 300
"""How long a module that was emptied or taken away is waited for: some editors do that first, and
write then."""
_EMPTY_STEP_MS = 10
CHECK_MS = 500
"""How often files are looked at where the system reports nothing: network and container mounts,
or a directory that was deleted and made anew."""

Stamp: TypeAlias = tuple[int, int, int]
"""Inode, time of change in ns, size: editors replace files, so the inode counts."""


def saves(folder: Path) -> AsyncIterator[None]:
    """One item for each time that modules below a directory changed, from this call on.

    Changes that come while the caller is busy with an item are one item. The directory may be
    missing, vanish and come back. Nothing is yielded at the start: the first pass is the
    caller's. Ends when its task is cancelled.
    """
    return _changes(folder, modules(folder))


def modules(folder: Path) -> Mapping[Path, Stamp]:
    """The modules below a directory; none where it does not exist."""
    stamps: dict[Path, Stamp] = {}
    for directory, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "node_modules" and name[0] != "."]
        for name in files:
            if name[0] != "." and name.endswith(EXTENSIONS):
                path = Path(directory, name)
                with suppress(OSError):
                    stat = path.stat()
                    stamps[path] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
    return stamps


def database_stamp(database: str) -> Stamp | None:
    """What changes whenever a SQLite file is written, in rollback or in WAL mode.

    None where there is no such file, and for the URL of a server. An empty write-ahead log counts
    as none: readers make and delete it.
    """
    try:
        main = Path(database).stat()
    except (OSError, ValueError):
        return None
    log = (0, 0)
    with suppress(OSError):
        stat = Path(f"{database}-wal").stat()
        log = (stat.st_mtime_ns, stat.st_size) if stat.st_size else log
    return (main.st_ino, main.st_mtime_ns + log[0], main.st_size + log[1])


async def _changes(folder: Path, seen: Mapping[Path, Stamp]) -> AsyncGenerator[None, None]:
    while True:
        async with aclosing(_wake_ups(folder)) as wake_ups:
            async for _ in wake_ups:
                found = modules(folder)
                if found != seen:
                    seen = await _written(folder, seen, found)
                    yield


async def _written(
    folder: Path, before: Mapping[Path, Stamp], found: Mapping[Path, Stamp]
) -> Mapping[Path, Stamp]:
    """The modules once none is in the middle of being written, as far as that can be told."""
    for _ in range(EMPTY_MS // _EMPTY_STEP_MS):
        held = (path for path, (_, _, size) in before.items() if size)
        if all(path in found and found[path][2] for path in held):
            break
        await asyncio.sleep(_EMPTY_STEP_MS / 1000)
        found = modules(folder)
    return found


async def _wake_ups(folder: Path) -> AsyncGenerator[None, None]:
    """An item whenever it is worth a look; ends where the directory must be watched anew."""
    from watchfiles import awatch

    yield
    try:
        watched = folder.stat().st_ino
        async for _ in awatch(
            folder,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=QUIET_MS,
            rust_timeout=CHECK_MS,
            yield_on_timeout=True,
        ):
            yield
            if folder.stat().st_ino != watched:
                return
    except OSError:
        await asyncio.sleep(CHECK_MS / 1000)
