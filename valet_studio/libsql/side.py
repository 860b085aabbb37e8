"""The SQL of an apply on a server: values on their way in side tables, and what must hold.

A side table keeps, for each document, its new value and the cells that the value was computed
from. A condition that does not hold makes a statement fail, and with it its whole batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apsw

from valet_studio.database.layout import META, SIDE_TABLES
from valet_studio.libsql.cells import Row, needs_packing, packed, unpacked
from valet_studio.libsql.hrana import Statement
from valet_studio.libsql.mirror import COOKIE, META_TEXT, Moment
from valet_studio.schema.names import quote

_BEFORE = quote(f"{SIDE_TABLES}before")
_GROUP = 100
"""Tables that are counted in one expression; SQLite bounds a compound SELECT."""


@dataclass(frozen=True, slots=True)
class Side:
    """The side table of one backfill."""

    name: str
    """Its own, which no other apply has."""
    table: str
    column: str
    key: str
    """The SQL expression that tells documents apart: see `Documents.key`."""
    reads: tuple[str, ...]
    """Columns whose cells the values were computed from."""

    @property
    def create(self) -> Statement:
        """Make it, empty."""
        by_rowid = self.key != quote("_id")
        key = '"key" INTEGER PRIMARY KEY' if by_rowid else '"key" TEXT PRIMARY KEY NOT NULL'
        cells = "".join(f', "was{at}"' for at in range(len(self.reads)))
        rest = "" if by_rowid else " WITHOUT ROWID"
        return Statement(f'CREATE TABLE {quote(self.name)} ({key}, "value"{cells}){rest}')

    def take(self, rows: str | Row) -> Statement:
        """Put in rows of key, value and cells, packed, in place of any of the same keys; or one
        row, each cell of which is an argument: a server bounds the size of each."""
        put = f"INSERT OR REPLACE INTO {quote(self.name)}"
        if isinstance(rows, str):
            values = ", ".join(unpacked(at) for at in range(2 + len(self.reads)))
            return Statement(f"{put} SELECT {values} FROM json_each(?)", (rows,))
        one = f"(SELECT {unpacked(0)} FROM json_each(?))"
        marks = ", ".join(one if needs_packing(value) else "?" for value in rows)
        given = tuple(packed([(value,)]) if needs_packing(value) else value for value in rows)
        return Statement(f"{put} VALUES ({marks})", given)

    @property
    def changed(self) -> str:
        """SELECT the keys of documents that are no longer what they were, or are new."""
        differs = "".join(
            f' OR d.{quote(column)} COLLATE BINARY IS NOT s."was{at}" COLLATE BINARY'
            for at, column in enumerate(self.reads)
        )
        return (
            f"SELECT d.{self.key} FROM {quote(self.table)} AS d LEFT JOIN {quote(self.name)} AS s "
            f'ON s."key" = d.{self.key} WHERE s."key" IS NULL{differs}'
        )

    @property
    def swap(self) -> Statement:
        """Give every document its value."""
        table = quote(self.table)
        return Statement(
            f"UPDATE {table} SET {quote(self.column)} = "
            f'(SELECT s."value" FROM {quote(self.name)} AS s WHERE s."key" = {table}.{self.key})'
        )


def side_name(push: str, number: int) -> str:
    """The name of the side table of a push's backfill."""
    return f"{SIDE_TABLES}{push}_{number}"


def must(condition: str, *arguments: apsw.SQLiteValue) -> Statement:
    """A statement that fails where the condition does not hold: the absolute value of the least
    integer is none (https://www.sqlite.org/lang_corefunc.html#abs)."""
    return Statement(
        f"SELECT abs(CASE WHEN {condition} THEN 0 ELSE -9223372036854775808 END)", arguments
    )


def still(moment: Moment) -> Statement:
    """Fails where the structure is no longer what it was."""
    return must(f"({COOKIE}) = {moment.cookie}")


def unmoved(moment: Moment) -> Statement:
    """Fails where structure or bookkeeping are no longer what they were."""
    if moment.meta is None:
        return still(moment)  # Making the table would have raised the schema version.
    return must(f"({COOKIE}) = {moment.cookie} AND ({META_TEXT}) = ?", moment.meta)


def untouched(side: Side) -> Statement:
    """Fails where a document is no longer what its value was computed from."""
    return must(f"NOT EXISTS ({side.changed})")


def drop(names: Iterable[str]) -> list[Statement]:
    """Remove side tables."""
    return [Statement(f"DROP TABLE IF EXISTS {quote(name)}") for name in names]


def outdate(moment: Moment) -> list[Statement]:
    """Make sure that no batch that was sent before ever changes anything: raise SQLite's schema
    version, on which all of them rest. Fails where that was raised already."""
    return [
        still(moment),
        *drop(moment.side_tables),
        Statement(f'CREATE TABLE {_BEFORE} ("counts")'),
        Statement(f"DROP TABLE {_BEFORE}"),
    ]


def count_before(tables: Sequence[str]) -> list[Statement]:
    """Keep how many documents there are, and how many foreign keys point to nothing."""
    return [
        Statement(f"DROP TABLE IF EXISTS {_BEFORE}"),
        Statement(
            f'CREATE TABLE {_BEFORE} AS SELECT {_counts(tables)} AS "counts", '
            '(SELECT count(*) FROM pragma_foreign_key_check) AS "dangling"'
        ),
    ]


def counts_hold(tables: Sequence[str]) -> list[Statement]:
    """Fails where `count_before` found other counts."""
    return [
        must(f'{_counts(tables)} IS (SELECT "counts" FROM {_BEFORE})'),
        must(
            f'(SELECT count(*) FROM pragma_foreign_key_check) <= (SELECT "dangling" FROM {_BEFORE})'
        ),
        Statement(f"DROP TABLE {_BEFORE}"),
    ]


def _counts(tables: Sequence[str]) -> str:
    groups = [tables[at : at + _GROUP] for at in range(0, len(tables), _GROUP)]
    listed = (
        " UNION ALL ".join(f"SELECT count(*) AS n FROM {quote(table)}" for table in group)
        for group in groups
    )
    found = [f"(SELECT group_concat(n) FROM ({one}))" for one in listed]
    return " || ';' || ".join(found) or "''"


COLUMNS = (
    "SELECT m.name, c.name, c.type FROM sqlite_schema AS m JOIN pragma_table_xinfo(m.name) AS c "
    "WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%'"
)
"""Every column of every table."""

PARTS = "SELECT tbl_name, type, name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger')"
"""Every index and trigger."""


def stands(columns: str, parts: str) -> list[Statement]:
    """Fails where something of a structure is not there; `packed` rows of the two queries."""
    of_columns = ", ".join(unpacked(at) for at in range(3))
    of_parts = ", ".join(unpacked(at) for at in range(4))
    return [
        must(f"NOT EXISTS (SELECT {of_columns} FROM json_each(?) EXCEPT {COLUMNS})", columns),
        must(f"NOT EXISTS (SELECT {of_parts} FROM json_each(?) EXCEPT {PARTS})", parts),
    ]


def set_meta(key: str, value: str) -> list[Statement]:
    """Record a value under a key, in place of any before it."""
    meta = quote(META)
    return [
        Statement(f'UPDATE {meta} SET "value" = ? WHERE "key" = ?', (value, key)),
        Statement(
            f'INSERT INTO {meta} ("key", "value") SELECT ?1, ?2 '
            f'WHERE NOT EXISTS (SELECT 1 FROM {meta} WHERE "key" = ?1)',
            (key, value),
        ),
    ]
