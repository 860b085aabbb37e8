"""What a person sees and does, over a stand-in engine; at both sizes where it may differ."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from studio_drive import NARROW, WIDE, studio
from studio_fakes import (
    breaking,
    broken_state,
    changes,
    plan_of,
    state_of,
)

from valet_studio.errors import Location, Problem
from valet_studio.plan.changes import Drift
from valet_studio.schema.model import Sources
from valet_studio.tui import runs
from valet_studio.tui.app import StudioApp
from valet_studio.tui.diff import types_view
from valet_studio.tui.plan_tree import PlanTree

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["120x36", "80x24"])


@SIZES
async def test_opening_shows_the_plan_with_its_counts(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        assert "+ Add column priorityNum to todos" in opened.screen
        assert "142 rows" in opened.screen
        assert "3 changes" in opened.screen.split("\n")[0]
        assert "3fa9c1d2" in opened.screen.split("\n")[0]
        assert "no dry run" in opened.screen.split("\n")[0]


async def test_wide_shows_four_panes_and_narrow_shows_one_with_tabs(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes()), WIDE) as opened:
        for title in ("1 Plan", "2 Types", "3 Dry run", "4 Log"):
            assert opened.screen.count(title) == 1
        await opened.pilot.resize_terminal(*NARROW)
        await opened.pilot.pause()
        assert "[1 Plan]" in opened.screen
        assert "types.ts" not in opened.screen
        await opened.press("2")
        assert "[2 Types]" in opened.screen
        assert "types.ts" in opened.screen
        await opened.pilot.resize_terminal(*WIDE)
        await opened.pilot.pause()
        assert "[2 Types]" not in opened.screen
        assert "+ Add column priorityNum" in opened.screen


async def test_tab_and_numbers_go_round_the_panes(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes()), NARROW) as opened:
        seen = []
        for key in ("tab", "tab", "tab", "tab", "shift+tab", "2", "1"):
            await opened.press(key)
            seen.append(opened.app.main.pane_name)
        assert seen == ["types", "dry-run", "log", "plan", "log", "types", "plan"]


async def test_a_save_shows_the_new_plan(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.state = state_of(opened.engine.settings, plan_of(*changes()[:1]))
        await opened.save()
        assert "1 change" in opened.screen.split("\n")[0]
        assert "Add column" not in opened.screen


async def test_a_plan_is_on_screen_before_its_types_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = threading.Event()

    def late(*given: Any) -> Any:
        assert made.wait(10)
        return types_view(*given)

    async with studio(tmp_path, plan_of(*changes())) as opened:
        monkeypatch.setattr(runs, "types_view", late)
        opened.engine.state = state_of(opened.engine.settings, plan_of(*changes()[1:]))
        try:
            await opened.save()
            assert "2 changes" in opened.screen.split("\n")[0]
            assert "142 rows" not in opened.screen
        finally:
            made.set()
        await opened.until(lambda: "142 rows" in opened.screen)


async def test_a_save_is_logged_even_while_schema_ts_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def slow(*given: Any) -> Any:
        assert ended.wait(10)
        return look(*given)

    async with studio(tmp_path, plan_of(*changes())) as opened:
        look = opened.engine.look
        monkeypatch.setattr(opened.engine, "look", slow)
        opened.saves.save()
        try:
            await opened.until(lambda: "Saved in" in opened.screen)
        finally:
            ended.set()


async def test_the_cursor_and_folds_survive_a_new_plan(tmp_path: Path) -> None:
    users = changes(table="users")
    async with studio(tmp_path, plan_of(*changes(), *users)) as opened:
        await opened.press("home", "enter", "down", "down", "down")
        selected = opened.app.main.plan_pane.selected
        assert selected is not None
        assert selected.key == ("users", "add_column", "priorityNum")
        fewer = plan_of(changes()[0], *users[1:], fingerprint="another0")
        opened.engine.state = state_of(opened.engine.settings, fewer)
        await opened.save()
        kept = opened.app.main.plan_pane.selected
        assert kept is not None
        assert kept.key == selected.key
        tree = opened.app.main.query_one(PlanTree)
        assert tree.folded == {("todos", "", "")}
        assert "▸ todos" in opened.screen
        assert "▾ users" in opened.screen


@SIZES
async def test_the_detail_tells_why_where_and_which_sql(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        await opened.press("down")
        assert "ALTER TABLE ADD COLUMN" in opened.screen
        assert 'ALTER TABLE "todos" ADD COLUMN "priorityNum" INTEGER;' in opened.screen
        assert "valet/schema.ts:9:22" in opened.screen
        assert "▶  9 │" in opened.screen


@SIZES
async def test_a_broken_schema_keeps_the_last_plan_and_points_at_the_column(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        opened.engine.state = broken_state(opened.engine.settings)
        await opened.save()
        lines = opened.screen.split("\n")
        assert "✗ broken" in lines[0]
        assert "+ Add column priorityNum" in opened.screen
        assert opened.app.main.plan_pane.has_class("-broken")
        assert "valet/schema.ts:8:19" in opened.screen
        source = next(at for at, line in enumerate(lines) if "v.string(.deprecated()," in line)
        assert lines[source + 1].index("^") == lines[source].index("v.string(")
        assert "Close the object" in lines[source + 2]
        await opened.press("a")
        assert "mended" in opened.notice
        opened.engine.state = state_of(opened.engine.settings, plan_of(*changes()))
        await opened.save()
        assert not opened.app.main.plan_pane.has_class("-broken")
        assert "~ 3 changes" in opened.screen.split("\n")[0]


async def test_every_problem_is_listed(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        first = broken_state(opened.engine.settings).problems[0]
        second = Problem("Index by_x names no field.", "Declare it.", Location("valet/a.ts", 3, 1))
        opened.engine.state = state_of(opened.engine.settings, None, first, second)
        await opened.save()
        assert "valet/schema.ts:8:19" in opened.screen
        assert "valet/a.ts:3:1" in opened.screen
        assert "2 problems" in opened.screen


@SIZES
async def test_a_dry_run_reports_counts_samples_and_distribution(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        await opened.rehearse()
        assert "Dry run worked: 3 changes, 142 rows" in opened.notice
        assert "142 of 142 rows filled" in opened.screen
        assert 't0003  "[/x]"' in opened.app.main.dry_run_pane.text
        assert "New values" in opened.app.main.dry_run_pane.text
        assert "✓ dry run" in opened.screen.split("\n")[0]
        log = [entry.text for entry in opened.app.main.log_pane.entries]
        assert 'ALTER TABLE "todos" ADD COLUMN "priorityNum" INTEGER' in log


async def test_a_dry_run_shows_progress_while_it_runs(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.hold = threading.Event()
        opened.engine.rows = 1_000_000
        await opened.press("d")
        await opened.until(lambda: "500,000 of 1,000,000 rows" in opened.screen)
        assert "1,250,000 rows/s" in opened.screen
        assert "left" in opened.screen
        assert "✓ structure" in opened.screen
        assert "● backfill" in opened.screen
        opened.engine.hold.set()
        await opened.until(opened.idle)


async def test_failures_show_documents_reasons_and_places(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.failing = 3
        await opened.rehearse()
        assert "Dry run failed: 3 documents" in opened.screen
        assert "✗ t0001  TypeError" in opened.screen
        assert "valet/schema.ts:21:28" in opened.screen
        assert "reading '[/x]'" in opened.screen
        assert "✗ dry run" in opened.screen.split("\n")[0]
        await opened.press("a")
        assert opened.engine.applied == []
        assert "the dry run of this plan failed" in opened.notice


@SIZES
async def test_apply_is_off_until_this_very_plan_was_rehearsed(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        assert "apply (dry run first)" in opened.keys
        await opened.press("a", "y")
        assert "Apply is off until a dry run of this plan succeeds. Press d." in opened.notice
        await opened.rehearse()
        assert "dry run first" not in opened.keys
        other = plan_of(*changes()[:2], fingerprint="other000")
        opened.engine.state = state_of(opened.engine.settings, other)
        await opened.save()
        assert "The plan changed since its dry run: 2 changes pending." in opened.notice
        await opened.press("a", "y")
        assert "the plan changed since its dry run. Press d" in opened.notice
        assert "Of an earlier plan (3fa9c1d2)" in opened.app.main.dry_run_pane.text
        assert opened.engine.applied == []


@SIZES
@pytest.mark.parametrize("broken", [False, True])
async def test_a_dry_run_whose_plan_changed_meanwhile_is_marked(
    tmp_path: Path, size: tuple[int, int], broken: bool
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        hold = opened.engine.hold = threading.Event()
        await opened.press("d")
        await opened.until(lambda: opened.engine.rehearsed)
        settings = opened.engine.settings
        other = state_of(settings, plan_of(*changes()[:2], fingerprint="other000"))
        opened.engine.state = broken_state(settings) if broken else other
        await opened.save()
        pane = opened.app.main.dry_run_pane
        told = " ".join(pane.text.split())
        assert "Of an earlier plan (3fa9c1d2): schema.ts was saved after it began." in told
        if not broken:
            assert "dry run of an earlier plan" in opened.screen or "(earlier)" in opened.screen
        hold.set()
        await opened.until(opened.idle)
        assert "! The dry run of an earlier plan worked. d rehearses the new one." in opened.notice
        assert "to apply this plan" not in opened.screen
        await opened.press("a", "y")
        assert opened.engine.applied == []


@SIZES
@pytest.mark.parametrize("keys", [["a"], ["enter"], ["escape"], ["n"], ["space"], ["q"]])
async def test_only_y_applies(tmp_path: Path, size: tuple[int, int], keys: list[str]) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        await opened.rehearse()
        await opened.press("a")
        assert "Apply to the database?" in opened.screen
        assert ".valet/dev.db" in opened.screen
        await opened.press(*keys)
        assert opened.engine.applied == []
        assert opened.app.facts.running is None
        assert opened.app.is_running


@SIZES
async def test_y_applies_what_was_rehearsed_and_writes_the_types(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        engine = opened.engine
        engine.after_apply = state_of(engine.settings, plan_of(fingerprint="after000"))
        await opened.rehearse()
        await opened.press("a", "y")
        await opened.until(lambda: engine.written)
        await opened.until(lambda: "✓ in sync" in opened.screen.split("\n")[0])
        assert engine.applied == ["3fa9c1d27e5b"]
        assert "Applied 3 changes, 142 rows, 0.03 s. Wrote" in opened.notice
        await opened.press("1")
        assert "Schema and database agree." in opened.screen
        assert "Watching" in opened.screen
        await opened.press("a")
        assert "Nothing to apply" in opened.notice


async def test_a_receipt_of_what_is_gone_from_the_database_says_so(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        engine = opened.engine
        engine.after_apply = state_of(engine.settings, plan_of(fingerprint="after000"))
        await opened.rehearse()
        await opened.press("a", "y")
        await opened.until(lambda: "✓ in sync" in opened.screen.split("\n")[0])
        assert "changed elsewhere" not in opened.app.main.dry_run_pane.text
        assert "u  puts it back" in opened.app.main.dry_run_pane.text
        undone = plan_of(*changes(), fingerprint="undone00")
        engine.state = state_of(engine.settings, undone)
        await opened.save()
        assert "The database was changed elsewhere since" in opened.app.main.dry_run_pane.text
        assert "puts it back" not in opened.app.main.dry_run_pane.text


async def test_a_new_plan_withdraws_the_question(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.rehearse()
        await opened.press("a")
        other = plan_of(*changes()[:2], fingerprint="other000")
        opened.engine.state = state_of(opened.engine.settings, other)
        await opened.save()
        assert "Apply to the database?" not in opened.screen
        await opened.press("y")
        assert opened.engine.applied == []
        assert "plan changed" in opened.notice


@SIZES
async def test_a_plan_cannot_be_applied_while_a_newer_save_is_read(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        await opened.rehearse()
        opened.engine.hold_look = threading.Event()
        opened.saves.save()
        await opened.until(lambda: "reading" in opened.screen.split("\n")[0])
        await opened.press("a")
        assert "Apply is off while a newer save is read" in opened.notice
        opened.engine.hold_look.set()
        await opened.until(lambda: "reading" not in opened.screen.split("\n")[0])
        await opened.press("a")
        assert "Apply to the database?" in opened.screen


@SIZES
@pytest.mark.parametrize("key", ["x", "escape"])
async def test_cancel_says_what_was_rolled_back(
    tmp_path: Path, size: tuple[int, int], key: str
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        opened.engine.hold = threading.Event()
        await opened.press("d")
        await opened.until(lambda: opened.app.progress and opened.app.progress.running)
        assert "x cancel" in opened.keys
        await opened.press(key)
        await opened.until(opened.idle)
        assert "The copy was deleted; .valet/dev.db was never touched." in opened.notice
        assert opened.engine.closed == 1
        await opened.press("a")
        assert "off until a dry run" in opened.notice


async def test_quit_during_a_dry_run_cancels_it_and_leaves(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.hold = threading.Event()
        await opened.press("d")
        await opened.until(lambda: opened.app.progress and opened.app.progress.running)
        await opened.pilot.press("q")
        await opened.until(lambda: opened.engine.closed == 1 and opened.app._exit)


async def test_quit_during_an_apply_asks(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.rehearse()
        opened.engine.hold = threading.Event()
        await opened.press("a", "y")
        await opened.until(lambda: opened.app.facts.running == "apply")
        await opened.press("q")
        assert "Leave during the apply?" in opened.screen
        await opened.press("enter")
        assert opened.app.facts.running == "apply"
        opened.engine.hold.set()
        await opened.until(lambda: opened.engine.applied)
        assert opened.app.is_running


async def test_keys_pressed_wildly_during_a_dry_run_apply_nothing(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.hold = threading.Event()
        await opened.press("d")
        await opened.until(lambda: opened.app.progress and opened.app.progress.running)
        keys = [*"ayd1234rwwzzttcgiJKy", "enter", "tab", "up", "down", "left", "a", "enter", "y"]
        for size in (NARROW, (60, 15), WIDE):
            await opened.pilot.resize_terminal(*size)
            await opened.press(*keys)
        assert opened.engine.rehearsed == ["3fa9c1d27e5b"]
        opened.engine.hold.set()
        await opened.until(opened.idle)
        assert opened.engine.applied == []
        assert "Dry run worked" in opened.screen


async def test_a_blocked_plan_can_be_neither_rehearsed_nor_applied(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(breaking())) as opened:
        assert "✗ rejected" in opened.screen.split("\n")[0]
        assert "✗ todos.completed changes" in opened.screen
        await opened.press("d")
        assert "rejected" in opened.notice
        await opened.press("a", "y")
        assert "rejected" in opened.notice
        assert opened.engine.rehearsed == opened.engine.applied == []


async def test_pausing_ignores_saves_and_resuming_reads(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("w")
        assert "paused" in opened.screen.split("\n")[0]
        opened.engine.state = state_of(opened.engine.settings, plan_of(*changes()[:1]))
        opened.saves.save()
        entries = opened.app.main.log_pane.entries
        await opened.until(lambda: "paused" in entries[-1].text)
        assert "3 changes" in opened.screen.split("\n")[0]
        await opened.press("w")
        await opened.until(lambda: "1 change" in opened.screen.split("\n")[0])
        assert "paused" not in opened.screen.split("\n")[0]


async def test_stale_types_are_shown_and_written_by_g(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        assert "-   priority: string;" in opened.screen
        assert "+   tags: string[];" in opened.screen
        await opened.press("g")
        await opened.until(lambda: "Types are up to date." in opened.screen)
        assert "Wrote types.ts." in opened.notice


async def test_a_missing_schema_offers_to_make_one(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.settings.schema_path.unlink()
        opened.engine.state = state_of(opened.engine.settings, None, Problem("No schema."))
        await opened.save()
        assert "! no schema" in opened.screen.split("\n")[0]
        assert "i make schema" in opened.keys


async def test_help_speaks_of_the_focused_pane(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("question_mark")
        assert "In this pane: Plan" in opened.screen
        assert "Now: Apply is off until a dry run" in " ".join(opened.screen.split())
        await opened.press("escape", "4", "question_mark")
        assert "In this pane: Log" in opened.screen


async def test_copy_takes_the_selected_statement(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("down", "c")
        assert opened.app.clipboard == 'ALTER TABLE "todos" ADD COLUMN "priorityNum" INTEGER;'
        await opened.rehearse()
        await opened.press("4", "up", "c")
        assert "UPDATE" in opened.app.clipboard


async def test_brackets_stay_brackets_everywhere(tmp_path: Path) -> None:
    name = "[/x]"
    place = Location("valet/[/x].ts", 1, 1)
    source = Sources("[/x].ts", {"[/x].ts": "title: '[/x]' as string[]"}, "valet")
    drift = Drift(
        table=name, summary=f"{name} [bold]", rule="[/rule]", sql=("SELECT '[/y]'",), location=place
    )
    warning = Problem("A [/warning].", "[/hint]", place)
    plan = plan_of(*changes(table=name), drift, warnings=(warning,))
    async with studio(tmp_path, plan) as opened:
        state = opened.engine.state
        assert state.schema is not None
        database = replace(state.database, label="[/db]")
        opened.engine.state = replace(
            state, schema=replace(state.schema, sources=source), database=database
        )
        await opened.save()
        assert "▾ [/x]" in opened.screen
        assert "[/db]" in opened.screen.split("\n")[0]
        for key in ("down", "down", "down", "down", "down", "down"):
            await opened.press(key)
        await opened.press("end")
        assert "! A [/warning]." in opened.screen
        assert "→ [/hint]" in opened.screen
        assert "title: '[/x]' as string[]" in opened.screen
        await opened.rehearse()
        await opened.press("a")
        assert "Add column priorityNum to [/x]" in opened.screen
        await opened.press("escape", "question_mark", "escape")
        problem = Problem("Bad [/p] [red].", "Mend [/h].", place, "x: v.[/x](")
        opened.engine.state = state_of(opened.engine.settings, None, problem)
        await opened.save()
        for text in ("valet/[/x].ts:1:1", "Bad [/p] [red].", "Mend [/h].", "x: v.[/x]("):
            assert text in opened.screen
        assert "Bad [/p] [red]." in opened.notice


async def test_an_unexpected_error_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:

        def explode(*_: object) -> None:
            raise RuntimeError("[/boom]")

        monkeypatch.setattr(opened.engine, "dry_run", explode)
        await opened.rehearse()
        assert "RuntimeError: [/boom]" in opened.screen
        assert "Traceback" not in opened.screen
        monkeypatch.setattr(opened.engine, "look", explode)
        await opened.save()
        assert "RuntimeError: [/boom]" in opened.screen
        assert "✗ broken" in opened.screen.split("\n")[0]


@pytest.mark.parametrize(
    "theme",
    ["valet-dark", "valet-light", "atom-one-light", "catppuccin-latte", "textual-light", "nord"],
)
async def test_text_stands_out_from_its_ground_in_any_theme(tmp_path: Path, theme: str) -> None:
    async with studio(tmp_path, plan_of(*changes()), WIDE, theme) as opened:
        await opened.rehearse()
        faint = set()
        for key in ("home", *["down"] * 4):
            await opened.press(key)
            faint |= too_faint(opened.app)
        assert faint == set()


SIGNS = "+-~!✗✓"


def too_faint(app: StudioApp) -> set[str]:
    """What is written on the screen with less contrast than WCAG 2 asks of text."""
    return {
        text.strip()
        for strip in app.screen._compositor.render_strips()
        for text, style, _ in strip
        if any(char.isalnum() or char in SIGNS for char in text)
        and style is not None
        and style.color is not None
        and style.bgcolor is not None
        and contrast(style.color.get_truecolor(), style.bgcolor.get_truecolor()) < 4.5
    }


def contrast(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    """The contrast ratio of WCAG 2, from 1 to 21."""

    def luminance(colour: tuple[int, int, int]) -> float:
        parts = [part / 255 for part in colour]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


async def test_ctrl_r_reads_again_and_says_what_it_found(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        before = opened.app.generation
        await opened.press("ctrl+r")
        await opened.until(lambda: "Read again: 3 changes pending." in opened.notice)
        assert opened.app.generation == before + 1


async def test_keys_and_tabs_can_be_clicked(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes()), NARROW) as opened:
        tabs = opened.screen.split("\n")[1]
        await opened.pilot.click("#tabs", offset=(tabs.index("4 Log"), 0))
        assert opened.app.main.pane_name == "log"
        await opened.pilot.click("#keys", offset=(opened.keys.index("dry run"), 0))
        await opened.until(opened.idle)
        assert opened.engine.rehearsed == ["3fa9c1d27e5b"]


async def test_a_read_only_database_is_rehearsed_and_not_applied(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        state = opened.engine.state
        database = replace(state.database, read_only=True)
        opened.engine.state = replace(state, database=database)
        await opened.save()
        assert "45 KB read-only" in opened.screen.split("\n")[0]
        await opened.rehearse()
        await opened.press("a", "y")
        assert ".valet/dev.db is read-only for you" in opened.notice
        assert opened.engine.applied == []


async def test_t_switches_between_dark_and_light(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("t")
        assert opened.app.theme == "valet-light"
        await opened.press("t")
        assert opened.app.theme == "valet-dark"


async def test_without_colour_t_says_that_there_is_none_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with studio(tmp_path, plan_of(*changes())) as opened:
        before = opened.app.theme
        await opened.press("t")
        assert "NO_COLOR is set" in opened.notice
        assert opened.app.theme == before


async def test_a_live_rehearsal_that_the_user_stops_says_so(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.hold = threading.Event()
        await opened.press("r")
        await opened.until(lambda: opened.engine.rehearsed)
        await opened.press("x")
        await opened.until(opened.idle)
        assert "Dry run cancelled. The copy was deleted" in opened.notice
