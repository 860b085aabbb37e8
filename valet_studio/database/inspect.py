"""What a database holds: structure from SQLite's catalogue, history from Valet's bookkeeping."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import apsw

from valet_studio.database import layout
from valet_studio.errors import Problem, StudioError
from valet_studio.schema.document import from_document
from valet_studio.schema.model import Schema, Table
from valet_studio.schema.names import FTS5_SHADOWS, fold, quote
from valet_studio.schema.state import (
    ColumnState,
    DatabaseState,
    IndexState,
    TableKind,
    TableState,
    TriggerState,
)

_VIRTUAL = re.compile(r"\s*CREATE\s+VIRTUAL\s", re.IGNORECASE)
_FTS5 = re.compile(r"\bUSING\s+fts5\s*\(", re.IGNORECASE)
_UNIQUE = re.compile(r"\s*CREATE\s+UNIQUE\s", re.IGNORECASE)
_WITHOUT_ROWID = re.compile(r"\bWITHOUT\s+ROWID\b", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)

_COLUMNS = """
    SELECT m.name, c.name, c.type, c."notnull", c.pk, c.dflt_value IS NOT NULL, c.hidden
    FROM main.sqlite_master AS m JOIN pragma_table_xinfo(m.name, 'main') AS c
    WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%'
    ORDER BY m.rowid, c.cid"""
_INDEX_COLUMNS = """
    SELECT m.name, coalesce(c.name, '')
    FROM main.sqlite_master AS m JOIN pragma_index_info(m.name, 'main') AS c
    WHERE m.type = 'index' AND m.sql IS NOT NULL
    ORDER BY m.rowid, c.seqno"""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One row of sqlite_master."""

    kind: str
    name: str
    table: str
    sql: str


def inspect(connection: apsw.Connection) -> DatabaseState:
    """Read structure and bookkeeping at one moment; no document is looked at.

    Raises:
        apsw.Error: to be translated by `database_errors`; `FileTarget.reading` does so.
    """
    global _last
    with connection:  # one read transaction, so that all parts are of the same moment
        rows = connection.execute(
            "SELECT type, name, tbl_name, sql FROM main.sqlite_master "
            "WHERE sql IS NOT NULL ORDER BY rowid"
        ).fetchall()
        meta = layout.read_meta(connection)
        looked, before, known = _last
        is_known = before == meta and looked == rows
        state = known if known and is_known else _state(connection, rows, meta)
        _last = (rows, meta, state)
    return state


_last: tuple[list[Any], Mapping[str, str], DatabaseState | None] = ([], {}, None)
"""Catalogue and bookkeeping at the last look, and what they were found to mean."""


def _state(
    connection: apsw.Connection, rows: Iterable[Any], meta: Mapping[str, str]
) -> DatabaseState:
    entries = [
        _Entry(*row)
        for row in rows
        if not layout.is_foreign(row[2])
        and not fold(row[1]).startswith("sqlite_")
        and not layout.is_side_table(row[2])
    ]
    problems: list[Problem] = []
    return DatabaseState(
        tables=_tables(connection, entries),
        applied=_applied(meta, problems),
        applied_hash=meta.get(layout.SCHEMA_HASH) or None,
        kept=_kept(meta, problems),
        backfills=layout.backfill_digests(meta),
        unsettled=layout.unsettled_backfills(meta),
        has_bookkeeping=any(fold(e.name) == layout.META for e in entries if e.kind == "table"),
        problems=tuple(problems),
        signature=_signature(entries, meta),
    )


def _is_without_rowid(sql: str) -> bool:
    """Whether a table's options say so: they follow its last parenthesis, and SQLite keeps nothing
    behind them. To ask `pragma_table_list` would have it read the tables of every view."""
    options = _COMMENT.sub(" ", sql.rpartition(")")[2])
    return _WITHOUT_ROWID.search(options) is not None


def _tables(connection: apsw.Connection, entries: Iterable[_Entry]) -> tuple[TableState, ...]:
    columns: dict[str, list[ColumnState]] = defaultdict(list)
    for table, name, sql_type, not_null, key, default, hidden in connection.execute(_COLUMNS):
        columns[table].append(
            ColumnState(name, sql_type, bool(not_null), bool(key), bool(default), hidden in (2, 3))
        )
    indexed: dict[str, list[str]] = defaultdict(list)
    for index, column in connection.execute(_INDEX_COLUMNS):
        indexed[index].append(column)
    indexes: dict[str, list[IndexState]] = defaultdict(list)
    triggers: dict[str, list[TriggerState]] = defaultdict(list)
    shadows: set[str] = set()
    for entry in entries:
        if entry.kind == "index":
            state = IndexState(
                entry.name,
                tuple(indexed[entry.name]),
                _UNIQUE.match(entry.sql) is not None,
                entry.sql,
            )
            indexes[fold(entry.table)].append(state)
        elif entry.kind == "trigger":
            triggers[fold(entry.table)].append(TriggerState(entry.name, entry.sql))
        elif _FTS5.search(entry.sql) and _VIRTUAL.match(entry.sql):
            shadows |= {fold(entry.name + suffix) for suffix in FTS5_SHADOWS}
    tables = []
    for entry in entries:
        if entry.kind not in ("table", "view") or layout.is_bookkeeping(entry.name):
            continue
        folded = fold(entry.name)
        kind: TableKind = "shadow" if folded in shadows else _kind(entry)
        tables.append(
            TableState(
                name=entry.name,
                kind=kind,
                sql=entry.sql,
                columns=tuple(columns[entry.name])
                if kind in ("table", "shadow")
                else _columns_if_readable(connection, entry.name),
                indexes=tuple(indexes[folded]),
                triggers=tuple(triggers[folded]),
                without_rowid=kind == "table" and _is_without_rowid(entry.sql),
            )
        )
    return tuple(tables)


def _kind(entry: _Entry) -> TableKind:
    if entry.kind == "view":
        return "view"
    return "virtual" if _VIRTUAL.match(entry.sql) else "table"


def _columns_if_readable(connection: apsw.Connection, name: str) -> tuple[ColumnState, ...]:
    """The columns of a view or virtual table; none where it is broken or its module missing."""
    try:
        rows = connection.execute(f"PRAGMA main.table_xinfo({quote(name)})").fetchall()
    except apsw.SQLError:
        return ()
    return tuple(ColumnState(str(row[1]), str(row[2] or "")) for row in rows if row[6] != 1)


def _applied(meta: Mapping[str, str], problems: list[Problem]) -> Schema | None:
    text = meta.get(layout.SCHEMA_JSON)
    if not text:
        return None
    try:
        return _recorded(text)
    except (StudioError, ValueError, KeyError, TypeError, AttributeError):
        problems.append(
            Problem(
                "The schema recorded in _valet_meta (schema_json) cannot be read, so this plan "
                "compares SQL types only.",
                "The next push records it anew.",
            )
        )
        return None


@lru_cache(maxsize=2)
def _recorded(text: str) -> Schema:
    """The schema of a `schema_json`; each look at a database finds the same text in it."""
    return from_document(json.loads(text))


def _kept(meta: Mapping[str, str], problems: list[Problem]) -> tuple[Table, ...]:
    text = meta.get(layout.KEPT_JSON)
    if not text:
        return ()
    try:
        return layout.kept_from_json(text)
    except (StudioError, ValueError, KeyError, TypeError, AttributeError):
        problems.append(
            Problem(
                "The record of removed fields in _valet_meta (kept_json) cannot be read, so "
                "their columns are shown as drift.",
                "The next push records it anew.",
            )
        )
        return ()


def _signature(entries: Iterable[_Entry], meta: Mapping[str, str]) -> str:
    recorded = {
        key: value
        for key, value in meta.items()
        if key in (layout.SCHEMA_HASH, layout.SCHEMA_JSON, layout.KEPT_JSON, layout.UNSETTLED)
        or key.startswith(layout.BACKFILL_PREFIX)
    }
    structure = sorted((e.kind, e.name, e.table, e.sql) for e in entries)
    text = json.dumps([structure, recorded], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
