"""A lean copy: the whole structure, some tables' rows bit for bit, all of one moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import apsw
import pytest
from database_files import Mode, contents, killed_writer, make, open_writer

from valet_studio.database.lean import CopyScope, LeanCopy, copy_lean, lean_limit
from valet_studio.database.target import open_target
from valet_studio.errors import Cancelled

MANY = (
    "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < {count})"
    " INSERT INTO {table} (_id, n) SELECT hex(randomblob(8)), i FROM k"
)
TABLE = "CREATE TABLE {table} (_id TEXT PRIMARY KEY NOT NULL, n)"
EVERYTHING = 2**60


def wanted(*rows: str, searches: tuple[str, ...] = (), counts: tuple[str, ...] = ()) -> CopyScope:
    return CopyScope(frozenset(rows), frozenset(searches), counts)


def copied(live: Path, copy: Path, what: CopyScope, most: int = EVERYTHING) -> LeanCopy | None:
    """What is made of it; None for nothing."""
    return ended(copy_lean(open_target(str(live)), copy, what, most, lambda: False))


def ended(copying: Generator[object, None, LeanCopy | None]) -> LeanCopy | None:
    """What a generator returns."""
    while True:
        try:
            next(copying)
        except StopIteration as stop:
            made: LeanCopy | None = stop.value
            return made


def rows(path: Path, sql: str) -> list[Any]:
    connection = apsw.Connection(str(path))
    try:
        return list(connection.execute(sql))
    finally:
        connection.close()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_it_holds_the_structure_and_the_rows_that_are_wanted(tmp_path: Path, mode: Mode) -> None:
    folder = tmp_path / "live"
    folder.mkdir()
    live = make(
        folder / "live.db",
        TABLE.format(table="a"),
        TABLE.format(table="b"),
        "CREATE INDEX by_n ON a (n DESC)",
        "CREATE VIEW w AS SELECT * FROM a",
        "CREATE TRIGGER noted AFTER INSERT ON a BEGIN DELETE FROM b; END",
        "CREATE VIRTUAL TABLE words USING fts5(body)",
        "INSERT INTO b VALUES ('x', 1), ('y', 2)",
        "INSERT INTO a (rowid, _id, n) VALUES (-5, 'é', 1.5), (7, 'b', x'00ff'), (9, 'c', NULL)",
        "INSERT INTO b VALUES ('x', 1), ('y', 2)",
        "INSERT INTO words VALUES ('red apple')",
        "ANALYZE",
        mode=mode,
    )
    before = contents(folder)
    copy = tmp_path / "copy.db"
    made = copied(live, copy, wanted("a", searches=("words",), counts=("b",)))
    assert made is not None
    assert (made.tables, made.counts) == (("a",), {"b": 2})
    assert made.absent == {"b"}
    assert contents(folder) == before
    for sql in (
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid",
        "SELECT rowid, _id, typeof(n), n FROM a ORDER BY rowid",
        "SELECT * FROM a ORDER BY n",
        "SELECT * FROM sqlite_stat1",
        "SELECT body FROM words WHERE words MATCH 'apple'",
    ):
        assert rows(copy, sql) == rows(live, sql)
    assert rows(copy, "PRAGMA integrity_check") == [("ok",)]
    assert rows(copy, "SELECT * FROM b") == []


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_every_encoding_is_kept(tmp_path: Path, encoding: str) -> None:
    live = tmp_path / "live.db"
    make(
        live,
        f"PRAGMA encoding = '{encoding}'",
        "PRAGMA page_size = 1024",
        TABLE.format(table="a"),
        "INSERT INTO a VALUES ('é', 'ü')",
    )
    copy = tmp_path / "copy.db"
    assert copied(live, copy, wanted("a")) is not None
    assert rows(copy, "PRAGMA encoding") == rows(live, "PRAGMA encoding")
    assert rows(copy, "SELECT * FROM a") == [("é", "ü")]


@pytest.mark.parametrize(
    "statements",
    [
        # SQLite would number these rows anew: nothing in the table keeps their numbers.
        ("CREATE TABLE a (n)", "INSERT INTO a (rowid, n) VALUES (3, 1), (8, 2)"),
        ("CREATE TABLE a (_id PRIMARY KEY, n, up AS (n + 1))", "INSERT INTO a VALUES ('x', 1)"),
        (TABLE.format(table="a"), "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)"),
        (TABLE.format(table="a"), MANY.format(table="a", count=50_000)),
    ],
    ids=["rowids", "generated", "rtree", "large"],
)
def test_what_cannot_be_copied_so_is_left_to_a_full_copy(
    tmp_path: Path, statements: tuple[str, ...]
) -> None:
    live = make(tmp_path / "live.db", *statements)
    assert copied(live, tmp_path / "copy.db", wanted("a"), most=100_000) is None
    assert [path.name for path in tmp_path.iterdir()] == ["live.db"]


@pytest.mark.parametrize(
    ("at", "damage"),
    # A page that is gone; a page's count of bytes that lie fallow, which moving rows would mend.
    [(40_960, bytes(4_096)), (40_967, b"\x0d")],
)
def test_a_damaged_table_is_left_to_a_full_copy(tmp_path: Path, at: int, damage: bytes) -> None:
    live = make(tmp_path / "live.db", TABLE.format(table="a"), MANY.format(table="a", count=5_000))
    data = bytearray(live.read_bytes())
    data[at : at + len(damage)] = damage
    live.write_bytes(data)
    assert copied(live, tmp_path / "copy.db", wanted("a")) is None
    assert [path.name for path in tmp_path.iterdir()] == ["live.db"]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_what_a_killed_writer_left_is_as_it_was_before(tmp_path: Path, mode: Mode) -> None:
    live = tmp_path / "live.db"
    killed_writer(live, mode)
    made = copied(live, tmp_path / "copy.db", wanted(counts=("t",)))
    assert made is not None
    assert made.counts == {"t": 200}


def test_a_log_without_its_index_is_left_to_a_full_copy(tmp_path: Path) -> None:
    """Only one connection may read it then, and a lean copy needs two."""
    live = tmp_path / "live.db"
    killed_writer(live, "wal")
    (tmp_path / "live.db-shm").unlink()
    before = contents(tmp_path)
    assert copied(live, tmp_path / "copy.db", wanted(counts=("t",))) is None
    assert contents(tmp_path) == before


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_all_of_it_is_of_one_moment_beside_a_writer(tmp_path: Path, mode: Mode) -> None:
    live = make(tmp_path / "live.db", TABLE.format(table="a"), TABLE.format(table="b"), mode=mode)
    with open_writer(live) as filling:
        for table in "ab":
            filling.execute(MANY.format(table=table, count=30_000))
    stop = threading.Event()

    def write() -> None:
        with open_writer(live) as writer:
            writer.set_busy_timeout(30_000)
            while not stop.wait(0.005):
                writer.execute(
                    "BEGIN IMMEDIATE; INSERT INTO a VALUES (hex(randomblob(8)), 0);"
                    "INSERT INTO b VALUES (hex(randomblob(8)), 0); COMMIT"
                )

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            copy = tmp_path / f"copy{number}.db"
            made = copied(live, copy, wanted("a", counts=("b",)))
            assert made is not None
            assert rows(copy, "SELECT count(*) FROM a") == [(made.counts["b"],)]
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose lean copy takes some time."""
    folder = tmp_path_factory.mktemp("large")
    return make(
        folder / "live.db",
        TABLE.format(table="a"),
        "PRAGMA synchronous = OFF",
        MANY.format(table="a", count=1_500_000),
    )


@pytest.fixture(scope="module")
def whole(large: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds that the copy takes where nothing stops it."""
    path = tmp_path_factory.mktemp("whole") / "copy.db"
    began = time.perf_counter()
    for _ in copy_lean(open_target(str(large)), path, wanted("a"), EVERYTHING, lambda: False):
        pass
    return time.perf_counter() - began


def test_it_tells_how_far_it_is_and_stops_when_asked(
    large: Path, whole: float, tmp_path: Path
) -> None:
    asked: list[float] = []
    told: list[tuple[int, int]] = []

    def cancelled() -> bool:
        if told and not asked:
            asked.append(time.perf_counter())
        return bool(asked)

    copying = copy_lean(
        open_target(str(large)), tmp_path / "copy.db", wanted("a"), EVERYTHING, cancelled
    )
    with pytest.raises(Cancelled):
        told.extend(copying)
    assert time.perf_counter() - asked[0] < whole / 4
    assert all(0 <= done < total for done, total in told)


def test_closing_it_stops_it(large: Path, whole: float, tmp_path: Path) -> None:
    copying = copy_lean(
        open_target(str(large)), tmp_path / "copy.db", wanted("a"), EVERYTHING, lambda: False
    )
    assert any(done for done, _ in copying)
    began = time.perf_counter()
    copying.close()
    assert time.perf_counter() - began < whole / 4
    assert rows(large, "SELECT count(*) FROM a") == [(1_500_000,)]


def test_small_databases_are_copied_whole() -> None:
    assert lean_limit(10**6) == 0
    assert 0 < lean_limit(10**9) < 10**9 / 4
