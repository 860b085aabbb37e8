"""Where a database lives, and the two ways to open it: to read, to write.

Reading promises that not a byte of the file changes and that no file appears beside it, in
rollback and in WAL mode, beside a running writer too. What SQLite itself needs for that differs
by the state in which the last process left the files; `_open_to_read` holds the cases.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote as url_quote

import apsw

from valet_studio.database.errors import database_errors
from valet_studio.database.waiting import READ_TIMEOUT_MS, WRITE_TIMEOUT_MS, wait_for_locks
from valet_studio.errors import DatabaseError, IsCancelled, Unsupported, reason_of

_PROGRESS_STEPS = 20_000
"""SQLite instructions between two looks at `cancelled`: about a millisecond."""

_HEADER = 20
_WAL_VERSION = 2


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A database in a file, which may not exist yet. Made by `open_target`."""

    label: str
    """The path as the user typed it."""
    path: Path

    def exists(self) -> bool:
        """Whether there is anything at the path."""
        return self.path.exists()

    def size(self) -> int | None:
        """Bytes on disk, the write-ahead log included; None where there is no file."""
        try:
            return self.path.stat().st_size + _size(_beside(self.path, "-wal"))
        except OSError:
            return None

    @contextmanager
    def reading(self, cancelled: IsCancelled | None = None) -> Iterator[apsw.Connection]:
        """A connection that only reads; an empty one where the database does not exist.

        Raises:
            Cancelled: `cancelled` answered True while a statement ran or waited for a lock.
            DatabaseError: the file cannot be read as a database.
        """
        with database_errors(self.label):
            connection = self._open_to_read(cancelled)
            try:
                if cancelled is not None:
                    connection.set_progress_handler(cancelled, _PROGRESS_STEPS)
                yield connection
            finally:
                connection.close(True)

    @contextmanager
    def writing(self, cancelled: IsCancelled | None = None) -> Iterator[apsw.Connection]:
        """A connection of its own that may write; makes the file and its directory.

        Raises:
            Cancelled: `cancelled` answered True while a statement waited for a lock.
            DatabaseError: the file cannot be opened or made.
        """
        self.check_place()
        with database_errors(self.label):
            if self.path.parent.name == ".valet":
                self.path.parent.mkdir(exist_ok=True)
            flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
            connection = _connect(self.path, flags, WRITE_TIMEOUT_MS, cancelled)
            try:
                yield connection
            finally:
                connection.close(True)

    @contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """A writing connection that holds the write lock from the start; committed at the end of
        the block, rolled back where that raises.

        Raises:
            DatabaseBusy: another process holds the lock.
            DatabaseError: the file cannot be written.
        """
        with database_errors(self.label), self.writing() as connection:
            # Not apsw's own context manager: it keeps other threads from running while it waits.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def check_place(self) -> None:
        """Refuse a path where no database can be made.

        Raises:
            DatabaseError: it names a directory, or lies in one that does not exist. `.valet` alone
                is made when it is needed; any other is more likely a typo.
        """
        self._refuse_directory()
        folder = self.path.parent
        if folder.name != ".valet" and not folder.exists():
            raise DatabaseError(
                f"There is no directory {Path(self.label).parent} for the database {self.label}.",
                "Make it, or name another file with --db.",
            )

    def _refuse_directory(self) -> None:
        if self.path.is_dir():
            raise DatabaseError(
                f"{self.label} is a directory, not a database file.",
                "Name a file in it with --db.",
            )

    def _open_to_read(self, cancelled: IsCancelled | None) -> apsw.Connection:
        self._refuse_directory()
        if not self.path.exists():
            return apsw.Connection(":memory:")
        path = self.path.resolve()
        if not _is_wal(path):
            return _open_rollback(path, cancelled)
        return _open_wal(path, cancelled)


def open_target(spec: str) -> FileTarget:
    """The database that a user named.

    Raises:
        Unsupported: it is not a path.
        DatabaseError: no file can be there, or something else is.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", spec)
    if spec == ":memory:" or "://" in spec or (scheme and scheme[1].lower() in ("file", "libsql")):
        if scheme and scheme[1].lower() in ("http", "https"):
            raise Unsupported(
                f"{spec} is a server: this works on SQLite database files only.",
                "Run it where the server's database file is, with --db FILE.",
            )
        if scheme and scheme[1].lower() in ("libsql", "http+libsql") and "://" in spec:
            raise Unsupported(
                f"{spec} is a libSQL server: this works on SQLite database files only.",
                "Name a path with --db, such as --db .valet/dev.db.",
            )
        raise Unsupported(
            f"{spec} is not a file: this works on SQLite database files only.",
            "Name a path with --db, such as --db .valet/dev.db.",
        )
    path = Path(spec)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return FileTarget(spec, path)
    except (OSError, ValueError) as error:
        raise DatabaseError(
            f"The database {spec!a} cannot be used: {reason_of(error)}.",
            "Check the path and its permissions, or name another database with --db.",
        ) from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DatabaseError(f"{spec} is no file.", "Name a SQLite database file with --db.")
    return FileTarget(spec, path)


def _open_rollback(path: Path, cancelled: IsCancelled | None) -> apsw.Connection:
    connection = _connect(path, apsw.SQLITE_OPEN_READONLY, READ_TIMEOUT_MS, cancelled)
    try:
        _touch(connection)
    except (apsw.ReadOnlyError, apsw.CantOpenError):
        # A journal left by a killed writer: the file holds half a transaction until a writer
        # rolls it back, so there is nothing to read before that is done.
        connection.close(True)
        if not _beside(path, "-journal").exists():
            raise
        return _open_query_only(path, cancelled)
    except apsw.Error:
        connection.close(True)
        raise
    return connection


def _open_wal(path: Path, cancelled: IsCancelled | None) -> apsw.Connection:
    log, index = _beside(path, "-wal"), _beside(path, "-shm")
    if log.exists() and index.exists():
        # Another process has the database open, or was killed. A read-only connection joins the
        # files, rebuilds the index where it must, and removes neither of them when it closes.
        connection = _connect(path, apsw.SQLITE_OPEN_READONLY, READ_TIMEOUT_MS, cancelled)
        try:
            _touch(connection)
        except (apsw.ReadOnlyError, apsw.CantOpenError):
            connection.close(True)
            return _open_query_only(path, cancelled)
        except apsw.Error:
            connection.close(True)
            raise
        return connection
    if _size(log) > 0:
        try:
            return _open_exclusive(path)
        except apsw.BusyError:
            # Another process is just opening it, between making its log and its index.
            return _open_query_only(path, cancelled)
    # Nobody has it open. SQLite makes log and index to read it; only a connection that may write
    # takes them away again when it closes. There is nothing in the log to be written back.
    try:
        return _open_query_only(path, cancelled)
    except (apsw.ReadOnlyError, apsw.CantOpenError):
        # File or directory is read-only, so the index cannot be made: without a log, the file
        # itself is all there is to read.
        return _open_immutable(path)


def _open_exclusive(path: Path) -> apsw.Connection:
    """For a log without its index, which nobody has open.

    Exclusive mode keeps the index in memory, and without a checkpoint on close all files stay as
    they are (https://www.sqlite.org/wal.html, "Use of WAL Without Shared-Memory").
    """
    connection = _connect(path, apsw.SQLITE_OPEN_READWRITE, 0)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA query_only = ON")
    return _touched(connection)


def _open_query_only(path: Path, cancelled: IsCancelled | None) -> apsw.Connection:
    connection = _connect(path, apsw.SQLITE_OPEN_READWRITE, READ_TIMEOUT_MS, cancelled)
    connection.execute("PRAGMA query_only = ON")
    return _touched(connection)


def _open_immutable(path: Path) -> apsw.Connection:
    uri = f"file:{url_quote(str(path))}?immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return _touched(apsw.Connection(uri, flags=flags))


def _connect(
    path: Path, flags: int, timeout_ms: int, cancelled: IsCancelled | None = None
) -> apsw.Connection:
    connection = apsw.Connection(str(path.absolute()), flags=flags)
    wait_for_locks(connection, timeout_ms, cancelled)
    return connection


def _touched(connection: apsw.Connection) -> apsw.Connection:
    try:
        _touch(connection)
    except apsw.Error:
        connection.close(True)
        raise
    return connection


def _touch(connection: apsw.Connection) -> None:
    """Make SQLite take its first lock, and with it find out whether the file can be read."""
    connection.execute("SELECT count(*) FROM sqlite_master").fetchall()


def _is_wal(path: Path) -> bool:
    """Whether the header names WAL mode (https://www.sqlite.org/fileformat2.html, offset 19).

    Read through SQLite: on Unix, closing a file of one's own would drop every lock that a
    connection of this process holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    flags = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY
    file = apsw.VFSFile("", str(path), [flags, 0])
    try:
        if file.xFileSize() < _HEADER:
            return False
        return file.xRead(_HEADER, 0)[19] == _WAL_VERSION
    finally:
        file.xClose()


def _beside(path: Path, suffix: str) -> Path:
    real = path.resolve()
    return real.with_name(real.name + suffix)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
