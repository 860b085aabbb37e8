"""New values into one column, a batch at a time, by the way that costs SQLite least.

Values that came packed (`typescript.cells`) are bound as one blob, out of which SQLite takes each
document's own by its rowid: no Python runs once a document. Any others are asked of a Python
function, document by document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import apsw

from valet_studio.errors import MigrationFailed
from valet_studio.migrate.documents import Documents, Key, converts
from valet_studio.schema.names import fold, quote
from valet_studio.typescript.cells import Cells

MOST_BRANCHES = 12
"""Values that a CASE tells apart faster than a function."""
_SPARSEST = 4
"""Places for each document, up to which holes between rowids are filled up."""


class ColumnWriter:
    """Sets one column of documents and compares what it holds."""

    def __init__(self, documents: Documents, column: str) -> None:
        self.documents = documents
        self._connection = documents.connection
        self._table = quote(documents.state.name)
        self._column = quote(documents.names.get(column, column))
        # A CAST of bytes takes them to be text of the database's encoding.
        self._is_utf8 = self._connection.execute("PRAGMA encoding").get == "UTF-8"
        self._values: dict[apsw.SQLiteValue, apsw.SQLiteValue] = {}
        # The bare lookup, since SQLite calls it once a document.
        lookup = cast("apsw.ScalarProtocol", self._values.__getitem__)
        self._connection.create_scalar_function("valet_value", lookup, 1)

    def write(self, keys: Sequence[Key], cells: Cells) -> int:
        """Set the column of neighbouring documents; how many it set.

        Raises:
            MigrationFailed: there are documents among them that have no value.
        """
        packed = self._packed(keys, cells)
        expression, bindings = packed or (f"valet_value({self.documents.key})", {})
        update = (
            f"UPDATE {self._table} SET {self._column} = {expression} "
            f"WHERE {self.documents.key} BETWEEN :first AND :last"
        )
        bindings |= {"first": keys[0], "last": keys[-1]}
        if packed is not None:
            self._connection.execute(update, bindings)
        else:
            self._by_function(update, bindings, keys, cells)
        changed = self._connection.changes()
        if changed > len(keys):
            raise MigrationFailed(
                f'Table "{self.documents.table.name}" got documents while its backfill was '
                "written. Everything was rolled back.",
                "Look for a trigger that inserts documents when one is updated.",
            )
        return changed

    def _by_function(
        self, update: str, bindings: dict[str, Any], keys: Sequence[Key], cells: Cells
    ) -> None:
        values = self._values
        values.clear()
        values.update(zip(keys, cells.listed, strict=True))
        try:
            self._connection.execute(update, bindings)
        except OverflowError:
            # JavaScript writes 1e20 as an integer, which SQLite's 64 bits cannot hold.
            values.update((key, _as_real(value)) for key, value in list(values.items()))
            self._connection.execute(update, bindings)

    def _packed(self, keys: Sequence[Key], cells: Cells) -> tuple[str, dict[str, Any]] | None:
        """What takes a document's value out of the batch's bytes, and its bindings."""
        if cells.form == "json" or len(cells.values) > MOST_BRANCHES:
            return None
        if cells.form != "codes" and not self._is_utf8:
            return None
        body = _by_place(keys, cells)
        if body is None:
            return None
        place = f"{self.documents.key} - :first"
        if cells.form == "codes":
            branches = "".join(
                f" WHEN x'{code:02x}' THEN :v{code}" for code in range(len(cells.values))
            )
            bound = {f"v{code}": value for code, value in enumerate(cells.values)}
            return f"CASE substr(:body, {place} + 1, 1){branches} END", {"body": body, **bound}
        part = f"substr(:body, ({place}) * :width + 1, :width)"
        taken = (
            f"rtrim(CAST({part} AS TEXT))"
            if cells.form == "texts"
            else f"CAST(trim(CAST({part} AS TEXT)) AS INTEGER)"
        )
        return taken, {"body": body, "width": cells.width}

    def holds_values(self) -> bool:
        """Whether any document holds something else than null in the column."""
        find = f"SELECT 1 FROM {self._table} WHERE {self._column} IS NOT NULL LIMIT 1"
        return self._connection.execute(find).fetchone() is not None

    @property
    def in_wal(self) -> bool:
        """Whether the database is in WAL mode, where a savepoint costs a copy of each page."""
        return bool(self._connection.execute("PRAGMA main.journal_mode").get == "wal")

    def empty(self) -> None:
        """Set the column of every document to null."""
        self._connection.execute(
            f"UPDATE {self._table} SET {self._column} = NULL WHERE {self._column} IS NOT NULL"
        )

    def restore(self, before: apsw.Connection) -> None:
        """Give each document what another connection sees in its column, which is to be empty."""
        known = before.execute(f"PRAGMA table_info({self._table})").fetchall()
        if not any(fold(quote(str(name))) == fold(self._column) for _, name, *_ in known):
            return
        # As bytes, since text need not be of the encoding that it should be.
        is_text = f"typeof({self._column}) = 'text'"
        cells = before.execute(
            f"SELECT {self.documents.key}, {is_text}, "
            f"iif({is_text}, CAST({self._column} AS BLOB), {self._column}) "
            f"FROM {self._table} WHERE {self._column} IS NOT NULL"
        )
        self._connection.executemany(
            f"UPDATE {self._table} SET {self._column} = iif(?2, CAST(?3 AS TEXT), ?3) "
            f"WHERE {self.documents.key} = ?1",
            cells,
        )

    def holding(self, keys: Sequence[Key], cells: Cells) -> int:
        """How many of neighbouring documents hold these very values in the column."""
        count = f"SELECT count(*) {self._compared(keys, cells, 'IS')}"
        return int(self._connection.execute(count, (keys[0], keys[-1])).get)

    def differing(self, keys: Sequence[Key], cells: Cells, most: int) -> list[Key]:
        """Which of neighbouring documents hold other values in the column: the first ones."""
        key = self.documents.key
        find = f"SELECT {key} {self._compared(keys, cells, 'IS NOT')} ORDER BY {key} LIMIT ?"
        found: list[tuple[Any, ...]]
        found = self._connection.execute(find, (keys[0], keys[-1], most)).fetchall()
        return [who for (who,) in found]

    def _compared(self, keys: Sequence[Key], cells: Cells, how: str) -> str:
        values = {key: _as_real(value) for key, value in zip(keys, cells.listed, strict=True)}
        lookup = cast("apsw.ScalarProtocol", values.__getitem__)
        self._connection.create_scalar_function("valet_expected", lookup, 1)
        key = self.documents.key
        return (
            f"FROM {self._table} WHERE {key} BETWEEN ? AND ? "
            f"AND {self._column} {how} valet_expected({key})"
        )

    def fill_by_input(self, read: str, values: Mapping[Any, apsw.SQLiteValue]) -> int | None:
        """Set the column of every document by what another of its cells holds; how many it set.

        None where a cell holds what `values` does not know; then some documents may be set.
        """
        documents = self.documents
        source = documents.state.column_named(documents.names.get(read, read))
        if source is None or not converts(source.sql_type):
            return None  # It may tell 0 from -0, which a lookup does not.
        lookup = cast("apsw.ScalarProtocol", values.__getitem__)
        self._connection.create_scalar_function("valet_outcome", lookup, 1)
        expression = f"valet_outcome({quote(source.name)})"
        try:
            self._connection.execute(f"UPDATE {self._table} SET {self._column} = {expression}")
        except (KeyError, TypeError, UnicodeDecodeError, OverflowError):
            return None
        return self._connection.changes()


def _as_real(value: apsw.SQLiteValue) -> apsw.SQLiteValue:
    return float(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def _by_place(keys: Sequence[Key], cells: Cells) -> bytes | None:
    """The packed values such that a document's stands at its rowid, counted from the first;
    None where there are no rowids, or too few for their span."""
    if isinstance(keys, range):
        return cells.body
    first, last = keys[0], keys[-1]
    if not isinstance(first, int) or not isinstance(last, int):
        return None
    if last - first + 1 > _SPARSEST * len(keys):
        return None
    width = 1 if cells.form == "codes" else cells.width
    body = bytearray()
    for at, length, gap in _runs(cast("Sequence[int]", keys)):
        body += cells.body[at * width : (at + length) * width]
        body += b"\0" * (gap * width)
    return bytes(body)


def _runs(keys: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Stretches of neighbouring rowids: where one begins, its length, the hole after it."""
    begin = 0
    for at in range(1, len(keys)):
        gap = keys[at] - keys[at - 1] - 1
        if gap:
            yield begin, at - begin, gap
            begin = at
    yield begin, len(keys) - begin, 0
