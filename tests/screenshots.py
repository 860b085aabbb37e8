"""Make the pictures in screenshots/ from the real studio on the real demo project.

    python tests/screenshots.py

Needs the extra `screenshots` (resvg, which draws the PNG files).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import resvg_py
from textual.pilot import Pilot

from valet_studio import scaffold
from valet_studio.config import Settings
from valet_studio.tui.app import StudioApp

FOLDER = Path(__file__).parent.parent / "screenshots"
WIDE, NARROW = (120, 36), (80, 24)

Script = Callable[[StudioApp, Pilot[None]], Awaitable[None]]


async def until(pilot: Pilot[None], told: Callable[[], object]) -> None:
    """Wait for what workers bring about."""
    deadline = time.monotonic() + 30
    while not told():
        if time.monotonic() > deadline:
            raise TimeoutError
        await pilot.pause(0.02)
    await pilot.pause(0.1)


async def plan(app: StudioApp, pilot: Pilot[None]) -> None:
    """The plan of the demo, its backfill selected."""
    await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
    await pilot.press("end")


async def dry_run(app: StudioApp, pilot: Pilot[None]) -> None:
    """The demo rehearsed."""
    await plan(app, pilot)
    await pilot.press("d")
    await until(pilot, lambda: app.facts.rehearsal_holds)


async def confirm(app: StudioApp, pilot: Pilot[None]) -> None:
    """The question before an apply."""
    await dry_run(app, pilot)
    await pilot.press("a")
    await pilot.pause(0.2)


async def applied(app: StudioApp, pilot: Pilot[None]) -> None:
    """The demo applied."""
    await confirm(app, pilot)
    await pilot.press("y")
    await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.status == "in_sync")


async def broken(app: StudioApp, pilot: Pilot[None]) -> None:
    """A syntax error in schema.ts."""
    await plan(app, pilot)
    path = app.settings.schema_path
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("title: v.string(),", "title: v.string(.,"), encoding="utf-8")
    await until(pilot, lambda: app.facts.broken)


async def rejected(app: StudioApp, pilot: Pilot[None]) -> None:
    """A breaking change."""
    await plan(app, pilot)
    path = app.settings.schema_path
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("completed: v.number()", "completed: v.boolean()"), encoding="utf-8"
    )
    await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.status == "blocked")
    await pilot.press("home", "down", "down")


async def failing(app: StudioApp, pilot: Pilot[None]) -> None:
    """A backfill that throws."""
    await plan(app, pilot)
    path = app.settings.schema_path
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("?? 1", "?? (() => { throw new Error(`no number for ${row.priority}`) })()"),
        encoding="utf-8",
    )
    await until(pilot, lambda: app.generation > 1 and app.facts.plan is not None)
    await pilot.pause(0.5)
    await pilot.press("d")
    await until(pilot, lambda: app.progress is not None and app.progress.ended)


async def help_screen(app: StudioApp, pilot: Pilot[None]) -> None:
    """Every key."""
    await plan(app, pilot)
    await pilot.press("question_mark")
    await pilot.pause(0.2)


PICTURES: tuple[tuple[str, Script, tuple[int, int], str], ...] = (
    ("plan", plan, WIDE, "valet-dark"),
    ("studio", dry_run, WIDE, "valet-dark"),
    ("studio-light", dry_run, WIDE, "valet-light"),
    ("confirm", confirm, WIDE, "valet-dark"),
    ("applied", applied, WIDE, "valet-dark"),
    ("broken", broken, WIDE, "valet-dark"),
    ("rejected", rejected, WIDE, "valet-dark"),
    ("failing", failing, WIDE, "valet-dark"),
    ("narrow-plan", plan, NARROW, "valet-dark"),
    ("narrow-dry-run", dry_run, NARROW, "valet-light"),
    ("help", help_screen, NARROW, "valet-dark"),
)


async def picture(name: str, script: Script, size: tuple[int, int], theme: str) -> None:
    """One picture, as SVG and PNG, from a fresh demo project."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        scaffold.demo(Path("demo"))
        os.chdir("demo")
        app = StudioApp(Settings())
        app.theme = theme
        async with app.run_test(size=size) as pilot:
            await script(app, pilot)
            svg = app.export_screenshot(title="valet-studio")
        os.chdir(FOLDER)
    (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
    png = resvg_py.svg_to_bytes(
        svg_string=svg,
        zoom=1.0,
        monospace_family="DejaVu Sans Mono",
        sans_serif_family="DejaVu Sans",
    )
    (FOLDER / f"{name}.png").write_bytes(bytes(png))


async def main() -> None:
    """All of them."""
    FOLDER.mkdir(exist_ok=True)
    for item in PICTURES:
        await picture(*item)
        print(f"screenshots/{item[0]}.png")


if __name__ == "__main__":
    asyncio.run(main())
