"""A plan opens a database without its triggers; it must be told no less for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest
from database_files import Mode, contents, make, open_writer

from valet_studio.database import inspect as inspecting
from valet_studio.database import layout, opening
from valet_studio.database.inspect import inspect
from valet_studio.database.target import open_target
from valet_studio.errors import DatabaseError

TRACKED = (
    *layout.CREATE_BOOKKEEPING,
    'CREATE TABLE todos ("_id" TEXT PRIMARY KEY NOT NULL, "_version" INTEGER DEFAULT 0, title TEXT)',
    "CREATE INDEX by_title ON todos (title)",
    "CREATE TRIGGER todos_valet_insert AFTER INSERT ON todos BEGIN "
    "UPDATE _valet_version SET version = version + 1 WHERE id = 1; END",
)
BESIDES = (
    pytest.param((), id="nothing"),
    pytest.param(("CREATE TABLE a (b DEFAULT -1, c)",), id="a default with a sign"),
    pytest.param(("CREATE TABLE a (b CHECK (b > 1))",), id="a check"),
    pytest.param(("CREATE TABLE a (b, c AS (b + 1))",), id="a generated column"),
    pytest.param(("CREATE INDEX i ON todos (lower(title), _id)",), id="an index on an expression"),
    pytest.param(("CREATE INDEX i ON todos (_id) WHERE title > 'a'",), id="a partial index"),
    pytest.param(("CREATE VIEW a AS SELECT title FROM todos WHERE _id > 1",), id="a view"),
    pytest.param(("CREATE VIEW a AS SELECT * FROM nowhere",), id="a broken view"),
    pytest.param(("CREATE VIRTUAL TABLE a USING fts5(b, c)",), id="a search index"),
    pytest.param(
        (
            "PRAGMA writable_schema = ON",
            "INSERT INTO sqlite_master VALUES "
            "('table', 'map', 'map', 0, 'CREATE VIRTUAL TABLE map USING geography(a)')",
        ),
        id="a missing module",
    ),
    pytest.param(("CREATE TABLE a (b INTEGER PRIMARY KEY AUTOINCREMENT)",), id="autoincrement"),
)


@pytest.mark.parametrize("besides", BESIDES)
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_without_triggers_the_same_is_found(
    tmp_path: Path, mode: Mode, besides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "a.db", *TRACKED, *besides, mode=mode)
    before = contents(tmp_path)
    target = open_target(str(path))
    with target.reading(triggers=False) as connection:
        found = inspect(connection)
        found_indexes = connection.execute("PRAGMA index_list(todos)").fetchall()
    monkeypatch.setattr(inspecting, "_last", ([], {}, None))  # Or it would be found known.
    with target.reading() as connection:
        assert inspect(connection) == found
        assert connection.execute("PRAGMA index_list(todos)").fetchall() == found_indexes
    assert contents(tmp_path) == before


def test_triggers_are_not_parsed_where_they_are_not_asked_for(tmp_path: Path) -> None:
    tables = [f"CREATE TABLE t{i} (a)" for i in range(100)]
    triggers = [
        f"CREATE TRIGGER r{i} AFTER UPDATE ON t{i} BEGIN "
        "UPDATE t1 SET a = a + 1 WHERE a = 1; INSERT INTO t2 VALUES (OLD.a), (NEW.a); END"
        for i in range(100)
    ]
    path = make(tmp_path / "a.db", *tables, *triggers)
    target = open_target(str(path))
    with target.reading() as full, target.reading(triggers=False) as light:
        assert _schema_bytes(light) < _schema_bytes(full) / 2


def test_a_defensive_sqlite_opens_it_with_its_triggers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defensive(*arguments: Any) -> apsw.Connection:
        connection = connect(*arguments)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        return connection

    connect = opening.connect
    monkeypatch.setattr(opening, "connect", defensive)
    path = make(tmp_path / "a.db", *TRACKED)
    with open_target(str(path)).reading(triggers=False) as connection:
        assert inspect(connection).table_named("todos") is not None


def test_a_statement_of_any_depth_may_be_asked_without_triggers(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", *TRACKED)
    with open_target(str(path)).reading(triggers=False) as connection:
        assert connection.execute("SELECT ((1 + 2) * 3 > 4) + (SELECT count(*) FROM todos)").get


def test_a_broken_catalogue_is_an_error_without_triggers_too(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", *TRACKED)
    with open_writer(path) as writer:
        writer.execute("PRAGMA writable_schema = ON")
        writer.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE (' WHERE name = 'todos'")
    with (
        pytest.raises(DatabaseError, match="malformed"),
        open_target(str(path)).reading(triggers=False),
    ):
        pass


def test_nothing_can_be_written_without_triggers(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", *TRACKED, mode="wal")
    before = contents(tmp_path)
    with (
        pytest.raises(DatabaseError, match="read-only"),
        open_target(str(path)).reading(triggers=False) as connection,
    ):
        connection.execute("DELETE FROM todos")
    assert contents(tmp_path) == before


def _schema_bytes(connection: apsw.Connection) -> int:
    return connection.status(apsw.SQLITE_DBSTATUS_SCHEMA_USED)[0]
