"""Where a database lives, and the two ways to open it: to read, to write."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from valet_studio.database.errors import database_errors, not_text
from valet_studio.database.garbled import garbled
from valet_studio.database.opening import Reader, beside, connect, size
from valet_studio.database.waiting import WRITE_TIMEOUT_MS
from valet_studio.errors import DatabaseError, IsCancelled, Unsupported, reason_of

_PROGRESS_STEPS = 20_000
"""SQLite instructions between two looks at `cancelled`: about a millisecond."""


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
            return self.path.stat().st_size + size(beside(self.path, "-wal"))
        except OSError:
            return None

    @contextmanager
    def reading(
        self, cancelled: IsCancelled | None = None, *, triggers: bool = True
    ) -> Iterator[apsw.Connection]:
        """A connection that only reads; an empty one where the database does not exist.

        Without `triggers` SQLite need not parse them, nor `_valet_version`: most of the time of
        opening a database of many tables. Their texts in sqlite_master are the same.

        Raises:
            Cancelled: `cancelled` answered True while a statement ran or waited for a lock.
            DatabaseError: the file cannot be read as a database.
        """
        with database_errors(self.label):
            connection = self._open_to_read(cancelled, triggers)
            try:
                if cancelled is not None:
                    connection.set_progress_handler(cancelled, _PROGRESS_STEPS)
                yield connection
            except UnicodeDecodeError as error:
                raise not_text(self.label, garbled(connection)) from error
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
            connection = connect(self.path, flags, WRITE_TIMEOUT_MS, cancelled)
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

    def _open_to_read(self, cancelled: IsCancelled | None, triggers: bool) -> apsw.Connection:
        self._refuse_directory()
        if not self.path.exists():
            return apsw.Connection(":memory:")
        return Reader(self.path.resolve(), cancelled, triggers).open()


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
