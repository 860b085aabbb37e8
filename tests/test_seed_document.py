"""The user's own document, section by section: the commands are run, their output and the
database are read. Each code block is taken from the document as it is written there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import IO

import pytest
from support import DOCUMENT, Project, fill_todos, schema_of, seed_blocks

BEFORE, WITH_PRIORITY, ADDING, DEPRECATED, BACKFILL, TYPE_CHANGE = seed_blocks()

STRING_PRIORITY = BEFORE.replace(
    "userId: v.string(),", "userId: v.string(),\n        priority: v.string(),"
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "valet_studio", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def codegen(project: Project, schema: str) -> str:
    """Save the schema and run codegen as the document says; returns what it printed."""
    project.write(schema)
    done = run("codegen")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def printed_in_document(first_line: str) -> str:
    """A block of server output as the document shows it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"^Schema pushed successfully\n(?:  .+\n)+", text, flags=re.MULTILINE)
    found: list[str] = [block for block in blocks if first_line in block]
    assert len(found) == 1
    return found[0]


def columns(project: Project) -> list[str]:
    return [row[1] for row in project.sql("PRAGMA table_info(todos)")]


def types(project: Project) -> str:
    return (project.root / "_generated" / "valet" / "types.ts").read_text(encoding="utf-8")


def test_how_migrations_work(project: Project) -> None:
    codegen(project, BEFORE)
    assert columns(project) == ["_id", "_version", "title", "completed", "userId"]
    codegen(project, WITH_PRIORITY)
    assert columns(project)[-1] == "priority"
    codegen(project, BEFORE)
    assert columns(project)[-1] == "priority"
    assert "priority" not in types(project)


def test_pushing_the_same_schema_twice_is_a_no_op(project: Project) -> None:
    codegen(project, ADDING)
    before = project.database.read_bytes()
    assert "Added" not in codegen(project, ADDING)
    assert project.database.read_bytes() == before


def test_adding_fields(project: Project) -> None:
    codegen(project, BEFORE)
    project.sql("INSERT INTO todos (_id, title) VALUES ('a', 'old')")
    printed = codegen(project, ADDING)
    assert printed.startswith(printed_in_document("priority, dueDate"))
    assert project.sql("SELECT priority, dueDate FROM todos") == [(None, None)]
    assert "priority: number" in types(project)
    assert "dueDate?: string" in types(project)


def test_removing_fields_with_deprecated(project: Project) -> None:
    codegen(project, STRING_PRIORITY)
    project.sql("INSERT INTO todos (_id, priority) VALUES ('a', 'high')")
    codegen(project, DEPRECATED)
    assert re.search(r"\bpriority\b", types(project)) is None
    assert "priorityNum: number" in types(project)
    assert project.sql("SELECT priority, priorityNum FROM todos") == [("high", None)]


def test_backfills(project: Project) -> None:
    codegen(project, STRING_PRIORITY)
    fill_todos(project)
    printed = codegen(project, BACKFILL)
    assert printed.startswith(printed_in_document("142 rows updated"))
    assert project.sql("SELECT DISTINCT priority, priorityNum FROM todos ORDER BY priority") == [
        ("high", 3),
        ("low", 1),
        ("medium", 2),
        ("urgent", 1),
    ]
    assert "backfill:todos:priorityNum" in project.meta()
    project.sql("UPDATE todos SET priorityNum = 7")
    codegen(project, BACKFILL)
    assert project.sql("SELECT DISTINCT priorityNum FROM todos") == [(7,)]


def test_type_changes_are_not_allowed(project: Project) -> None:
    codegen(project, STRING_PRIORITY)
    fill_todos(project)
    before = project.database.read_bytes()
    project.write(STRING_PRIORITY.replace("priority: v.string()", "priority: v.number()"))
    done = run("codegen")
    assert done.returncode == 4
    told = done.stdout + done.stderr
    assert "todos.priority" in told
    assert "valet/schema.ts:9:" in told
    for word in ("deprecated()", ".backfill("):
        assert word in told
    assert project.database.read_bytes() == before
    assert "142 rows updated" in codegen(project, TYPE_CHANGE)


def test_lifecycle_writes_schema_json_and_types(project: Project) -> None:
    codegen(project, BACKFILL)
    generated = project.root / "_generated" / "valet"
    assert {path.name for path in generated.iterdir()} == {"schema.json", "types.ts"}
    assert '"priorityNum"' in (generated / "schema.json").read_text(encoding="utf-8")


def read_until(stream: IO[str], needle: str) -> str:
    """Lines up to the one that holds a text; fails at the end of the stream."""
    seen = ""
    for line in stream:
        seen += line
        if needle in line:
            return seen
    raise AssertionError(f"{needle!r} did not come:\n{seen}")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_running_codegen_during_development(project: Project, stop: signal.Signals) -> None:
    project.write(BEFORE)
    watch = subprocess.Popen(
        [sys.executable, "-u", "-m", "valet_studio", "codegen", "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert watch.stdout is not None
        read_until(watch.stdout, "Watching")
        project.write(schema_of("todos: defineTable({ title: v.string( }),"))
        read_until(watch.stdout, "valet/schema.ts:3:")
        replacement = project.schema_path.with_suffix(".tmp")
        replacement.write_text(ADDING, encoding="utf-8")
        replacement.replace(project.schema_path)
        read_until(watch.stdout, "Added columns: priority, dueDate")
        project.schema_path.unlink()
        assert " Removed." in read_until(watch.stdout, "There is no")
        watch.send_signal(stop)
        assert watch.wait(timeout=20) == 0
        assert "Traceback" not in watch.stdout.read()
    finally:
        watch.kill()
        watch.wait()
    assert columns(project)[-2:] == ["priority", "dueDate"]
    assert "dueDate?: string" in types(project)


def test_a_watch_goes_on_by_itself_once_the_database_can_be_read(project: Project) -> None:
    project.write(BEFORE)
    project.database.parent.mkdir(exist_ok=True)
    project.database.write_text("no database " * 100, encoding="utf-8")
    watch = subprocess.Popen(
        [sys.executable, "-u", "-m", "valet_studio", "codegen", "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert watch.stdout is not None
        assert "is not a SQLite database" in read_until(watch.stdout, "Watching")
        project.database.unlink()
        told = read_until(watch.stdout, "Created with columns")
        assert "dev.db can be read again." in told
        watch.send_signal(signal.SIGINT)
        assert watch.wait(timeout=20) == 0
        assert "Traceback" not in watch.stdout.read()
    finally:
        watch.kill()
        watch.wait()
