"""What people stumble over in their first hour: nothing on the screen is stale or misleading, and
what is cut off can be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from studio_drive import WIDE, opened, save, screen_text, studio, until
from studio_fakes import broken_state, changes, plan_of, report_of, settings_in, state_of
from support import SEED_TODOS, Project, schema_of, seed_blocks
from textual.content import Content

from valet_studio.fixes.fix import Fix
from valet_studio.migrate.events import BackfillReport, Failure, Report, Sample
from valet_studio.plan.changes import Risk
from valet_studio.schema.model import Json
from valet_studio.tui.confirm import TextScreen, apply_question
from valet_studio.tui.detail import empty_detail
from valet_studio.tui.fix_screen import edit_drawn
from valet_studio.tui.log_pane import LogPane
from valet_studio.tui.plan_tree import PlanTree
from valet_studio.tui.progress import Progress
from valet_studio.tui.report_text import ordered_fields, run_lines


async def test_a_filter_without_a_match_does_not_say_in_sync(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes(), *changes(table="users"))) as studio_:
        await studio_.press("slash", *"[/x]")
        assert "Schema and database agree" not in studio_.screen
        assert "No change matches [/x]." in studio_.screen
        assert "6 changes hidden; esc clears the filter." in studio_.screen
        await studio_.press("escape", "slash", *"deprecate")
        assert "1 of 3 shown" in studio_.screen


async def test_the_quick_fixes_of_a_change_stand_with_it(todos: Project) -> None:
    todos.write(SEED_TODOS.replace("title: v.string()", "headline: v.string(), due: v.any()"))
    async with opened(todos) as (app, pilot):
        tree = app.main.query_one(PlanTree)
        await pilot.press("home")
        while tree.selected is None or tree.selected.key[2] != "headline":
            await pilot.press("down")
        await until(pilot, lambda: app.facts.fixes)
        assert "f  Rename title to headline: headline gets the values" in screen_text(app)


async def test_adopted_columns_that_fit_are_counted_nowhere(project: Project) -> None:
    project.sql("CREATE TABLE t (_id TEXT PRIMARY KEY, a TEXT, b TEXT, c TEXT)")
    project.sql("INSERT INTO t VALUES ('1', 'a', 'b', NULL)")
    project.write(schema_of("t: defineTable({ a: v.string(), b: v.string(), c: v.string() }),"))
    async with opened(project) as (app, pilot):
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "Read again: 2 changes pending." in app.main.notice)
        log = app.main.query_one(LogPane)
        await until(pilot, lambda: any("data: 2 changes pending" in e.text for e in log.entries))
        read = [e.text for e in log.entries if e.text.startswith("Read schema and database")]
        assert all(": 1 change pending" in text for text in read)


async def test_the_sql_tab_says_all_that_an_apply_does(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await pilot.press("2", "right", "right")
        pane = app.main.types_pane
        await until(pilot, lambda: "ALTER TABLE" in pane.text)
        assert "-- Change-tracking triggers, where there are any, are dropped" in pane.text
        assert "-- Runs the function in schema.ts; no SQL says the same." in pane.text
        assert "recorded in _valet_meta and _valet_history" in pane.text


def test_the_question_lists_what_needs_a_look_first_and_marked(tmp_path: Path) -> None:
    safe, risky = changes()[0], replace(changes(rows=300)[1], risk=Risk.WARNING)
    plan = plan_of(safe, risky)
    state = state_of(settings_in(tmp_path), plan)
    asked = apply_question(plan, state.database, None, 120, state.settings)
    told = asked.body.plain
    assert told.index("!+ Add column") < told.index(" - todos.priority leaves")
    assert "300 rows" not in told
    assert "type error" not in told


def test_the_question_says_what_type_checker_and_dry_run_found(tmp_path: Path) -> None:
    plan = plan_of(*changes())
    state = state_of(settings_in(tmp_path), plan)
    filled = BackfillReport("todos", "priorityNum", 142, 142, 0, 0.1, unchanged=100)
    report = Report("ok", plan, backfills=(filled,))
    ended = Progress("dry run", plan, "dev.db", report=report, ended=True)
    asked = apply_question(plan, state.database, ended, 120, state.settings, type_errors=2)
    assert "142 rows filled, 100 of them unchanged, all" in asked.body.plain
    assert "! schema.ts has 2 type errors." in asked.body.plain
    assert "other values" not in asked.body.plain
    narrow = apply_question(plan, state.database, ended, 60, state.settings)
    assert f"unchanged,\n{' ' * 10}all" in narrow.body.plain


async def test_a_backfill_that_varies_is_told_wherever_one_agrees_to_it(project: Project) -> None:
    fields = "a: v.string(), b: v.optional(v.number())"
    project.push(schema_of(f"t: defineTable({{ {fields} }}),"))
    project.sql("INSERT INTO t (_id, a) VALUES ('1', 'x'), ('2', 'y')")
    counting = f"t: defineTable({{ {fields} }}).backfill('b', () => n++),"
    project.write(schema_of(counting).replace("export", "let n = 0\nexport", 1))
    async with opened(project) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds and app.facts.running is None)
        varied = "t.b got other values in a second run, in another order and time zone."
        assert f"Dry run worked, but {varied} Press a to apply" in app.main.notice
        await pilot.press("a")
        head = "! t.b got other values in a second run, in"
        await until(pilot, lambda: head in screen_text(app))


async def test_a_report_of_another_plan_never_looks_like_this_ones(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds and app.facts.running is None)
        save(todos, SEED_TODOS)
        await until(pilot, lambda: app.facts.plan and app.facts.plan.status == "in_sync")
        assert "schema and database agree now" in " ".join(app.main.dry_run_pane.text.split())
        todos.schema_path.unlink()
        await until(pilot, lambda: app.facts.missing)
        assert "there is no schema now" in " ".join(app.main.dry_run_pane.text.split())
        await until(pilot, lambda: "makes a starting schema there" in screen_text(app))
        assert "is gone: put it back to go on." in empty_detail(app.facts).plain
        assert "is gone. The last plan stays, dimmed." in app.main.notice


async def test_a_locked_database_is_not_called_a_broken_schema(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds and app.facts.running is None)
        other = apsw.Connection(str(todos.database))
        other.execute("BEGIN EXCLUSIVE")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: app.facts.unreadable)
        assert "The database cannot be read now" in " ".join(app.main.dry_run_pane.text.split())
        other.execute("ROLLBACK")
        other.close()


async def test_after_an_undo_no_receipt_is_left(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds and app.facts.running is None)
        await pilot.press("a", "y")
        await until(pilot, lambda: "Migration" in app.main.dry_run_pane.text)
        await until(pilot, lambda: app.facts.plan and app.facts.plan.status == "in_sync")
        await pilot.press("u")
        await until(pilot, lambda: "Undo the last migration?" in screen_text(app))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, TextScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.facts.plan and app.facts.plan.changes)
        assert "Migration" not in app.main.dry_run_pane.text
        assert "rehearses this plan" in app.main.dry_run_pane.text


async def test_a_rehearsal_holds_after_an_apply_that_changed_nothing(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds and app.facts.running is None)
        other = apsw.Connection(str(todos.database))
        other.execute("BEGIN IMMEDIATE")
        await pilot.press("a", "y")
        await until(pilot, lambda: "waits for the write lock" in app.main.dry_run_pane.text)
        await pilot.press("x")
        await until(pilot, lambda: app.facts.running is None)
        other.execute("ROLLBACK")
        other.close()
        assert app.facts.rehearsal_holds
        await pilot.press("a", "y")
        await until(pilot, lambda: app.facts.plan and app.facts.plan.status == "in_sync")


async def test_a_fix_over_which_was_edited_is_no_longer_offered_back(todos: Project) -> None:
    text = seed_blocks()[4]
    async with opened(todos) as (app, pilot):
        app.fixed = [Fix("Fix", "Why.", "valet/schema.ts", "", text)]
        await pilot.press("ctrl+r")
        await until(pilot, lambda: app.facts.fixed == 1)
        save(todos, text.replace("?? 1", "?? 2"))
        await until(pilot, lambda: app.facts.fixed == 0)
        assert app.fixed == []


def failing(*failed: tuple[str, str], errors: int) -> tuple[BackfillReport, ...]:
    """A report for each table and column, every document of which fails."""
    found = tuple(Failure(f"d{at}", "odd [/x]") for at in range(errors))
    return tuple(
        BackfillReport(table, column, 60, 0, errors, 0.01, (), found if errors else (), ())
        for table, column in failed
    )


def progress_of(*backfills: BackfillReport, retried: Report | None = None) -> Progress:
    plan = plan_of(*changes())
    report = replace(report_of(plan, failing=1), backfills=backfills)
    return Progress("dry run", plan, "dev.db", report=report, ended=True, retried=retried)


def test_what_failed_is_told_before_what_worked() -> None:
    worked = replace(failing(("a", "good"), errors=0)[0], updated=60)
    both = failing(("b", "bad"), ("c", "worse"), errors=2)
    told = [line.plain for line in run_lines(progress_of(worked, *both), 100, None, str)]
    assert told[0].startswith("✗ Dry run failed: 4 values in 2 backfills")
    assert told[2:4] == [
        "b.bad  ✗ 2 of 60 rows failed · 58 would work · none filled",
        "c.worse  ✗ 2 of 60 rows failed · 58 would work · none filled",
    ]
    places = [next(i for i, line in enumerate(told) if f"Backfill {n}" in line) for n in "bca"]
    assert places == sorted(places)


async def test_the_report_above_the_failures_can_be_read_and_left(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        studio_.engine.failing = 30
        await studio_.rehearse()
        pane = studio_.app.main.dry_run_pane
        await studio_.press("3")
        assert pane.failures.has_focus
        await studio_.press("enter")
        assert pane.report.has_focus
        await studio_.press("end")
        assert pane.failures.cursor == 0
        await studio_.press("enter", "down")
        assert pane.failures.has_focus
        assert pane.failures.cursor == 1


async def test_retried_documents_that_still_fail_come_first_and_values_are_told(
    tmp_path: Path,
) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        studio_.engine.failing = 4
        await studio_.rehearse()
        app, pane = studio_.app, studio_.app.main.dry_run_pane
        assert app.progress is not None
        plan = app.progress.plan
        left = (Failure("t0002", "still odd"),)
        sample = Sample("t0001", None, 7, {})
        tried = report_of(plan, 4, 1)
        backfill = replace(tried.backfills[0], errors=left, samples=(sample,))
        app.progress = replace(app.progress, retried=replace(tried, backfills=(backfill,)))
        app.draw()
        await studio_.press("3")
        lines = [line for line in studio_.screen.split("\n") if " t000" in line]
        assert "✗ t0002  still odd" in lines[0]
        assert "✓ t0001  works now: 7" in studio_.screen
        assert pane.selected is not None
        assert pane.selected.failure.id == "t0002"


async def test_failures_of_several_backfills_say_which(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        app = studio_.app
        app.progress = progress_of(*failing(("a", "x"), ("b", "y"), errors=1))
        app.draw()
        await studio_.pilot.pause()
        assert "✗ a.x d0" in studio_.screen
        assert "✗ b.y d0" in studio_.screen


def test_the_fields_that_a_backfill_reads_come_first() -> None:
    document: dict[str, Json] = {"_id": "a", "_version": 1, "other": 1, "email": None, "name": "b"}
    names = list(ordered_fields(document, "(row) => row.email.length + row['name'].length"))
    assert names == ["email", "name", "other", "_id", "_version"]


async def test_a_failure_shown_in_a_zoomed_pane_has_all_its_width(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        studio_.engine.failing = 2
        await studio_.press("3", "z")
        await studio_.rehearse()
        pane = studio_.app.main.dry_run_pane
        assert "✗ TypeError: Cannot read properties of null (reading '[/x]')" in pane.detail.text


async def test_a_line_of_the_log_can_be_read_whole(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        long = "[/x] " + "word " * 80 + "end."
        studio_.app.log_line("!", long)
        await studio_.press("4", "end")
        assert "end." not in studio_.screen
        await studio_.press("enter")
        assert "end." in studio_.screen
        await studio_.press("c", "escape")
        assert studio_.app.clipboard == long
        assert "end." not in studio_.screen


def test_a_long_line_of_a_quick_fix_goes_on_below() -> None:
    fix = Fix("Fix", "Why.", "valet/schema.ts", "    a\n", f"    a.b({', '.join('word' * 40)})\n")
    drawn = [Content(line) for line in edit_drawn(fix, 60).plain.split("\n")]
    assert all(line.cell_length <= 60 for line in drawn)
    added = [line.plain for line in drawn if not line.plain.startswith("- ")]
    assert added[0].startswith("+     a.b(w")
    assert added[1].startswith("          ")
    assert (
        "".join(line[2:].lstrip() for line in added).replace(" ", "")
        == "a.b(" + ",".join("word" * 40) + ")"
    )


async def test_a_production_database_is_marked_all_the_time(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        assert "PRODUCTION" not in studio_.screen
        app = studio_.app
        app.learn(replace(app.facts, settings=replace(app.facts.settings, production=True)))
        await studio_.pilot.pause()
        assert "PRODUCTION" in studio_.screen.split("\n")[0]


async def test_typing_the_name_says_what_enter_does(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        app = studio_.app
        app.settings = replace(app.settings, production=True)
        await studio_.rehearse()
        await studio_.press("a")
        assert "Type dev.db to go on:  (it is in production; esc cancels)" in studio_.screen
        await studio_.press(*"dev", "enter")
        assert "That is not the name." in studio_.screen
        assert studio_.engine.applied == []
        await studio_.press("full_stop", *"db")
        assert "That is not the name." not in studio_.screen
        assert "enter goes on to Apply." in studio_.screen
        await studio_.press("enter")
        assert "enter once more: Apply." in studio_.screen
        assert studio_.engine.applied == []
        await studio_.press("enter")
        await studio_.until(lambda: studio_.engine.applied)


async def test_naming_a_replica_leaves_the_studio_in_sight(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        await studio_.press("R")
        assert "Rehearse a replica" in studio_.screen
        assert "1 Plan" in studio_.screen


async def test_a_cursor_is_seen_without_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with studio(tmp_path, plan_of(*changes()), WIDE) as studio_:
        tree = studio_.app.main.query_one(PlanTree)
        assert tree.get_visual_style("plan-tree--cursor").underline


async def test_a_broken_save_is_still_called_so(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        await studio_.rehearse()
        studio_.engine.state = broken_state(studio_.engine.settings)
        await studio_.save()
        assert "schema.ts is broken now" in " ".join(studio_.app.main.dry_run_pane.text.split())
