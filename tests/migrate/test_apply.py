"""An apply is one transaction: the state before or the state after, never between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
from support import (
    EVERYWHERE,
    ON_FILES,
    TRACKED_TODOS,
    Project,
    cancel_at,
    fill_todos,
    last,
    never,
    schema_of,
    seed_blocks,
)

from valet_studio import pipeline
from valet_studio.errors import Cancelled, DatabaseBusy, PlanIsStale
from valet_studio.migrate import undo as undoing
from valet_studio.migrate.events import BackfillProgress, StatementRun

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]

TRIGGERS = {"todos_valet_insert", "todos_valet_update", "todos_valet_delete"}


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, the seed's backfill pending."""
    project.push(BEFORE)
    fill_todos(project)
    project.write(BACKFILL)
    return project


def triggers(project: Project) -> set[str]:
    return {name for (name,) in project.sql("SELECT name FROM sqlite_master WHERE type='trigger'")}


@EVERYWHERE
def test_a_new_table_has_the_documented_layout(project: Project) -> None:
    project.push(seed_blocks()[0])
    assert [tuple(row[1:4]) for row in project.sql("PRAGMA table_info(todos)")] == [
        ("_id", "TEXT", 1),
        ("_version", "INTEGER", 1),
        ("title", "TEXT", 0),
        ("completed", "INTEGER", 0),
        ("userId", "TEXT", 0),
    ]
    assert triggers(project) == TRIGGERS
    tables = {name for (name,) in project.sql("SELECT name FROM sqlite_master WHERE type='table'")}
    assert {"_valet_meta", "_valet_version", "_valet_changes"} <= tables


@EVERYWHERE
def test_writes_are_logged_for_clients_but_a_backfill_is_not(todos: Project) -> None:
    (logged,) = todos.sql("SELECT count(*) FROM _valet_changes")[0]
    assert logged == 142
    todos.apply()
    assert todos.sql("SELECT count(*) FROM _valet_changes") == [(142,)]
    assert todos.sql("SELECT DISTINCT _version FROM todos") == [(0,)]
    assert triggers(todos) == TRIGGERS
    todos.sql("UPDATE todos SET title = 'x' WHERE _id = 't0001'")
    assert todos.sql(
        'SELECT "table", row_id FROM _valet_changes ORDER BY db_version DESC LIMIT 1'
    ) == [("todos", "t0001")]


@EVERYWHERE
def test_after_it_nothing_is_left_to_do(todos: Project) -> None:
    assert todos.apply().status == "ok"
    plan = todos.plan()
    assert (plan.status, plan.pending) == ("in_sync", ())
    assert plan.applied_hash == plan.schema_hash


@EVERYWHERE
def test_it_is_recorded_in_the_history(todos: Project) -> None:
    hash_before = todos.plan().applied_hash
    report = todos.apply()
    newest, first = pipeline.history(todos.settings)
    assert newest.id == report.history_id == first.id + 1
    assert (newest.hash_before, newest.hash_after) == (hash_before, todos.plan().schema_hash)
    assert newest.rows == 142
    assert "todos.priorityNum" in newest.summary


@EVERYWHERE
def test_a_plan_for_another_state_is_refused(todos: Project) -> None:
    state = todos.look()
    todos.sql("CREATE TABLE other (a)")
    before = todos.contents()
    with pytest.raises(PlanIsStale):
        last(pipeline.apply(state, never))
    with pytest.raises(PlanIsStale):
        last(pipeline.dry_run(state, never))
    assert todos.contents() == before


@EVERYWHERE
def test_documents_written_since_the_review_do_not_make_it_stale(todos: Project) -> None:
    state = todos.look()
    todos.sql("INSERT INTO todos (_id, priority) VALUES ('late', 'high')")
    assert last(pipeline.apply(state, never)).backfills[0].updated == 143
    assert todos.sql("SELECT priorityNum FROM todos WHERE _id = 'late'") == [(3,)]


@EVERYWHERE
def test_what_was_reviewed_is_what_runs(todos: Project) -> None:
    state = todos.look()
    todos.write(BACKFILL.replace("high: 3", "high: 99"))
    last(pipeline.apply(state, never))
    assert todos.sql("SELECT max(priorityNum) FROM todos") == [(3,)]


@pytest.mark.parametrize("at", [StatementRun, BackfillProgress])
def test_cancel_rolls_everything_back(todos: Project, at: type) -> None:
    before = todos.sql("SELECT * FROM sqlite_master"), todos.sql("SELECT * FROM todos")
    state = todos.look()
    with pytest.raises(Cancelled):
        cancel_at(lambda cancelled: pipeline.apply(state, cancelled), at)
    assert (todos.sql("SELECT * FROM sqlite_master"), todos.sql("SELECT * FROM todos")) == before
    assert todos.apply().status == "ok"


def test_a_locked_database_is_a_sentence_and_nothing_changes(todos: Project) -> None:
    state = todos.look()
    other = apsw.Connection(str(todos.database))
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(DatabaseBusy):
            last(pipeline.apply(state, never))
    finally:
        other.close()
    assert last(pipeline.apply(state, never)).status == "ok"


KILLED = """
import os, signal, sys
from pathlib import Path
from support import Project, cancel_at, never
from valet_studio import pipeline

project = Project(Path(sys.argv[1]))
for number, event in enumerate(pipeline.apply(project.look(), never)):
    if number == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("event", [2, 5, 7])
def test_a_kill_leaves_the_state_before_and_the_next_run_completes(
    todos: Project, mode: str, event: int
) -> None:
    todos.sql(f"PRAGMA journal_mode = {mode}")
    before = todos.sql("SELECT * FROM sqlite_master"), todos.sql("SELECT * FROM todos")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(todos.root), str(event)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert todos.plan().status == "pending"
    assert (todos.sql("SELECT * FROM sqlite_master"), todos.sql("SELECT * FROM todos")) == before
    assert todos.apply().status == "ok"
    assert todos.sql("SELECT count(priorityNum) FROM todos") == [(142,)]


@EVERYWHERE
def test_a_database_made_by_valet_itself_is_migrated(project: Project) -> None:
    project.sql(
        'CREATE TABLE IF NOT EXISTS "todos" ("_id" TEXT PRIMARY KEY NOT NULL, "_version" INTEGER'
        ' NOT NULL DEFAULT 0, "title" TEXT, "completed" INTEGER, "userId" TEXT, "priority" TEXT)'
    )
    project.sql("CREATE TABLE _valet_meta (key TEXT PRIMARY KEY, value TEXT)")
    project.sql("INSERT INTO _valet_meta VALUES ('schema_hash', 'abc')")
    project.sql("INSERT INTO todos VALUES ('a', 4, 'x', 1, 'u', 'high')")
    project.write(BACKFILL)
    plan = project.plan()
    kinds = [change.kind for change in plan.pending]
    assert "create_table" not in kinds
    assert kinds.count("add_column") == 1
    assert project.apply().status == "ok"
    assert project.sql("SELECT * FROM todos") == [("a", 4, "x", 1, "u", "high", 3)]
    assert triggers(project) == TRIGGERS
    assert project.plan().status == "in_sync"


@EVERYWHERE
def test_removed_fields_and_tables_stay_and_can_come_back(project: Project) -> None:
    both = schema_of(
        "a: defineTable({ x: v.string(), y: v.boolean() }), b: defineTable({ z: v.string() }),"
    )
    project.push(both)
    project.sql("INSERT INTO a (_id, x, y) VALUES ('1', 'x', 1)")
    project.sql("INSERT INTO b (_id, z) VALUES ('1', 'z')")
    assert project.push(schema_of("a: defineTable({ x: v.string() }),")).status == "ok"
    assert project.plan().changes == ()
    assert project.sql("SELECT x, y FROM a") == [("x", 1)]
    assert project.sql("SELECT z FROM b") == [("z",)]
    project.write(schema_of("a: defineTable({ x: v.string(), y: v.number() }),"))
    assert project.plan().status == "blocked"
    report = project.push(both)
    assert report.status == "ok"
    assert {change.kind for change in report.plan.changes} == {"restore_field", "restore_table"}
    assert project.plan().changes == ()


@EVERYWHERE
def test_an_optional_field_made_required_is_checked_against_the_data(project: Project) -> None:
    project.push(schema_of("t: defineTable({ a: v.optional(v.string()) }),"))
    project.sql("INSERT INTO t (_id, a) VALUES ('x', 'y'), ('bad', NULL)")
    project.write(schema_of("t: defineTable({ a: v.string() }),"))
    (change,) = project.plan().changes
    assert (change.kind, change.risk.value, change.offending) == ("narrow_field", "breaking", 1)
    assert change.examples == ("bad",)
    assert project.apply().status == "rejected"
    project.sql("UPDATE t SET a = 'z' WHERE _id = 'bad'")
    assert project.apply().status == "ok"


@EVERYWHERE
def test_search_indexes_find_documents_and_follow_writes(project: Project) -> None:
    project.push(schema_of("t: defineTable({ title: v.string() }),"))
    project.sql("INSERT INTO t (_id, title) VALUES ('a', 'red apple'), ('b', 'green pear')")
    report = project.push(
        schema_of(
            "t: defineTable({ title: v.string() }).searchIndex('by_title', { searchField: 'title' }),"
        )
    )
    assert report.status == "ok"
    ((table,),) = project.sql("SELECT name FROM sqlite_master WHERE sql LIKE '%USING fts5%'")
    find = f'SELECT title FROM "{table}" WHERE "{table}" MATCH ?'
    assert project.sql(find, ("apple",)) == [("red apple",)]
    project.sql("UPDATE t SET title = 'blue plum' WHERE _id = 'a'")
    project.sql("DELETE FROM t WHERE _id = 'b'")
    if project.libsql is None:  # A libSQL server vacuums when it sees fit.
        project.sql("VACUUM")
    assert project.sql(find, ("apple",)) == []
    assert project.sql(find, ("pear",)) == []
    assert project.sql(find, ("plum",)) == [("blue plum",)]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_undo_restores_the_state_before_and_keeps_what_it_replaced(
    todos: Project, mode: str
) -> None:
    todos.sql(f"PRAGMA journal_mode = {mode}")
    before = todos.sql("SELECT * FROM sqlite_master"), todos.sql("SELECT * FROM todos")
    todos.apply()
    todos.sql("INSERT INTO todos (_id, title) VALUES ('since', 'written since')")
    report = pipeline.undo(todos.settings)
    assert (todos.sql("SELECT * FROM sqlite_master"), todos.sql("SELECT * FROM todos")) == before
    kept = apsw.Connection(str(report.kept))
    assert list(kept.execute("SELECT title FROM todos WHERE _id = 'since'")) == [("written since",)]
    kept.close()
    assert todos.plan().status == "pending"
    assert todos.apply().status == "ok"


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_undo_that_is_cancelled_before_it_replaces_leaves_no_copy(
    todos: Project, mode: str
) -> None:
    todos.sql(f"PRAGMA journal_mode = {mode}")
    todos.apply()
    before = todos.sql("SELECT * FROM todos")
    copied = todos.database.parent / "snapshots" / "dev.undone-0002.db"
    with pytest.raises(Cancelled):
        pipeline.undo(todos.settings, copied.exists)
    assert not copied.exists()
    assert todos.sql("SELECT * FROM todos") == before
    assert [entry.id for entry in pipeline.history(todos.settings)] == [2, 1]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_what_an_undo_replaced_is_kept_though_ctrl_c_stops_it(
    todos: Project, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    todos.sql(f"PRAGMA journal_mode = {mode}")
    todos.apply()
    todos.sql("INSERT INTO todos (_id, title) VALUES ('since', 'written since')")
    restore = undoing._restore

    def while_it_is_interrupted(snapshot: Path, connection: apsw.Connection, label: str) -> None:
        restore(snapshot, connection, label)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(undoing, "_restore", while_it_is_interrupted)
    told = []
    with suppress(KeyboardInterrupt):
        told.append(pipeline.undo(todos.settings))
    (kept,) = (todos.database.parent / "snapshots").glob("*undone*")
    connection = apsw.Connection(str(kept))
    assert connection.execute("SELECT title FROM todos WHERE _id = 'since'").get == "written since"
    connection.close()
    assert [report.kept for report in told] == [kept]
    assert [entry.id for entry in pipeline.history(todos.settings)] == [1]


@ON_FILES
def test_the_newest_five_snapshots_are_kept(project: Project) -> None:
    for number in range(8):
        fields = ", ".join(f"f{n}: v.string()" for n in range(number + 1))
        project.push(schema_of(f"t: defineTable({{ {fields} }}),"))
    folder = project.database.parent / "snapshots"
    assert len(list(folder.glob("*.before-*.db"))) == 5


def test_a_reset_backfill_runs_again(todos: Project) -> None:
    todos.apply()
    todos.sql("UPDATE todos SET priorityNum = 0")
    assert pipeline.reset_backfill(todos.settings, "todos", "priorityNum") is True
    assert [change.kind for change in todos.plan().pending] == ["run_backfill"]
    assert todos.apply().backfills[0].updated == 142
    assert pipeline.reset_backfill(todos.settings, "todos", "nothing") is False
