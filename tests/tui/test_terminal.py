"""The studio in a real pseudo-terminal: an editor saves, the plan follows, the database is
migrated on two keypresses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import SEED_TODOS, Project, fill_todos, seed_blocks
from terminal import Terminal

from valet_studio import pipeline

BEFORE = SEED_TODOS
BACKFILL = seed_blocks()[4]


def truncate_and_write(path: Path, text: str) -> None:
    """As nano, and many scripts, save."""
    path.write_text(text, encoding="utf-8")


def replace_atomically(path: Path, text: str) -> None:
    """As VS Code with atomic saves, and most formatters, save."""
    partial = path.with_name("schema.ts.tmp")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def move_away_and_write(path: Path, text: str) -> None:
    """As vim saves with `backupcopy=no`: the old file is renamed, a new one is written."""
    backup = path.with_name("schema.ts~")
    path.rename(backup)
    path.write_text(text, encoding="utf-8")
    backup.unlink()


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents; schema and database agree."""
    project.push(BEFORE)
    fill_todos(project)
    pipeline.write_files(project.look())
    return project


@pytest.mark.parametrize("save", [truncate_and_write, replace_atomically, move_away_and_write])
@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
def test_watch_edit_rehearse_apply(
    todos: Project, save: Callable[[Path, str], None], size: tuple[int, int]
) -> None:
    with Terminal(todos.root, columns=size[0], rows=size[1]) as terminal:
        terminal.wait_for("Schema and database agree")
        save(todos.schema_path, BACKFILL)
        terminal.wait_for("Add column todos.priorityNum", "3 changes")
        terminal.press("d")
        terminal.wait_for("142 rows", "Press a to apply")
        assert todos.plan().status == "pending"
        terminal.press("a")
        terminal.wait_for("Apply to the database?", "Cancel")
        terminal.press("y")
        terminal.wait_for("Applied 3 changes, 142 rows", "in sync")
        assert todos.sql("SELECT count(priorityNum) FROM todos") == [(142,)]
        save(todos.schema_path, BACKFILL)
        terminal.press("4")
        terminal.wait_for("Saved in valet/", "schema and database agree", after="Wrote _generated")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert todos.plan().status == "in_sync"


def test_the_key_that_asks_does_not_confirm(todos: Project) -> None:
    todos.write(BACKFILL)
    before = todos.database.read_bytes()
    with Terminal(todos.root) as terminal:
        terminal.wait_for("3 changes")
        terminal.press("a")
        terminal.wait_for("dry run first")
        terminal.press("d")
        terminal.wait_for("Press a to apply")
        terminal.press("a")
        terminal.wait_for("Apply to the database?")
        terminal.press("a", "a", "\r")
        terminal.wait_for("3 changes", without="Apply to the database?")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert todos.database.read_bytes() == before


def test_a_broken_schema_keeps_the_last_plan_and_shows_the_line(todos: Project) -> None:
    todos.write(BACKFILL)
    with Terminal(todos.root) as terminal:
        terminal.wait_for("3 changes")
        todos.write(BACKFILL.replace("priorityNum: v.number(),", "priorityNum: v.nmber(),"))
        shown = terminal.wait_for("valet/schema.ts:10:24", "v.nmber", "^", "last good plan")
        assert "Add column priorityNum" in shown
        todos.write(BACKFILL)
        terminal.wait_for("3 changes", without="last good plan")
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_a_missing_schema_offers_to_make_one(project: Project) -> None:
    with Terminal(project.root) as terminal:
        terminal.wait_for("There is no valet/schema.ts")
        terminal.press("i")
        terminal.wait_for("Create table")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert project.schema_path.exists()
    assert not project.database.exists()


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
def test_a_report_of_an_earlier_plan_says_so(todos: Project, size: tuple[int, int]) -> None:
    todos.write(BACKFILL)
    with Terminal(todos.root, columns=size[0], rows=size[1]) as terminal:
        terminal.wait_for("3 changes")
        terminal.press("d")
        terminal.wait_for("Press a to apply")
        todos.write(BACKFILL.replace("completed: v.number()", "completed: v.boolean()"))
        terminal.wait_for("Of an earlier plan", "rejected")
        todos.write(BACKFILL.replace("completed: v.number()", "completed: v.number("))
        terminal.wait_for("Of an earlier plan", "schema.ts is broken", "valet/schema.ts:7:")
        todos.write(BACKFILL)
        terminal.wait_for("Dry run worked", without="Of an earlier plan")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
