"""Snapshots of a local database, kept before each apply: where they stand, and how one is taken.

They stand in `.valet/snapshots` beside the database, named for the migration that they precede
(`dev.before-0003.db`). What an undo replaces is kept there too (`dev.undone-0003.db`), and so are
the snapshots of another database that had the same name before (`dev.earlier-0003.db`).
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import apsw

from valet_studio.database.copy import copy_to
from valet_studio.database.target import FileTarget
from valet_studio.errors import DatabaseError, StudioError, reason_of
from valet_studio.migrate.events import IsCancelled
from valet_studio.migrate.history import entries, next_id

KEPT_SNAPSHOTS = 5
LARGE = 256 * 1024 * 1024
"""Bytes of a database in rollback mode whose copy takes long enough for readers to notice."""
_NAMED = re.compile(r"-([0-9]{4,})(?:-[0-9]+)?\.db$")


def snapshot_folder(target: FileTarget) -> Path:
    """Where the snapshots of a database stand: beside the file itself, not beside a link to it."""
    beside = _own_path(target).parent
    return (beside if beside.name == ".valet" else beside / ".valet") / "snapshots"


def make_snapshot_folder(target: FileTarget) -> None:
    """Make the directory of a database's snapshots, where it is missing.

    Raises:
        DatabaseError: it cannot be made, or nothing can be written into it.
    """
    folder = snapshot_folder(target)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "permission denied"
    except OSError as error:
        reason = reason_of(error)
    if reason:
        raise DatabaseError(
            f"No snapshot of {target.label} can be kept in {folder}: {reason}.",
            "Let it be a directory that you may write in, since an undo needs the snapshot.",
        )


def snapshot_path(target: FileTarget, kind: str, migration: int) -> Path:
    """The file of a snapshot; `kind` is `before`, `undone` or `earlier`."""
    return snapshot_folder(target) / f"{_called(target)}.{kind}-{migration:04d}.db"


def _own_path(target: FileTarget) -> Path:
    return target.path.resolve() if target.path.is_symlink() else target.path


def _called(target: FileTarget) -> str:
    """What a database's snapshots begin with: another name for each one that shares a folder."""
    path = _own_path(target)
    name = path.stem if path.suffix == ".db" else f"{path.name}{'' if path.suffix else '.'}"
    return name if path.parent.name == ".valet" else f"beside-{name}"


def snapshots(target: FileTarget, kind: str, of: str = "*") -> list[Path]:
    """The snapshots of a kind, oldest first."""
    found = snapshot_folder(target).glob(f"{glob.escape(_called(target))}.{kind}-{of}.db")
    found = (path for path in found if _NAMED.search(path.name))
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def free(path: Path) -> Path:
    """The path, or one with a number where something stands there."""
    tried, number = path, 2
    while tried.exists():
        tried, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    return tried


def remove_unfinished(target: FileTarget) -> None:
    """Take away what a killed apply or undo has left of a file; the caller holds the write lock,
    without which none is written."""
    for kind in ("before", "undone"):
        named = f"{glob.escape(_called(target))}.{kind}-[0-9]*.partial*"
        for left in snapshot_folder(target).glob(named):
            with suppress(OSError):
                left.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    """A file that is not whole yet, of a name that nobody else takes it away by: who has rolled
    back holds no lock any more while it tidies up, and the next one may have begun."""
    return path.with_suffix(f".{uuid4().hex[:8]}.partial")


def under_its_final_name(path: Path, write: Callable[[Path], object]) -> None:
    """Give a file its name only once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def create_like(path: Path, database: Path) -> None:
    """Make an empty file that nobody may read who may not read the database.

    Raises:
        OSError: it cannot be made.
    """
    path.unlink(missing_ok=True)
    mode = stat.S_IMODE(database.stat().st_mode)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def make_durable(path: Path) -> None:
    """Let a file survive a power cut, under its name; where the system cannot, so be it."""
    for place in (path, path.parent) if os.name == "posix" else ():
        with suppress(OSError):
            opened = os.open(place, os.O_RDONLY)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)


def _number(snapshot: Path) -> int:
    """The migration that it precedes."""
    found = _NAMED.search(snapshot.name)
    return int(found[1]) if found else 0


class Snapshot:
    """The database as it is before a migration, in a file of its own.

    Taken while the caller's connection holds the write lock, and read beside the migration, so
    that other writers wait no longer for it: a reader goes on to see the state before
    (https://www.sqlite.org/isolation.html). In rollback mode a reader keeps the writer from
    spilling its cache, and a writer that waits to do so keeps out new readers
    (https://www.sqlite.org/lockingv3.html): there a large database is copied first.
    """

    def __init__(
        self, target: FileTarget, connection: apsw.Connection, cancelled: IsCancelled
    ) -> None:
        """Begin it.

        Raises:
            Cancelled, DatabaseError: it could not be taken; nothing of it is left.
        """
        self.migration = next_id(connection)
        self._history = entries(connection)
        self.path = snapshot_path(target, "before", self.migration)
        self._target = target
        self._partial = _partial(self.path)
        self._cancelled = cancelled
        self._is_abandoned = False
        self._is_whole = False
        self._error: BaseException | None = None
        self._reader: threading.Thread | None = None
        make_snapshot_folder(target)
        remove_unfinished(target)
        try:
            self._begin(connection)
        except BaseException:
            self._partial.unlink(missing_ok=True)
            raise

    def _begin(self, connection: apsw.Connection) -> None:
        self._create()
        if _file_is_all(connection) and _reflink(self._target.path, self._partial):
            return
        self._create()
        copying = copy_to(self._target, self._partial, self._is_over)
        # The first step takes the reader's lock, and with it the state that it sees.
        next(copying, None)
        if _mode(connection) != "wal" and (self._target.size() or 0) > LARGE:
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

    def finish(self) -> Path:
        """Wait until it is whole; the file.

        Raises:
            Cancelled, DatabaseError: it could not be taken; nothing of it is left.
        """
        if self._reader is not None:
            self._reader.join()
        try:
            self._raise()
            if self.path.exists():
                self._set_aside(self.path)
            self._partial.replace(self.path)
            self._is_whole = True
        finally:
            self._partial.unlink(missing_ok=True)
        return self.path

    def settle(self) -> None:
        """After COMMIT, when others no longer wait: make it durable, and tidy up older ones.

        Only what this database can do without is deleted: any other may be all that is left of
        somebody's documents.
        """
        make_durable(self.path)
        with suppress(OSError):
            for old in snapshots(self._target, "before")[:-KEPT_SNAPSHOTS]:
                if self._is_of_this_database(old):
                    old.unlink(missing_ok=True)
                else:
                    self._set_aside(old)

    def _is_of_this_database(self, snapshot: Path) -> bool:
        """Whether a snapshot holds this database's history up to the migration that it precedes."""
        number = _number(snapshot)
        earlier = tuple(entry for entry in self._history if entry.id < number)
        try:
            with FileTarget(str(snapshot), snapshot).reading() as reader:
                return self.migration > number and entries(reader) == earlier
        except StudioError:
            return False

    def _set_aside(self, snapshot: Path) -> None:
        """Keep a snapshot of another database, which had this one's name before."""
        snapshot.rename(free(snapshot_path(self._target, "earlier", _number(snapshot))))

    def abandon(self) -> None:
        """Leave nothing of it, whether it is whole or not."""
        self._is_abandoned = True
        if self._reader is not None:
            self._reader.join()
        self._partial.unlink(missing_ok=True)
        if self._is_whole:
            self.path.unlink(missing_ok=True)

    def _is_over(self) -> bool:
        return self._is_abandoned or self._cancelled()

    def _copy(self, copying: Generator[object, None, None]) -> None:
        try:
            with closing(copying):
                for _step in copying:
                    pass
        except BaseException as error:  # Raised again by whoever waits for it.
            self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


def _mode(connection: apsw.Connection) -> str:
    return str(connection.execute("PRAGMA main.journal_mode").get)


def _file_is_all(connection: apsw.Connection) -> bool:
    """Whether the database's file alone holds its last committed state, and will while
    `connection` holds the write lock: in rollback mode, before anything is written."""
    locked = connection.txn_state("main") == apsw.mapping_txn_state["SQLITE_TXN_WRITE"]
    return locked and _mode(connection) in ("delete", "truncate", "persist")


def _reflink(source: Path, destination: Path) -> bool:
    """Share the file's blocks with a new one (FICLONE), where the file system can.

    In a process of its own: closing the file in this one would drop SQLite's locks on it
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    program = shutil.which("cp") if sys.platform == "linux" else None
    if program is None:
        return False
    command = [program, "--reflink=always", "--", str(source), str(destination)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
