"""A database's structure as SQL text: as it stands, and as a plan's statements leave it.

SQLite itself makes the second text. The statements run on a database in memory that has the
structure and no documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apsw

from valet_studio.database import layout
from valet_studio.schema.state import DatabaseState

_CHANGES_STRUCTURE = re.compile(r"\s*(CREATE|ALTER|DROP)\s", re.IGNORECASE)
_TABLE = re.compile(r"\s*CREATE\s+TABLE\s", re.IGNORECASE)
_SCHEMA = """
    SELECT m.type, m.name, m.tbl_name, m.sql
    FROM sqlite_schema AS m LEFT JOIN pragma_table_list AS t
      ON t.schema = 'main' AND t.name = m.name AND m.type = 'table'
    WHERE m.sql IS NOT NULL AND t.type IS NOT 'shadow'
    ORDER BY m.rowid"""


@dataclass(frozen=True, slots=True)
class Structures:
    """What `sqlite_schema` says, Valet's bookkeeping left out: a table with one column a line,
    its indexes and triggers below it."""

    before: str
    after: str


def structures(state: DatabaseState, statements: Iterable[str]) -> Structures | None:
    """The structure before and after statements; those that change documents are left out.

    None where it cannot be told: a table is of an extension that is not loaded here.
    """
    connection = apsw.Connection(":memory:")
    try:
        for sql in _made(state):
            connection.execute(sql)
        before = structure(connection)
        for sql in filter(_CHANGES_STRUCTURE.match, statements):
            connection.execute(sql)
        return Structures(before, structure(connection))
    except apsw.Error:
        return None
    finally:
        connection.close()


def structure(connection: apsw.Connection) -> str:
    """What a database's `sqlite_schema` says."""
    rows = [
        (str(kind), str(name), str(table), str(sql))
        for kind, name, table, sql in connection.execute(_SCHEMA)
        if not layout.is_bookkeeping(str(table)) and not str(name).startswith("sqlite_")
    ]
    texts = []
    for kind, name, _, sql in rows:
        if kind in ("table", "view"):
            texts.append(one_column_a_line(sql) if _TABLE.match(sql) else sql)
            below = (row for row in rows if row[0] in ("index", "trigger") and row[2] == name)
            texts += sorted(sql for *_, sql in below)
    return "".join(f"{text};\n" for text in texts)


def one_column_a_line(sql: str) -> str:
    """A CREATE TABLE whose columns and constraints stand on lines of their own."""
    parts = list(_parts(sql))
    if len(parts) < 3:
        return sql
    head, *columns, tail = parts
    body = ",\n".join(f"  {column.strip()}" for column in columns)
    return f"{head.strip()} (\n{body}\n){tail.rstrip()}"


def _made(state: DatabaseState) -> Iterable[str]:
    """What makes the structure again: tables first, triggers last."""
    tables = [table for table in state.tables if table.kind in ("table", "virtual")]
    yield from (table.sql for table in tables)
    yield from (table.sql for table in state.tables if table.kind == "view")
    yield from (index.sql for table in tables for index in table.indexes)
    yield from (trigger.sql for table in state.tables for trigger in table.triggers)


def _parts(sql: str) -> Iterator[str]:
    """The text before the first bracket, what commas separate in it, the text behind it."""
    depth, begin, at = 0, 0, 0
    while at < len(sql):
        sign = sql[at]
        if sign in "'\"`[":
            end = sql.find("]" if sign == "[" else sign, at + 1)
            at = len(sql) if end < 0 else end
        elif sql.startswith(("--", "/*"), at):
            end = sql.find("\n" if sign == "-" else "*/", at + 2)
            at = len(sql) if end < 0 else end + (0 if sign == "-" else 1)
        elif sign == "(":
            depth += 1
            if depth == 1:
                yield sql[begin:at]
                begin = at + 1
        elif sign == ")":
            depth -= 1
            if depth == 0:
                yield sql[begin:at]
                yield sql[at + 1 :]
                return
        elif sign == "," and depth == 1:
            yield sql[begin:at]
            begin = at + 1
        at += 1
