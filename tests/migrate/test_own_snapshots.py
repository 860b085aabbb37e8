"""A snapshot is put back into the database that it was taken of, and what an undo keeps stays."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest
from support import ON_FILES, Project, last, never, schema_of

from valet_studio import pipeline
from valet_studio.config import Settings
from valet_studio.errors import StudioError
from valet_studio.migrate import apply as applying
from valet_studio.migrate import undo as undoing
from valet_studio.migrate.snapshot_files import KEPT_SNAPSHOTS

pytestmark = ON_FILES

ONE = schema_of("    t: defineTable({ a: v.string() }),")
TWO = schema_of("    t: defineTable({ a: v.string(), b: v.optional(v.string()) }),")


def rows(database: Path) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(5_000)
    try:
        return connection.execute("SELECT a FROM t ORDER BY _id").fetchall()
    finally:
        connection.close()


def with_fields(*names: str) -> str:
    fields = "".join(f", {name}: v.optional(v.string())" for name in names)
    return schema_of(f"    t: defineTable({{ a: v.string(){fields} }}),")


def add(database: Path, *texts: str) -> None:
    connection = apsw.Connection(str(database))
    connection.set_busy_timeout(5_000)
    for text in texts:
        connection.execute("INSERT INTO t (_id, a) VALUES (?, ?)", (text, text))
    connection.close()


def apply(settings: Settings) -> None:
    assert last(pipeline.apply(pipeline.look(settings), never)).status == "ok"


@pytest.mark.parametrize(
    ("one", "other"),
    [("app.db", "app.sqlite"), ("app.db", "app"), ("dev.db", ".valet/dev.db")],
)
def test_databases_that_are_called_alike_have_snapshots_of_their_own(
    project: Project, one: str, other: str
) -> None:
    databases = [project.root / one, project.root / other]
    for text in (ONE, TWO):
        project.write(text)
        for database in databases:
            apply(replace(project.settings, database=str(database)))
            if text is ONE:
                add(database, database.name + database.parent.name)
    for database in databases:
        pipeline.undo(replace(project.settings, database=str(database)), never)
        assert rows(database) == [(database.name + database.parent.name,)]


def test_a_snapshot_of_another_database_is_not_put_back(project: Project, tmp_path: Path) -> None:
    project.push(ONE)
    add(project.database, "ours")
    project.push(TWO)
    elsewhere = tmp_path / "production.db"
    settings = replace(project.settings, database=str(elsewhere))
    for text in (ONE, TWO):
        project.write(text)
        apply(settings)
    add(elsewhere, "theirs", "theirs too")
    shutil.copyfile(elsewhere, project.database)
    before = project.database.read_bytes()
    for way in (pipeline.written_since, pipeline.undo):
        with pytest.raises(StudioError, match="it holds another history"):
            way(project.settings, never)
    assert project.database.read_bytes() == before


@pytest.mark.parametrize("pushes", [3, KEPT_SNAPSHOTS + 1])
def test_a_new_database_leaves_the_snapshots_of_the_one_before(
    project: Project, pushes: int
) -> None:
    texts = [f"n{number}" for number in range(1, pushes + 1)]
    for text in texts:
        project.push(with_fields(text))
        add(project.database, text)
    project.database.unlink()
    for at in range(KEPT_SNAPSHOTS + 2):
        project.push(with_fields(*(f"f{n}" for n in range(at + 1))))
    folder = project.database.parent / "snapshots"
    earlier = {
        path.name: rows(path) for path in folder.glob("*.earlier-*") if "0001" not in path.name
    }
    assert earlier == {
        f"dev.earlier-{number:04d}.db": [(text,) for text in texts[: number - 1]]
        for number in range(2, pushes + 1)
    }
    assert len(list(folder.glob("dev.before-*"))) == KEPT_SNAPSHOTS
    pipeline.undo(project.settings, never)


def test_a_database_that_came_from_elsewhere_leaves_the_snapshots_of_the_one_before(
    project: Project, tmp_path: Path
) -> None:
    elsewhere = replace(project.settings, database=str(tmp_path / "production.db"))
    for number in range(KEPT_SNAPSHOTS + 3):
        project.write(with_fields(*(f"f{n}" for n in range(number))))
        apply(elsewhere)
    for number in range(KEPT_SNAPSHOTS + 1):
        project.push(with_fields(f"n{number}"))
        add(project.database, f"n{number}")
    shutil.copyfile(elsewhere.database, project.database)
    project.push(with_fields("last"))
    aside = project.database.parent / "snapshots" / "dev.earlier-0002.db"
    assert rows(aside) == [("n0",)]


@pytest.mark.parametrize("ahead", [-1, 1], ids=["clock put back", "clock put forward"])
def test_the_newest_ones_are_kept_whatever_the_clock_says(project: Project, ahead: int) -> None:
    folder = project.database.parent / "snapshots"
    for at in range(KEPT_SNAPSHOTS + 3):
        project.push(with_fields(*(f"f{n}" for n in range(at + 1))))
        path = folder / f"dev.before-{at + 1:04d}.db"
        then = time.time() + ahead * 86_400 * (at - KEPT_SNAPSHOTS - 3)
        os.utime(path, (then, then))
    kept = range(KEPT_SNAPSHOTS + 3, 3, -1)
    assert {path.name for path in folder.iterdir()} == {f"dev.before-{n:04d}.db" for n in kept}
    assert [pipeline.undo(project.settings, never).history_id for _ in kept] == [*kept]


@pytest.mark.parametrize("documents", [0, 1])
def test_documents_from_before_the_first_migration_are_never_deleted(
    project: Project, tmp_path: Path, documents: int
) -> None:
    """A database that came from elsewhere has a history, and theirs has none yet."""
    project.sql("CREATE TABLE t (_id TEXT PRIMARY KEY NOT NULL, _version INTEGER, a TEXT)")
    add(project.database, *("theirs" for _ in range(documents)))
    project.push(ONE)
    elsewhere = replace(project.settings, database=str(tmp_path / "production.db"))
    project.write(ONE)
    apply(elsewhere)
    shutil.copyfile(elsewhere.database, project.database)
    for number in range(KEPT_SNAPSHOTS + 1):
        project.push(with_fields(*(f"f{n}" for n in range(number + 1))))
    folder = project.database.parent / "snapshots"
    aside = folder / "dev.earlier-0001.db"
    assert [rows(path) for path in folder.glob("dev.*-0001.db")] == [[("theirs",)]] * documents
    assert aside.exists() == bool(documents)
    assert len(list(folder.glob("dev.before-*"))) == KEPT_SNAPSHOTS


def test_a_snapshot_that_cannot_be_read_is_set_aside_and_not_deleted(project: Project) -> None:
    project.push(ONE)
    folder = project.database.parent / "snapshots"
    damaged = b"what is left of it" * 100
    (folder / "dev.before-0001.db").write_bytes(damaged)
    for at in range(KEPT_SNAPSHOTS):
        project.push(with_fields(*(f"f{n}" for n in range(at + 1))))
    assert (folder / "dev.earlier-0001.db").read_bytes() == damaged
    assert len(list(folder.glob("dev.before-*"))) == KEPT_SNAPSHOTS


def test_a_push_that_fails_leaves_the_snapshots_of_another_database(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.push(ONE)
    folder = project.database.parent / "snapshots"
    kept = folder / "dev.before-0001.db"
    before = kept.read_bytes()
    project.database.unlink()
    project.write(ONE)
    places = count()
    monkeypatch.setattr(applying, "_place", lambda _target: next(places))
    with pytest.raises(StudioError, match="while it was being migrated"):
        project.apply()
    assert next(places) == 2
    assert [path.name for path in folder.iterdir()] == [kept.name]
    assert kept.read_bytes() == before


@pytest.mark.parametrize("history", ["of its own", "shared"])
def test_the_snapshot_of_a_database_with_the_same_history_is_not_put_back(
    project: Project, tmp_path: Path, history: str
) -> None:
    """A copy of another one, brought by hand, where a snapshot of that name stands already."""
    other = tmp_path / "elsewhere" / "dev.db"
    elsewhere = replace(project.settings, database=str(other))
    for where, database in ((project.settings, project.database), (elsewhere, other)):
        database.parent.mkdir(exist_ok=True)
        copied = history == "shared" and database is other
        if copied:
            shutil.copyfile(project.database, other)
        else:
            with closing(apsw.Connection(str(database))) as made:
                made.execute("CREATE TABLE t (_id TEXT PRIMARY KEY, a TEXT)")
        add(database, f"of {database.parent.name}")
        project.write(TWO if copied else ONE)
        apply(where)
    if history == "shared":
        apply(project.settings)
    shutil.copyfile(other, project.database)
    before = project.database.read_bytes()
    for asked in (pipeline.written_since, pipeline.undo):
        with pytest.raises(StudioError, match="it is not what was kept before that migration"):
            asked(project.settings, never)
    assert project.database.read_bytes() == before
    assert list((project.database.parent / "snapshots").glob("*undone*")) == []
    kept = rows(other)
    pipeline.undo(elsewhere, never)
    assert rows(other) == kept


def test_a_database_that_does_not_know_its_snapshot_is_undone_by_its_history(
    project: Project,
) -> None:
    project.push(ONE)
    project.push(TWO)
    project.sql("DELETE FROM _valet_meta WHERE key = 'snapshot'")
    assert pipeline.undo(project.settings, never).history_id == 2


def test_what_undos_keep_is_kept_for_good(project: Project) -> None:
    project.push(ONE)
    kept: list[tuple[Path, list[tuple[object, ...]]]] = []
    for number in range(8):
        project.push(TWO)
        add(project.database, f"only {number}")
        held = rows(project.database)
        kept.append((pipeline.undo(project.settings, never).kept, held))
        project.push(ONE)
    assert len({path for path, _ in kept}) == 8
    for path, held in kept:
        assert rows(path) == held


def test_a_place_where_no_snapshot_can_be_kept_is_named(project: Project) -> None:
    project.write(ONE)
    project.database.parent.mkdir()
    (project.database.parent / "snapshots").write_text("no directory")
    with pytest.raises(StudioError, match=r"can be kept in .*snapshots: file exists"):
        last(pipeline.apply(project.look(), never))
    assert project.plan().status == "pending"


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_undo_leaves_nothing_but_what_it_keeps(project: Project, mode: str) -> None:
    project.push(ONE)
    project.sql(f"PRAGMA journal_mode = {mode}")
    project.push(TWO)
    kept = pipeline.undo(project.settings, never).kept
    folder = project.database.parent / "snapshots"
    assert {path.name for path in folder.iterdir()} == {"dev.before-0001.db", kept.name}


def test_a_failed_undo_leaves_no_copy(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.push(ONE)
    add(project.database, "ours")
    project.push(TWO)

    def fails(*_: object) -> None:
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr("valet_studio.migrate.undo._restore", fails)
    with pytest.raises(StudioError):
        pipeline.undo(project.settings, never)
    assert list(project.database.parent.glob("snapshots/*undone*")) == []
    monkeypatch.undo()
    assert pipeline.undo(project.settings, never).kept.exists()


def test_an_undo_is_told_though_its_snapshot_cannot_be_deleted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.push(ONE)
    project.push(TWO)
    restore = undoing._restore

    def and_another_takes_it(snapshot: Path, *given: Any) -> None:
        restore(snapshot, *given)
        snapshot.unlink()
        snapshot.mkdir()

    monkeypatch.setattr(undoing, "_restore", and_another_takes_it)
    report = pipeline.undo(project.settings, never)
    assert report.history_id == 2
    assert report.kept.exists()
    assert [entry.id for entry in pipeline.history(project.settings)] == [1]
    project.apply()
    assert (report.restored_from.with_name("dev.earlier-0002.db")).is_dir()
    assert pipeline.undo(project.settings, never).history_id == 2


def test_an_undo_finds_its_snapshot_however_the_database_is_named(project: Project) -> None:
    project.push(ONE)
    link = project.root / "link.db"
    link.symlink_to(project.database)
    project.write(TWO)
    apply(replace(project.settings, database=str(link)))
    assert pipeline.undo(project.settings, never).history_id == 2
