"""Two terminals: a server in one, the studio on it in the other."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
from serving import KEY, serve_command
from support import SEED_TODOS, Project, fill_todos, never, seed_blocks
from terminal import Terminal

from valet_studio.paths import write_atomically
from valet_studio.pipeline import apply, look

BEFORE = SEED_TODOS
BACKFILL = seed_blocks()[4]


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, and the seed's backfill pending."""
    project.push(BEFORE)
    fill_todos(project)
    project.write(BACKFILL)
    return project


def test_the_studio_rehearses_and_applies_through_a_server(
    todos: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Path("elsewhere.db")
    todos.database.rename(database)
    monkeypatch.setenv("VALET_DEPLOY_KEY", KEY)
    with (
        serve_command(database) as served,
        Terminal(todos.root, "--db", served.url) as terminal,
    ):
        terminal.wait_for("Add column", "3 changes", served.url[-8:])
        terminal.press("d")
        terminal.wait_for("142 rows", "Press a to apply")
        terminal.press("a")
        terminal.wait_for("Apply to the database?")
        terminal.press("y")
        terminal.wait_for("Applied 3 changes, 142 rows", "in sync")
        assert served.process is not None
        served.process.kill()
        served.process.wait()
        todos.write(BACKFILL.replace("title: v.string(),", "title: v.string(), x: v.any(),"))
        terminal.wait_for("cannot be reached")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert not todos.database.exists()


def test_the_studio_sees_what_another_pushes_to_its_server(
    todos: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Path("elsewhere.db")
    todos.database.rename(database)
    todos.write(BEFORE)
    monkeypatch.setenv("VALET_DEPLOY_KEY", KEY)
    with (
        serve_command(database) as served,
        Terminal(todos.root, "--db", served.url) as terminal,
    ):
        terminal.wait_for("in sync")
        other = replace(todos.settings, database=served.url, deploy_key=KEY)
        other = replace(other, schema_path=todos.root / "other" / "schema.ts")
        write_atomically(other.schema_path, BACKFILL)
        deque(apply(look(other), never))
        terminal.wait_for("Remove priorityNum from the types")
        assert served.process is not None
        served.process.kill()
        served.process.wait()
        terminal.wait_for("cannot be reached")
        terminal.press("q")
        assert terminal.wait_for_end() == 0


FAILING = BACKFILL.replace("?? 1", "?? (() => { throw new Error('no such priority') })()")


def test_the_studio_shows_tries_and_undoes_through_a_server_what_it_does_on_a_file(
    todos: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Path("elsewhere.db")
    todos.database.rename(database)
    todos.write(FAILING)
    monkeypatch.setenv("VALET_DEPLOY_KEY", KEY)
    with (
        serve_command(database) as served,
        Terminal(todos.root, "--db", served.url) as terminal,
    ):
        terminal.wait_for("Add column", "3 changes")
        terminal.press("d")
        terminal.wait_for("✗ t0003")
        terminal.press("3", "z")
        terminal.wait_for("Document t0003", "Todo 3")
        terminal.press("z")
        todos.write(BACKFILL)
        terminal.wait_for("Of an earlier plan")
        terminal.press("D")
        terminal.wait_for("tried again, all work now")
        terminal.press("d")
        terminal.wait_for("142 rows", "Press a to apply")
        terminal.press("a")
        terminal.wait_for("Apply to the database?")
        terminal.press("y")
        terminal.wait_for("Applied 3 changes, 142 rows", "in sync")
        terminal.press("u")
        terminal.wait_for("Undo the last migration?", "No document was written since")
        terminal.press("y")
        terminal.wait_for("Migration 2 is undone", "on the server")
        terminal.press("\x1b")
        terminal.wait_for("Add column", "3 changes", without="Undone")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert not todos.database.exists()
