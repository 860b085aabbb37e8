"""Documents in batches: out of a table as columns of JSON, and new values back in.

SQLite itself builds the JSON, so a document costs no Python object on its way to JavaScript.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import apsw

from valet_studio.errors import DatabaseError
from valet_studio.plan.sql import quote
from valet_studio.schema.model import Json, Storage, Table
from valet_studio.schema.state import TableState

BATCH_ROWS = 20_000
BATCH_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """Some documents of one table, in key order."""

    keys: list[int | str]
    """Rowids, or `_id`s where the table has no rowid that can be named."""
    payload: bytes
    """`{"columns": {name: [cell, …], …}}`, as the JavaScript side reads it."""


@dataclass(frozen=True, slots=True)
class Documents:
    """One table of one connection, read and written in batches."""

    connection: apsw.Connection
    table: Table
    state: TableState

    @property
    def key(self) -> str:
        """The SQL expression that tells documents apart and orders them."""
        taken = {column.name.lower() for column in self.state.columns}
        if not self.state.without_rowid:
            for alias in ("rowid", "_rowid_", "oid"):
                if alias not in taken:
                    return alias
        return quote("_id")

    @property
    def names(self) -> dict[str, str]:
        """Field name as documents show it → column name in the database."""
        spelling = {field.name.lower(): field.name for field in self.table.fields}
        return {spelling.get(c.name.lower(), c.name): c.name for c in self.state.columns}

    def count(self) -> int:
        """How many documents the table holds."""
        return int(self.connection.execute(f"SELECT count(*) FROM {quote(self.state.name)}").get)

    def batches(self) -> Iterator[Batch]:
        """All documents in key order, in batches bounded by rows and by bytes.

        Raises:
            DatabaseError: a text cell is not UTF-8; the message names the document.
        """
        rows, last = BATCH_ROWS, None
        while True:
            try:
                found = self.connection.execute(self._batch_sql(last is None), (last, rows)).get
            except (apsw.TooBigError, apsw.NoMemError):
                if rows == 1:
                    raise
                rows = max(1, rows // 16)
                continue
            except UnicodeDecodeError:
                raise self._not_utf8(last, rows) from None
            count, keys, payload = found
            if not count:
                return
            batch = Batch(json.loads(keys), payload.encode())
            last = batch.keys[-1]
            yield batch
            rows = max(1, min(BATCH_ROWS, BATCH_BYTES * count // len(batch.payload) + 1))

    def _batch_sql(self, first: bool) -> str:
        columns = " || ',' || ".join(
            f"{_text(_json(name) + ':')} || json_group_array({_cell(column)})"
            for name, column in self.names.items()
        )
        where = "WHERE ?1 IS NULL" if first else f"WHERE {self.key} > ?1"
        return (
            f"SELECT count(*), json_group_array(_valet_key), "
            f"'{{\"columns\":{{' || {columns} || '}}}}' "
            f"FROM (SELECT {self.key} AS _valet_key, * FROM {quote(self.state.name)} "
            f"{where} ORDER BY {self.key} LIMIT ?2)"
        )

    def _not_utf8(self, last: int | str | None, rows: int) -> DatabaseError:
        where = "WHERE ?1 IS NULL" if last is None else f"WHERE {self.key} > ?1"
        for _id, *cells in self.connection.execute(
            'SELECT CAST("_id" AS BLOB), '
            + ", ".join(f"CAST({quote(column)} AS BLOB)" for column in self.names.values())
            + f" FROM {quote(self.state.name)} {where} ORDER BY {self.key} LIMIT ?2",
            (last, rows),
        ):
            for name, cell in zip(self.names, cells, strict=True):
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

    def ids(self, keys: list[int | str]) -> list[str]:
        """The `_id` of each document of `keys`."""
        find = f'SELECT "_id" FROM {quote(self.state.name)} WHERE {self.key} = ?'
        return [str(self.connection.execute(find, (key,)).get) for key in keys]

    def rows(self, keys: list[int | str]) -> dict[int | str, dict[str, Json]]:
        """Whole documents by key, decoded for showing."""
        found: dict[int | str, dict[str, Json]] = {}
        select = ", ".join(quote(column) for column in self.names.values())
        for key in keys:
            cells = self.connection.execute(
                f"SELECT {select} FROM {quote(self.state.name)} WHERE {self.key} = ?", (key,)
            ).fetchone()
            if cells is not None:
                found[key] = {
                    name: shown(cell, self._storage(name))
                    for name, cell in zip(self.names, cells, strict=True)
                }
        return found

    def _storage(self, name: str) -> Storage | None:
        declared = self.table.field_named(name)
        return declared.validator.storage if declared else None

    def writer(self, column: str) -> Callable[[Batch, list[apsw.SQLiteValue]], int]:
        """A function that sets `column` of a batch's documents and returns how many it set."""
        values: dict[apsw.SQLiteValue, apsw.SQLiteValue] = {}
        # The bare lookup, since SQLite calls it once a document.
        lookup = cast("apsw.ScalarProtocol", values.__getitem__)
        self.connection.create_scalar_function("valet_value", lookup, 1)
        update = (
            f"UPDATE {quote(self.state.name)} SET {quote(self.names.get(column, column))} = "
            f"valet_value({self.key}) WHERE {self.key} BETWEEN ? AND ?"
        )

        def write(batch: Batch, stored: list[apsw.SQLiteValue]) -> int:
            values.clear()
            values.update(zip(batch.keys, stored, strict=True))
            span = (batch.keys[0], batch.keys[-1])
            try:
                self.connection.execute(update, span)
            except OverflowError:
                # JavaScript writes 1e20 as an integer, which SQLite's 64 bits cannot hold.
                values.update((key, _as_real(value)) for key, value in list(values.items()))
                self.connection.execute(update, span)
            return self.connection.changes()

        return write


def shown(cell: apsw.SQLiteValue, storage: Storage | None) -> Json:
    """A stored cell as JSON to be shown: booleans and JSON decoded, bytes as a hex literal."""
    if isinstance(cell, bytes):
        return (
            f"x'{cell.hex()}'" if len(cell) <= 32 else f"x'{cell[:32].hex()}…' ({len(cell)} bytes)"
        )
    if storage is Storage.BOOLEAN and cell in (0, 1):
        return bool(cell)
    if storage is Storage.JSON and isinstance(cell, str):
        try:
            decoded: Json = json.loads(cell)
        except ValueError:
            return cell
        return decoded
    return cell


def _as_real(value: apsw.SQLiteValue) -> apsw.SQLiteValue:
    return float(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def _cell(column: str) -> str:
    """A cell as JSON; what JSON cannot hold is marked for the JavaScript side.

    SQLite compares an integer with a real exactly, so `=` finds the integers that a JavaScript
    number would round.
    """
    name = quote(column)
    return (
        f"CASE typeof({name}) WHEN 'blob' THEN json_object('$b', hex({name})) "
        f"WHEN 'integer' THEN CASE WHEN {name} = CAST({name} AS REAL) "
        f"THEN {name} ELSE json_object('$i', CAST({name} AS TEXT)) END ELSE {name} END"
    )


def _json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
