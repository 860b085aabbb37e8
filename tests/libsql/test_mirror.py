"""The copy of a server's database is equal to it, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from libsql_servers import Sqld, sqld
from support import never

from valet_studio.database.inspect import inspect
from valet_studio.libsql.hrana import LibsqlServer, server_at
from valet_studio.libsql.mirror import Moment, mirror
from valet_studio.libsql.session import as_connection, reading

EVERYTHING = (
    'CREATE TABLE t ("_id" TEXT PRIMARY KEY NOT NULL, n INTEGER, r REAL, x, b BLOB, "two words")',
    "INSERT INTO t (rowid, _id, n, r, x, b) VALUES (10, 'a', 9007199254740993, 0.1, 3.0, x'00ff')",
    "INSERT INTO t (rowid, _id, x) VALUES (-5, 'nul', 'a' || char(0) || 'b')",
    "INSERT INTO t (rowid, _id, x) VALUES (9223372036854775807, 'last', char(13, 10) || 'it''s é😀')",
    "INSERT INTO t (rowid, _id, x) VALUES (11, 'one', 1e300), (12, 'two', -0.0), (13, 'n', 1e15)",
    "CREATE TABLE g (a, c GENERATED ALWAYS AS (a + 1) STORED, d AS (a * 2))",
    "INSERT INTO g (a) VALUES (5)",
    "CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID",
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 700)"
    " INSERT INTO w SELECT printf('k%04d', i), i FROM c",
    "CREATE TABLE s (id INTEGER PRIMARY KEY AUTOINCREMENT, v)",
    "INSERT INTO s (id, v) VALUES (41, 'x')",
    "DELETE FROM s",
    'CREATE TABLE many ("rowid", "_rowid_", "oid", v)',
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 9000)"
    " INSERT INTO many SELECT i, -i, 'o' || i, hex(zeroblob(i % 90)) FROM c",
    "CREATE VIRTUAL TABLE f USING fts5(_id, content='t', content_rowid='rowid')",
    "INSERT INTO f (f) VALUES ('rebuild')",
    "CREATE INDEX by_n ON t (n) WHERE n > 3",
    "CREATE VIEW v AS SELECT _id FROM t",
    "CREATE TRIGGER heard AFTER INSERT ON t BEGIN UPDATE w SET v = -1; END",
    "CREATE TABLE _valet_backfill_left (a)",
)


@pytest.fixture
def libsql(tmp_path: Path) -> Iterator[Sqld]:
    with sqld(tmp_path / "sqld") as server:
        for statement in EVERYTHING:
            server.sql(statement)
        yield server


def copied(server: LibsqlServer, path: Path) -> Moment:
    *_, last = mirror(server, path, never)
    assert isinstance(last, Moment)
    return last


def cells(rows: list[tuple[object, ...]]) -> list[list[tuple[type, object]]]:
    return [[(type(cell), repr(cell)) for cell in row] for row in rows]


def test_structure_and_every_cell_are_equal(libsql: Sqld, tmp_path: Path) -> None:
    server, path = server_at(libsql.url, None), tmp_path / "copy.db"
    moment = copied(server, path)
    assert moment.side_tables == ("_valet_backfill_left",)
    with closing(apsw.Connection(str(path))) as copy, reading(server) as session:
        assert inspect(copy).signature == inspect(as_connection(session)).signature
        assert inspect(copy).tables == inspect(as_connection(session)).tables
        for query in (
            "SELECT rowid, * FROM t ORDER BY rowid",
            "SELECT * FROM g",
            "SELECT * FROM w ORDER BY k",
            "SELECT * FROM many",
            "SELECT * FROM sqlite_sequence",
            "SELECT rowid, * FROM f_docsize ORDER BY rowid",
            "SELECT _id FROM f WHERE f MATCH 'one OR two' ORDER BY 1",
        ):
            there = session.execute(query).fetchall()
            assert there, query
            assert cells(list(copy.execute(query))) == cells(there)
        assert copy.execute("PRAGMA integrity_check").get == "ok"


def test_cells_that_the_protocol_cannot_carry_are_copied_too(libsql: Sqld, tmp_path: Path) -> None:
    libsql.sql("INSERT INTO t (_id, x) VALUES ('latin', CAST(x'ff41' AS TEXT))")
    libsql.sql("INSERT INTO t (_id, x) VALUES ('most', 9e999), ('least', -9e999)")
    path = tmp_path / "copy.db"
    copied(server_at(libsql.url, None), path)
    with closing(apsw.Connection(str(path))) as copy:
        found = dict(
            copy.execute(
                "SELECT _id, typeof(x) || hex(CAST(x AS BLOB)) FROM t WHERE _id IN ('latin', 'nul')"
            )
        )
        assert found == {"latin": "textFF41", "nul": "text610062"}
        assert copy.execute("SELECT x FROM t WHERE _id = 'most'").get == float("inf")
        assert copy.execute("SELECT x FROM t WHERE _id = 'least'").get == float("-inf")
        assert copy.execute("SELECT x FROM t WHERE _id = 'a'").get == 3.0
        assert copy.execute("SELECT count(*) FROM many").get == 9_000


def test_it_is_of_one_moment_beside_a_writer(libsql: Sqld, tmp_path: Path) -> None:
    steps = mirror(server_at(libsql.url, None), tmp_path / "copy.db", never)
    next(steps)
    libsql.sql("UPDATE many SET v = 'late'")
    libsql.sql("DELETE FROM w")
    for _ in steps:
        pass
    with closing(apsw.Connection(str(tmp_path / "copy.db"))) as copy:
        assert copy.execute("SELECT count(*) FROM many WHERE v = 'late'").get == 0
        assert copy.execute("SELECT count(*) FROM w").get == 700


def test_large_documents_come_in_small_answers(libsql: Sqld, tmp_path: Path) -> None:
    libsql.sql(
        "INSERT INTO t (_id, x) SELECT 'l' || value, zeroblob(1500000) FROM json_each('[1,2,3,4,5,6,7,8]')"
    )
    path = tmp_path / "copy.db"
    copied(server_at(libsql.url, None), path)
    with closing(apsw.Connection(str(path))) as copy:
        assert copy.execute("SELECT sum(length(x)) FROM t WHERE _id LIKE 'l_'").get == 12_000_000
