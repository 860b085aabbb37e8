"""The studio over the real pipeline: real schema.ts, real SQLite files, the real Deno."""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from pathlib import Path
from statistics import median

import pytest
from studio_drive import NARROW, WIDE, digest, opened, save, screen_text, until
from support import SEED_TODOS, Project, add_many, seed_blocks

from valet_studio.tui.app import StudioApp

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["120x36", "80x24"])


def shows(app: StudioApp, text: str) -> bool:
    """Whether the text is on the screen."""
    return text in screen_text(app)


@SIZES
async def test_rehearse_and_apply_migrate_the_database(
    todos: Project, size: tuple[int, int]
) -> None:
    async with opened(todos, size) as (app, pilot):
        assert "priorityNum" in screen_text(app)
        before = digest(todos.database)
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        assert "142 of 142 rows filled" in screen_text(app)
        assert digest(todos.database) == before
        await pilot.press("a")
        await pilot.press("a")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert digest(todos.database) == before
        await pilot.press("a", "y")
        await until(pilot, lambda: "in sync" in screen_text(app).split("\n")[0])
        assert "142 rows" in screen_text(app)
        await pilot.press("1")
        await until(pilot, lambda: "Schema and database agree." in screen_text(app))
    assert todos.sql("SELECT count(*) FROM todos WHERE priorityNum = 3") == [(36,)]
    types = todos.settings.output_dir / "types.ts"
    assert "priorityNum" in types.read_text(encoding="utf-8")


async def test_an_atomic_save_changes_the_plan_and_a_second_plans_nothing(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        with_due = SEED_TODOS.replace("priority:", "due: v.optional(v.string()), priority:")
        for field in ("due", "until"):
            save(todos, with_due.replace("due", field))
            await until(pilot, partial(shows, app, f"Add column {field}"))
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        assert "✓ structure" in app.main.dry_run_pane.text
        assert "backfill" not in app.main.dry_run_pane.text
        await pilot.press("a", "y")
        await until(pilot, lambda: "in sync" in screen_text(app).split("\n")[0])
        looks = app.generation
        save(todos, todos.schema_path.read_text(encoding="utf-8"))
        await until(pilot, lambda: app.generation > looks)
        await until(pilot, lambda: app.facts.state and app.facts.state.plan)
        assert "in sync" in screen_text(app).split("\n")[0]


async def test_a_syntax_error_keeps_the_plan_and_shows_the_line(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        good = todos.schema_path.read_text(encoding="utf-8")
        save(todos, good.replace("priorityNum: v.number(),", "priorityNum: v.number((,"))
        await until(pilot, lambda: app.facts.broken)
        text = screen_text(app)
        assert "v.number((," in text
        assert "^" in text
        assert "priorityNum" in text
        save(todos, good)
        await until(pilot, lambda: not app.facts.broken)


async def test_a_failing_backfill_names_its_documents(todos: Project) -> None:
    todos.sql("UPDATE todos SET priority = NULL WHERE _id = 't0007'")
    code = seed_blocks()[4].replace(
        "return mapping[row.priority as string] ?? 1",
        "return mapping[(row.priority as string).toLowerCase()] ?? 1",
    )
    todos.write(code)
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.progress and app.progress.ended)
        assert "t0007" in screen_text(app)
        assert "schema.ts:" in app.main.dry_run_pane.text
        await pilot.press("a", "y")
        await pilot.pause()
        assert app.facts.running is None
    assert "priorityNum" not in str(todos.sql("SELECT sql FROM sqlite_master"))


async def test_a_plan_whose_database_moved_on_is_not_applied(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        await pilot.press("w")  # Else the studio may see it by itself before the answer.
        todos.sql("ALTER TABLE todos ADD COLUMN other TEXT")
        await pilot.press("a", "y")
        await until(pilot, lambda: app.progress and app.progress.ended and app.progress.problems)
        await until(pilot, lambda: "other" in screen_text(app))
        assert not app.facts.rehearsal_holds
    assert "priorityNum" not in str(todos.sql("SELECT sql FROM sqlite_master"))


@pytest.fixture
def slow(todos: Project) -> Project:
    """Enough documents, and a backfill slow enough, that a dry run can be met in the middle."""
    add_many(todos)
    text = seed_blocks()[4].replace(
        "return mapping",
        "for (let i = 0; i < 200000; i++) mapping.x = i\n            return mapping",
    )
    todos.write(text)
    return todos


async def test_cancel_stops_at_once_and_leaves_nothing(slow: Project) -> None:
    async with opened(slow) as (app, pilot):
        before = digest(slow.database)
        files = set(slow.database.parent.iterdir())
        await pilot.press("d")
        await until(pilot, lambda: app.progress and app.progress.running)
        await pilot.press("x")
        await until(pilot, lambda: app.facts.running is None)
        assert app.progress is not None
        assert app.progress.report is None
        assert "was never touched" in screen_text(app)
        assert digest(slow.database) == before
        assert set(slow.database.parent.iterdir()) == files


async def test_the_screen_answers_while_a_dry_run_works(slow: Project) -> None:
    async with opened(slow) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.progress and app.progress.running)
        late = []
        for _ in range(40):
            began = time.monotonic()
            await asyncio.sleep(0.01)
            late.append(time.monotonic() - began - 0.01)
        await pilot.press("x")
        await until(pilot, lambda: app.facts.running is None)
        assert median(late) < 0.05


async def test_quitting_during_a_dry_run_ends_it(slow: Project) -> None:
    app = StudioApp(slow.settings)
    files = set(slow.database.parent.iterdir())
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None)
        await pilot.press("d")
        await until(pilot, lambda: app.progress and app.progress.running)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert set(slow.database.parent.iterdir()) == files


async def test_a_missing_schema_is_made_by_i(project: Project) -> None:
    app = StudioApp(project.settings)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.missing)
        assert "makes a starting schema" in screen_text(app)
        await pilot.press("i")
        await until(pilot, lambda: app.facts.plan is not None and not app.facts.missing)
    assert project.schema_path.is_file()


async def test_a_missing_schema_is_made_of_what_the_database_holds(project: Project) -> None:
    project.sql("CREATE TABLE people (_id TEXT PRIMARY KEY, name TEXT NOT NULL)")
    app = StudioApp(project.settings)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.missing)
        assert "makes a starting schema there, of what" in screen_text(app)
        await pilot.press("i")
        await until(pilot, lambda: shows(app, "Add column _version"))
    assert "people: defineTable" in project.schema_path.read_text(encoding="utf-8")


async def test_a_file_that_is_no_database_is_said_and_left_alone(todos: Project) -> None:
    todos.database.write_text("no database [/x]" * 100, encoding="utf-8")
    app = StudioApp(todos.settings)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.state is not None)
        assert "✗ database unreadable" in screen_text(app).split("\n")[0]
        assert app.facts.problems
        await pilot.press("d", "a", "y")
        await pilot.pause()
        assert app.facts.running is None
    assert todos.database.read_text(encoding="utf-8") == "no database [/x]" * 100


async def test_the_editor_opens_at_the_change(
    todos: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    editor = tmp_path / "code"
    editor.write_text(f'#!/bin/sh\necho "$@" > {asked}.new && mv {asked}.new {asked}\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    async with opened(todos) as (app, pilot):
        while app.main.plan_pane.place is None or "backfill" not in str(
            app.main.plan_pane.selected
        ):
            await pilot.press("down")
        place = app.main.plan_pane.place
        await pilot.press("e")
        await until(pilot, asked.exists)
    assert asked.read_text().strip() == f"-g {place}"
    assert os.sep in place.file
