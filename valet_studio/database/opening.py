"""How a database file is opened.

Reading promises that not a byte of the file changes and that no file appears beside it, in
rollback and in WAL mode, beside a running writer too. What SQLite itself needs for that differs
by the state in which the last process left the files; `Reader` holds the cases.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote as url_quote

import apsw

from valet_studio.database.layout import VERSION
from valet_studio.database.waiting import READ_TIMEOUT_MS, wait_for_locks
from valet_studio.errors import IsCancelled
from valet_studio.paths import room_in

ROOM_FOR_INDEX = 64 * 1024
"""Bytes within which SQLite can begin the index of a log (https://www.sqlite.org/walformat.html)."""
_HEADER = 20
_WAL_VERSION = 2

_NOT_UNDERSTOOD = f"""
    SELECT 1 FROM main.sqlite_master AS m WHERE m.type = 'view'
    OR m.type = 'table' AND m.name <> '{VERSION}' AND m.sql NOT LIKE 'CREATE VIRTUAL%'
        AND NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(m.name, 'main'))
    OR m.type = 'index' AND NOT EXISTS (SELECT 1 FROM pragma_index_info(m.name, 'main'))
    LIMIT 1"""
"""A row where the catalogue holds what this connection does not know, or a view, which cannot be
looked at without what it reads. Virtual tables hold no expressions, and their module may be
missing; `_valet_version` has a CHECK, and no plan asks for it."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Opens one existing file to read it."""

    path: Path
    """Resolved."""
    cancelled: IsCancelled | None
    triggers: bool
    """Whether SQLite has to know the triggers."""

    def open(self) -> apsw.Connection:
        """A connection that cannot write.

        Raises:
            apsw.Error: to be translated by `database_errors`.
        """
        return self._open_wal() if _is_wal(self.path) else self._open_rollback()

    def _open_rollback(self) -> apsw.Connection:
        connection = self._connect(apsw.SQLITE_OPEN_READONLY)
        try:
            return self._touched(connection)
        except (apsw.ReadOnlyError, apsw.CantOpenError):
            # A journal left by a killed writer: the file holds half a transaction until a writer
            # rolls it back, so there is nothing to read before that is done.
            if not beside(self.path, "-journal").exists():
                raise
            return self._open_query_only()

    def _open_wal(self) -> apsw.Connection:
        log, index = beside(self.path, "-wal"), beside(self.path, "-shm")
        if is_full(self.path.parent):
            # SQLite would leave the beginning of an index behind, and read nothing.
            with suppress(apsw.BusyError, apsw.ReadOnlyError, apsw.CantOpenError):
                return self._open_exclusive(leave=log.exists())
        if log.exists() and index.exists():
            # Another process has the database open, or was killed. A read-only connection joins
            # the files, rebuilds the index where it must, and removes neither when it closes.
            connection = self._connect(apsw.SQLITE_OPEN_READONLY)
            try:
                return self._touched(connection)
            except (apsw.ReadOnlyError, apsw.CantOpenError):
                return self._open_query_only()
        if size(log) > 0:
            try:
                return self._open_exclusive()
            except apsw.BusyError:
                # Another process is just opening it, between making its log and its index.
                return self._open_query_only()
        # Nobody has it open. SQLite makes log and index to read it; only a connection that may
        # write takes them away again when it closes. There is nothing in the log to write back.
        try:
            return self._open_query_only()
        except (apsw.ReadOnlyError, apsw.CantOpenError):
            # File or directory is read-only, so the index cannot be made: without a log, the file
            # itself is all there is to read.
            return self._open_immutable()

    def _open_exclusive(self, leave: bool = True) -> apsw.Connection:
        """For a log without its index, which nobody has open.

        Exclusive mode keeps the index in memory, and without a checkpoint on close all files stay
        as they are (https://www.sqlite.org/wal.html, "Use of WAL Without Shared-Memory").

        Args:
            leave: whether there is a log, which has to stay.
        """
        connection = connect(self.path, apsw.SQLITE_OPEN_READWRITE, 0)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(leave))
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA query_only = ON")
        return self._touched(connection)

    def _open_query_only(self) -> apsw.Connection:
        connection = self._connect(apsw.SQLITE_OPEN_READWRITE)
        connection.execute("PRAGMA query_only = ON")
        return self._touched(connection)

    def _open_immutable(self) -> apsw.Connection:
        uri = f"file:{url_quote(str(self.path))}?immutable=1"
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        return self._touched(apsw.Connection(uri, flags=flags))

    def _connect(self, flags: int) -> apsw.Connection:
        return connect(self.path, flags, READ_TIMEOUT_MS, self.cancelled)

    def _touched(self, connection: apsw.Connection) -> apsw.Connection:
        """Make SQLite take its first lock, and with it find out whether the file can be read; the
        connection is closed where it cannot."""
        try:
            if self.triggers or not _load_without_triggers(connection):
                _load(connection)
        except apsw.Error:
            connection.close(True)
            raise
        return connection


def connect(
    path: Path, flags: int, timeout_ms: int, cancelled: IsCancelled | None = None
) -> apsw.Connection:
    """A connection that waits so long for locks, or until `cancelled` answers True."""
    connection = apsw.Connection(str(path.absolute()), flags=flags)
    wait_for_locks(connection, timeout_ms, cancelled)
    return connection


def beside(path: Path, suffix: str) -> Path:
    """The file that SQLite keeps beside a database: its journal, log or index."""
    real = path.resolve()
    return real.with_name(real.name + suffix)


def is_full(folder: Path) -> bool:
    """Whether a disk has no room even for what SQLite needs to open a database in WAL mode."""
    room = room_in(folder)
    return room is not None and room < ROOM_FOR_INDEX


def size(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _load(connection: apsw.Connection) -> None:
    connection.execute("SELECT count(*) FROM main.sqlite_master").fetchall()


def _load_without_triggers(connection: apsw.Connection) -> bool:
    """Let SQLite read the catalogue but understand no trigger; False where it then lacks more.

    Parsing 3,000 tracking triggers, and freeing them again, is three quarters of opening a
    database of 1,000 tables. SQLite gives up a statement of the catalogue at the first expression
    deeper than its limit (https://www.sqlite.org/c3ref/limit.html), which comes early in a
    trigger and seldom anywhere else, and with writable_schema on it goes on to the next one.
    """
    allowed = connection.limit(apsw.SQLITE_LIMIT_EXPR_DEPTH)
    connection.execute("PRAGMA writable_schema = ON")
    connection.limit(apsw.SQLITE_LIMIT_EXPR_DEPTH, 1)
    try:
        _load(connection)
    except apsw.CorruptError:
        return False  # Where SQLite is built to be defensive, it does not go on.
    finally:
        connection.limit(apsw.SQLITE_LIMIT_EXPR_DEPTH, allowed)
        connection.execute("PRAGMA writable_schema = OFF")
    if not connection.execute(_NOT_UNDERSTOOD).fetchall():
        return True
    connection.execute("PRAGMA writable_schema = RESET")
    return False


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
