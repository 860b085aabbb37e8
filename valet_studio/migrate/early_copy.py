"""The copy of a large database for its snapshot, made before the write lock is taken, so that other
writers do not wait for it.

Under the lock SQLite's `data_version` tells whether anybody committed since the copy began. Where
somebody did, it is of no use, and the snapshot is taken under the lock.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import apsw

from valet_studio.database.copy import copy_to
from valet_studio.database.target import FileTarget
from valet_studio.errors import Cancelled, IsCancelled, StudioError
from valet_studio.migrate.ahead import data_version
from valet_studio.migrate.events import CopyProgress, Event, PhaseStarted
from valet_studio.migrate.snapshot_files import (
    LARGE,
    create_like,
    journal_mode,
    make_snapshot_folder,
    reflink,
    snapshot_folder,
)
from valet_studio.scratch import scratch


class EarlyCopy:
    """A copy made early. Use it as a context manager: what was not taken is deleted."""

    def __init__(self, target: FileTarget) -> None:
        self._target = target
        self._stack = ExitStack()
        self._whole: Path | None = None
        self._version: int | None = None
        """`data_version` of the connection when the copy began."""

    def __enter__(self) -> EarlyCopy:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def make(self, connection: apsw.Connection, cancelled: IsCancelled) -> Iterator[Event]:
        """Copy the database, where that takes long enough for other writers to notice.

        Args:
            connection: the one that will take the write lock.

        Raises:
            Cancelled: `cancelled` answered True.
            DatabaseError: there can be no directory for it.
        """
        if (self._target.size() or 0) <= LARGE:
            return
        make_snapshot_folder(self._target)
        in_wal = journal_mode(connection) == "wal"
        try:
            folder = self._stack.enter_context(scratch(snapshot_folder(self._target)))
            if not in_wal and reflink(self._target.path, folder / "shared.db"):
                return  # Under the lock it takes no time either.
            path = folder / "copy.db"
            create_like(path, self._target.path)
            self._version = data_version(connection)
            # A reader in rollback mode would keep others from committing as long as it copies.
            copying = copy_to(self._target, path, cancelled, yielding=not in_wal)
            yield PhaseStarted("snapshot")
            if (yield from _to_its_end(copying)):
                self._whole = path
        except Cancelled:
            raise
        except (StudioError, OSError):
            return  # What keeps a copy from being made is told where it has to be made.

    def take(self, connection: apsw.Connection, path: Path) -> bool:
        """Move the copy to `path`; whether it is one of the database as it is now.

        Args:
            connection: the one that it was made for, with the write lock.
        """
        if self._whole is None or data_version(connection) != self._version:
            return False
        try:
            self._whole.replace(path)
        except OSError:
            return False  # Somebody tidied up; in a container this process may be unknown.
        self._whole = None
        return True


def _to_its_end(copying: Generator[tuple[int, int], None, None]) -> Generator[Event, None, bool]:
    """Copy everything; whether it was done before another process committed."""
    before = 0
    with closing(copying):
        for done, total in copying:
            if done <= before:
                return False  # SQLite has begun anew, and may have to again and again.
            before = done
            yield CopyProgress(done, total)
    return True
