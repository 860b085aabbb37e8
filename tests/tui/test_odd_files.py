"""Files that turn into something else while the studio is open: it stays, and says what is wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from studio_drive import WIDE, opened, screen_text, until
from support import Project
from textual.widgets import Input

from valet_studio.tui.app import StudioApp
from valet_studio.tui.open_screen import OpenScreen
from valet_studio.tui.replica import ReplicaScreen
from valet_studio.tui.window import window_title

BECOMES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a directory": (Path.mkdir, "valet/schema.ts cannot be read: is a directory."),
    "a pipe": (os.mkfifo, "valet/schema.ts is no file."),
    "a link to itself": (
        lambda path: path.symlink_to(path.name),
        "valet/schema.ts cannot be read: too many levels of symbolic links.",
    ),
}


@pytest.mark.parametrize("what", BECOMES)
async def test_a_schema_that_is_no_file_any_more_is_a_problem(todos: Project, what: str) -> None:
    become, told = BECOMES[what]
    async with opened(todos) as (app, pilot):
        todos.schema_path.unlink()
        become(todos.schema_path)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: app.facts.broken)
        assert f"✗ {told}" in screen_text(app)
        assert "is gone" not in screen_text(app)
        assert window_title(app.facts).startswith(f"✗ broken · {todos.root.name} · ")


async def test_a_schema_that_was_deleted_was_not_saved(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        todos.schema_path.unlink()
        await until(pilot, lambda: app.facts.missing)
        assert "schema.ts is gone" in screen_text(app)
        assert not [e for e in app.main.log_pane.entries if e.text.startswith("Saved in")]


async def test_a_project_that_is_deleted_meanwhile_is_a_problem(todos: Project) -> None:
    typed = replace(todos.settings, schema_path=Path("valet/schema.ts"), database=".valet/dev.db")
    app = StudioApp(typed)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        shutil.rmtree(todos.root)
        await until(pilot, lambda: app.facts.missing or app.facts.broken)
        await pilot.press("ctrl+r", "d", "a", "h", "escape", "g")
        await until(pilot, lambda: not app.facts.reading and app.facts.running is None)
        assert app.is_running
        assert app.defect is None
        assert "valet/schema.ts is gone" in screen_text(app)


@pytest.mark.parametrize("typed", ["~nobody-has-this-name/x", "x" * 300])
async def test_whatever_is_typed_as_a_path_the_studio_stays(todos: Project, typed: str) -> None:
    async with opened(todos) as (app, pilot):
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, OpenScreen))
        for field in ("#open-schema", "#open-database"):
            app.screen.query_one(field, Input).value = typed
            await pilot.pause()
        for told in ("There is no such schema yet.", "The database will be made"):
            assert told in screen_text(app)
        await pilot.press("escape", "R")
        await until(pilot, lambda: isinstance(app.screen, ReplicaScreen))
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        assert "There is no such file." in screen_text(app)
