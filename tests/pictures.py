"""Every state of the studio as a picture: the real studio on the real demo, at a steady clock.

The snapshot tests compare these pictures with screenshots/; `screenshots.py` makes them anew.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, chdir
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import apsw
from rich.cells import cell_len
from rich.style import Style
from studio_drive import NARROW, WIDE, until
from studio_fakes import Saves
from textual.pilot import Pilot
from textual.widgets import Input

from valet_studio import pipeline, scaffold
from valet_studio.config import Settings
from valet_studio.errors import IsCancelled, Problem
from valet_studio.migrate.events import BackfillProgress, BackfillReport, Event, Report
from valet_studio.migrate.history import HistoryEntry, MigrationId
from valet_studio.migrate.undo import UndoReport
from valet_studio.pipeline import StudioState
from valet_studio.tour import Tour
from valet_studio.tui import looking, runs
from valet_studio.tui.app import StudioApp
from valet_studio.tui.engine import Engine

FOLDER = Path(__file__).parent.parent / "screenshots"
NOON = datetime(2026, 3, 1, 12, 0, 0)
DARK, LIGHT = "valet-dark", "valet-light"
RATE = 48_000
"""Rows per second of every backfill in the pictures."""


@dataclass
class SteadyEngine:
    """The real pipeline, with every time that it tells replaced by one that is always the same."""

    hold: threading.Event = field(default_factory=threading.Event)
    """Where `holding` is set, runs stop in the middle of their backfill until this is."""
    holding: bool = False
    fingerprints: set[str] = field(default_factory=set)
    """As the studio shows them; they differ from one demo to the next."""

    def __getattr__(self, name: str) -> Any:
        return getattr(pipeline, name)

    def look(self, settings: Settings, cancelled: IsCancelled) -> StudioState:
        state = replace(pipeline.look(settings, cancelled), seconds=0.04)
        if state.plan is not None:
            self.fingerprints.add(state.plan.fingerprint[:8])
        return state

    def check_types(
        self,
        state: StudioState,  # noqa: ARG002
        cancelled: IsCancelled,  # noqa: ARG002
    ) -> tuple[Problem, ...]:
        return ()

    def dry_run(self, state: StudioState, cancelled: IsCancelled) -> Iterator[Event]:
        yield from self._steadied(pipeline.dry_run(state, cancelled), cancelled)

    def apply(self, state: StudioState, cancelled: IsCancelled) -> Iterator[Event]:
        yield from self._steadied(pipeline.apply(state, cancelled), cancelled)

    def history(self, settings: Settings) -> tuple[HistoryEntry, ...]:
        return tuple(
            replace(entry, applied_at=f"2026-03-01T12:0{entry.id}:00+00:00", seconds=0.02)
            for entry in pipeline.history(settings)
        )

    def undo(
        self,
        settings: Settings,
        cancelled: IsCancelled,
        migration: MigrationId | None,  # noqa: ARG002
    ) -> UndoReport:
        # The history that was shown tells other times than the one that is held.
        return pipeline.undo(settings, cancelled)

    def _steadied(self, events: Iterator[Event], cancelled: IsCancelled) -> Iterator[Event]:
        for event in events:
            if isinstance(event, BackfillProgress):
                if self.holding:
                    event = replace(event, done=58, seconds=58 / RATE)
                yield replace(event, seconds=event.done / RATE)
                while self.holding and not cancelled() and not self.hold.wait(0.01):
                    pass
            elif isinstance(event, BackfillReport):
                yield _steady(event)
            elif isinstance(event, Report):
                told = tuple(_steady(report) for report in event.backfills)
                yield replace(event, seconds=0.03, backfills=told)
            else:
                yield event


def _steady(report: BackfillReport) -> BackfillReport:
    return replace(report, seconds=report.rows / RATE)


@dataclass
class Shot:
    """An open studio, being brought into the state of its picture."""

    app: StudioApp
    pilot: Pilot[None]
    engine: SteadyEngine
    saves: Saves

    async def until(self, told: Callable[[], object]) -> None:
        """Wait for what workers bring about."""
        await until(self.pilot, told, 30)

    async def still(self) -> None:
        """Wait until no worker has anything to tell any more."""
        await self.until(
            lambda: (
                self.app.facts.state is not None
                and not any(w.is_running for w in self.app.workers if w.group != "watch")
                and not self.app.waiting
            )
        )
        for _ in range(3):
            await self.pilot.pause(0.06)

    async def press(self, *keys: str) -> None:
        """Press keys, and wait for all that they bring about."""
        for key in keys:
            await self.pilot.press(key)
            await self.still()

    async def edit(self, old: str, new: str) -> None:
        """Edit schema.ts, save, and wait for the new plan."""
        path = self.app.settings.schema_path
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        await self.save()

    async def save(self) -> None:
        """Tell of a save."""
        looks = self.app.generation
        self.saves.save()
        await self.until(lambda: self.app.generation > looks)
        await self.still()

    async def held(self, *keys: str) -> None:
        """Press keys that start a run, and stop in the middle of it."""
        self.engine.holding = True
        for key in keys:
            await self.pilot.press(key)
        await self.until(lambda: self.app.progress and self.app.progress.running)
        for _ in range(3):
            await self.pilot.pause(0.06)


Script = Callable[[Shot], Awaitable[None]]


@dataclass(frozen=True)
class State:
    """One state of the studio, and how it comes about."""

    script: Script
    before: Callable[[], object] = lambda: None
    """What is done to the demo before the studio opens, in its directory."""
    settings: Settings = Settings()
    tour: bool = False
    replica: Path | None = None


async def pending(shot: Shot) -> None:
    await shot.press("end")


async def rehearsed(shot: Shot) -> None:
    await shot.press("d")


async def confirm(shot: Shot) -> None:
    await shot.press("d", "a")


async def production(shot: Shot) -> None:
    await shot.press("d", "a", *"dev.d")


async def applying(shot: Shot) -> None:
    await shot.press("d")
    await shot.held("a", "y")


async def applied(shot: Shot) -> None:
    await shot.press("d", "a", "y")
    await shot.press("home") if shot.app.main.single else None


async def in_sync(shot: Shot) -> None:
    await shot.press("1")


async def running(shot: Shot) -> None:
    await shot.held("d")


async def cancelled(shot: Shot) -> None:
    await shot.held("d")
    await shot.press("x")


async def failed(shot: Shot) -> None:
    throws = "?? (() => { throw new Error(`no number for ${row.priority}`) })()"
    await shot.edit("?? 1", throws)
    await shot.press("d")


async def blocked(shot: Shot) -> None:
    await shot.edit("completed: v.number()", "completed: v.boolean()")


async def quick_fix(shot: Shot) -> None:
    await blocked(shot)
    await shot.press("f")


async def broken(shot: Shot) -> None:
    await shot.edit("title: v.string(),", "title: v.string(.,")


async def undo(shot: Shot) -> None:
    await shot.press("d", "a", "y")
    database = apsw.Connection(".valet/dev.db")
    database.execute("UPDATE todos SET title = 'Call Ada' WHERE _id IN ('todo0003', 'todo0004')")
    database.execute("INSERT INTO todos (_id, title) VALUES ('todo9001', 'Water the shed')")
    database.close()
    await shot.press("u")


async def undone(shot: Shot) -> None:
    await undo(shot)
    await shot.press("y")


async def history(shot: Shot) -> None:
    await shot.press("d", "a", "y", "h")


async def jump(shot: Shot) -> None:
    await shot.press("ctrl+o")


async def find(shot: Shot) -> None:
    await shot.press("2", "slash", *"prio", "enter")


async def open_files(shot: Shot) -> None:
    await shot.press("o")


async def help_keys(shot: Shot) -> None:
    await shot.press("question_mark")


async def palette(shot: Shot) -> None:
    await shot.press("ctrl+p", *"app")


async def replica(shot: Shot) -> None:
    await shot.press("d", "3", "z", "end")


async def nothing(shot: Shot) -> None:
    await shot.still()


async def tour_field(shot: Shot) -> None:
    await shot.pilot.press("n")
    await shot.save()


async def tour_backfill(shot: Shot) -> None:
    for _ in range(3):
        shot.app.insisted = "asked"
        await tour_field(shot)
    await shot.press("d", "3") if shot.app.main.single else await shot.press("end", "d")


async def tour_refused(shot: Shot) -> None:
    await tour_backfill(shot)
    await shot.press("a", "y")
    shot.app.insisted = "asked"
    await tour_field(shot)
    await shot.press("1")


def sync_demo() -> None:
    """Apply the demo's plan."""
    for _ in pipeline.apply(pipeline.look(Settings()), lambda: False):
        pass
    pipeline.write_files(pipeline.look(Settings()))


def no_database() -> None:
    shutil.rmtree(".valet")


def client() -> None:
    """A client's file with fewer documents, and queued mutations of which one will not fit."""
    shutil.copyfile(".valet/dev.db", "client.db")
    database = apsw.Connection("client.db")
    database.execute("DELETE FROM todos WHERE rowid > 100")
    database.execute(
        'CREATE TABLE _valet_mutations (id INTEGER PRIMARY KEY, "table" TEXT, row_id TEXT,'
        " operation TEXT, document TEXT)"
    )
    database.execute(
        "INSERT INTO _valet_mutations VALUES"
        " (1, 'todos', 'todo0003', 'update', '{\"completed\": 1}'),"
        " (2, 'todos', 'todo0007', 'update', '{\"urgent\": true}')"
    )
    database.close()


def not_a_database() -> None:
    Path(".valet/dev.db").write_text("This is a letter, not a database.\n" * 40, encoding="utf-8")


_LOCKS: list[apsw.Connection] = []


def lock() -> None:
    """Hold the database as another program would in the middle of its own migration."""
    connection = apsw.Connection(".valet/dev.db")
    connection.execute("BEGIN EXCLUSIVE")
    _LOCKS.append(connection)


STATES: dict[str, State] = {
    "no-schema": State(nothing, lambda: Settings().schema_path.unlink()),
    "no-database": State(nothing, no_database),
    "in-sync": State(in_sync, sync_demo),
    "pending": State(pending),
    "rejected": State(blocked),
    "broken": State(broken),
    "locked": State(nothing, lock),
    "not-a-database": State(nothing, not_a_database),
    "read-only": State(rehearsed, settings=Settings(read_only=True)),
    "running": State(running),
    "failed": State(failed),
    "cancelled": State(cancelled),
    "rehearsed": State(rehearsed),
    "confirm": State(confirm),
    "production": State(production, settings=Settings(production=True)),
    "applying": State(applying),
    "applied": State(applied),
    "undo": State(undo),
    "undone": State(undone),
    "history": State(history),
    "quick-fix": State(quick_fix),
    "jump": State(jump),
    "find": State(find),
    "open": State(open_files),
    "help": State(help_keys),
    "palette": State(palette),
    "replica": State(replica, client, replica=Path("client.db")),
    "tour-1": State(nothing, tour=True),
    "tour-2": State(tour_field, tour=True),
    "tour-4": State(tour_backfill, tour=True),
    "tour-5": State(tour_refused, tour=True),
}
"""By the name of the picture."""

VARIANTS = {"": (WIDE, DARK), "-80": (NARROW, LIGHT)}
"""Both sizes and both themes, in two pictures of each state."""


@cache
def _demo() -> Path:
    """One demo project, to be copied."""
    folder = Path(tempfile.mkdtemp(prefix="valet-pictures-")) / "demo"
    scaffold.demo(folder)
    return folder


@asynccontextmanager
async def shot_of(state: State, size: tuple[int, int], theme: str) -> AsyncIterator[Shot]:
    """The studio in a state, with nothing moving on its screen."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "demo"
        shutil.copytree(_demo(), folder)
        stack.enter_context(chdir(folder))
        os.environ.pop("NO_COLOR", None)
        stack.enter_context(patch.object(runs, "time", SimpleNamespace(perf_counter=lambda: 0.0)))
        # Looks that come by themselves would come to some pictures and not to others.
        stack.enter_context(patch.object(looking, "DATABASE_SECONDS", 3600.0))
        state.before()
        engine, saves = SteadyEngine(), Saves()
        tour = Tour(state.settings) if state.tour else None
        if tour is not None:
            tour.next()
        typed_engine: Engine = engine
        app = StudioApp(state.settings, typed_engine, saves, tour=tour, replica=state.replica)
        app.theme = theme
        app.now = lambda: NOON
        async with app.run_test(size=size) as pilot:
            shot = Shot(app, pilot, engine, saves)
            try:
                await shot.still()
                await state.script(shot)
                for line in app.screen.query(Input):
                    line.cursor_blink = False
                await pilot.pause(0.05)
                yield shot
            finally:
                app.cancel.set()
                engine.hold.set()
                while _LOCKS:
                    _LOCKS.pop().close()


async def picture(name: str) -> str:
    """The picture of that name, as SVG."""
    variant = "-80" if name.endswith("-80") else ""
    size, theme = VARIANTS[variant]
    async with shot_of(STATES[name.removesuffix("-80")], size, theme) as shot:
        drawn = svg_of(shot.app)
        for shown in shot.engine.fingerprints:
            drawn = drawn.replace(shown, "3fa9c1d2")
        return drawn


NAMES = tuple(f"{name}{variant}" for name in STATES for variant in VARIANTS)

CELL, LINE, SIZE, MARGIN = 8.43, 17, 14, 10


def svg_of(app: StudioApp) -> str:
    """The screen as a small SVG: a rectangle for each run of one ground, a text for each style."""
    ground = app.screen.background_colors[1]
    strips = app.screen._compositor.render_strips()
    for filter_ in app._filters:
        strips = [strip.apply_filter(filter_, ground) for strip in strips]
    classes: dict[str, str] = {}
    drawn: list[str] = []
    base = ground.hex
    for row, strip in enumerate(strips):
        at = 0
        y = MARGIN + row * LINE
        texts: list[str] = []
        for text, style, _ in strip:
            width = cell_len(text)
            front, back = _colours(style or Style(), app)
            x = MARGIN + at * CELL
            if back != base and width:
                drawn.append(
                    f'<rect x="{x:.1f}" y="{y}" width="{width * CELL:.1f}" height="{LINE}" '
                    f'fill="{back}"/>'
                )
            body = text.rstrip()
            if body:
                lead = len(body) - len(body.lstrip())
                body = body.lstrip().replace(" ", "\u00a0")  # which no SVG reader collapses
                rule = _rule(style or Style(), front)
                name = classes.setdefault(rule, f"a{len(classes)}")
                texts.append(
                    f'<text class="{name}" x="{x + lead * CELL:.1f}" y="{y + 13}" '
                    f'textLength="{cell_len(body) * CELL:.1f}">{escape(body, quote=False)}</text>'
                )
            at += width
        drawn += texts
    wide = app.size.width * CELL + 2 * MARGIN
    height = app.size.height * LINE + 2 * MARGIN
    rules = "".join(f".{name}{{{rule}}}" for rule, name in classes.items())
    family = "ui-monospace,Menlo,'DejaVu Sans Mono',Consolas,monospace"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {height}" '
        f'width="{wide:.0f}" height="{height}">\n'
        f"<style>text{{font:{SIZE}px {family}}}{rules}</style>\n"
        f'<rect width="100%" height="100%" rx="8" fill="{base}"/>\n'
    )
    return head + "\n".join(drawn) + "\n</svg>\n"


def _colours(style: Style, app: StudioApp) -> tuple[str, str]:
    front = style.color.get_truecolor().hex if style.color else app.screen.styles.color.hex
    base = app.screen.background_colors[1].hex
    back = style.bgcolor.get_truecolor().hex if style.bgcolor else base
    if style.reverse:
        front, back = back, front
    return front.lower(), base if back.lower() == base.lower() else back.lower()


def _rule(style: Style, front: str) -> str:
    rule = f"fill:{front}"
    rule += ";font-weight:bold" if style.bold else ""
    rule += ";font-style:italic" if style.italic else ""
    rule += ";text-decoration:underline" if style.underline else ""
    return rule
