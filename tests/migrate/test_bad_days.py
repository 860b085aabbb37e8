"""Full disks, vanished files, killed children: the database stays as it was, and a sentence says so."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import deno_of
from support import Project, fill_todos, last, never, schema_of

from valet_studio import pipeline
from valet_studio.database.target import open_target
from valet_studio.errors import DatabaseError, PlanIsStale, SandboxError, StudioError
from valet_studio.migrate import evaluators
from valet_studio.migrate.dry_run import dry_run
from valet_studio.migrate.events import BackfillProgress, CopyProgress, Event, PhaseStarted, Report
from valet_studio.migrate.order import Order
from valet_studio.typescript.limits import Limits

FIELDS = "title: v.string(), completed: v.number(), userId: v.string(), priority: v.string()"
BEFORE = schema_of(f"todos: defineTable({{ {FIELDS} }}).sync({{ mode: 'full' }}),")
AFTER = schema_of(
    f"todos: defineTable({{ {FIELDS}, slug: v.string() }}).sync({{ mode: 'full' }})"
    ".index('by_slug', ['slug']).backfill('slug', (r) => `${r.title}-${r._id}`.repeat(9)),"
)
DOCUMENTS = 2_000


@pytest.fixture
def todos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Documents with a backfill pending, and a temporary directory of its own."""
    return prepared(tmp_path, monkeypatch)


def prepared(root: Path, monkeypatch: pytest.MonkeyPatch, documents: int = DOCUMENTS) -> Project:
    project = Project(root / "project")
    project.push(BEFORE)
    fill_todos(project, documents)
    project.write(AFTER)
    shutil.rmtree(project.database.parent / "snapshots")
    scratch = root / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    return project


def held(project: Project) -> list[Any]:
    """All that the database holds, as another program reads it."""
    tables = [n for (n,) in project.sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        project.sql("PRAGMA integrity_check"),
        project.sql("SELECT * FROM sqlite_master"),
        *(project.sql(f'SELECT * FROM "{name}"') for name in tables),
    ]


def files(project: Project) -> set[str]:
    """Every file of the project and of its temporary directory."""
    return {str(p) for p in project.root.parent.rglob("*") if p.is_file() and p.suffix != ".pyc"}


@contextmanager
def unchanged(project: Project) -> Iterator[None]:
    """Nothing is changed, nothing is left; and the plan can be applied afterwards."""
    content, around = held(project), files(project)
    yield
    assert files(project) == around
    assert held(project) == content
    assert project.apply().status == "ok"


class _Disk(apsw.VFS):
    """A disk on which files can grow by a number of bytes, and then no more."""

    def __init__(self, room: float):
        self.room = room
        self.used = 0
        self.base = apsw.vfs_names()[0]
        super().__init__("small-disk", "", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: _Disk, name: Any, flags: list[int]):
        self._disk = disk
        super().__init__(disk.base, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        # What a file holds already can be written over on a full disk, too.
        grows = max(0, offset + len(data) - self.xFileSize())
        if self._disk.used + grows > self._disk.room:
            raise apsw.FullError
        self._disk.used += grows
        super().xWrite(data, offset)


@contextmanager
def disk(room: float) -> Iterator[_Disk]:
    """SQLite works on this disk."""
    small = _Disk(room)
    try:
        yield small
    finally:
        small.unregister()


def rehearse(project: Project, lean: bool) -> Iterator[Event]:
    state = project.look()
    assert state.schema is not None
    assert state.plan is not None
    target = open_target(str(project.database))
    order = Order(state.schema, state.plan, Limits())
    return dry_run(target, order, never, lean=lambda n: n if lean else 0)


def applied(project: Project) -> Iterator[Event]:
    return pipeline.apply(project.look(), never)


WORKS: dict[str, Callable[[Project], Iterator[Event]]] = {
    "dry run on a full copy": lambda project: rehearse(project, lean=False),
    "dry run on a lean copy": lambda project: rehearse(project, lean=True),
    "apply": applied,
}


def through(events: Iterator[Event], look: Callable[[Event], None]) -> Event:
    """Run long work to its end, looking at each event; the last one."""
    for event in events:
        look(event)
    return event


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("work", WORKS)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 0.9))  # Batches follow the clock, so the same work may take less room.
def test_wherever_the_disk_is_full_nothing_is_changed(
    tmp_path_factory: pytest.TempPathFactory, work: str, mode: str, part: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        project = prepared(tmp_path_factory.mktemp("full"), patch)
        project.sql(f"PRAGMA journal_mode = {mode}")
        twin = prepared(tmp_path_factory.mktemp("twin"), patch)
        twin.sql(f"PRAGMA journal_mode = {mode}")
        with disk(float("inf")) as large:
            last(WORKS[work](twin))
        patch.setattr(tempfile, "tempdir", str(project.root.parent / "scratch"))
        told: list[Event] = []
        content, around = held(project), files(project)
        with disk(part * large.used), pytest.raises(DatabaseError, match="disk is full") as full:
            told.extend(WORKS[work](project))
        assert full.value.problems[0].hint
        assert not list((project.root.parent / "scratch").iterdir())
        if any(isinstance(event, Report) for event in told):
            # All of it is in the log of a WAL database, and only its way back did not fit.
            assert (work, mode) == ("apply", "wal")
            assert project.plan().status == "in_sync"
            return
        assert files(project) == around
        assert held(project) == content
        assert project.apply().status == "ok"


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from valet_studio.cli import main
sys.argv[:2] = ["valet-studio"]
main()
"""


def run(
    project: Project, *command: str, limit: int = resource.RLIM_INFINITY
) -> subprocess.CompletedProcess[str]:
    """A command in a process whose files may not grow beyond a size."""
    place = ["--schema", str(project.schema_path), "--db", str(project.database)]
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *command, *place],
        env={**os.environ, "TMPDIR": tempfile.gettempdir()},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("command", [["dry-run"], ["apply", "--yes"]])
@pytest.mark.parametrize("beyond", [-100_000, 100_000])
def test_a_process_that_may_not_write_more_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, command: list[str], beyond: int
) -> None:
    """Either the first copy does not fit, or what is written after it."""
    todos = prepared(tmp_path, monkeypatch, documents=10_000)
    todos.sql(f"PRAGMA journal_mode = {mode}")
    limit = todos.database.stat().st_size + beyond
    with unchanged(todos):
        done = run(todos, *command, limit=limit)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "failed: disk I/O error" in done.stderr
        assert "hint: Check the disk and its free space" in done.stderr


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_undo_that_may_not_write_more_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    todos = prepared(tmp_path, monkeypatch, documents=10_000)
    todos.apply()
    todos.sql(f"PRAGMA journal_mode = {mode}")
    content, around = held(todos), files(todos)
    done = run(todos, "undo", "--yes", limit=todos.database.stat().st_size // 2)
    assert done.returncode == 1
    assert "hint: Check the disk and its free space" in done.stderr
    assert files(todos) == around
    assert held(todos) == content
    assert pipeline.undo(todos.settings, never).history_id == 2


def test_an_undo_whose_disk_is_full_names_the_database(todos: Project) -> None:
    """Its copy fits, and what it writes after that does not."""
    todos.apply()
    content, around = held(todos), files(todos)
    told = f"The disk is full, so {todos.database} could not be written"
    with disk(1.1 * todos.database.stat().st_size), pytest.raises(DatabaseError, match=told):
        pipeline.undo(todos.settings, never)
    assert files(todos) == around
    assert held(todos) == content
    assert pipeline.undo(todos.settings, never).history_id == 2


def vanish(project: Project) -> None:
    """Somebody deletes the database."""
    project.database.unlink()


def replaced(project: Project) -> None:
    """Somebody puts another database in its place."""
    other = project.root / "other.db"
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE another (a)")
    connection.close()
    other.replace(project.database)


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("happens", [vanish, replaced])
@pytest.mark.parametrize("work", ["dry run", "apply"])
def test_a_plan_whose_database_is_gone_is_refused(
    todos: Project, mode: str, happens: Callable[[Project], None], work: str
) -> None:
    todos.sql(f"PRAGMA journal_mode = {mode}")
    state = todos.look()
    happens(todos)
    around = {path: path.read_bytes() for path in todos.root.rglob("*") if path.is_file()}
    with pytest.raises(PlanIsStale) as told:
        last((pipeline.apply if work == "apply" else pipeline.dry_run)(state, never))
    assert told.value.problems[0].hint
    assert {path: path.read_bytes() for path in todos.root.rglob("*") if path.is_file()} == around


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("happens", [vanish, replaced])
@pytest.mark.parametrize("at", ["structure", "backfill", "verify", "commit"])
def test_nothing_is_written_into_a_file_that_is_gone(
    todos: Project, mode: str, happens: Callable[[Project], None], at: str
) -> None:
    todos.sql(f"PRAGMA journal_mode = {mode}")
    content = held(todos)
    aside = todos.root / "aside.db"
    phases: list[str] = []

    def look(event: Event) -> None:
        if isinstance(event, PhaseStarted):
            phases.append(event.phase)
            # A backfill is computed before anything is written, and written after that.
            if event.phase == at and (at != "backfill" or "structure" in phases):
                os.link(todos.database, aside)
                happens(todos)

    with pytest.raises(StudioError, match="moved, replaced or deleted") as told:
        through(applied(todos), look)
    assert told.value.problems[0].hint
    assert not list((todos.database.parent / "snapshots").iterdir())
    for beside in todos.database.parent.glob("dev.db*"):
        beside.unlink()
    aside.replace(todos.database)
    assert held(todos) == content
    assert todos.apply().status == "ok"


@pytest.mark.parametrize("work", ["dry run on a full copy", "dry run on a lean copy"])
@pytest.mark.parametrize("happens", [vanish, replaced])
def test_a_copy_begun_is_finished_when_the_database_goes(
    todos: Project, happens: Callable[[Project], None], work: str
) -> None:
    gone: list[Event] = []

    def look(event: Event) -> None:
        if isinstance(event, CopyProgress) and not gone:
            gone.append(event)
            happens(todos)

    report = through(WORKS[work](todos), look)
    assert gone
    assert isinstance(report, Report)
    assert report.status == "ok"
    assert [(t.table, t.rows_before) for t in report.tables] == [("todos", DOCUMENTS)]


@pytest.mark.parametrize("work", WORKS)
def test_a_killed_child_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    # Else all values may be there before the first of them are written.
    monkeypatch.setattr(evaluators, "AHEAD", 1)
    todos = prepared(tmp_path, monkeypatch, documents=90_000)
    killed: list[int] = []

    def look(event: Event) -> None:
        if isinstance(event, BackfillProgress) and event.done and not killed:
            killed.extend(deno_of(os.getpid()))
            for child in killed:
                os.kill(child, signal.SIGKILL)

    with unchanged(todos):
        with pytest.raises(SandboxError, match="killed from outside") as told:
            through(WORKS[work](todos), look)
        assert killed
        assert told.value.problems[0].hint
        assert told.value.exit_code == 1


@pytest.mark.parametrize("at", [CopyProgress, "structure", BackfillProgress, "commit"])
@pytest.mark.parametrize("work", WORKS)
def test_a_temporary_directory_may_be_cleared_meanwhile(
    todos: Project, work: str, at: type | str
) -> None:
    """What goes on without it goes on; what cannot says so."""
    content = held(todos)
    scratch = todos.root.parent / "scratch"
    told: list[Event | StudioError] = []

    def look(event: Event) -> None:
        told.append(event)
        phase = event.phase if isinstance(event, PhaseStarted) else None
        if phase == at or (isinstance(at, type) and isinstance(event, at)):
            for left in scratch.iterdir():
                shutil.rmtree(left)

    try:
        through(WORKS[work](todos), look)
    except StudioError as error:
        told.append(error)
    match told[-1]:
        case Report() as report:
            assert report.status == "ok"
        case DatabaseError() as problem:
            assert "temporary directory" in str(problem)
            assert problem.problems[0].hint
        case other:
            pytest.fail(f"It ended with {other!r}")
    assert not list(scratch.iterdir())
    if work == "apply":
        assert todos.plan().status == "in_sync"
    else:
        assert held(todos) == content


def test_a_temporary_directory_that_is_not_there_is_a_sentence(
    todos: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = todos.look()
    monkeypatch.setattr(tempfile, "tempdir", str(todos.root / "nowhere"))
    content, around = held(todos), files(todos)
    with pytest.raises(DatabaseError, match="no temporary directory") as told:
        last(pipeline.dry_run(state, never))
    assert "TMPDIR" in (told.value.problems[0].hint or "")
    assert (held(todos), files(todos)) == (content, around)
