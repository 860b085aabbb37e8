"""Driving the studio in tests: open it, wait for what is meant to come, read what it shows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from studio_fakes import FakeEngine, Saves, settings_in, state_of
from support import Project
from textual.pilot import Pilot

from valet_studio.plan.changes import Plan
from valet_studio.tui.app import StudioApp

WIDE = (120, 36)
NARROW = (80, 24)


@dataclass
class Studio:
    """An open studio over a stand-in engine."""

    app: StudioApp
    pilot: Pilot[None]
    engine: FakeEngine
    saves: Saves

    async def until(self, told: Callable[[], object], seconds: float = 10) -> None:
        """Wait for something that workers bring about, and for it to be drawn."""
        await until(self.pilot, told, seconds)

    async def press(self, *keys: str) -> None:
        """Press keys and let their handlers run."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def save(self) -> None:
        """Save the schema and wait until it was looked at."""
        before = self.app.facts.state
        self.saves.save()
        await self.until(lambda: self.app.facts.state is not before)

    async def rehearse(self) -> None:
        """Run a dry run to its end."""
        await self.press("d")
        await self.until(self.idle)

    def idle(self) -> bool:
        """Whether a run ended and none goes on."""
        progress = self.app.progress
        return self.app.facts.running is None and progress is not None and progress.ended

    @property
    def screen(self) -> str:
        """Every character on the terminal, line by line."""
        return screen_text(self.app)

    @property
    def notice(self) -> str:
        """The line above the keys."""
        lines = [line for line in self.screen.split("\n") if line.strip()]
        return lines[-2]

    @property
    def keys(self) -> str:
        """The line of keys."""
        return self.screen.rstrip("\n").split("\n")[-1]


def screen_text(app: StudioApp) -> str:
    """What a person would read off the terminal."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)


async def until(pilot: Pilot[None], told: Callable[[], object], seconds: float = 10) -> None:
    """Wait until the predicate holds; fail after that many seconds."""
    deadline = time.monotonic() + seconds
    while not told():
        if time.monotonic() > deadline:
            raise AssertionError(f"not seen in {seconds} s; the screen:\n" + text_of(pilot))
        await pilot.pause(0.01)
    await pilot.pause()


def text_of(pilot: Pilot[None]) -> str:
    """The screen behind a pilot."""
    return screen_text(pilot.app) if isinstance(pilot.app, StudioApp) else ""


@asynccontextmanager
async def studio(
    folder: Path, plan: Plan | None, size: tuple[int, int] = WIDE, theme: str | None = None
) -> AsyncIterator[Studio]:
    """A studio that has looked at its plan, and measured it."""
    settings = settings_in(folder)
    engine = FakeEngine(settings, state_of(settings, plan))
    saves = Saves()
    app = StudioApp(settings, engine, saves)
    if theme is not None:
        app.theme = theme
    async with app.run_test(size=size) as pilot:
        opened = Studio(app, pilot, engine, saves)
        await opened.until(lambda: app.facts.state is not None)
        if plan is not None and plan.changes:
            await opened.until(lambda: app.facts.plan is not None and app.facts.plan.measured)
        try:
            yield opened
        finally:
            if engine.hold is not None:
                engine.hold.set()


@asynccontextmanager
async def opened(
    project: Project, size: tuple[int, int] = WIDE
) -> AsyncIterator[tuple[StudioApp, Pilot[None]]]:
    """The studio on a project, once it has measured its first plan."""
    app = StudioApp(project.settings)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        yield app, pilot


def save(project: Project, text: str) -> None:
    """Save as editors do: write beside it, then replace."""
    beside = project.schema_path.with_suffix(".ts~")
    beside.write_text(text, encoding="utf-8")
    beside.replace(project.schema_path)


def digest(path: Path) -> str:
    """What the file holds, as a short name."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
