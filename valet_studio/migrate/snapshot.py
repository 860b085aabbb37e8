"""How the snapshot before an apply is taken."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import closing, suppress
from pathlib import Path

import apsw

from valet_studio.database.copy import copy_to
from valet_studio.database.inspect import inspect
from valet_studio.database.layout import SNAPSHOT, write_meta
from valet_studio.database.target import FileTarget
from valet_studio.errors import DatabaseError, IsCancelled, StudioError, reason_of
from valet_studio.migrate.early_copy import EarlyCopy
from valet_studio.migrate.history import entries, next_id
from valet_studio.migrate.snapshot_files import (
    KEPT_SNAPSHOTS,
    LARGE,
    create_like,
    digest_of,
    file_is_all,
    free,
    give_name,
    journal_mode,
    make_durable,
    make_snapshot_folder,
    number_of,
    reflink,
    remove_unfinished,
    snapshot_path,
    snapshots,
    unfinished,
)
from valet_studio.schema.names import quote


class Snapshot:
    """The database as it is before a migration, in a file of its own.

    Taken while the caller's connection holds the write lock, and read beside the migration, so
    that other writers wait no longer for it: a reader goes on to see the state before
    (https://www.sqlite.org/isolation.html). In rollback mode a reader keeps the writer from
    spilling its cache, and a writer that waits to do so keeps out new readers
    (https://www.sqlite.org/lockingv3.html): there a large database is copied first, unless its
    early copy still holds what it does.
    """

    def __init__(
        self,
        target: FileTarget,
        connection: apsw.Connection,
        early: EarlyCopy,
        cancelled: IsCancelled,
        quiet: threading.Event,
    ) -> None:
        """Begin it; `quiet` is set once it no longer reads the database.

        Raises:
            Cancelled, DatabaseError: it could not be taken; nothing of it is left.
        """
        self.migration = next_id(connection)
        self._history = entries(connection)
        self.path = snapshot_path(target, "before", self.migration)
        self._target = target
        self._partial = unfinished(self.path)
        self._cancelled = cancelled
        self._quiet = quiet
        self._is_abandoned = False
        self._file: tuple[int, ...] | None = None
        """What tells the whole file from any other of its name."""
        self._aside: Path | None = None
        """Where another database's snapshot of its name is kept now."""
        self._error: BaseException | None = None
        self._reader: threading.Thread | None = None
        make_snapshot_folder(target)
        remove_unfinished(target, self.migration - 1)
        try:
            self._begin(connection, early)
        except BaseException:
            self._partial.unlink(missing_ok=True)
            raise
        if self._reader is None:
            quiet.set()

    def _begin(self, connection: apsw.Connection, early: EarlyCopy) -> None:
        if early.take(connection, self._partial):
            return
        self._create()
        if file_is_all(connection) and reflink(self._target.path, self._partial):
            return
        self._create()
        copying = copy_to(self._target, self._partial, self._is_over)
        # The first step takes the reader's lock, and with it the state that it sees.
        next(copying, None)
        if journal_mode(connection) != "wal" and (self._target.size() or 0) > LARGE:
            self._copy(copying)
            self._raise()
            return
        self._reader = threading.Thread(target=self._copy, args=(copying,))
        self._reader.start()

    def _create(self) -> None:
        try:
            create_like(self._partial, self._target.path)
        except OSError as error:
            raise DatabaseError(
                f"No snapshot of {self._target.label} can be made: {reason_of(error)}.",
                "Look at the directory of the snapshots and at the disk's free space.",
            ) from error

    def finish(self, connection: apsw.Connection) -> Path:
        """Wait until it is whole; the file. The database then knows it from those of others.

        Raises:
            Cancelled, DatabaseError: it could not be taken; nothing of it is left.
        """
        if self._reader is not None:
            self._reader.join()
        try:
            self._raise()
            if self.path.exists():
                self._aside = self._set_aside(self.path)
            give_name(self._partial, self.path)
            self._file = _file_at(self.path)
            write_meta(connection, SNAPSHOT, digest_of(self.path))
        except BaseException:
            self._partial.unlink(missing_ok=True)
            raise
        return self.path

    def settle(self) -> None:
        """After COMMIT, when others no longer wait: make it durable, and tidy up older ones.

        Only what this database can do without is deleted: any other may be all that is left of
        somebody's documents.
        """
        make_durable(self.path)
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)
            self._tidy_up()

    def _tidy_up(self) -> None:
        # By number, and not by the time of the file: a clock may have been put back since.
        others = [path for path in snapshots(self._target, "before") if path != self.path]
        if len(others) < KEPT_SNAPSHOTS:
            return
        ours = [path for path in others if self._is_of_this_database(path)]
        oldest_first = [
            *(path for path in others if path not in ours),
            *sorted(ours, key=number_of),
        ]
        for old in oldest_first[: 1 - KEPT_SNAPSHOTS]:
            if old in ours:
                old.unlink(missing_ok=True)
            else:
                self._set_aside(old)

    def _is_of_this_database(self, snapshot: Path) -> bool:
        """Whether a snapshot holds this database's history up to the migration that it precedes.

        From before the first one there is no history: whose the documents are, nothing tells.
        """
        number = number_of(snapshot)
        earlier = tuple(entry for entry in self._history if entry.id < number)
        try:
            with FileTarget(str(snapshot), snapshot).reading() as reader:
                told = bool(earlier) or not _holds_documents(reader)
                return told and self.migration > number and entries(reader) == earlier
        except StudioError:
            return False

    def _set_aside(self, snapshot: Path) -> Path:
        """Keep a snapshot of another database, which had this one's name before; where it is."""
        return snapshot.rename(free(snapshot_path(self._target, "earlier", number_of(snapshot))))

    def abandon(self) -> None:
        """Leave nothing of it, whether it is whole or not, and others as they were."""
        self._is_abandoned = True
        if self._reader is not None:
            self._reader.join()
        # Nobody waits once this is rolled back: the next apply may have taken it away, and given
        # its own snapshot the name.
        if self._file is not None and _file_at(self.path) == self._file:
            self.path.unlink(missing_ok=True)
            if self._aside is not None:
                with suppress(OSError):  # It stays aside where another has the name already.
                    os.link(self._aside, self.path)
                    self._aside.unlink()
        self._partial.unlink(missing_ok=True)

    def _is_over(self) -> bool:
        return self._is_abandoned or self._cancelled()

    def _copy(self, copying: Generator[object, None, None]) -> None:
        try:
            with closing(copying):
                for _step in copying:
                    pass
        except BaseException as error:  # Raised again by whoever waits for it.
            self._error = error
        finally:
            self._quiet.set()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


def _file_at(path: Path) -> tuple[int, ...] | None:
    """What tells a file from any other; a number of the file system alone may be given again."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _holds_documents(connection: apsw.Connection) -> bool:
    tables = (table for table in inspect(connection).tables if table.kind == "table")
    return any(
        connection.execute(f"SELECT 1 FROM main.{quote(table.name)} LIMIT 1").fetchall()
        for table in tables
    )
