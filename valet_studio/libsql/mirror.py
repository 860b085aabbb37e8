"""A copy of a libSQL database in a file here: equal cell by cell, rowids included.

It is read by queries within one read transaction. The server's own export (`/dump`) is not
used: it writes 3.0 as 3, cuts text at a NUL, leaves rowids out and cannot quote the statement of
a search index.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw

from valet_studio.database.errors import database_errors
from valet_studio.database.layout import is_side_table
from valet_studio.errors import IsCancelled
from valet_studio.libsql.cells import Row
from valet_studio.libsql.hrana import LibsqlServer, Unreadable
from valet_studio.libsql.session import Session, reading
from valet_studio.migrate.documents import Key
from valet_studio.migrate.events import CopyProgress
from valet_studio.plan.sql import rowid_of
from valet_studio.schema.names import quote

_BYTES = 1_000_000
"""About how much one answer is to hold."""
_MOST_ROWS = 5_000
_FEW_ROWS = 200
_RENEWED_ROWS = 20_000

COOKIE = "SELECT schema_version FROM pragma_schema_version"
"""What every change of the structure raises."""

_TABLES = (
    "SELECT name, sql, sql LIKE 'CREATE VIRTUAL%' FROM sqlite_master "
    "WHERE type = 'table' AND sql IS NOT NULL ORDER BY rowid"
)
_OTHERS = "SELECT sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL ORDER BY rowid"
_WITHOUT_ROWID = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?"
_COLUMNS = "SELECT name, hidden FROM pragma_table_xinfo(?) ORDER BY cid"


class TooMuch(Exception):
    """So many rows were written that the whole is better copied anew."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of the server's database that a copy is of."""

    cookie: int
    """SQLite's schema version, which every change of the structure raises."""
    meta: str | None
    """All of `_valet_meta` as `META_TEXT` tells it; None where there is no such table."""
    side_tables: tuple[str, ...] = ()
    """What an apply that is under way, or was killed, has made."""


META_TEXT = (
    'SELECT json_group_array(json_array("key", "value")) FROM '
    '(SELECT "key", "value" FROM "_valet_meta" ORDER BY "key", "value")'
)


@dataclass(frozen=True, slots=True)
class _Table:
    """How the rows of one table are read and written."""

    name: str
    columns: tuple[str, ...]
    """Those that can be written: generated ones are not."""
    rowid: str | None
    """What the row's number is called here; None where it has none, or none that can be named."""

    @property
    def shown(self) -> list[str]:
        names = [quote(column) for column in self.columns]
        return [self.rowid, *names] if self.rowid else names

    @property
    def key(self) -> str:
        """What tells its rows apart, as `Documents.key` does."""
        return self.rowid or quote("_id")

    def select(self, safe: bool) -> str:
        """What is asked for of each row: its cells, and in the safe way their types first."""
        names = self.shown
        if not safe:
            return ", ".join(names)
        kinds = "||".join(f"substr(typeof({name}), 1, 1)" for name in names)
        return ", ".join([kinds, *map(_carried, names)])

    def insert(self, safe: bool) -> str:
        """The statement that writes a row made by `local`."""
        marks = [
            f"CASE ?{2 * at + 1} WHEN 't' THEN CAST(?{2 * at + 2} AS TEXT) ELSE ?{2 * at + 2} END"
            if safe
            else "?"
            for at in range(len(self.shown))
        ]
        names = ", ".join(self.shown)
        return f"INSERT OR REPLACE INTO {quote(self.name)} ({names}) VALUES ({', '.join(marks)})"


def mirror(
    server: LibsqlServer, path: Path, cancelled: IsCancelled, only: Collection[str] | None = None
) -> Iterator[CopyProgress | Moment]:
    """Copy the server's database into a new file; the last item is the moment it is of.

    Args:
        only: the tables whose rows are copied; None for all. The structure is always whole.

    Raises:
        Cancelled: the unfinished copy is left to the caller.
        DatabaseError: the database cannot be read, or the copy cannot be written.
        ServerError: there is no answer.
    """
    try:
        yield from _copied(server, path, cancelled, only, safe=False)
    except Unreadable:
        # The transaction went with the answer. The slow way carries every cell.
        path.unlink(missing_ok=True)
        yield from _copied(server, path, cancelled, only, safe=True)


def renew(session: Session, path: Path, table: str, changed: str) -> list[Key]:
    """Bring some rows of a copy up to date; the keys of those that are there on the server.

    Args:
        changed: SELECT their keys.

    Raises:
        TooMuch: there are more than `_RENEWED_ROWS`.
        Unreadable: one of them holds what cannot be carried.
    """
    with closing(apsw.Connection(str(path))) as copy, copy:
        # Neither are these changes that a trigger is to hear of.
        copy.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        held = _table(copy, table)
        key = held.key
        find = f"SELECT {held.select(False)} FROM {quote(table)} WHERE {key} IN"
        here = f"{key} IN (SELECT value FROM json_each(?))"
        listed = session.execute(f"{changed} LIMIT {_RENEWED_ROWS + 1}")
        keys = [found for (found,) in listed if isinstance(found, (int, str))]
        if len(keys) > _RENEWED_ROWS:
            raise TooMuch
        for start in range(0, len(keys), _FEW_ROWS):
            some = (json.dumps(keys[start : start + _FEW_ROWS]),)
            copy.execute(f"DELETE FROM {quote(table)} WHERE {here}", some)
            rows = session.execute(f"{find} (SELECT value FROM json_each(?))", some)
            copy.executemany(held.insert(False), rows.fetchall())
    return keys


def key_of(path: Path, table: str) -> str:
    """The SQL expression that tells the documents of a table apart: see `Documents.key`."""
    with closing(apsw.Connection(str(path))) as copy:
        return _table(copy, table).key


def _copied(
    server: LibsqlServer,
    path: Path,
    cancelled: IsCancelled,
    only: Collection[str] | None,
    *,
    safe: bool,
) -> Iterator[CopyProgress | Moment]:
    with (
        database_errors(server.url),
        reading(server, cancelled) as session,
        session,
        closing(apsw.Connection(str(path))) as copy,
    ):
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("BEGIN")
        tables = _structure(session, copy)
        wanted = [name for name in tables if only is None or name in only]
        rows = sum(_count(session, name) for name in wanted)
        pages = max(1, int(session.execute("SELECT * FROM pragma_page_count").get))
        done = 0
        yield CopyProgress(0, pages)
        for name in wanted:
            for some in _rows(session, copy, name, safe=safe):
                done += some
                yield CopyProgress(min(pages - 1, pages * done // max(1, rows)), pages)
        for (sql,) in session.execute(_OTHERS):
            copy.execute(str(sql))
        copy.execute("COMMIT")
        yield CopyProgress(pages, pages)
        yield moment(session)


def moment(session: Session) -> Moment:
    """The state of the server's database now."""
    cookie = int(session.execute(COOKIE).get)
    there = session.execute("SELECT 1 FROM sqlite_master WHERE name = '_valet_meta'").fetchone()
    meta = str(session.execute(META_TEXT).get) if there else None
    names = [str(row[0]) for row in session.execute("SELECT name FROM sqlite_master")]
    return Moment(cookie, meta, tuple(filter(is_side_table, names)))


def _structure(session: Session, copy: apsw.Connection) -> list[str]:
    """Make every table; the names of those whose rows are to be copied."""
    made: list[str] = []
    for name, sql, virtual in session.execute(_TABLES).fetchall():
        table = str(name)
        if is_side_table(table) or table.startswith("sqlite_stat"):
            continue
        if table == "sqlite_sequence":
            made.append(table)
        elif virtual:
            # Its module may be unknown here, and its shadow tables are copied as they are.
            copy.execute("PRAGMA writable_schema = ON")
            copy.execute(
                "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) "
                "VALUES ('table', ?, ?, 0, ?)",
                (table, table, sql),
            )
            copy.execute("PRAGMA writable_schema = OFF")
        elif not table.startswith("sqlite_"):
            copy.execute(str(sql))
            made.append(table)
    # The sequences count on while rows are written; their own rows come last.
    return sorted(made, key=lambda table: table == "sqlite_sequence")


def _rows(session: Session, copy: apsw.Connection, name: str, *, safe: bool) -> Iterator[int]:
    """Copy the rows of one table; how many, after each answer."""
    table = _table(copy, name)
    if name == "sqlite_sequence":
        copy.execute("DELETE FROM sqlite_sequence")
    insert = table.insert(safe)
    select = f"SELECT {table.select(safe)} FROM {quote(name)}"
    limit, done, after = _FEW_ROWS, 0, -(2**63)
    while True:
        if table.rowid:
            page = f" WHERE {table.rowid} >= {after} ORDER BY {table.rowid} LIMIT {limit}"
        else:
            page = f" LIMIT {limit} OFFSET {done}"
        try:
            found = session.execute(select + page).fetchall()
        except apsw.TooBigError:
            if limit == 1:
                raise
            limit = max(1, limit // 8)
            continue
        copy.executemany(insert, map(_local, found) if safe else found)
        done += len(found)
        yield len(found)
        if len(found) < limit:
            return
        if table.rowid:
            last = found[-1][1 if safe else 0]
            assert isinstance(last, int)
            if last == 2**63 - 1:
                return
            after = last + 1
        limit = max(1, min(_MOST_ROWS, limit * _BYTES // max(1, session.received)))


def _table(copy: apsw.Connection, name: str) -> _Table:
    without = bool(copy.execute(_WITHOUT_ROWID, (name,)).get)
    found = [(str(c), bool(h)) for c, h in copy.execute(_COLUMNS, (name,))]
    rowid = None if without else rowid_of(column for column, _ in found)
    return _Table(name, tuple(column for column, hidden in found if not hidden), rowid)


def _count(session: Session, table: str) -> int:
    return int(session.execute(f"SELECT count(*) FROM {quote(table)}").get)


def _carried(name: str) -> str:
    return (
        f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) WHEN 'real' THEN "
        f"CASE WHEN {name} IN (9e999, -9e999) THEN CAST({name} AS TEXT) ELSE {name} END "
        f"ELSE {name} END"
    )


def _local(row: Row) -> list[apsw.SQLiteValue]:
    """A row of the safe way: type and cell by turns."""
    kinds, *cells = row
    made: list[apsw.SQLiteValue] = []
    for kind, value in zip(str(kinds), cells, strict=True):
        made += (kind, float(value) if kind == "r" and isinstance(value, str) else value)
    return made
