"""A consistent copy of a database beside running writers."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import apsw

from valet_studio.database.errors import database_errors
from valet_studio.database.target import FileTarget
from valet_studio.errors import Cancelled, DatabaseError, IsCancelled
from valet_studio.schema.telling import megabytes

_STEP_PAGES = 1_000


def copy_to(
    target: FileTarget, destination: Path, cancelled: IsCancelled, *, yielding: bool = False
) -> Generator[tuple[int, int], None, None]:
    """Copy the database into a new file; an absent one becomes an empty database.

    Yields `(pages done, pages in all)` after each step.

    Args:
        yielding: whether other processes may commit between two steps in rollback mode, too.
            SQLite then begins the copy anew (https://www.sqlite.org/backup.html).

    Raises:
        Cancelled: `cancelled` answered True; the unfinished copy is left to the caller.
        DatabaseError: the source cannot be read or the copy cannot be written.
    """
    with target.reading() as source:
        if not yielding:
            # Without a read transaction the backup starts again at every commit of another
            # process, and beside a busy writer never ends.
            source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchall()
        pages, page = (source.execute(f"PRAGMA {n}").get for n in ("page_count", "page_size"))
        check_room(int(pages) * int(page), destination)
        with database_errors(str(destination)):
            copy = apsw.Connection(
                str(destination.absolute()),
                flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
            )
            try:
                # A copy for a dry run need not survive a crash; a snapshot is made durable whole.
                copy.execute("PRAGMA synchronous = OFF")
                with copy.backup("main", source, "main") as backup:
                    while not backup.done:
                        if cancelled():
                            raise Cancelled
                        backup.step(_STEP_PAGES)
                        yield backup.page_count - backup.remaining, backup.page_count
            finally:
                copy.close(True)


def check_room(needed: int, destination: Path) -> None:
    """Refuse a copy for which the disk has no room, before it fills the disk.

    Raises:
        DatabaseError: there are fewer than `needed` bytes left.
    """
    free = shutil.disk_usage(destination.absolute().parent).free
    if free < needed:
        raise DatabaseError(
            f"There is no room for a copy of the database: it needs {megabytes(needed)}, "
            f"and {destination.parent} has {megabytes(free)} left. Nothing was changed.",
            "Free some space, or let TMPDIR name a directory on a larger disk for dry runs.",
        )
