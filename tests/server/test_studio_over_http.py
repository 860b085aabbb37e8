"""Two terminals: a server in one, the studio on it in the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from serving import KEY, serve_command
from support import Project, fill_todos, schema_of, seed_blocks
from terminal import Terminal

BEFORE = schema_of(
    "todos: defineTable({ title: v.string(), completed: v.number(), userId: v.string(),"
    " priority: v.string() }).sync({ filter: (q, ctx) => q.eq('userId', ctx.auth.userId),"
    " mode: 'full' }),"
)
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
