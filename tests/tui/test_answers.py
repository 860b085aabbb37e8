"""What the studio answers: the user's own keys in its sentences, reasons, and notices that go."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from studio_drive import NARROW, WIDE, Studio, studio
from studio_fakes import (
    FakeEngine,
    Saves,
    breaking,
    changes,
    files_of,
    plan_of,
    report_of,
    settings_in,
    state_of,
)

from valet_studio.config import Settings
from valet_studio.errors import StudioError
from valet_studio.fixes.fix import Fix
from valet_studio.plan.changes import Plan
from valet_studio.tour import STEPS, Tour
from valet_studio.tui.actions import ACTIONS, USUAL_KEYS
from valet_studio.tui.app import StudioApp
from valet_studio.tui.confirm import QuitQuestion
from valet_studio.tui.facts import Facts
from valet_studio.tui.log_pane import LogPane
from valet_studio.tui.tour_bar import TourBar

OWN_KEYS = (
    ("dry_run", "G"),
    ("apply", "ctrl+s"),
    ("cancel", "B"),
    ("init", "I"),
    ("undo", "U"),
    ("write_files", "W"),
    ("watch", "P"),
    ("reread", "Y"),
    ("live", "L"),
    ("quit", "Q"),
    ("zoom", "Z"),
    ("retry", "E"),
    ("next_step", "N"),
    ("last_step", "M"),
)


@asynccontextmanager
async def rebound(folder: Path, plan: Plan | None, **more: object) -> AsyncIterator[Studio]:
    """A studio whose user chose other keys."""
    settings = replace(settings_in(folder), keys=OWN_KEYS, **more)  # type: ignore[arg-type]
    engine, saves = FakeEngine(settings, state_of(settings, plan)), Saves()
    app = StudioApp(settings, engine, saves)
    async with app.run_test(size=WIDE) as pilot:
        opened = Studio(app, pilot, engine, saves)
        await opened.until(lambda: app.facts.state is not None)
        if plan is not None and plan.changes:
            await opened.until(lambda: app.facts.plan is not None and app.facts.plan.measured)
        yield opened


def shows(opened: Studio, text: str) -> bool:
    """Whether the screen says it, over line breaks and frames or not."""
    told = opened.screen.replace("│", " ").replace("┃", " ")
    return text in " ".join(told.split())


async def test_sentences_of_a_run_name_the_users_own_keys(tmp_path: Path) -> None:
    async with rebound(tmp_path, plan_of(*changes())) as opened:
        assert shows(opened, "G rehearses this plan on a copy of the database.")
        opened.engine.hold = threading.Event()
        await opened.press("G")
        await opened.until(lambda: opened.app.progress and opened.app.progress.running)
        assert "B cancels it." in opened.notice
        opened.engine.hold.set()
        await opened.until(opened.idle)
        assert "Press ctrl+s to apply this plan." in opened.notice
        await opened.press("ctrl+s", "y")
        await opened.until(lambda: opened.engine.written)
        await opened.until(lambda: shows(opened, "U puts it back"))


async def test_sentences_of_a_failed_run_name_the_users_own_keys(tmp_path: Path) -> None:
    async with rebound(tmp_path, plan_of(*changes())) as opened:
        opened.engine.failing = 3
        await opened.press("G")
        await opened.until(opened.idle)
        await opened.press("ctrl+s")
        assert "then press G." in opened.notice
        await opened.press("E")
        await opened.until(lambda: "all work now" in opened.notice)
        assert "G rehearses the whole plan." in opened.notice
        report = opened.app.main.dry_run_pane.report
        assert "G rehearses the plan." in " ".join(report.text.split())
        other = plan_of(*changes()[:2], fingerprint="other000")
        opened.engine.state = state_of(opened.engine.settings, other)
        await opened.save()
        assert "G rehearses the one that holds now." in " ".join(report.text.split())


async def test_sentences_of_watching_name_the_users_own_keys(tmp_path: Path) -> None:
    async with rebound(tmp_path, plan_of()) as opened:
        (file,) = files_of(plan_of())
        opened.engine.files = (replace(file, before="old"),)
        opened.engine.state = replace(opened.engine.state)
        await opened.save()
        await opened.until(lambda: shows(opened, "W writes them."))
        await opened.press("P")
        assert shows(opened, "P resumes it.")
        opened.saves.save()
        log = opened.app.main.query_one(LogPane)
        await opened.until(lambda: "Y reads it." in log.entries[-1].text)
        await opened.press("L")
        assert "L turns it off." in opened.notice
        await opened.press("ctrl+c")
        assert "Q leaves the studio." in opened.notice
        await opened.press("2", "s")
        assert "Z shows it alone." in opened.notice


async def test_an_empty_project_names_the_users_own_key(tmp_path: Path) -> None:
    async with rebound(tmp_path, None) as opened:
        opened.engine.settings.schema_path.unlink()
        opened.saves.save()
        await opened.until(lambda: shows(opened, "I makes a starting schema there"))


# ---- the palette


async def test_the_palette_lists_every_action_and_does_what_works(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("ctrl+p", *"dry run  (d)")
        await opened.until(lambda: "Rehearse the plan" in opened.screen)
        await opened.press("enter")
        await opened.until(opened.idle)
        assert opened.engine.rehearsed == ["3fa9c1d27e5b"]


async def test_the_palette_says_why_an_action_is_off(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("ctrl+p", *"apply")
        await opened.until(lambda: "Apply  (a)  off" in opened.screen)
        assert "Apply is off until a dry run" in opened.screen
        await opened.press("enter")
        await opened.until(lambda: opened.app.screen is opened.app.main)
        assert "Apply is off until a dry run of this plan succeeds. Press d." in opened.notice
        await opened.press("ctrl+p", *"cancel")
        await opened.until(lambda: "Cancel  (x)  off" in opened.screen)
        await opened.press("enter")
        await opened.until(lambda: "Nothing is running." in opened.notice)


async def test_the_palette_offers_all_before_anything_is_typed(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes()), (120, 200)) as opened:
        await opened.press("ctrl+p")
        await opened.until(lambda: "Step back" in opened.screen)
        names = [action.label[:1].upper() + action.label[1:] for action in ACTIONS]
        found = [opened.screen.index(f"{name}  (") for name in names]
        assert len(found) == len(ACTIONS)
        assert "Apply  (a)  off" in opened.screen
        assert "Dry run  (d)  off" not in opened.screen
        assert "Quick fix  (f)  off" in opened.screen
        assert "There is nothing to fix in what is selected." in opened.screen


# ---- what writes is off where nothing may be written


async def test_nothing_that_writes_is_on_in_a_read_only_studio(tmp_path: Path) -> None:
    settings = replace(settings_in(tmp_path), read_only=True)
    tour = Tour(settings)
    tour.next()
    app = StudioApp(settings, tour=tour)
    state = state_of(settings, plan_of(*changes()))
    state = replace(state, database=replace(state.database, read_only=True))
    fingerprint = "3fa9c1d27e5b"
    facts = replace(
        app.facts,
        state=state,
        good=state,
        rehearsed=fingerprint,
        fixed=1,
        fixes=(Fix("Fix it", "Why.", "schema.ts", "", "x"),),
    )
    writing = ["apply", "edit", "fix", "init", "next_step", "undo", "unfix", "write_files"]
    for action in ACTIONS:
        if action.id in writing:
            reason = action.reason(facts)
            assert reason is not None, action.id
            assert "read-only" in reason, action.id


async def test_an_editor_is_not_opened_where_it_may_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "touch /nowhere/opened")
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.app.learn(replace(opened.app.facts, in_browser=True))
        assert "e edit" not in opened.keys
        await opened.press("e")
        assert "Editing is off in a browser" in opened.notice
        settings = replace(opened.engine.settings, read_only=True)
        opened.app.learn(replace(opened.app.facts, settings=settings, in_browser=False))
        await opened.press("e")
        assert "Editing schema.ts is off: the studio was opened read-only." in opened.notice


# ---- notices that speak of what is gone


async def test_a_notice_goes_with_the_plan_that_it_spoke_of(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("a")
        assert "Apply is off" in opened.app.main.notice
        await opened.save()
        assert "Apply is off" in opened.app.main.notice
        other = plan_of(*changes()[:2], fingerprint="other000")
        opened.engine.state = state_of(opened.engine.settings, other)
        await opened.save()
        assert opened.app.main.notice == ""


async def test_a_refusal_goes_with_the_next_key_that_does_something(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("2", "s")
        assert "too narrow" in opened.app.main.notice
        await opened.press("x")
        assert "too narrow" in opened.app.main.notice
        await opened.press("z")
        assert opened.app.main.notice == ""
        await opened.press("a")
        assert "Apply is off" in opened.app.main.notice
        await opened.press("u")
        await opened.until(lambda: "nothing to undo" in opened.app.main.notice)


async def test_a_pane_has_the_focus_before_the_next_key_comes(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        main = opened.app.main
        for pane, entry in (
            (1, main.types_pane.entry),
            (3, main.log_pane),
            (0, main.plan_pane.entry),
        ):
            main.go_to(pane)
            assert opened.app.focused is entry


async def test_what_led_to_a_plan_is_said_until_the_next_one(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        engine = opened.engine
        engine.after_apply = state_of(engine.settings, plan_of(fingerprint="after000"))
        await opened.rehearse()
        await opened.press("a", "y")
        await opened.until(lambda: "✓ in sync" in opened.screen.split("\n")[0])
        assert "Applied 3 changes" in opened.app.main.notice
        engine.state = state_of(engine.settings, plan_of(*changes()[:1], fingerprint="next0000"))
        await opened.save()
        assert opened.app.main.notice == ""


async def test_counts_that_can_be_read_again_take_their_error_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:

        def locked(*_: object) -> None:
            raise StudioError("dev.db is locked.")

        with monkeypatch.context() as patched:
            patched.setattr(opened.engine, "measure", locked)
            await opened.save()
            await opened.until(lambda: "dev.db is locked." in opened.app.main.notice)
        await opened.save()
        await opened.until(lambda: opened.app.main.notice == "")


async def test_quit_during_an_apply_says_what_leaving_does(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.rehearse()
        opened.engine.hold = threading.Event()
        await opened.press("a", "y")
        await opened.until(lambda: opened.app.facts.running == "apply")
        await opened.press("q")
        assert isinstance(opened.app.screen, QuitQuestion)
        assert "Leaving now stops it" in opened.app.screen.body.plain
        await opened.press("q")
        assert opened.app.main.is_current
        assert "The studio leaves when the apply is done" in opened.notice
        opened.engine.hold.set()
        await opened.until(lambda: opened.app._exit)
        assert opened.engine.applied == ["3fa9c1d27e5b"]


async def test_leaving_when_done_can_be_thought_better_of(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.rehearse()
        opened.engine.hold = threading.Event()
        await opened.press("a", "y")
        await opened.until(lambda: opened.app.facts.running == "apply")
        await opened.press("q", "q")
        await opened.press("q", "escape")
        opened.engine.hold.set()
        await opened.until(lambda: opened.engine.written)
        assert not opened.app._exit


# ---- the cursor and a plan that is rejected


async def test_a_rejected_plan_is_opened_at_what_rejects_it(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        engine = opened.engine
        pane = opened.app.main.plan_pane
        rejected = plan_of(*changes(), breaking(), fingerprint="rejected")
        engine.state = state_of(engine.settings, rejected)
        await opened.save()
        assert pane.selected is not None
        assert pane.selected.sign == "✗"
        assert "which SQLite cannot do" in opened.screen
        engine.state = state_of(engine.settings, plan_of(*changes(), fingerprint="mended00"))
        await opened.save()
        await opened.press("down")
        chosen = pane.selected
        engine.state = state_of(engine.settings, rejected)
        await opened.save()
        assert pane.selected is not None
        assert chosen is not None
        assert pane.selected.key == chosen.key


# ---- failures beyond those that are named


async def test_the_list_of_failures_pages_and_says_what_it_does_not_name(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.rows, opened.engine.failing = 9_000, 1_000
        app = opened.app
        await opened.rehearse()
        await opened.press("3", "pagedown")
        failures = app.main.dry_run_pane.failures
        assert failures.cursor == failures.size.height - 1
        await opened.press("end")
        assert failures.selected is not None
        assert failures.selected.failure.id == "t0999"
        assert "more:" not in opened.screen
        assert app.progress is not None
        report = report_of(app.progress.plan, 9_000, 1_000)
        more = replace(report.backfills[0], failed=5_000)
        app.progress = replace(app.progress, report=replace(report, backfills=(more,)))
        app.draw()
        await opened.press("home", "end")
        assert "✗ t0999" in opened.screen
        assert "… and 4,000 more: mend these, then d names the next" in opened.screen
        await opened.press("down")
        assert failures.selected.failure.id == "t0999"


# ---- the tour


@asynccontextmanager
async def on_tour(settings: Settings) -> AsyncIterator[Studio]:
    """The studio at the tour's first step."""
    tour = Tour(settings)
    tour.next()
    engine, saves = FakeEngine(settings, state_of(settings, plan_of())), Saves()
    app = StudioApp(settings, engine, saves, tour=tour)
    async with app.run_test(size=WIDE) as pilot:
        opened = Studio(app, pilot, engine, saves)
        await opened.until(lambda: app.facts.state is not None)
        yield opened


async def test_the_tour_goes_back_and_its_bar_says_how(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with on_tour(settings) as opened:
        assert "n next" in opened.screen
        assert "p back" not in opened.screen
        await opened.press("p")
        assert "This is the tour's first step." in opened.notice
        await opened.press("n", "n")
        assert "3/7" in opened.screen
        assert "n next · p back" in opened.screen
        await opened.pilot.resize_terminal(*NARROW)
        await opened.press("3", "p")
        assert opened.app.main.pane_name == "plan"
        assert "2/7" in opened.screen
        assert "The database stays; u undoes the last apply." in opened.notice
        assert settings.schema_path.read_text(encoding="utf-8") == STEPS[1].schema_text


async def test_the_tours_caption_is_broken_anew_at_another_width(tmp_path: Path) -> None:
    async with on_tour(settings_in(tmp_path)) as opened:
        await opened.press("n", "n", "n")
        await opened.pilot.resize_terminal(*NARROW)
        bar = opened.app.main.query_one(TourBar)
        await opened.until(lambda: bar.outer_size.width == NARROW[0])
        told = [line.rstrip() for line in opened.screen.split("\n") if line.startswith(" ")]
        at = next(i for i, line in enumerate(told) if "4/7" in line)
        assert told[at].endswith("n next · p back")
        assert all(line.startswith("  ") for line in told[at : at + bar.size.height - 1])
        assert max(map(len, told[at:])) <= NARROW[0]


async def test_the_tour_replaces_nobodys_own_work_unasked(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with on_tour(settings) as opened:
        await opened.press("n")
        for key, shown in (("n", "3/7"), ("p", "2/7")):
            for work in ("// mine\n", "// mine, longer\n"):
                settings.schema_path.write_text(work, encoding="utf-8")
                await opened.press(key)
                said = f"schema.ts holds changes of yours. {key} again replaces them."
                assert said in opened.notice
                assert settings.schema_path.read_text(encoding="utf-8") == work
            await opened.press(key)
            assert shown in opened.screen


def test_a_key_is_named_for_every_action() -> None:
    facts = Facts(Settings(), keys=USUAL_KEYS)
    assert all(facts.key(action.id) for action in ACTIONS)
