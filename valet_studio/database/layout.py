"""Valet's own tables in a database: their names, their SQL, and what stands in `_valet_meta`.

Valet may have made these tables itself, with other columns besides or in another order, so
every statement here names its columns and asks for no constraint.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import apsw

from valet_studio.schema.document import table_from_document, table_to_document
from valet_studio.schema.model import Table
from valet_studio.schema.names import fold

META = "_valet_meta"
VERSION = "_valet_version"
CHANGES = "_valet_changes"
HISTORY = "_valet_history"
PLANNED_BY = (META, VERSION)
"""Tables whose rows a plan depends on."""

SCHEMA_HASH = "schema_hash"
SCHEMA_JSON = "schema_json"
KEPT_JSON = "kept_json"
BACKFILL_PREFIX = "backfill:"
UNSETTLED = "unsettled_backfills"
"""The key that holds, as a list, the keys of backfills that ran in no completed push yet."""
SNAPSHOT = "snapshot"
"""The key that holds the digest of the snapshot from before the last migration."""

CREATE_BOOKKEEPING: tuple[str, ...] = (
    f'CREATE TABLE IF NOT EXISTS "{META}" ("key" TEXT PRIMARY KEY NOT NULL, "value" TEXT)',
    f'CREATE TABLE IF NOT EXISTS "{VERSION}" '
    '("id" INTEGER PRIMARY KEY CHECK ("id" = 1), "version" INTEGER NOT NULL DEFAULT 0)',
    f'INSERT INTO "{VERSION}" ("id", "version") SELECT 1, 0 '
    f'WHERE NOT EXISTS (SELECT 1 FROM "{VERSION}" WHERE "id" = 1)',
    f'CREATE TABLE IF NOT EXISTS "{CHANGES}" ("db_version" INTEGER NOT NULL, '
    '"table" TEXT NOT NULL, "row_id" TEXT NOT NULL, "operation" TEXT NOT NULL)',
    f'CREATE TABLE IF NOT EXISTS "{HISTORY}" ("id" INTEGER PRIMARY KEY, '
    '"applied_at" TEXT NOT NULL, "hash_before" TEXT, "hash_after" TEXT, "schema_json" TEXT, '
    '"summary" TEXT, "rows" INTEGER, "seconds" REAL)',
)
"""Statements that make what is missing of the bookkeeping; running them again changes nothing."""

_FOREIGN = ("_litestream_", "_cf_")
"""Beginnings of the names of tables that Litestream and D1 keep for themselves."""
_PREFIXES = ("_valet_", "sqlite_", *_FOREIGN)

SIDE_TABLES = "_valet_backfill_"
"""Beginning of the names of tables that hold values on their way into a server's database."""


def is_side_table(name: str) -> bool:
    """Whether a table is of an apply that is under way, or was killed: no part of the state."""
    return fold(name).startswith(SIDE_TABLES)


def is_bookkeeping(name: str) -> bool:
    """Whether a table belongs to Valet, SQLite, Litestream or D1, and to no schema."""
    return fold(name).startswith(_PREFIXES)


def is_foreign(name: str) -> bool:
    """Whether a table belongs to what replicates or hosts the database: it comes and goes by
    itself, so that no plan may rest on it."""
    return fold(name).startswith(_FOREIGN)


def read_meta(connection: apsw.Connection) -> dict[str, str]:
    """All that `_valet_meta` records, by key; empty where there is no such table.

    Raises:
        apsw.Error: to be translated by `database_errors` around it.
    """
    columns = connection.execute(
        "SELECT lower(name) FROM pragma_table_info(?, 'main')", (META,)
    ).fetchall()
    if not {("key",), ("value",)} <= set(columns):
        return {}
    rows = connection.execute(
        f'SELECT "key", "value" FROM main."{META}" WHERE "key" IS NOT NULL ORDER BY "key"'
    )
    return {_text(key): _text(value) for key, value in rows}


def read_list(meta: Mapping[str, str], key: str) -> list[Any]:
    """What `_valet_meta` records under a key as a JSON list; empty where it records none."""
    try:
        listed = json.loads(meta.get(key, "[]"))
    except ValueError:
        return []
    return listed if isinstance(listed, list) else []


def write_meta(connection: apsw.Connection, key: str, value: str) -> None:
    """Record a value under a key, in place of any before it."""
    connection.execute(f'UPDATE "{META}" SET "value" = ? WHERE "key" = ?', (value, key))
    if connection.changes() == 0:
        connection.execute(f'INSERT INTO "{META}" ("key", "value") VALUES (?, ?)', (key, value))


def delete_meta(connection: apsw.Connection, key: str) -> bool:
    """Forget a key; False where it was not there."""
    connection.execute(f'DELETE FROM "{META}" WHERE "key" = ?', (key,))
    return connection.changes() > 0


def backfill_record(digest: str, rows: int) -> str:
    """The value recorded for a finished backfill."""
    return json.dumps({"digest": digest, "rows": rows})


def backfill_digests(meta: Mapping[str, str]) -> dict[str, str]:
    """Key of each finished backfill → digest of what ran, "" where Valet itself recorded it."""
    return {key: _digest(value) for key, value in meta.items() if key.startswith(BACKFILL_PREFIX)}


def note_unsettled(connection: apsw.Connection, keys: Iterable[str]) -> None:
    """Record which backfills ran, though only in pushes that did not complete."""
    wanted = frozenset(keys)
    if wanted != unsettled_backfills(read_meta(connection)):
        write_meta(connection, UNSETTLED, json.dumps(sorted(wanted)))


def unsettled_backfills(meta: Mapping[str, str]) -> frozenset[str]:
    """What `note_unsettled` recorded."""
    return frozenset(filter(_is_key, read_list(meta, UNSETTLED)))


def _is_key(key: object) -> bool:
    return isinstance(key, str) and key.startswith(BACKFILL_PREFIX)


def kept_to_json(kept: Iterable[Table]) -> str:
    """The text stored under `kept_json`: a list of table documents."""
    return json.dumps([table_to_document(table) for table in kept], ensure_ascii=False)


def kept_from_json(text: str) -> tuple[Table, ...]:
    """What `kept_to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError, StudioError: the text is something else.
    """
    documents = json.loads(text)
    if not isinstance(documents, list):
        raise ValueError("kept_json is not a list of tables.")
    return tuple(table_from_document(document) for document in documents)


def _digest(value: str) -> str:
    try:
        record = json.loads(value)
    except ValueError:
        return ""
    digest = record.get("digest") if isinstance(record, dict) else None
    return digest if isinstance(digest, str) else ""


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)
