"""A copy that holds the whole structure of a database, and the rows of some of its tables.

Rows are moved page by page of their b-trees, by what SQLite calls its transfer optimization
(`INSERT INTO new SELECT * FROM old`, where `new` is empty and declared like `old`): records come
over bit for bit, and rowids stay. All of it is read in one read transaction.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as url_quote

import apsw

from valet_studio.database.copy import check_room
from valet_studio.database.target import FileTarget
from valet_studio.database.waiting import READ_TIMEOUT_MS, wait_for_locks
from valet_studio.errors import Cancelled, IsCancelled
from valet_studio.schema.names import FTS5_SHADOWS, fold, quote

if TYPE_CHECKING:
    from concurrent.futures import Future

LEAN_FROM = 64 * 2**20
"""Bytes of a database from which on a lean copy is tried. A full copy of less takes 0.1 s, so that
there is little to win (`python -m tests.benchmarks --only copy`)."""

LEAN_PART = 8
"""A lean copy is made of an eighth of the database at most. A byte of it takes four times as long
as one of a full copy, and the other tables are counted besides (same measurement: of 0.96 GB, a
full copy takes 1.3 s, a lean one of a twentieth 0.4 s, a lean one of all 5.6 s)."""

_POLL_SECONDS = 0.02

_SHADOW_CONFIG = "_config"
_FTS5 = re.compile(r"\s*CREATE\s+VIRTUAL\s.*?\bUSING\s+fts5\b", re.IGNORECASE | re.DOTALL)
_ROWID_NAMES = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True, slots=True)
class CopyScope:
    """What a lean copy has to hold."""

    rows: frozenset[str]
    """Folded names of the tables whose rows are needed; those that are not there are ignored."""
    searches: frozenset[str]
    """Folded names of the FTS5 tables whose contents are needed."""
    counts: tuple[str, ...]
    """Tables whose rows are only counted."""


@dataclass(frozen=True, slots=True)
class LeanCopy:
    """A lean copy that was made."""

    tables: tuple[str, ...]
    """The tables whose rows it holds, Valet's own and those of search indexes left out."""
    absent: frozenset[str]
    """Folded names of the tables whose rows it does not hold."""
    counts: dict[str, int]
    """Table → how many rows it has, for those that were only counted."""


def lean_limit(size: int) -> int:
    """Up to how many bytes of tables a lean copy is worth making; 0 where it never is.

    Args:
        size: bytes of the whole database.
    """
    return size // LEAN_PART if size >= LEAN_FROM else 0


def most_of(size: int, destination: Path, limit: Callable[[int], int]) -> int:
    """The most bytes that a lean copy may be made of; 0 where a full one is to be made.

    Where the disk has no room for a full copy, a lean one of any size is worth its while.
    """
    free = shutil.disk_usage(destination.absolute().parent).free
    return size if free < size else limit(size)


def copy_lean(
    target: FileTarget,
    destination: Path,
    scope: CopyScope,
    most: int,
    cancelled: IsCancelled,
) -> Generator[tuple[int, int], None, LeanCopy | None]:
    """Copy what a scope names into a new file, and return what was made.

    None, and no file, where that is more than `most` bytes, or where SQLite cannot do it so that
    the copy is sure to behave like a full one; then make a full one.

    Yields `(pages done, pages in all)` from time to time.

    Raises:
        Cancelled: `cancelled` answered True; the unfinished copy is left to the caller.
        DatabaseError: the database cannot be read, or the disk has no room for the copy.
    """
    with target.reading() as source:
        try:
            # The connection that reads stays open beside: with it, the files of a WAL database
            # are there for a read-only one to join, and are taken away again at the end.
            making = _Making(_opened(source, target, destination, cancelled), scope, most)
        except apsw.Error:
            destination.unlink(missing_ok=True)
            return None
        try:
            made = yield from _watched(making, destination, cancelled)
        finally:
            making.copy.close(True)
    if made is None:
        destination.unlink(missing_ok=True)
    return made


def _opened(
    source: apsw.Connection, target: FileTarget, destination: Path, cancelled: IsCancelled
) -> apsw.Connection:
    """A connection to the new file, `live` attached to read."""
    encoding, page = (source.execute(f"PRAGMA {name}").get for name in ("encoding", "page_size"))
    create = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
    copy = apsw.Connection(str(destination.absolute()), flags=create)
    try:
        wait_for_locks(copy, READ_TIMEOUT_MS, cancelled)
        # What comes from the database's catalogue must not run while rows are moved.
        copy.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        copy.execute(f"PRAGMA encoding = '{encoding}'; PRAGMA page_size = {page}")
        # A copy that is lost in a crash is made again, so it needs no durability.
        copy.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        uri = f"file:{url_quote(str(target.path.resolve()))}?mode=ro"
        copy.execute("ATTACH ? AS live", (uri,))
    except BaseException:
        copy.close(True)
        raise
    return copy


class _NotLean(Exception):
    """A lean copy cannot be made, or is not worth it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One row of sqlite_master."""

    kind: str
    name: str
    table: str
    sql: str | None
    stored: bool
    """Whether it has pages of its own: tables and indexes do, views, triggers and virtual tables
    do not."""


class _Making:
    """The making of one copy: runs on a thread of its own, so that it can be watched."""

    def __init__(self, copy: apsw.Connection, scope: CopyScope, most: int):
        self.copy = copy
        self.page = int(copy.execute("PRAGMA page_size").get)
        self.pages = 0
        """Pages to be copied; 0 while that is not known."""
        self.stopped = threading.Event()
        self._scope = scope
        self._most = most // self.page

    def run(self, room: Callable[[int], None]) -> LeanCopy | None:
        """Make the copy; None where a full one is to be made."""
        try:
            self._rows("BEGIN")
            made = self._made(room)
            self._rows("COMMIT")
        except _NotLean:
            return None
        return made

    def _made(self, room: Callable[[int], None]) -> LeanCopy:
        rows = self._rows(
            "SELECT type, name, tbl_name, sql, coalesce(rootpage, 0) > 0 "
            "FROM live.sqlite_master ORDER BY rowid"
        )
        entries = [_Entry(*row) for row in rows]
        stored = [entry.name for entry in entries if entry.kind == "table" and entry.stored]
        wanted = self._scope.rows | self._shadows(entries)
        held = [n for n in stored if fold(n) in wanted or fold(n).startswith("sqlite_stat")]
        pages = self._pages(held, entries)
        room((pages + len(entries)) * self.page)
        self.pages = pages
        self._create(entries)
        for name in held:
            self._move(name)
        return LeanCopy(
            tuple(n for n in held if fold(n) in self._scope.rows and not fold(n).startswith("_")),
            frozenset(map(fold, stored)) - set(map(fold, held)),
            {name: self._count(name) for name in self._scope.counts},
        )

    def _rows(self, sql: str, bindings: tuple[str | int, ...] = ()) -> list[Any]:
        if self.stopped.is_set():
            raise Cancelled
        return self.copy.execute(sql, bindings).fetchall()

    def _shadows(self, entries: list[_Entry]) -> set[str]:
        """Folded names of the tables in which FTS5 keeps what is needed.

        Raises:
            _NotLean: there are virtual tables of which it is not known what they read.
        """
        found = set()
        for entry in entries:
            if entry.kind == "table" and not entry.stored:
                if _FTS5.match(entry.sql or "") is None:
                    raise _NotLean
                # FTS5 reads its settings whenever the table is looked at.
                whole = fold(entry.name) in self._scope.searches
                suffixes = FTS5_SHADOWS if whole else (_SHADOW_CONFIG,)
                found |= {fold(entry.name + suffix) for suffix in suffixes}
        return found

    def _pages(self, held: list[str], entries: list[_Entry]) -> int:
        """Pages that the tables and their indexes take.

        Raises:
            _NotLean: they are more than is worth it.
        """
        pages = 0
        for tree in (e.name for e in entries if e.stored and e.table in held):
            # No further than needed: the whole tree is read for it.
            ((found,),) = self._rows(
                "SELECT count(*) FROM (SELECT 1 FROM dbstat('live') WHERE name = ? LIMIT ?)",
                (tree, self._most - pages + 1),
            )
            pages += found
            if pages > self._most:
                raise _NotLean
        return pages

    def _create(self, entries: list[_Entry]) -> None:
        """Make the same catalogue, in the same order.

        Views, triggers and virtual tables have no storage, so their entries are put in as they
        stand, as VACUUM does (https://sqlite.org/src/file/src/vacuum.c).
        """
        self._rows("PRAGMA writable_schema = ON")
        for entry in entries:
            if entry.sql is None or entry.name == "sqlite_sequence":
                continue  # Made by SQLite along with its table.
            if entry.stored:
                self._rows(entry.sql)
            else:
                self._rows(
                    "INSERT INTO main.sqlite_master (type, name, tbl_name, rootpage, sql) "
                    "VALUES (?, ?, ?, 0, ?)",
                    (entry.kind, entry.name, entry.table, entry.sql),
                )
        self._rows("PRAGMA writable_schema = OFF")
        same = "SELECT type, name, tbl_name, sql FROM {}.sqlite_master ORDER BY rowid"
        if self._rows(same.format("main")) != self._rows(same.format("live")):
            raise _NotLean

    def _move(self, name: str) -> None:
        """Copy the rows of one table.

        Raises:
            _NotLean: the table is damaged, or its rows were numbered anew.
        """
        table = quote(name)
        if self._rows(f"PRAGMA live.quick_check({table})") != [("ok",)]:
            raise _NotLean
        columns = self._rows("SELECT name, hidden FROM pragma_table_xinfo(?, 'live')", (name,))
        if any(hidden for _, hidden in columns):
            raise _NotLean  # SQLite would compute generated columns anew, and number rows anew.
        self._rows(f"INSERT INTO main.{table} SELECT * FROM live.{table}")
        ((without_rowid,),) = self._rows(
            "SELECT wr FROM pragma_table_list(?) WHERE schema = 'live'", (name,)
        )
        if without_rowid:
            return
        taken = {fold(column) for column, _ in columns}
        rowid = next((alias for alias in _ROWID_NAMES if alias not in taken), None)
        if rowid is None:
            raise _NotLean
        # Rows that are numbered anew count from 1. They do so too where first and last number
        # are what they were only if they were numbered without a hole before.
        ends = f"SELECT (SELECT min({rowid}) FROM {{0}}), (SELECT max({rowid}) FROM {{0}})"
        if self._rows(ends.format(f"main.{table}")) != self._rows(ends.format(f"live.{table}")):
            raise _NotLean

    def _count(self, name: str) -> int:
        ((count,),) = self._rows(f"SELECT count(*) FROM live.{quote(name)}")
        return int(count)


def _watched(
    making: _Making, destination: Path, cancelled: IsCancelled
) -> Generator[tuple[int, int], None, LeanCopy | None]:
    """Make the copy on another thread, tell how far it is, and stop it when it is cancelled."""
    from concurrent.futures import ThreadPoolExecutor

    done = False
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(making.run, lambda needed: check_room(needed, destination))
        try:
            for _ in _until_done(running):
                if cancelled():
                    raise Cancelled
                if making.pages:
                    written = destination.stat().st_size // making.page
                    yield min(written, making.pages), making.pages
            done = True
        finally:
            if not done:
                _stop(making, running)
    try:
        made = running.result()
    except apsw.Error:
        return None  # A full copy says what is wrong, or does without what could not be done.
    if made is not None:
        yield making.pages, making.pages
    return made


def _until_done(running: Future[LeanCopy | None]) -> Iterator[None]:
    while not _done(running, _POLL_SECONDS):
        yield


def _stop(making: _Making, running: Future[LeanCopy | None]) -> None:
    """Interrupt again and again: SQLite forgets an interrupt that comes between two statements."""
    making.stopped.set()
    while not _done(running, _POLL_SECONDS / 10):
        making.copy.interrupt()


def _done(running: Future[LeanCopy | None], seconds: float) -> bool:
    from concurrent.futures import wait

    return bool(wait([running], seconds).done)
