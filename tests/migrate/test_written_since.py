"""What an undo would take back is counted by table, and never the migration's own work."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import apsw
import pytest
from support import ON_FILES, Project, fill_todos, never, schema_of, seed_blocks

from valet_studio import pipeline
from valet_studio.database.target import open_target
from valet_studio.errors import Cancelled, StudioError
from valet_studio.migrate.snapshot_files import snapshot_folder
from valet_studio.migrate.written import TableWrites

BEFORE = seed_blocks()[0].replace(
    "userId: v.string(),\n", "userId: v.string(),\n        priority: v.string(),\n"
)
AFTER = seed_blocks()[4]


def untracked(text: str) -> str:
    return text.replace("mode: 'full'", "mode: 'none'")


def written(project: Project) -> tuple[TableWrites, ...]:
    return pipeline.written_since(project.settings, never)


def counts(project: Project) -> tuple[TableWrites, ...]:
    """What was written, without who it was."""
    return tuple(replace(w, examples=(), untold=()) for w in written(project) if w.total)


@pytest.fixture(params=["log", "comparison"])
def todos(request: pytest.FixtureRequest, project: Project) -> Project:
    """142 documents, the seed's migration just applied; tracked or not."""
    text = untracked if request.param == "comparison" else str
    project.push(text(BEFORE))
    fill_todos(project, 20)
    assert project.push(text(AFTER)).status == "ok"
    return project


@ON_FILES
def test_the_migrations_own_work_does_not_count(todos: Project) -> None:
    assert todos.sql("SELECT count(priorityNum) FROM todos") == [(20,)]
    assert counts(todos) == ()


@ON_FILES
def test_documents_are_counted_by_what_became_of_them(todos: Project) -> None:
    todos.sql("INSERT INTO todos (_id, title) VALUES ('new', 'a')")
    todos.sql("UPDATE todos SET title = 'b' WHERE _id = 'new'")
    todos.sql("UPDATE todos SET title = 'b' WHERE _id IN ('t0001', 't0002')")
    todos.sql("UPDATE todos SET title = 'c' WHERE _id = 't0002'")
    todos.sql("DELETE FROM todos WHERE _id = 't0003'")
    todos.sql("INSERT INTO todos (_id, title) VALUES ('short', 'a')")
    todos.sql("DELETE FROM todos WHERE _id = 'short'")
    assert counts(todos) == (TableWrites("todos", inserted=1, updated=2, deleted=1),)


def test_a_document_deleted_and_made_again_is_updated(todos: Project) -> None:
    todos.sql("DELETE FROM todos WHERE _id = 't0003'")
    todos.sql("INSERT INTO todos (_id, title) VALUES ('t0003', 'again')")
    assert counts(todos) == (TableWrites("todos", updated=1),)


@ON_FILES
def test_writes_before_the_migration_do_not_count(todos: Project) -> None:
    todos.sql("DELETE FROM todos WHERE _id = 't0001'")
    text = todos.schema_path.read_text()
    todos.push(text.replace("title: v.string(),", "title: v.string(),\n        x: v.any(),"))
    assert counts(todos) == ()


def test_a_table_that_the_migration_made_holds_only_new_documents(project: Project) -> None:
    project.push(schema_of("    a: defineTable({ x: v.any() }),"))
    project.push(
        schema_of("    a: defineTable({ x: v.any() }),\n    b: defineTable({ x: v.any() }),")
    )
    project.sql("INSERT INTO b (_id) VALUES ('1'), ('2')")
    project.sql("INSERT INTO a (_id) VALUES ('1')")
    assert counts(project) == (TableWrites("a", inserted=1), TableWrites("b", inserted=2))


def test_a_table_that_is_gone_counts_as_deleted(project: Project) -> None:
    project.push(schema_of("    a: defineTable({ x: v.any() }),"))
    project.sql("INSERT INTO a (_id) VALUES ('1')")
    project.push(schema_of("    a: defineTable({ x: v.any(), y: v.any() }),"))
    project.sql("DROP TABLE a")
    assert counts(project) == (TableWrites("a", deleted=1),)


@pytest.mark.parametrize("was", ["TABLE b AS SELECT x FROM a", "VIEW b AS SELECT * FROM a"])
def test_a_table_that_took_the_place_of_something_else_holds_only_new_documents(
    project: Project, was: str
) -> None:
    project.push(schema_of("    a: defineTable({ x: v.any() }),"))
    project.sql("INSERT INTO a (_id) VALUES ('1')")
    project.sql(f"CREATE {was}")
    project.push(schema_of("    a: defineTable({ x: v.any(), y: v.any() }),"))
    project.sql(f"DROP {was.split()[0]} b; CREATE TABLE b (_id TEXT PRIMARY KEY, x)")
    project.sql("INSERT INTO b (_id) VALUES ('1'), ('2')")
    assert counts(project) == (TableWrites("b", inserted=2),)


def test_ids_that_a_table_holds_equal_are_told_apart(project: Project) -> None:
    project.sql("CREATE TABLE b (_id TEXT PRIMARY KEY COLLATE NOCASE, x)")
    project.sql("INSERT INTO b (_id) VALUES ('a'), ('B'), ('c')")
    project.push(schema_of("    a: defineTable({ x: v.any() }),"))
    project.sql("UPDATE b SET _id = 'A' WHERE _id = 'a'")
    assert counts(project) == (TableWrites("b", inserted=1, deleted=1),)


@ON_FILES
def test_an_overwriting_backfill_does_not_count_in_an_untracked_table(project: Project) -> None:
    project.push(schema_of("    a: defineTable({ x: v.number() }),"))
    project.sql("INSERT INTO a (_id, x) VALUES ('1', 1), ('2', 2)")
    project.push(schema_of("    a: defineTable({ x: v.number() }).backfill('x', () => 9),"))
    assert project.sql("SELECT DISTINCT x FROM a") == [(9,)]
    assert counts(project) == ()


def test_a_column_that_the_migration_added_was_null_before(project: Project) -> None:
    before = schema_of("    a: defineTable({ x: v.number() }),")
    project.push(before)
    project.sql("INSERT INTO a (_id, x) VALUES ('1', 1), ('2', 2), ('3', 3)")
    project.push(before.replace("v.number() }", "v.number(), y: v.optional(v.number()) }"))
    assert written(project) == ()
    project.sql("UPDATE a SET y = 7 WHERE _id <> '2'")
    assert written(project) == (TableWrites("a", updated=2, examples=("1", "3")),)


def test_what_a_backfill_filled_cannot_be_told_of_an_untracked_table(todos: Project) -> None:
    tracked = bool(todos.sql("SELECT 1 FROM sqlite_schema WHERE name = 'todos_valet_update'"))
    todos.sql("UPDATE todos SET priorityNum = 77 WHERE _id = 't0007'")
    if tracked:
        assert written(todos) == (TableWrites("todos", updated=1, examples=("t0007",)),)
        return
    (found,) = written(todos)
    assert found == TableWrites("todos", untold=("priorityNum",))
    assert "Whether todos.priorityNum was written since cannot be told" in found.not_told


def test_a_table_that_the_migration_adopts_was_not_written(project: Project) -> None:
    project.sql("CREATE TABLE a (_id TEXT PRIMARY KEY, x INTEGER)")
    project.sql("INSERT INTO a VALUES ('1', 1), ('2', 2)")
    project.push(schema_of("    a: defineTable({ x: v.number() }),"))
    assert project.sql("SELECT DISTINCT _version FROM a") == [(0,)]
    assert counts(project) == ()
    project.sql("UPDATE a SET _version = 1 WHERE _id = '2'")
    assert counts(project) == (TableWrites("a", updated=1),)


def test_what_sqlite_computes_of_a_backfilled_column_was_not_written(project: Project) -> None:
    project.sql(
        "CREATE TABLE a (_id TEXT PRIMARY KEY, x INTEGER, s AS (x + 1) STORED, w AS (x + 2))"
    )
    project.sql("INSERT INTO a (_id, x) VALUES ('1', 1), ('2', 2)")
    project.push(schema_of("    a: defineTable({ x: v.number() }).backfill('x', () => 9),"))
    assert project.sql("SELECT DISTINCT s, w FROM a") == [(10, 11)]
    assert counts(project) == ()
    project.sql("DELETE FROM a WHERE _id = '2'")
    assert counts(project) == (TableWrites("a", deleted=1),)


def test_some_documents_are_named_and_the_others_hinted_at(todos: Project) -> None:
    todos.sql("DELETE FROM todos WHERE _id > 't0015'")
    (found,) = written(todos)
    assert found.told == "4 deleted (t0016, t0017, t0018, …)"


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
@pytest.mark.parametrize("gone", ["a", "\U0001d4b3", b"\0"])
def test_ids_in_the_order_of_bytes_and_of_many_types(
    project: Project, encoding: str, gone: str | bytes
) -> None:
    project.sql(f"PRAGMA encoding = '{encoding}'; CREATE TABLE other (_id TEXT)")
    project.push(schema_of("    a: defineTable({ x: v.number() }),"))
    project.sql(
        "INSERT INTO a (_id) VALUES ('a'), ('B'), ('é'), ('Ā'), ('\U0001d4b3'), ('\uffee'), (x'00')"
    )
    project.push(schema_of("    a: defineTable({ x: v.number(), y: v.any() }),"))
    assert project.sql("PRAGMA encoding") == [(encoding,)]
    assert counts(project) == ()
    project.sql("UPDATE a SET x = 1 WHERE _id = '\uffee'")
    project.sql("DELETE FROM a WHERE _id = ?", (gone,))
    project.sql("INSERT INTO a (_id) VALUES ('b')")
    assert counts(project) == (TableWrites("a", inserted=1, updated=1, deleted=1),)


@ON_FILES
def test_counting_changes_nothing(todos: Project) -> None:
    todos.sql("INSERT INTO todos (_id) VALUES ('new')")
    files = {p: p.read_bytes() for p in (todos.root / ".valet").rglob("*") if p.is_file()}
    written(todos)
    assert files == {p: p.read_bytes() for p in (todos.root / ".valet").rglob("*") if p.is_file()}


@ON_FILES
def test_counting_can_be_cancelled(project: Project) -> None:
    project.push(schema_of("    a: defineTable({ x: v.number() }),"))
    project.sql(
        "INSERT INTO a (_id) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < 50000) SELECT printf('%06d', i) FROM n"
    )
    project.push(schema_of("    a: defineTable({ x: v.number(), y: v.any() }),"))
    with pytest.raises(Cancelled):
        pipeline.written_since(project.settings, lambda: True)


@ON_FILES
def test_nothing_to_undo_is_a_sentence(project: Project) -> None:
    project.sql("CREATE TABLE a (b)")
    with pytest.raises(StudioError, match="nothing to undo"):
        written(project)


@ON_FILES
def test_what_is_undone_twice_is_kept_twice(todos: Project) -> None:
    first = pipeline.undo(todos.settings)
    todos.apply()
    todos.sql("INSERT INTO todos (_id) VALUES ('new')")
    second = pipeline.undo(todos.settings)
    assert first.kept != second.kept
    kept = apsw.Connection(str(second.kept), flags=apsw.SQLITE_OPEN_READONLY)
    assert kept.execute("SELECT count(*) FROM todos WHERE _id = 'new'").get == 1
    kept.close()
    assert first.kept.exists()


SHARING_CP = """\
#!{python}
import shutil, sys
if sys.argv[1] != "--reflink=always":
    sys.exit(1)
shutil.copyfile(*sys.argv[3:])
open({log!r}, "a").write("shared\\n")
"""


@pytest.mark.parametrize(("mode", "shared"), [("delete", True), ("wal", False)])
def test_a_snapshot_shares_blocks_only_where_the_file_is_all(
    project: Project, monkeypatch: pytest.MonkeyPatch, mode: str, shared: bool
) -> None:
    tools = project.root / "tools"
    tools.mkdir()
    log = tools / "log"
    (tools / "cp").write_text(SHARING_CP.format(python=sys.executable, log=str(log)))
    (tools / "cp").chmod(0o755)
    project.push(untracked(BEFORE))
    fill_todos(project, 5)
    project.sql(f"PRAGMA journal_mode = {mode}")
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    holder = apsw.Connection(str(project.database))
    holder.execute("INSERT INTO todos (_id) VALUES ('late')")
    assert project.push(untracked(AFTER)).status == "ok"
    holder.close()
    assert log.exists() is (shared and sys.platform == "linux")
    [snapshot] = snapshot_folder(open_target(str(project.database))).glob("*before-0002*")
    connection = apsw.Connection(str(snapshot))
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    assert connection.execute("SELECT count(*) FROM todos").get == 6
    assert "priorityNum" not in str(
        connection.execute("SELECT sql FROM sqlite_master WHERE name = 'todos'").get
    )
    connection.close()
    pipeline.undo(project.settings)
    assert project.sql("SELECT count(*) FROM todos") == [(6,)]
