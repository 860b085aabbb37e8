"""What only the rows and the foreign keys of a table tell about its columns."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from valet_studio.schema.names import fold, quote
from valet_studio.schema.state import DatabaseState, TableState

SAMPLE = 20_000
"""Rows of a table that are read."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the columns of one table hold, by their folded names."""

    filled: frozenset[str]
    """Columns that are null in none of the rows that were read; empty where there are no rows."""
    not_numbers: frozenset[str]
    """Columns that hold text or bytes in some of the rows that were read."""
    untyped: dict[str, str]
    """Column declared without a type → the kind of validator that fits all its values, or ""."""
    targets: dict[str, str]
    """Column that points to the `_id` of a table → that table's folded name."""


def held(connection: apsw.Connection, state: DatabaseState) -> dict[str, Held]:
    """What each table holds, by its name. Reads only.

    Raises:
        apsw.Error: to be translated by `database_errors`; `FileTarget.reading` does so.
    """
    return {
        table.name: Held(
            _holding(connection, table, "= 'null'", 0),
            _holding(connection, table, "IN ('text', 'blob')", 1),
            _untyped(connection, table),
            _targets(connection, table),
        )
        for table in state.tables
        if table.kind == "table"
    }


def _holding(
    connection: apsw.Connection, table: TableState, types: str, wanted: int
) -> frozenset[str]:
    """Columns that hold a value of such types in some row (`wanted` is 1) or in none (it is 0).
    Without rows there are neither."""
    found = ", ".join(f"max(typeof({quote(column.name)}) {types})" for column in table.columns)
    rows = f"SELECT * FROM main.{quote(table.name)} LIMIT {SAMPLE}"
    (held,) = connection.execute(f"SELECT {found} FROM ({rows})")
    return frozenset(
        fold(column.name) for column, of in zip(table.columns, held, strict=True) if of == wanted
    )


def _untyped(connection: apsw.Connection, table: TableState) -> dict[str, str]:
    found = {}
    for column in table.columns:
        if not column.untyped:
            continue
        name = quote(column.name)
        kinds = connection.execute(f"""
            SELECT DISTINCT CASE typeof({name})
                WHEN 'text' THEN iif(json_valid({name}), 'any', 'string')
                WHEN 'blob' THEN 'bytes' ELSE 'number' END
            FROM (SELECT * FROM main.{quote(table.name)} LIMIT {SAMPLE})
            WHERE {name} IS NOT NULL
        """)
        found[fold(column.name)] = _fitting({str(kind) for (kind,) in kinds})
    return found


def _fitting(kinds: set[str]) -> str:
    if "string" in kinds:
        kinds = kinds - {"any"}  # A text is one whether or not it reads as JSON.
    return kinds.pop() if len(kinds) == 1 else "" if kinds else "any"


def _targets(connection: apsw.Connection, table: TableState) -> dict[str, str]:
    keys: dict[int, list[tuple[str, str]]] = {}
    for number, _, target, column, to, *_rest in connection.execute(
        f"PRAGMA main.foreign_key_list({quote(table.name)})"
    ):
        by_id = to is None or fold(to) == "_id"
        keys.setdefault(number, []).append((fold(column), fold(target) if by_id else ""))
    return dict(columns[0] for columns in keys.values() if len(columns) == 1 and columns[0][1])
