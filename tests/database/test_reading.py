from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest
from database_files import Mode, contents, killed_writer, make, open_writer

from valet_studio.database import opening
from valet_studio.database import target as target_module
from valet_studio.database.copy import copy_to
from valet_studio.database.errors import database_errors, explain
from valet_studio.database.inspect import inspect
from valet_studio.database.target import open_target
from valet_studio.errors import Cancelled, DatabaseBusy, DatabaseError, Unsupported
from valet_studio.migrate.snapshot_files import make_snapshot_folder

MODES: tuple[Mode, ...] = ("delete", "wal")


def never() -> bool:
    return False


@pytest.mark.parametrize("mode", MODES)
def test_reading_changes_no_byte_and_leaves_no_file(tmp_path: Path, mode: Mode) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)", mode=mode)
    before = contents(tmp_path)
    with open_target(str(path)).reading() as connection:
        assert inspect(connection).table_named("t") is not None
        assert connection.execute("SELECT a FROM t").get == 1
    assert contents(tmp_path) == before


@pytest.mark.parametrize("mode", MODES)
def test_reading_beside_a_live_writer(tmp_path: Path, mode: Mode) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)", mode=mode)
    with open_writer(path) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (2)")
        # The shared-memory file holds the locks of the processes, so it does change.
        before = contents(tmp_path, but=("a.db-shm",))
        names = sorted(p.name for p in tmp_path.iterdir())
        with open_target(str(path)).reading() as connection:
            assert connection.execute("SELECT count(*) FROM t").get == 1
        assert contents(tmp_path, but=("a.db-shm",)) == before
        assert sorted(p.name for p in tmp_path.iterdir()) == names
        writer.execute("COMMIT")


def test_a_process_that_is_just_opening_the_database_is_no_obstacle(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)", mode="wal")
    with open_writer(path) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        # Between making its log and its index, a process holds its lock on the file already.
        (tmp_path / "a.db-shm").rename(tmp_path / "hidden")
        with open_target(str(path)).reading() as connection:
            assert connection.execute("SELECT count(*) FROM t").get == 1


@pytest.mark.parametrize("mode", MODES)
def test_reading_cannot_write(tmp_path: Path, mode: Mode) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)", mode=mode)
    target = open_target(str(path))
    with pytest.raises(DatabaseError, match="read-only"), target.reading() as connection:
        connection.execute("INSERT INTO t VALUES (1)")


@pytest.mark.parametrize("mode", MODES)
def test_what_a_killed_writer_committed_is_read(tmp_path: Path, mode: Mode) -> None:
    path = tmp_path / "a.db"
    killed_writer(path, mode)
    with open_target(str(path)).reading() as connection:
        assert connection.execute("SELECT count(*), min(a), max(a) FROM t").get == (200, 1, 200)
        assert connection.execute("PRAGMA integrity_check").get == "ok"


def test_a_killed_writers_log_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    killed_writer(path, "wal")
    before = contents(tmp_path, but=("a.db-shm",))
    with open_target(str(path)).reading() as connection:
        assert connection.execute("SELECT count(*) FROM t").get == 200
    assert contents(tmp_path, but=("a.db-shm",)) == before


def test_a_log_without_its_index_is_read_and_left(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    killed_writer(path, "wal")
    (tmp_path / "a.db-shm").unlink()
    before = contents(tmp_path)
    with open_target(str(path)).reading() as connection:
        assert connection.execute("SELECT count(*) FROM t").get == 200
    assert contents(tmp_path) == before


def test_an_absent_database_is_empty_and_stays_absent(tmp_path: Path) -> None:
    target = open_target(str(tmp_path / "no" / "a.db"))
    with target.reading() as connection:
        assert inspect(connection).tables == ()
    assert (target.exists(), target.size()) == (False, None)
    assert list(tmp_path.iterdir()) == []


def test_writing_makes_the_file_and_its_own_directory(tmp_path: Path) -> None:
    target = open_target(str(tmp_path / ".valet" / "a.db"))
    with target.writing() as connection:
        connection.execute("CREATE TABLE t (a)")
    assert target.exists()
    assert target.size() == (tmp_path / ".valet" / "a.db").stat().st_size


def test_no_other_directory_is_made(tmp_path: Path) -> None:
    target = open_target(str(tmp_path / "typo" / "a.db"))
    with pytest.raises(DatabaseError, match=r"There is no directory .*typo"), target.writing():
        pass
    assert list(tmp_path.iterdir()) == []


def test_size_counts_the_log(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", mode="wal")
    with open_writer(path) as writer:
        writer.execute("CREATE TABLE t (a)")
        log = tmp_path / "a.db-wal"
        assert log.stat().st_size > 0
        assert open_target(str(path)).size() == path.stat().st_size + log.stat().st_size


def test_cancel_interrupts_a_long_statement(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"
    target = open_target(str(path))
    with pytest.raises(Cancelled), target.reading(lambda: True) as connection:
        connection.execute(endless).fetchall()


@pytest.mark.parametrize(
    "spec", ["http://x/y", "https://x", "libsql://x.turso.io", "libsql:x", "file:a.db", ":memory:"]
)
def test_other_targets_are_refused_in_a_sentence(spec: str) -> None:
    with pytest.raises(Unsupported, match="this works on SQLite database files only"):
        open_target(spec)


@pytest.mark.parametrize("name", ["with space.db", "ä?%41#.db", "-x.db", "c:d.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    target = open_target(str(tmp_path / name))
    with target.writing() as connection:
        connection.execute("PRAGMA journal_mode = wal").fetchall()
        connection.execute("CREATE TABLE t (a)")
    with target.reading() as connection:
        assert inspect(connection).table_named("t") is not None
    assert [p.name for p in tmp_path.iterdir()] == [name]


# ---- errors


def problem_of(path: Path) -> tuple[str, str | None]:
    with pytest.raises(DatabaseError) as caught, open_target(str(path)).reading() as connection:
        inspect(connection)
    problem = caught.value.problems[0]
    assert str(path) in problem.message
    return problem.message, problem.hint


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database, but long enough to have a header" * 100)
    message, hint = problem_of(path)
    assert "is not a SQLite database" in message
    assert hint is not None


def test_a_directory(tmp_path: Path) -> None:
    message, hint = problem_of(tmp_path)
    assert "is a directory" in message
    assert hint is not None
    with pytest.raises(DatabaseError, match="is a directory"):
        open_target(str(tmp_path)).writing().__enter__()


def test_a_damaged_file(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", *(f"CREATE TABLE t{i} (a, b, c)" for i in range(200)))
    damaged = bytearray(path.read_bytes())
    damaged[100:4000] = b"\xff" * 3900
    path.write_bytes(damaged)
    message, hint = problem_of(path)
    assert "is damaged" in message
    assert hint is not None


def test_a_locked_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "READ_TIMEOUT_MS", 10)
    monkeypatch.setattr(target_module, "WRITE_TIMEOUT_MS", 10)
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)")
    target = open_target(str(path))
    with open_writer(path) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseBusy, match="locked by another process"), target.reading():
            pass
        with (
            pytest.raises(DatabaseBusy, match="locked by another process"),
            target.writing() as connection,
        ):
            connection.execute("CREATE TABLE u (a)")


def test_no_longer_waiting_for_a_lock(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)")
    target, looked = open_target(str(path)), count(1)

    def at_the_third_look() -> bool:
        return next(looked) % 3 == 0

    with open_writer(path) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with pytest.raises(Cancelled), target.reading(at_the_third_look):
            pass
        with pytest.raises(Cancelled), target.writing(at_the_third_look) as connection:
            connection.execute("CREATE TABLE u (a)")
        assert time.monotonic() - began < 4
    with target.reading() as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("t",)]


@contextmanager
def without_root() -> Iterator[None]:
    """Permissions mean nothing to root, so step down where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def let_others_in(folder: Path) -> None:
    """Open a test's directory, and pytest's own above it, to other users."""
    above = [p for p in folder.parents if "pytest-of-" in str(p)]
    for directory in (folder, *above):
        directory.chmod(0o755)


def test_an_unreadable_file(tmp_path: Path) -> None:
    let_others_in(tmp_path)
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)")
    path.chmod(0)
    with without_root():
        message, hint = problem_of(path)
    assert "permission denied" in message
    assert hint is not None


@pytest.mark.parametrize("mode", MODES)
def test_a_read_only_directory_can_be_read_but_not_written(tmp_path: Path, mode: Mode) -> None:
    let_others_in(tmp_path)
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)", mode=mode)
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    target = open_target(str(path))
    try:
        with without_root():
            with target.reading() as connection:
                assert inspect(connection).table_named("t") is not None
            with (
                pytest.raises(DatabaseError, match=r"cannot be (written|opened)"),
                target.writing() as connection,
            ):
                connection.execute("CREATE TABLE u (a)")
    finally:
        tmp_path.chmod(0o755)


def test_a_missing_extension(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)")
    with open_writer(path) as writer:
        writer.execute("PRAGMA writable_schema = ON")
        writer.execute(
            "INSERT INTO sqlite_master VALUES "
            "('table', 'places', 'places', 0, 'CREATE VIRTUAL TABLE places USING geopoly9(a)')"
        )
    with open_target(str(path)).reading() as connection:
        assert inspect(connection).table_named("places") is not None
        with (
            pytest.raises(DatabaseError, match="extension that is not here: no such module"),
            database_errors(str(path)),
        ):
            connection.execute("SELECT * FROM places")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (apsw.FullError("full"), "disk is full"),
        (apsw.IOError("disk I/O error"), "failed: disk I/O error"),
        (apsw.ConstraintError("CHECK constraint failed: x"), "SQLite refused"),
        (apsw.TooBigError("string or blob too big"), "too big to be worked on"),
        (apsw.SQLError("no such function: f"), "SQLite refused"),
        (OSError(13, "Permission denied"), "cannot be used: permission denied"),
    ],
)
def test_other_errors_are_sentences(error: Exception, words: str) -> None:
    with pytest.raises(DatabaseError, match=words) as caught, database_errors("a.db"):
        raise error
    assert caught.value.problems[0].hint


# ---- copy


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_beside_a_busy_writer_is_of_one_moment(tmp_path: Path, mode: Mode) -> None:
    path = make(
        tmp_path / "a.db",
        "CREATE TABLE t (a, b)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) "
        "INSERT INTO t SELECT 0, zeroblob(3000) FROM n",
        mode=mode,
    )
    stop = threading.Event()

    def write() -> None:
        with open_writer(path) as writer:
            writer.set_busy_timeout(5000)
            writer.execute("PRAGMA synchronous = OFF")
            while not stop.is_set():
                writer.execute("UPDATE t SET a = a + 1")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        steps = list(copy_to(open_target(str(path)), tmp_path / "copy.db", never))
    finally:
        stop.set()
        thread.join()
    assert len(steps) > 2
    assert steps[-1][0] == steps[-1][1] > 0
    with open_target(str(tmp_path / "copy.db")).reading() as copy:
        assert copy.execute("SELECT count(DISTINCT a), count(*) FROM t").get == (1, 5000)
        assert copy.execute("PRAGMA integrity_check").get == "ok"


def test_a_copy_of_an_absent_database_is_an_empty_one(tmp_path: Path) -> None:
    destination = tmp_path / "copy.db"
    list(copy_to(open_target(str(tmp_path / "a.db")), destination, never))
    assert destination.exists()
    with open_target(str(destination)).reading() as copy:
        assert inspect(copy).tables == ()


def test_a_copy_can_be_cancelled(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)")
    with pytest.raises(Cancelled):
        list(copy_to(open_target(str(path)), tmp_path / "copy.db", lambda: True))


def test_reading_leaves_the_locks_of_a_writer_in_the_same_process(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    writer = apsw.Connection(str(path))
    writer.execute("CREATE TABLE t (a)")
    writer.execute("BEGIN IMMEDIATE")
    with open_target(str(path)).reading() as reader:
        reader.execute("SELECT * FROM t").fetchall()
    other = subprocess.run(
        [
            sys.executable,
            "-c",
            "import apsw, sys; apsw.Connection(sys.argv[1]).execute('BEGIN IMMEDIATE')",
            str(path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    writer.close()
    assert "BusyError" in other.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such flag")
def test_a_read_only_file_system_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)")
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    flags = SimpleNamespace(f_flag=os.ST_RDONLY)
    monkeypatch.setattr(os, "statvfs", lambda _: flags)
    target = open_target(str(path))
    told = "its file system is read-only."
    with pytest.raises(DatabaseError, match=f"can be kept in .*: {told}"):
        make_snapshot_folder(target)
    for error in (apsw.ReadOnlyError(), apsw.CantOpenError()):
        monkeypatch.setattr(os, "access", lambda _path, mode, **_: mode == os.R_OK)
        problem = explain(error, str(path)).problems[0]
        assert problem.message.endswith(f"cannot be written: {told}")
        assert "work on a copy" in (problem.hint or "")
    flags.f_flag = 0
    with pytest.raises(DatabaseError, match=r"can be kept in .*: permission denied"):
        make_snapshot_folder(target)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow, and the disk says that it has no room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("left", ["nothing", "a log and no index", "the beginning of an index"])
def test_a_full_disk_is_read_and_gets_no_file(tmp_path: Path, mode: Mode, left: str) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)", mode=mode)
    if left != "nothing":
        path.with_name("a.db-wal").touch()
    if left == "the beginning of an index":
        path.with_name("a.db-shm").write_bytes(b"abc")
    before = contents(tmp_path)
    with full_disk(), open_target(str(path)).reading() as connection:
        assert connection.execute("SELECT a FROM t").get == 1
    assert contents(tmp_path) == before


def test_on_a_full_disk_a_writer_is_read_beside(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)", mode="wal")
    with open_writer(path) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        with full_disk(), open_target(str(path)).reading() as connection:
            assert connection.execute("SELECT a FROM t").get == 1
        writer.execute("INSERT INTO t VALUES (2)")


def test_an_index_that_does_not_fit_is_told_as_a_full_disk(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "CREATE TABLE t (a)", mode="wal")
    with (
        full_disk(),
        pytest.raises(DatabaseError, match="The disk is full") as told,
        open_target(str(path)).writing() as connection,
    ):
        connection.execute("BEGIN IMMEDIATE")
    assert "Free some space" in (told.value.problems[0].hint or "")
