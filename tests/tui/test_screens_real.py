"""Undo, history, quick fixes and the tour over the real pipeline."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from studio_drive import NARROW, WIDE, screen_text, until
from support import SEED_TODOS, Project, fill_todos, seed_blocks
from textual.pilot import Pilot

from valet_studio import pipeline, scaffold
from valet_studio.tour import STEPS, Tour
from valet_studio.tui.app import StudioApp

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["120x36", "80x24"])
BEFORE = SEED_TODOS


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, and the seed's backfill applied."""
    project.push(BEFORE)
    fill_todos(project)
    project.push(seed_blocks()[4])
    return project


@asynccontextmanager
async def opened(
    project: Project, size: tuple[int, int] = WIDE
) -> AsyncIterator[tuple[StudioApp, Pilot[None]]]:
    """The studio on a project, once it has looked."""
    app = StudioApp(project.settings)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.facts.state is not None)
        yield app, pilot


def shows(app: StudioApp, text: str) -> bool:
    """Whether the text is on the screen, line breaks and frames aside."""
    return text in " ".join(screen_text(app).replace("┃", " ").replace("│", " ").split())


@SIZES
async def test_undo_puts_the_database_back_and_keeps_what_it_replaces(
    todos: Project, size: tuple[int, int]
) -> None:
    todos.sql("INSERT INTO todos (_id, title, priorityNum) VALUES ('new1', 'after', 1)")
    async with opened(todos, size) as (app, pilot):
        await pilot.press("u")
        await until(pilot, lambda: shows(app, "1 document written since will be taken back too"))
        assert shows(app, "todos 1 inserted (new1)")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Migration 2 is undone."))
        await pilot.press("escape")
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.changes)
        assert shows(app, "Add column")
    assert todos.sql("SELECT count(*) FROM todos") == [(142,)]
    kept = next((todos.root / ".valet" / "snapshots").glob("dev.undone-*.db"))
    found = replace(todos, root=todos.root).with_()
    import apsw

    rows = list(apsw.Connection(str(kept)).execute("SELECT _id FROM todos WHERE _id = 'new1'"))
    assert rows == [("new1",)]
    assert found.database.exists()


async def test_history_compares_what_was_applied(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await pilot.press("h")
        await until(pilot, lambda: shows(app, "Field todos.priority is deprecated."))
        assert shows(app, "From migration 1 to migration 2")
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "From an empty schema to migration 1"))
        assert shows(app, "Table todos with 4 fields.")


async def test_a_type_change_is_fixed_rehearsed_and_applied(todos: Project) -> None:
    text = todos.schema_path.read_text(encoding="utf-8")
    todos.write(text.replace("completed: v.number()", "completed: v.boolean()"))
    async with opened(todos) as (app, pilot):
        await until(pilot, lambda: shows(app, "f quick fix"))
        await pilot.press("f")
        await until(pilot, lambda: shows(app, "Deprecate completed, add completedFlag"))
        await pilot.press("y")
        await until(pilot, lambda: app.facts.plan and app.facts.plan.status == "pending")
        assert "completedFlag" in todos.schema_path.read_text(encoding="utf-8")
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        await pilot.press("a", "y")
        await until(pilot, lambda: "in sync" in screen_text(app).split("\n")[0])
        await pilot.press("F")
        await until(pilot, lambda: shows(app, "No quick fix was written"))
    assert "completedFlag" in todos.schema_path.read_text(encoding="utf-8")
    assert todos.sql("SELECT DISTINCT completedFlag FROM todos ORDER BY 1") == [(0,), (1,)]


async def test_the_tour_shows_each_step_and_ends_in_sync(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    scaffold.demo(Path("demo"))
    settings = scaffold.demo_settings(Path("demo"))
    tour = Tour(settings)
    tour.next()
    app = StudioApp(settings, tour=tour)
    async with app.run_test(size=WIDE) as pilot:
        for number, step in enumerate(STEPS, start=1):
            await until(
                pilot,
                lambda step=step, number=number: (  # type: ignore[misc]
                    f"{number}/{len(STEPS)}" in screen_text(app)
                    and shows(app, step.caption)
                    and app.facts.state is not None
                    and app.facts.plan is not None
                    and app.facts.plan.status == step.status
                    and app.facts.good is not None
                    and app.facts.good.schema is not None
                    and app.facts.good.schema.sources.files["schema.ts"] == step.schema_text
                ),
            )
            if step.then == "apply":
                await pilot.press("n")
                await until(pilot, lambda: shows(app, "meant to be applied first: d, a, y."))
                await pilot.press("d")
                await until(pilot, lambda: app.facts.rehearsal_holds)
                await pilot.press("a", "y")
                await until(pilot, lambda: "in sync" in screen_text(app).split("\n")[0])
                await until(pilot, lambda: app.facts.running is None)
            await pilot.press("n")
        await until(pilot, lambda: shows(app, "The tour is over"))
    state = pipeline.look(settings)
    assert state.plan is not None
    assert state.plan.status == "in_sync"


async def test_leaving_does_not_wait_for_an_endless_schema(todos: Project) -> None:
    todos.write("while (true) {}\n" + todos.schema_path.read_text(encoding="utf-8"))
    app = StudioApp(todos.settings)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: any(worker.group == "look" for worker in app.workers))
        await pilot.press("q")
        began = time.monotonic()
    looks = [thread for thread in threading.enumerate() if "look" in thread.name]
    for thread in looks:
        thread.join(2)
    assert time.monotonic() - began < 2


async def test_a_schema_of_another_name_is_made_there(project: Project) -> None:
    path = project.root / "valet" / "main.ts"
    app = StudioApp(replace(project.settings, schema_path=path))
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.missing)
        await pilot.press("i")
        await until(pilot, lambda: app.facts.plan is not None and not app.facts.missing)
    assert path.is_file()
    assert not project.schema_path.exists()


async def test_another_programs_migration_is_seen(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await until(pilot, lambda: "in sync" in screen_text(app).split("\n")[0])
        todos.sql("ALTER TABLE todos ADD COLUMN other TEXT")
        await until(pilot, lambda: shows(app, "other"))
