"""The snapshot before an apply: the state before, whatever the journal mode, or no apply."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from support import Project, last, never, schema_of

from valet_studio import pipeline
from valet_studio.database.copy import copy_to
from valet_studio.database.target import FileTarget, open_target
from valet_studio.errors import Cancelled, DatabaseError, PlanIsStale, StudioError
from valet_studio.migrate import apply as applying
from valet_studio.migrate import early_copy, snapshot
from valet_studio.migrate import undo as undoing
from valet_studio.migrate.events import (
    BackfillProgress,
    CopyProgress,
    Event,
    Phase,
    PhaseStarted,
    Report,
)
from valet_studio.migrate.snapshot_files import KEPT_SNAPSHOTS, LARGE, snapshot_folder

BEFORE = schema_of("items: defineTable({ n: v.number() }),")
AFTER = schema_of(
    "items: defineTable({ n: v.number(), twice: v.number() })"
    ".backfill('twice', (row) => row.n * 2),"
)
ROWS = 30_000
MODES = ["delete", "wal", "truncate", "memory"]


def filled(project: Project, mode: str) -> None:
    project.push(BEFORE)
    project.sql(f"PRAGMA journal_mode = {mode}")
    project.sql(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?) "
        "INSERT INTO items (_id, n) SELECT 'i' || i, i FROM c",
        (ROWS,),
    )
    project.write(AFTER)


def documents(path: Path) -> list[Any]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute("SELECT * FROM items ORDER BY _id").fetchall()
    finally:
        connection.close()


def take_for_large(monkeypatch: pytest.MonkeyPatch, from_bytes: int = 0) -> None:
    """Databases of more bytes are large; their copies are not as fast as a file system may be."""
    for module in (early_copy, snapshot):
        monkeypatch.setattr(module, "LARGE", from_bytes)
        monkeypatch.setattr(module, "reflink", lambda *_: False)
    monkeypatch.setattr("valet_studio.database.copy._STEP_PAGES", 20)


def kept(project: Project) -> set[str]:
    return {path.name for path in snapshot_folder(open_target(str(project.database))).iterdir()}


def apply_beside_a_writer(project: Project, when: Callable[[Event], bool]) -> None:
    """Another program commits once, and waits for no lock; the snapshot holds what it wrote."""
    written = False
    for event in pipeline.apply(project.look(), never):
        if not written and when(event):
            project.sql("UPDATE items SET n = -1 WHERE _id = 'i1'")
            written = True
        if isinstance(event, Report):
            assert event.snapshot is not None
            assert documents(Path(event.snapshot)) == [
                (_id, version, n) for _id, version, n, _ in documents(project.database)
            ]
    assert written
    assert project.sql("SELECT n, twice FROM items WHERE _id = 'i1'") == [(-1, -2)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("from_bytes", [0, LARGE])
def test_it_holds_what_was_there_before(
    project: Project, monkeypatch: pytest.MonkeyPatch, mode: str, from_bytes: int
) -> None:
    take_for_large(monkeypatch, from_bytes)
    monkeypatch.setattr("valet_studio.migrate.migration.CACHE_KIB", 64)  # spills at once
    filled(project, mode)
    before = documents(project.database)
    report = project.apply()
    assert report.snapshot is not None
    assert documents(Path(report.snapshot)) == before
    assert documents(project.database) != before
    pipeline.undo(project.settings, never)
    assert documents(project.database) == before


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_what_another_commits_while_values_are_computed_is_in_it(
    project: Project, mode: str
) -> None:
    filled(project, mode)
    apply_beside_a_writer(project, lambda event: isinstance(event, BackfillProgress))


@pytest.mark.parametrize("mode", MODES)
def test_a_large_database_is_copied_before_others_wait(
    project: Project, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    take_for_large(monkeypatch)
    filled(project, mode)
    before = documents(project.database)
    at: dict[str, int] = {}
    for event in pipeline.apply(project.look(), never):
        if isinstance(event, PhaseStarted | CopyProgress):
            at.setdefault(event.phase if isinstance(event, PhaseStarted) else "copied", len(at))
        if event == PhaseStarted("lock"):
            (folder,) = snapshot_folder(open_target(str(project.database))).glob("*-*/")
            assert documents(folder / "copy.db") == before
            monkeypatch.setattr(snapshot, "copy_to", None)  # Under the lock there is none.
        if isinstance(event, Report):
            assert event.snapshot is not None
            assert documents(Path(event.snapshot)) == before
    assert at["snapshot"] < at["copied"] < at["lock"]
    assert not any(name.startswith("valet-studio-") for name in kept(project))


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize(
    "when",
    [lambda event: isinstance(event, CopyProgress), lambda event: event == PhaseStarted("lock")],
    ids=["while it is copied", "once it is copied"],
)
def test_nobody_waits_for_the_copy_of_a_large_database(
    project: Project, monkeypatch: pytest.MonkeyPatch, mode: str, when: Callable[[Event], bool]
) -> None:
    take_for_large(monkeypatch)
    filled(project, mode)
    apply_beside_a_writer(project, when)
    assert not any(name.startswith("valet-studio-") for name in kept(project))


def test_a_copy_that_is_deleted_meanwhile_is_made_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_for_large(monkeypatch)
    filled(project, "delete")
    before = documents(project.database)
    for event in pipeline.apply(project.look(), never):
        if event == PhaseStarted("lock"):
            (folder,) = snapshot_folder(open_target(str(project.database))).glob("*-*/")
            shutil.rmtree(folder)
        if isinstance(event, Report):
            assert event.snapshot is not None
            assert documents(Path(event.snapshot)) == before


def test_what_keeps_an_early_copy_from_being_made_keeps_no_apply(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> Iterator[tuple[int, int]]:
        raise DatabaseError("Somebody has it open.")

    take_for_large(monkeypatch)
    monkeypatch.setattr(early_copy, "copy_to", refused)
    filled(project, "delete")
    before = documents(project.database)
    report = project.apply()
    assert documents(Path(str(report.snapshot))) == before
    assert kept(project) == {"dev.before-0001.db", "dev.before-0002.db"}


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("steps", [1, 2])
def test_without_it_nothing_is_applied(
    project: Project, monkeypatch: pytest.MonkeyPatch, mode: str, steps: int
) -> None:
    filled(project, mode)
    before = documents(project.database)
    names = kept(project)

    def full_disk(
        target: FileTarget, destination: Path, cancelled: Callable[[], bool]
    ) -> Generator[tuple[int, int], None, None]:
        for number, step in enumerate(copy_to(target, destination, cancelled), 1):
            yield step
            if number == steps:
                raise DatabaseError("The disk is full.")

    monkeypatch.setattr(snapshot, "copy_to", full_disk)
    monkeypatch.setattr("valet_studio.database.copy._STEP_PAGES", 20)
    with pytest.raises(DatabaseError, match="disk is full"):
        project.apply()
    assert documents(project.database) == before
    assert kept(project) == names


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("phase", ["snapshot", "structure", "verify"])
def test_an_apply_that_is_cancelled_leaves_none(
    project: Project, monkeypatch: pytest.MonkeyPatch, mode: str, phase: Phase
) -> None:
    take_for_large(monkeypatch)
    filled(project, mode)
    before, names = documents(project.database), kept(project)
    seen: list[Event] = []
    with pytest.raises(Cancelled):
        deque(_noted(pipeline.apply(project.look(), lambda: PhaseStarted(phase) in seen), seen), 0)
    assert documents(project.database) == before
    assert kept(project) == names


def test_a_copy_that_others_wait_for_can_be_cancelled(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[object] = []

    def noting(*given: Any) -> Iterator[tuple[int, int]]:
        for step in copy_to(*given):
            steps.append(step)
            yield step

    take_for_large(monkeypatch)
    monkeypatch.setattr(early_copy, "LARGE", LARGE)
    monkeypatch.setattr(snapshot, "copy_to", noting)
    filled(project, "delete")
    names = kept(project)
    with pytest.raises(Cancelled):
        deque(pipeline.apply(project.look(), lambda: len(steps) == 2), 0)
    assert len(steps) == 2
    assert kept(project) == names


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_apply_that_is_cancelled_leaves_that_of_the_next_one(
    project: Project, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    filled(project, mode)
    before = documents(project.database)
    next_one = pipeline.apply(project.look(), never)
    rolled_back = applying._next_id

    def meanwhile(connection: apsw.Connection) -> int | None:
        monkeypatch.setattr(applying, "_next_id", rolled_back)
        while next(next_one) != PhaseStarted("structure"):
            pass
        return rolled_back(connection)

    monkeypatch.setattr(applying, "_next_id", meanwhile)
    seen: list[Event] = []
    cancelled = pipeline.apply(project.look(), lambda: PhaseStarted("verify") in seen)
    with pytest.raises(Cancelled):
        deque(_noted(cancelled, seen), 0)
    report = last(next_one)
    assert report.status == "ok"
    assert documents(Path(str(report.snapshot))) == before


@pytest.mark.parametrize("links", [True, False])
def test_an_apply_that_cannot_commit_leaves_that_of_the_next_one(
    project: Project, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", _refused)
    filled(project, "delete")
    before = documents(project.database)
    next_one = pipeline.apply(project.look(), never)
    finish, rolled_back = snapshot.Snapshot.finish, applying._next_id
    whole: list[Path] = []
    reports: list[Report] = []

    def noting(taken: snapshot.Snapshot, connection: apsw.Connection) -> Path:
        whole.append(finish(taken, connection))
        return whole[-1]

    def meanwhile(connection: apsw.Connection) -> int | None:
        monkeypatch.setattr(applying, "_next_id", rolled_back)
        found = rolled_back(connection)
        reports.append(last(next_one))
        return found

    monkeypatch.setattr(snapshot.Snapshot, "finish", noting)
    monkeypatch.setattr(applying, "_next_id", meanwhile)
    with pytest.raises(Cancelled):
        deque(pipeline.apply(project.look(), lambda: len(whole) == 1), 0)
    assert len(whole) == 2
    assert [report.status for report in reports] == ["ok"]
    assert documents(whole[1]) == before
    pipeline.undo(project.settings, never)
    assert documents(project.database) == before


def test_what_a_killed_one_left_unfinished_is_taken_away(project: Project) -> None:
    project.push(BEFORE)
    folder = snapshot_folder(open_target(str(project.database)))
    of_another = folder / "dev.2.before-0001.0a1b2c3d.partial"
    ours = [folder / f"dev.{kind}-0009.0a1b2c3d.partial" for kind in ("before", "undone")]
    for change in (lambda: project.push(AFTER), lambda: pipeline.undo(project.settings, never)):
        for path in (*ours, of_another):
            path.write_bytes(b"half")
        change()
        assert [path.exists() for path in (*ours, of_another)] == [False, False, True]


KILLED = """
import os, signal, sys
from pathlib import Path
from support import Project, never
from valet_studio import pipeline
from valet_studio.migrate import snapshot, undo

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

finish, restore = snapshot.Snapshot.finish, undo._restore
if sys.argv[2] == "apply, not committed":
    snapshot.Snapshot.finish = lambda *given: die(finish(*given))
elif sys.argv[2] == "apply, committed":
    snapshot.Snapshot.settle = die
elif sys.argv[2] == "undo, not committed":
    undo._restore = die
else:
    undo._restore = lambda *given: die(restore(*given))
project = Project(Path(sys.argv[1]))
if sys.argv[2].startswith("apply"):
    for _ in pipeline.apply(project.look(), never):
        pass
else:
    pipeline.undo(project.settings, never)
"""


def killed(project: Project, at: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(project.root), at],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_whole_one_stays_after_a_kill_where_it_is_a_way_back(project: Project, mode: str) -> None:
    filled(project, mode)
    before = documents(project.database)
    killed(project, "apply, not committed")
    assert documents(project.database) == before
    assert "dev.before-0002.db" in kept(project)
    killed(project, "apply, committed")
    after = documents(project.database)
    assert after != before
    killed(project, "undo, not committed")
    assert documents(project.database) == after
    assert "dev.undone-0002.db" in kept(project)
    killed(project, "undo, committed")
    assert documents(project.database) == before
    folder = project.database.parent / "snapshots"
    (folder / "dev.before-0002.db").unlink()  # As the undo does next.
    assert project.apply().status == "ok"
    # Of two applies and two undos, one each has done something.
    names = {"dev.before-0001.db", "dev.before-0002.db", "dev.undone-0002.db"}
    assert kept(project) == names
    assert documents(folder / "dev.before-0002.db") == before
    assert documents(folder / "dev.undone-0002.db") == after


def test_they_are_kept_where_a_file_has_one_name_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _refused)
    filled(project, "delete")
    before = documents(project.database)
    report = project.apply()
    assert documents(Path(str(report.snapshot))) == before
    pipeline.undo(project.settings, never)
    assert kept(project) == {"dev.before-0001.db", "dev.undone-0002.db"}


def test_an_undo_takes_its_snapshot_away_before_another_apply_can_begin(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.push(BEFORE)
    report = project.push(AFTER)
    unlink, locked = Path.unlink, []

    def noting(path: Path, missing_ok: bool = False) -> None:
        if str(path) == report.snapshot:
            another = apsw.Connection(str(project.database))
            with closing(another), pytest.raises(apsw.BusyError):
                another.execute("BEGIN IMMEDIATE")
            locked.append(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", noting)
    pipeline.undo(project.settings, never)
    assert locked


def _refused(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


def _noted(events: Iterator[Event], seen: list[Event]) -> Iterator[Event]:
    for event in events:
        seen.append(event)
        yield event


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_rejected_push_takes_none(project: Project, mode: str) -> None:
    filled(project, mode)
    names = kept(project)
    project.write(BEFORE.replace("n: v.number()", "n: v.string()"))
    try:
        report = project.apply()
    except StudioError:
        report = None
    assert report is None or report.status == "rejected"
    assert kept(project) == names


def with_fields(*names: str) -> str:
    fields = "".join(f", {name}: v.optional(v.number())" for name in names)
    return schema_of(f"items: defineTable({{ n: v.number(){fields} }}),")


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("rights", [0o600, 0o640])
def test_nobody_may_read_it_who_may_not_read_the_database(
    project: Project, mode: str, rights: int
) -> None:
    project.push(BEFORE)
    project.sql(f"PRAGMA journal_mode = {mode}")
    project.database.chmod(rights)
    report = project.push(with_fields("a"))
    assert report.snapshot is not None
    assert Path(report.snapshot).stat().st_mode & 0o777 == rights


def test_older_ones_stay_until_the_push_is_committed(project: Project) -> None:
    for at in range(KEPT_SNAPSHOTS):
        project.push(with_fields(*(f"f{n}" for n in range(at))))
    folder = snapshot_folder(open_target(str(project.database)))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert len(before) == KEPT_SNAPSHOTS
    project.write(with_fields("one_more"))
    content = project.database.read_bytes()
    events = pipeline.apply(project.look(), never)
    while next(events) != PhaseStarted("commit"):
        pass
    project.database.unlink()
    project.database.write_bytes(content)
    with pytest.raises(PlanIsStale):
        deque(events)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    project.apply()
    assert len(list(folder.iterdir())) == KEPT_SNAPSHOTS


def test_it_outlives_a_power_cut(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[Path] = set()
    fsync = os.fsync

    def noting(opened: int) -> None:
        synced.add(Path(f"/proc/self/fd/{opened}").readlink())
        fsync(opened)

    project.push(BEFORE)
    monkeypatch.setattr(os, "fsync", noting)
    report = project.push(with_fields("a"))
    assert report.snapshot is not None
    assert {Path(report.snapshot), Path(report.snapshot).parent} <= synced


def test_what_an_undo_keeps_is_as_private_as_the_database(project: Project) -> None:
    project.push(BEFORE)
    project.push(with_fields("a"))
    project.database.chmod(0o600)
    undone = pipeline.undo(project.settings, never)
    assert undone.kept.stat().st_mode & 0o777 == 0o600


def test_a_snapshot_that_is_deleted_meanwhile_is_not_taken_for_an_empty_database(
    project: Project,
) -> None:
    project.push(BEFORE)
    project.sql("INSERT INTO items (_id, n) VALUES ('i1', 1)")
    report = project.push(with_fields("a"))
    assert report.snapshot is not None
    kept = Path(report.snapshot)

    def while_it_is_polled() -> bool:
        kept.unlink(missing_ok=True)
        return False

    before = documents(project.database)
    with pytest.raises(StudioError, match="was deleted meanwhile"):
        pipeline.undo(project.settings, while_it_is_polled)
    assert documents(project.database) == before


def test_an_undo_that_is_cancelled_once_its_copy_is_whole_does_nothing(project: Project) -> None:
    project.push(BEFORE)
    project.push(with_fields("a"))
    names = kept(project)
    with pytest.raises(Cancelled):
        pipeline.undo(project.settings, lambda: "dev.undone-0002.db" in kept(project))
    assert kept(project) == names
    assert [entry.id for entry in pipeline.history(project.settings)] == [2, 1]


def test_stopped_by_ctrl_c_once_it_is_done_an_undo_keeps_what_it_replaced(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.push(BEFORE)
    project.push(with_fields("a"))
    project.sql("INSERT INTO items (_id, n) VALUES ('since', 1)")
    held = documents(project.database)
    restore = undoing._restore

    def and_ctrl_c(*given: Any) -> None:
        restore(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(undoing, "_restore", and_ctrl_c)
    assert documents(pipeline.undo(project.settings, never).kept) == held
    assert [entry.id for entry in pipeline.history(project.settings)] == [1]


@pytest.mark.parametrize(
    ("what", "why"),
    [("push", "no longer the last one"), ("snapshot", "not what was kept before that migration")],
)
def test_what_happens_before_an_undo_has_the_lock_stops_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, what: str, why: str
) -> None:
    project.push(BEFORE)
    report = project.push(with_fields("a"))

    def meanwhile(_target: FileTarget) -> None:
        if what == "push":
            project.push(with_fields("a", "b"))
        else:
            shutil.copyfile(project.database, str(report.snapshot))

    monkeypatch.setattr(undoing, "make_snapshot_folder", meanwhile)
    with pytest.raises(StudioError, match=why):
        pipeline.undo(project.settings, never)
    assert project.sql("SELECT 1 FROM pragma_table_info('items') WHERE name = 'a'") == [(1,)]
    assert not any("undone" in name for name in kept(project))
