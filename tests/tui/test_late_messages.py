"""Workers may still tell something when the studio is being closed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from studio_drive import studio

from valet_studio.tui import messages


async def test_what_is_told_after_the_end_is_dropped(tmp_path: Path) -> None:
    heard: list[str] = []
    async with studio(tmp_path, None) as opened:
        app = opened.app
        app.post_message(messages.Answered(lambda: heard.append("while open")))
        await opened.until(lambda: heard)
    await app._on_message(messages.Answered(lambda: heard.append("after the end")))
    assert heard == ["while open"]


async def test_what_a_timer_finds_after_the_end_is_not_drawn(tmp_path: Path) -> None:
    async with studio(tmp_path, None) as opened:
        app = opened.app
    assert app.screen_stack == []
    app.learn(replace(app.facts, reading=True))
    app.say("Still reading.")
