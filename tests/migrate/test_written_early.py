"""What an apply writes begins to go to the disk before COMMIT."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from support import TRACKED_TODOS, Project, fill_todos, never, seed_blocks

from valet_studio import pipeline
from valet_studio.database import written_early
from valet_studio.migrate.events import PhaseStarted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the call for it is Linux's")


class Begun:
    """Which files the system was told to begin to write."""

    def __init__(self, *wanted: str) -> None:
        self._left = set(wanted)
        self._all = threading.Event()

    def begin(self, descriptor: int) -> int:
        self._left.discard(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        if not self._left:
            self._all.set()
        return 0

    def wait(self) -> set[str]:
        """Those that were not begun within ten seconds."""
        self._all.wait(10)
        return set(self._left)


@pytest.fixture
def begun(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Begun:
    found = Begun(*request.param)

    def begin_writing() -> Callable[[int], int]:
        return found.begin

    monkeypatch.setattr(written_early, "_begin_writing", begin_writing)
    return found


def pending(project: Project, mode: str) -> None:
    project.push(TRACKED_TODOS)
    fill_todos(project)
    project.sql(f"PRAGMA journal_mode = {mode}")
    project.write(seed_blocks()[4])


@pytest.mark.parametrize(
    ("mode", "begun"),
    [("delete", ("dev.db", "dev.db-journal")), ("wal", ("dev.db", "dev.db-wal"))],
    indirect=["begun"],
)
def test_an_apply_has_database_and_journal_written(
    project: Project, mode: str, begun: Begun
) -> None:
    pending(project, mode)
    left = None
    for event in pipeline.apply(project.look(), never):
        if event == PhaseStarted("verify"):
            left = begun.wait()
    assert left == set()
    assert project.plan().status == "in_sync"


@pytest.mark.parametrize("begun", [("dev.db",)], indirect=True)
def test_its_lock_stays_while_it_does(project: Project, begun: Begun) -> None:
    pending(project, "delete")
    said = ""
    for event in pipeline.apply(project.look(), never):
        if event == PhaseStarted("verify"):
            assert begun.wait() == set()
            said = written_by_another(project.database)
    assert said == "database is locked\n"


def written_by_another(database: Path) -> str:
    """What SQLite tells another process that begins to write."""
    text = (
        "import sqlite3, sys\n"
        "try: sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')\n"
        "except sqlite3.Error as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text, str(database)], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_system_takes_the_call(tmp_path: Path) -> None:
    begin = written_early._begin_writing()
    assert begin is not None
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(1 << 20))
        file.flush()
        assert begin(file.fileno()) == 0
    assert begin(-1) == -1


@pytest.mark.parametrize("begun", [("dev.db",)], indirect=True)
def test_it_ends_with_its_block(tmp_path: Path, begun: Begun) -> None:
    before = threading.active_count()
    database = tmp_path / "dev.db"
    with closing(apsw.Connection(str(database))), written_early.written_early(database):
        assert begun.wait() == set()
        (thread,) = threading.enumerate()[before:]
    thread.join(10)
    assert not thread.is_alive()
