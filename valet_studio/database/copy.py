"""A consistent copy of a database beside running writers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from valet_studio.database.errors import database_errors
from valet_studio.database.target import FileTarget
from valet_studio.errors import Cancelled

_STEP_PAGES = 1_000


def copy_to(
    target: FileTarget, destination: Path, cancelled: Callable[[], bool]
) -> Iterator[tuple[int, int]]:
    """Copy the database into a new file; an absent one becomes an empty database.

    Yields `(pages done, pages in all)` after each step.

    Raises:
        Cancelled: `cancelled` answered True; the unfinished copy is left to the caller.
        DatabaseError: the source cannot be read or the copy cannot be written.
    """
    with target.reading() as source, database_errors(str(destination)):
        copy = apsw.Connection(
            str(destination.absolute()),
            flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
        )
        try:
            # A copy that is lost in a crash is made again, so it needs no durability.
            copy.execute("PRAGMA synchronous = OFF")
            # Without a read transaction the backup starts again at every commit of another
            # process, and beside a busy writer never ends.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchall()
            with copy.backup("main", source, "main") as backup:
                while not backup.done:
                    if cancelled():
                        raise Cancelled
                    backup.step(_STEP_PAGES)
                    yield backup.page_count - backup.remaining, backup.page_count
        finally:
            copy.close(True)
