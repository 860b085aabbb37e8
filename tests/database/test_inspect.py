from __future__ import annotations

import json
from pathlib import Path

import apsw
import pytest
from database_files import open_writer

from valet_studio.database import layout
from valet_studio.database.inspect import inspect
from valet_studio.schema.document import to_document
from valet_studio.schema.model import Field, Schema, Table, Validator
from valet_studio.schema.state import UNKNOWN, ColumnState, DatabaseState

STRING = Validator("string")


def state_of(*statements: str) -> DatabaseState:
    connection = apsw.Connection(":memory:")
    for statement in statements:
        connection.execute(statement)
    return inspect(connection)


def recorded(*entries: tuple[str, str]) -> DatabaseState:
    connection = apsw.Connection(":memory:")
    for statement in layout.CREATE_BOOKKEEPING:
        connection.execute(statement)
    for key, value in entries:
        layout.write_meta(connection, key, value)
    return inspect(connection)


def test_an_empty_database() -> None:
    state = state_of()
    assert (state.tables, state.applied, state.has_bookkeeping) == ((), None, False)


def test_columns_as_they_are_declared() -> None:
    state = state_of(
        'CREATE TABLE "a ""b""" (_id TEXT PRIMARY KEY, x, "Ä" VARCHAR(3) NOT NULL DEFAULT 1, '
        "y AS (x) VIRTUAL, z AS (x) STORED)"
    )
    (table,) = state.tables
    assert (table.name, table.kind) == ('a "b"', "table")
    assert table.columns == (
        ColumnState("_id", "TEXT", primary_key=True),
        ColumnState("x", ""),
        ColumnState("Ä", "VARCHAR(3)", not_null=True, has_default=True),
        ColumnState("y", "", generated=True),
        ColumnState("z", "", generated=True),
    )


def test_indexes_and_triggers_hang_on_their_table() -> None:
    state = state_of(
        "CREATE TABLE T (a UNIQUE, b)",
        "CREATE UNIQUE INDEX i ON t (b, lower(a))",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
    )
    (table,) = state.tables
    (index,) = table.indexes
    assert (index.name, index.columns, index.unique) == ("i", ("b", ""), True)
    assert [t.name for t in table.triggers] == ["r"]


def test_without_rowid_views_and_virtual_tables() -> None:
    state = state_of(
        "CREATE TABLE w (a PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE s (a INT) STRICT",
        "CREATE VIEW v AS SELECT a FROM w",
        "CREATE VIEW broken AS SELECT * FROM nowhere",
        "CREATE VIRTUAL TABLE words USING fts5(text)",
        "CREATE VIRTUAL TABLE area USING rtree(id, x0, x1)",
    )
    kinds = {table.name: table.kind for table in state.tables}
    assert kinds["w"] == kinds["s"] == "table"
    assert kinds["v"] == kinds["broken"] == "view"
    assert kinds["words"] == kinds["area"] == "virtual"
    assert {k for name, k in kinds.items() if name.startswith("words_")} == {"shadow"}
    found = state.table_named("W")
    assert found is not None
    assert found.without_rowid


def test_a_virtual_table_of_a_missing_module(tmp_path: Path) -> None:
    with open_writer(tmp_path / "a.db") as writer:
        writer.execute("CREATE TABLE t (a)")
        writer.execute("PRAGMA writable_schema = ON")
        writer.execute(
            "INSERT INTO sqlite_master VALUES "
            "('table', 'map', 'map', 0, 'CREATE VIRTUAL TABLE map USING geography(a)')"
        )
    with open_writer(tmp_path / "a.db") as connection:
        kinds = {table.name: table.kind for table in inspect(connection).tables}
    assert kinds == {"t": "table", "map": "virtual"}


def test_bookkeeping_is_no_table_of_the_user() -> None:
    state = state_of(
        *layout.CREATE_BOOKKEEPING,
        "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE TABLE _cf_METADATA (key INTEGER PRIMARY KEY, value BLOB)",
        "CREATE TABLE _valet_backfill_0a_0 (key INTEGER PRIMARY KEY, value)",
        "CREATE TABLE t (a)",
    )
    assert [t.name for t in state.tables] == ["t"]
    assert state.has_bookkeeping
    assert state.signature == state_of(*layout.CREATE_BOOKKEEPING, "CREATE TABLE t (a)").signature


def test_making_the_bookkeeping_again_changes_nothing() -> None:
    connection = apsw.Connection(":memory:")
    for _ in range(2):
        for statement in layout.CREATE_BOOKKEEPING:
            connection.execute(statement)
        connection.execute("UPDATE _valet_version SET version = 7")
    assert connection.execute("SELECT id, version FROM _valet_version").fetchall() == [(1, 7)]


def test_what_was_pushed_is_read_back() -> None:
    schema = Schema((Table("todos", (Field("title", STRING),)),))
    kept = (Table("todos", (Field("old", STRING, deprecated=True), Field("x", UNKNOWN, True))),)
    state = recorded(
        ("schema_hash", "old"),
        ("schema_hash", "abc"),
        ("schema_json", json.dumps(to_document(schema))),
        ("kept_json", layout.kept_to_json(kept)),
        ("backfill:todos:a", layout.backfill_record("d1", 3)),
        ("backfill:todos:b", "1"),
        ("backfill:todos:c", "done"),
    )
    assert state.applied == schema
    assert state.applied_hash == "abc"
    assert state.kept == kept
    assert state.backfills == {
        "backfill:todos:a": "d1",
        "backfill:todos:b": "",
        "backfill:todos:c": "",
    }
    assert state.problems == ()


@pytest.mark.parametrize("key", ["schema_json", "kept_json"])
@pytest.mark.parametrize("value", ["{", "[1]", '{"tables": 3}', "null", '[{"fields": {}}]', "7"])
def test_a_record_that_cannot_be_read_is_a_problem_and_no_crash(key: str, value: str) -> None:
    state = recorded((key, value))
    (problem,) = state.problems
    assert key in problem.message
    assert (state.applied, state.kept) == (None, ())


def test_a_table_that_only_looks_like_the_bookkeeping() -> None:
    state = state_of("CREATE TABLE _valet_meta (x)", "INSERT INTO _valet_meta VALUES (1)")
    assert (state.applied, state.applied_hash, dict(state.backfills)) == (None, None, {})


def test_the_signature_follows_structure_and_records_only() -> None:
    connection = apsw.Connection(":memory:")
    for statement in (*layout.CREATE_BOOKKEEPING, "CREATE TABLE t (a)"):
        connection.execute(statement)
    first = inspect(connection).signature
    connection.execute("INSERT INTO t VALUES (1)")
    connection.execute("UPDATE _valet_version SET version = 9")
    connection.execute("ANALYZE")
    layout.write_meta(connection, "something else", "x")
    assert inspect(connection).signature == first
    layout.write_meta(connection, "backfill:t:a", "1")
    second = inspect(connection).signature
    assert second != first
    assert layout.delete_meta(connection, "backfill:t:a")
    assert inspect(connection).signature == first
    connection.execute("ALTER TABLE t ADD COLUMN b")
    assert inspect(connection).signature != first


def test_inspecting_within_a_transaction_leaves_it_open() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE t (a)")
    assert inspect(connection).table_named("t") is not None
    assert connection.in_transaction
    connection.execute("ROLLBACK")
    assert inspect(connection).tables == ()


def test_a_table_is_without_rowid_where_sqlite_says_so() -> None:
    state = state_of(
        "CREATE TABLE a (_id TEXT PRIMARY KEY, x TEXT DEFAULT 'without rowid')",
        "CREATE TABLE b (_id TEXT PRIMARY KEY /* WITHOUT ROWID */)",
        "CREATE TABLE c (_id TEXT PRIMARY KEY) WITHOUT /* its */ ROWID",
        "CREATE TABLE d (_id TEXT PRIMARY KEY) STRICT, without rowid",
    )
    assert [t.name for t in state.tables if t.without_rowid] == ["c", "d"]
