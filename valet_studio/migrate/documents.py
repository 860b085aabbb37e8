"""Reads the documents of a table in batches, as columns of JSON.

SQLite itself builds the JSON, so a document costs no Python object on its way to JavaScript.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeGuard

import apsw

from valet_studio.errors import DatabaseError
from valet_studio.plan.sql import rowid_of
from valet_studio.plan.types import affinity
from valet_studio.schema.model import Json, Storage, Table
from valet_studio.schema.names import fold, quote
from valet_studio.schema.state import ColumnState, TableState
from valet_studio.schema.telling import shown

BATCH_ROWS = 20_000
BATCH_BYTES = 450 * 1024
"""Of JSON: JavaScript is slower where a batch and what becomes of it do not fit its caches."""
MOST_READ = 200
"""Characters of a text beyond which it is cut where it is told what a function read."""
_WORDS = re.compile(r"[\w$]+")
_EXACT = 1 << 53
_FIRST_ROWID, _LAST_ROWID = -(1 << 63), (1 << 63) - 1

Key: TypeAlias = int | str
"""What tells documents apart: a rowid, or an `_id` where the table has no rowid to be named."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some documents of one table, in key order."""

    keys: Sequence[Key]
    payload: bytes
    """`{"columns": {name: [cell, …], …}, "count": n}`, as the JavaScript side reads it."""

    @property
    def digest(self) -> bytes:
        """Equal for the same documents with the same cells, and for no others."""
        found = hashlib.blake2b(self.payload, digest_size=16)
        found.update(repr(self.keys).encode())
        return found.digest()


@dataclass(frozen=True, slots=True)
class Documents:
    """One table of one connection, read and written in batches."""

    connection: apsw.Connection
    table: Table
    state: TableState
    absent: tuple[str, ...] = ()
    """Columns that the table is about to get: every document shows null there."""
    only: frozenset[str] | None = None
    """The fields that batches hold; None for all."""

    def reading(self, fields: frozenset[str] | None) -> Documents:
        """The same documents, of which batches hold these fields alone."""
        known = fields is not None and fields <= self.names.keys()
        return replace(self, only=fields if known else None)

    @property
    def key(self) -> str:
        """The SQL expression that tells documents apart and orders them."""
        columns = (column.name for column in self.state.columns)
        rowid = None if self.state.without_rowid else rowid_of(columns)
        return rowid or quote("_id")

    @property
    def names(self) -> dict[str, str]:
        """Field name as documents show it → column name in the database."""
        spelling = {fold(field.name): field.name for field in self.table.fields}
        columns = [*(column.name for column in self.state.columns), *self.absent]
        return {spelling.get(fold(column), column): column for column in columns}

    def count(self) -> int:
        """How many documents the table holds."""
        return int(self.connection.execute(f"SELECT count(*) FROM {quote(self.state.name)}").get)

    def ends(self) -> tuple[int, int]:
        """The first rowid and the last one; both are 0 where the table is empty."""
        table = quote(self.state.name)
        # Asked for together, they would be looked for in every document.
        first, last = (
            int(self.connection.execute(f"SELECT {end}({self.key}) FROM {table}").get or 0)
            for end in ("min", "max")
        )
        return first, last

    def batches(
        self,
        after: Key | None = None,
        until: Key | None = None,
        most: Callable[[], int] = lambda: BATCH_ROWS,
    ) -> Iterator[Batch]:
        """The documents with `after` < key <= `until` in key order, bounded by rows and bytes.

        Args:
            most: asked before each batch how many documents it may hold.

        Raises:
            DatabaseError: a text cell is not UTF-8; the message names the document.
        """
        fitting = BATCH_ROWS
        after = self._before_first() if after is None else after
        near = after is not None
        while True:
            rows = max(1, min(fitting, most()))
            try:
                batch = self.batch(after, until, rows, near=near)
            except (apsw.TooBigError, apsw.NoMemError):
                if rows == 1:
                    raise
                fitting = rows // 16
                continue
            if batch is not None:
                yield batch
                after = batch.keys[-1]
                # Where there was no hole between rowids, there is most likely none in the next.
                near = isinstance(batch.keys, range)
                fitting = BATCH_BYTES * len(batch.keys) // len(batch.payload) + 1
            elif near:
                near = False  # The end, or a large hole.
            else:
                return

    def batch(
        self, after: Key | None, until: Key | None, rows: int, *, near: bool = False
    ) -> Batch | None:
        """The first documents of a span, at most `rows`; None where it holds none.

        Args:
            near: look at the next `rows` rowids only, which is faster. None then says that
                there is no document among these.

        Raises:
            DatabaseError: a text cell is not UTF-8; the message names the document.
            apsw.TooBigError, apsw.NoMemError: they are too much at once.
        """
        read = self._read_near if near else self._read
        try:
            return read(after, until, rows)
        except UnicodeDecodeError:
            raise self._not_utf8(after, until, rows) from None

    def _read(self, after: Key | None, until: Key | None, rows: int) -> Batch | None:
        names = self._names_read()
        columns = [f"json_group_array({self._cell(self.names[name])})" for name in names]
        found = ["count(*)", "json_group_array(_valet_key)", *columns]
        held = [quote(self.names[n]) for n in names if self.names[n] not in self.absent]
        taken = ", ".join([f"{self.key} AS _valet_key", *held])
        sql = f"SELECT {', '.join(found)} FROM (SELECT {taken} FROM {self._span(after, until)})"
        bindings = {"after": after, "until": until, "rows": rows}
        count, keys, *cells = self._fetched(sql, bindings)
        return _batch(_keys(keys, count), names, cells) if count else None

    def _read_near(self, after: Key | None, until: Key | None, rows: int) -> Batch | None:
        if not isinstance(after, int) or isinstance(until, str):
            return self._read(after, until, rows)
        names = self._names_read()
        columns = [f"json_group_array({self._cell(self.names[name])})" for name in names]
        span = (
            f"FROM {quote(self.state.name)} NOT INDEXED "
            f"WHERE {self.key} > :after AND {self.key} <= :until"
        )
        # Alone, each end is sought; beside count(*) it would be compared in every document.
        ends = [f"(SELECT {end}({self.key}) {span})" for end in ("min", "max")]
        sql = f"SELECT {', '.join(['count(*)', *ends, *columns])} {span}"
        end = min(after + rows, _LAST_ROWID)
        bindings = {"after": after, "until": end if until is None else min(end, until)}
        count, first, last, *cells = self._fetched(sql, bindings)
        if count and last - first + 1 != count:
            return self._read(after, until, rows)
        return _batch(range(first, last + 1), names, cells) if count else None

    def _fetched(self, sql: str, bindings: Mapping[str, Key | None]) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self.connection.execute(sql, bindings).fetchall()[0]
        return found

    def _names_read(self) -> list[str]:
        return [name for name in self.names if self.only is None or name in self.only]

    def _before_first(self) -> int | None:
        """The rowid before the first one; None where there is none to be named."""
        if self.key == quote("_id"):
            return None
        find = f"SELECT min({self.key}) FROM {quote(self.state.name)}"
        first = self.connection.execute(find).get
        return first - 1 if isinstance(first, int) and first > _FIRST_ROWID else None

    def _span(self, after: Key | None, until: Key | None) -> str:
        bounds = [f"{self.key} > :after"] if after is not None else []
        bounds += [f"{self.key} <= :until"] if until is not None else []
        where = f"WHERE {' AND '.join(bounds)}" if bounds else ""
        return f"{quote(self.state.name)} {where} ORDER BY {self.key} LIMIT :rows"

    def _cell(self, column: str) -> str:
        found = self.state.column_named(column)
        return _cell(found) if found is not None else "NULL"

    def _column(self, column: str) -> str:
        return "NULL" if column in self.absent else quote(column)

    def _not_utf8(self, after: Key | None, until: Key | None, rows: int) -> DatabaseError:
        bindings = {"after": after, "until": until, "rows": rows}
        for _id, *cells in self.connection.execute(
            'SELECT CAST("_id" AS BLOB), '
            + ", ".join(f"CAST({self._column(column)} AS BLOB)" for column in self.names.values())
            + f" FROM {self._span(after, until)}",
            bindings,
        ):
            for name, cell in zip(self.names, cells, strict=True):
                if self.only is not None and name not in self.only:
                    continue
                try:
                    bytes(cell or b"").decode()
                except UnicodeDecodeError:
                    who = bytes(_id or b"").decode(errors="replace")
                    return DatabaseError(
                        f'Document "{who}" of "{self.table.name}" holds text in "{name}" that is '
                        "not UTF-8, so a backfill cannot read it.",
                        "Mend that cell, then push again.",
                    )
        return DatabaseError(f'Table "{self.table.name}" holds text that is not UTF-8.')

    def ids(self, keys: Iterable[Key]) -> list[str]:
        """The `_id` of each document of `keys`."""
        find = f'SELECT CAST("_id" AS BLOB) FROM {quote(self.state.name)} WHERE {self.key} = ?'
        found = (self.connection.execute(find, (key,)).get for key in keys)
        return [bytes(_id or b"").decode(errors="replace") for _id in found]

    def rows(self, keys: Iterable[Key]) -> dict[Key, dict[str, Json]]:
        """Whole documents by key, decoded for showing."""
        found: dict[Key, dict[str, Json]] = {}
        for key in keys:
            cells = self._row(key, self.names)
            if cells is not None:
                found[key] = {
                    name: shown(cell, self._storage(name))
                    for name, cell in zip(self.names, cells, strict=True)
                }
        return found

    def read_by(self, code: str, key: Key) -> dict[str, Json]:
        """What a function takes of a document, decoded for showing; long values are cut."""
        words = set(_WORDS.findall(code)) if self.only is None else self.only
        names = [name for name in self.names if name in words and name != "_id"]
        cells = self._row(key, names) if names else None
        return {
            name: _cut(cell) if _is_long(cell) else shown(cell, self._storage(name))
            for name, cell in zip(names, cells or (), strict=bool(cells))
        }

    def _row(self, key: Key, names: Iterable[str]) -> tuple[apsw.SQLiteValue, ...] | None:
        where = f"FROM {quote(self.state.name)} WHERE {self.key} = ?"
        columns = [self._column(self.names[name]) for name in names]
        try:
            return self.connection.execute(
                f"SELECT {', '.join(columns)} {where}", (key,)
            ).fetchone()
        except UnicodeDecodeError:
            # Text of another encoding is shown as its bytes.
            raw = (
                f"CASE typeof({c}) WHEN 'text' THEN CAST({c} AS BLOB) ELSE {c} END" for c in columns
            )
            cells = self.connection.execute(f"SELECT {', '.join(raw)} {where}", (key,)).get
            return tuple(_text_if_utf8(cell) for cell in cells)

    def _storage(self, name: str) -> Storage | None:
        declared = self.table.field_named(name)
        return declared.validator.storage if declared else None


def _keys(text: str, count: int) -> Sequence[Key]:
    """Keys out of their JSON array; neighbouring rowids as a range, which takes no memory."""
    first, last = text[1:-1].partition(",")[0], text[1:-1].rpartition(",")[2]
    if first[0] != '"' and int(last) - int(first) + 1 == count:
        return range(int(first), int(last) + 1)
    found: list[Key] = json.loads(text)
    return found


def _is_long(cell: apsw.SQLiteValue) -> TypeGuard[str]:
    return isinstance(cell, str) and len(cell) > MOST_READ


def _cut(text: str) -> str:
    return f"{text[:MOST_READ]}…"


def _text_if_utf8(cell: apsw.SQLiteValue) -> apsw.SQLiteValue:
    try:
        return cell.decode() if isinstance(cell, bytes) else cell
    except UnicodeDecodeError:
        return cell


def _batch(keys: Sequence[Key], names: Sequence[str], columns: Sequence[str]) -> Batch:
    # Joined here: SQLite's || copies all that stands before it, once a column.
    cells = ",".join(f"{_json(n)}:{cells}" for n, cells in zip(names, columns, strict=True))
    return Batch(keys, f'{{"columns":{{{cells}}},"count":{len(keys)}}}'.encode())


def _cell(column: ColumnState) -> str:
    """A cell as JSON; what JSON cannot hold is marked for the JavaScript side.

    What comes often is told by one comparison: any blob sorts after any text, and a column of TEXT
    affinity holds no number (https://www.sqlite.org/datatype3.html); most numbers are small.
    SQLite compares an integer with a real exactly, so `=` finds the integers that a JavaScript
    number would round.
    """
    name = quote(column.name)
    blob = f"CASE WHEN {name} >= x'' THEN json_object('$b', hex({name}))"
    if affinity(column.sql_type) == "TEXT":
        return f"{blob} ELSE {name} END"
    real = name
    if not converts(column.sql_type):
        # SQLite writes -0.0 as 0.0; it keeps it where a column converts nothing.
        real = f"iif({name} = 0 AND atan2({name}, -1) < 0, json('-0.0'), {name})"
    return (
        f"CASE WHEN {name} NOT BETWEEN -{_EXACT} AND {_EXACT} THEN {blob} "
        f"WHEN typeof({name}) = 'integer' THEN CASE WHEN {name} = CAST({name} AS REAL) "
        f"THEN {name} ELSE json_object('$i', CAST({name} AS TEXT)) END ELSE {name} END "
        f"ELSE {real} END"
    )


def converts(sql_type: str) -> bool:
    """Whether a column of a declared type surely converts what it is given: one of ANY, which is
    NUMERIC by its name, does not in a STRICT table (https://www.sqlite.org/stricttables.html)."""
    return affinity(sql_type) in ("INTEGER", "TEXT", "REAL")


def _json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
