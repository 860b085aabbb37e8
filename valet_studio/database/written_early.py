"""Begin to write a transaction to the disk while it still runs.

COMMIT waits until the journal and the changed pages are on the disk. SQLite hands most of them to
the operating system long before, which keeps them until it is told otherwise; here it is told to
begin at once, so that less is left to wait for. PostgreSQL does the same (`backend_flush_after`).

Nothing depends on it: what makes a transaction durable are SQLite's own fsyncs.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from valet_studio.database.opening import beside

_EVERY = 0.01
"""Seconds between two looks. With 20 or 30 ms more is left at COMMIT, with 5 no less."""
_OPEN_FILES = Path("/proc/self/fd")
_SYNC_FILE_RANGE_WRITE = 2


@contextmanager
def written_early(database: Path) -> Iterator[None]:
    """What a connection of this process writes to the database meanwhile goes to the disk soon.

    Linux alone has the call for it; elsewhere nothing happens.
    """
    over = threading.Event()
    if sys.platform == "linux":
        path = database.resolve()
        threading.Thread(target=_until, args=(over, path), daemon=True).start()
    try:
        yield
    finally:
        # Not waited for: a slow disk may hold the thread up, and a cancel is to be done at once.
        over.set()


def _until(over: threading.Event, path: Path) -> None:
    if over.wait(_EVERY):
        return  # Most migrations take no longer.
    begin = _begin_writing()
    while begin is not None and not over.is_set():
        for descriptor in _descriptors(path, beside(path, "-journal"), beside(path, "-wal")):
            begin(descriptor)
        over.wait(_EVERY)


def _descriptors(*paths: Path) -> Iterator[int]:
    """By which this process has the files open.

    They are not opened for this: closing a file drops all locks that the process has on it, those
    of SQLite too (https://www.sqlite.org/howtocorrupt.html, section 2.2). One that is closed and
    given to another file meanwhile does no harm, for that is only written a little earlier.
    """
    wanted = set()
    for path in paths:
        with suppress(OSError):
            wanted.add(_identity(path.stat()))
    with suppress(OSError):
        for entry in _OPEN_FILES.iterdir():
            with suppress(OSError):
                descriptor = int(entry.name)
                found = _identity(os.fstat(descriptor))
                if found in wanted:
                    wanted.remove(found)
                    yield descriptor


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _begin_writing() -> Callable[[int], int] | None:
    """What has the system begin to write all of a file that it still keeps, without waiting."""
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return lambda descriptor: int(call(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE))
