"""A copy that does not fit on the disk is refused before it is begun."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from database_files import contents, make
from support import Project, fill_todos, last, never, schema_of

from valet_studio import pipeline
from valet_studio.database.copy import copy_to
from valet_studio.database.errors import database_errors
from valet_studio.database.lean import CopyScope, copy_lean, lean_limit, most_of
from valet_studio.database.target import open_target
from valet_studio.errors import DatabaseError

LARGE = "INSERT INTO t VALUES (zeroblob(99999))"


def room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Let the disk have so many bytes left."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))


def test_no_room_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = make(tmp_path / "live.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (zeroblob(9999))")
    before = live.read_bytes()
    room(monkeypatch, 4096)
    with pytest.raises(DatabaseError, match=r"no room for a copy .* needs 0.0 MB") as caught:
        list(copy_to(open_target(str(live)), tmp_path / "copy.db", lambda: False))
    assert "TMPDIR" in (caught.value.problems[0].hint or "")
    assert live.read_bytes() == before


@pytest.mark.parametrize(("free", "fits"), [(8192, False), (65_536, True)])
def test_a_lean_copy_needs_room_for_its_tables_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, fits: bool
) -> None:
    live = make(
        tmp_path / "live.db", "CREATE TABLE t (a)", LARGE, "CREATE TABLE small (_id PRIMARY KEY)"
    )
    room(monkeypatch, free)
    target, copy = open_target(str(live)), tmp_path / "copy.db"
    # There is no room for all, so that a part is copied even of a small database.
    most = most_of(live.stat().st_size, copy, lean_limit)
    assert most == live.stat().st_size
    copying = copy_lean(
        target, copy, CopyScope(frozenset(["small"]), frozenset(), ("t",)), most, lambda: False
    )
    if fits:
        list(copying)
        assert copy.stat().st_size <= free
    else:
        with pytest.raises(DatabaseError, match=r"no room for a copy"):
            list(copying)


def test_an_apply_that_has_no_room_for_its_snapshot_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    todos = "todos: defineTable({ title: v.string(), completed: v.number(), userId: v.string(),"
    project.push(schema_of(f"{todos} priority: v.string() }}),"))
    fill_todos(project)
    project.write(schema_of(f"{todos} priority: v.string(), more: v.string() }}),"))
    shutil.rmtree(project.database.parent / "snapshots")
    state = project.look()
    before = contents(project.database.parent)
    # A file system that shares blocks between files needs no room for a snapshot.
    monkeypatch.setattr(shutil, "which", lambda _program: None)
    room(monkeypatch, 4096)
    with pytest.raises(DatabaseError, match=r"no room for a copy") as caught:
        last(pipeline.apply(state, never))
    assert caught.value.problems[0].hint
    snapshots = project.database.parent / "snapshots"
    assert not list(snapshots.iterdir())
    snapshots.rmdir()
    assert contents(project.database.parent) == before


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_temporary_directory_is_a_full_disk(code: int) -> None:
    with pytest.raises(DatabaseError, match="disk is full") as caught, database_errors("dev.db"):
        raise OSError(code, os.strerror(code), "/tmp/values")
    assert "TMPDIR" in (caught.value.problems[0].hint or "")
