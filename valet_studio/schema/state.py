"""What a database holds, as data: the other half of a comparison.

`database.inspect` makes a `DatabaseState`, `plan.compare` reads it. Nothing here knows SQLite's
connections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from valet_studio.errors import Problem
from valet_studio.schema.model import Schema, Table, Validator
from valet_studio.schema.names import fold

TableKind: TypeAlias = Literal["table", "virtual", "view", "shadow"]

UNKNOWN = Validator("union")
"""Stands for the validator of a kept field of which only the column's SQL type is known."""


@dataclass(frozen=True, slots=True)
class ColumnState:
    """One column as `PRAGMA table_xinfo` tells it."""

    name: str
    sql_type: str
    """The declared type, as written ("" where none was)."""
    not_null: bool = False
    primary_key: bool = False
    has_default: bool = False
    generated: bool = False

    @property
    def untyped(self) -> bool:
        """Whether it was declared without a type, so that it takes any value as it is."""
        return self.sql_type.upper() in ("", "ANY")


@dataclass(frozen=True, slots=True)
class IndexState:
    """One index made by CREATE INDEX (SQLite's automatic ones are left out)."""

    name: str
    columns: tuple[str, ...]
    """Column names in index order; an expression is ""."""
    unique: bool
    sql: str


@dataclass(frozen=True, slots=True)
class TriggerState:
    """One trigger and the statement that made it."""

    name: str
    sql: str

    @property
    def event(self) -> Literal["INSERT", "UPDATE", "DELETE"]:
        """What it runs after, before or instead of."""
        found = _EVENT.search(self.sql)
        match found[1].upper() if found is not None else "":
            case "INSERT":
                return "INSERT"
            case "DELETE":
                return "DELETE"
            case _:
                return "UPDATE"


_EVENT = re.compile(r"\b(INSERT|UPDATE|DELETE)(?:\s+OF\s[^;]*?)?\s+ON\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TableState:
    """One table, virtual table or view with all that hangs on it."""

    name: str
    kind: TableKind
    sql: str
    columns: tuple[ColumnState, ...] = ()
    indexes: tuple[IndexState, ...] = ()
    triggers: tuple[TriggerState, ...] = ()
    without_rowid: bool = False

    def column_named(self, name: str) -> ColumnState | None:
        """The column that SQLite would find by this name (case counts beyond ASCII only)."""
        folded = fold(name)
        return next((c for c in self.columns if fold(c.name) == folded), None)


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """Structure and bookkeeping of one database at one moment; no documents."""

    tables: tuple[TableState, ...] = ()
    """User tables, virtual tables and views; none that Valet, SQLite, Litestream or D1 keep."""
    applied: Schema | None = None
    """The schema of the last push, where the database records it (`schema_json`)."""
    applied_hash: str | None = None
    """`schema_hash` of the last push that completed, backfills included."""
    kept: tuple[Table, ...] = ()
    """Tables and fields that earlier schemas declared and the applied one no longer does."""
    backfills: Mapping[str, str] = field(default_factory=dict)
    """Finished backfills: `backfill_key` → digest of the code that ran ("" where unknown)."""
    unsettled: frozenset[str] = frozenset()
    """Keys of those that ran only in pushes in which another backfill failed: no client has run
    them yet."""
    has_bookkeeping: bool = False
    """Whether `_valet_meta` exists."""
    problems: tuple[Problem, ...] = ()
    """What of the bookkeeping could not be read; a plan shows them as warnings."""
    signature: str = ""
    """SHA-256 over all of the above: equal signatures mean an equal structure."""

    def table_named(self, name: str) -> TableState | None:
        """The table that SQLite would find by this name (case counts beyond ASCII only)."""
        folded = fold(name)
        return next((t for t in self.tables if fold(t.name) == folded), None)


def backfill_key(table: str, column: str) -> str:
    """The key of a finished backfill in `_valet_meta` (the seed's "Backfill rules").

    A colon of the table's own name is escaped: `a:b`.`c` and `a`.`b:c` are two backfills.
    """
    escaped = table.replace("\\", "\\\\").replace(":", "\\:")
    return f"backfill:{escaped}:{column}"
