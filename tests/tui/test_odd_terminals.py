"""Small screens, few colours, odd editors, files that vanish: the studio stays usable and says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from studio_drive import NARROW, opened, save, screen_text, studio, until
from studio_fakes import FakeEngine, Saves, changes, plan_of, settings_in, state_of
from support import Project, schema_of, seed_blocks
from terminal import Terminal
from textual.widgets import Button

from valet_studio.tui.app import StudioApp
from valet_studio.tui.confirm import QuestionScreen
from valet_studio.tui.help import HelpScreen
from valet_studio.tui.plan_tree import PlanTree
from valet_studio.tui.remembered import recall

MANY = schema_of(
    "\n".join(
        f"table{at:02}: defineTable({{ s: v.string() }}).index('by_s', ['s'])," for at in range(40)
    )
)
SMALL = pytest.mark.parametrize("size", [NARROW, (60, 15), (40, 10)], ids=str)


@pytest.mark.parametrize(
    ("editor", "told"),
    [
        ("nosuchprogram", "nosuchprogram could not be started: no such file or directory."),
        ('vi "x', "$VISUAL or $EDITOR is no command: no closing quotation."),
        ("false", "false ended with code 1."),
        ("true", "Opened valet/schema.ts:10:9."),
    ],
)
def test_whatever_the_editor_does_the_studio_stays(todos: Project, editor: str, told: str) -> None:
    with Terminal(todos.root, environment={"EDITOR": editor, "VISUAL": ""}) as terminal:
        terminal.wait_for("3 changes")
        terminal.press("e")
        terminal.wait_for(told, "1 Plan")
        terminal.press("?")
        terminal.wait_for("In this pane: Plan")
        terminal.press("q", "q")
        assert terminal.wait_for_end() == 0


CTRL_P, ESCAPE = "\x10", "\x1b"
DIM_SENTENCE = re.compile(rb"\x1b\[2;[0-9;]*mDeprecate priority")
COLOUR = re.compile(rb"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9]+)*m")


@pytest.mark.parametrize(("value", "coloured"), [("", True), ("1", False)])
def test_no_color_leaves_colours_to_the_terminal(
    todos: Project, value: str, coloured: bool
) -> None:
    with Terminal(todos.root, environment={"NO_COLOR": value}) as terminal:
        terminal.wait_for("3 changes")
        terminal.press("d")
        terminal.wait_for("✓ dry run")
        terminal.press("a")
        terminal.wait_for("Apply to the database?")
        terminal.press("n", "h")
        terminal.wait_for("Applied migrations")
        terminal.press("q", CTRL_P)
        terminal.wait_for("Search for commands")
        terminal.press(ESCAPE)
        terminal.wait_for("1 Plan", without="Search for commands")
        todos.write("export default defineSchema({")
        terminal.wait_for("✗ broken")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
        assert bool(COLOUR.search(terminal.said)) is coloured


def test_without_colours_the_last_good_plan_is_dimmed_all_the_same(todos: Project) -> None:
    with Terminal(todos.root, environment={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("3 changes")
        assert DIM_SENTENCE.search(terminal.said) is None
        todos.write("export default defineSchema({")
        terminal.wait_for("last good plan, dimmed")
        assert DIM_SENTENCE.search(terminal.said) is not None
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_sixteen_colours_keep_their_hues(todos: Project) -> None:
    with Terminal(todos.root, environment={"TERM": "xterm", "COLORTERM": ""}) as terminal:
        terminal.wait_for("3 changes")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
        assert b"38;2;" not in terminal.said
        assert b"\x1b[1;92;" in terminal.said
        assert b"96" in terminal.said


def test_a_locale_that_is_not_utf_8_does_not_garble_the_studio(todos: Project) -> None:
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with Terminal(todos.root, environment=locale) as terminal:
        terminal.wait_for("● valet/schema.ts", "━ 1 Plan ━", "3 changes")
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_a_dumb_terminal_gets_a_sentence(todos: Project) -> None:
    with Terminal(todos.root, environment={"TERM": "dumb"}) as terminal:
        assert terminal.wait_for_end() == 1
        assert "this one is dumb (TERM=dumb)" in terminal.text
        assert "valet-studio plan" in terminal.text


@SMALL
async def test_the_answers_of_a_question_are_always_in_sight(
    project: Project, size: tuple[int, int]
) -> None:
    project.write(MANY)
    async with opened(project, size) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds and app.facts.running is None, 20)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, QuestionScreen))
        await pilot.pause()
        question = app.screen
        for button in question.query(Button):
            assert button.region.height == 1
            assert question.region.contains_region(button.region)
        body = question.query_one("#question-body")
        assert body.max_scroll_y > 0
        await pilot.press("pagedown")
        assert body.scroll_offset.y > 0
        assert "scrolls" in screen_text(app)


async def test_a_filter_shows_the_heading_of_its_first_match(project: Project) -> None:
    project.write(MANY)
    async with opened(project, NARROW) as (app, pilot):
        tree = app.main.query_one(PlanTree)
        await pilot.press("end", "slash", *"table2")
        await pilot.pause()
        assert tree.scroll_offset.y == 0
        assert "▾ table20" in screen_text(app)
        assert "20 of 80 shown · esc clears" in screen_text(app)


async def test_all_tables_fold_and_unfold(project: Project) -> None:
    project.write(MANY)
    async with opened(project) as (app, pilot):
        tree = app.main.query_one(PlanTree)
        await pilot.press("end", "minus")
        assert [row.text for row in tree.shown] == [f"table{at:02}" for at in range(40)]
        assert tree.selected is not None
        assert tree.selected.text == "table39"
        await pilot.press("equals_sign")
        assert len(tree.shown) == 120
        assert tree.selected.text == "table39"


async def test_on_the_smallest_screen_a_problem_is_seen(todos: Project) -> None:
    async with opened(todos, (40, 10)) as (app, pilot):
        save(todos, seed_blocks()[4].replace("v.number(),", "v.nmber(),", 1))
        await until(pilot, lambda: app.facts.broken)
        shown = screen_text(app)
        assert "✗ broken" in shown.split("\n")[0]
        assert "✗ There is no validator v.nmber." in shown
        assert "[1 Plan]   2    3    4" in shown
        await pilot.resize_terminal(120, 36)
        await pilot.pause()
        assert "Add column priorityNum" in screen_text(app)


async def test_what_is_selected_stays_in_sight_whatever_the_pane_s_height(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        save(todos, MANY)
        tree = app.main.query_one(PlanTree)
        await until(pilot, lambda: len(tree.shown) > 80)
        await pilot.press("end")
        for _ in range(2):
            tall = tree.size.height
            await pilot.press("z")
            await until(pilot, lambda before=tall: tree.size.height != before)  # type: ignore[misc]
            await until(pilot, lambda: 0 <= tree.cursor - tree.scroll_offset.y < tree.size.height)


async def test_an_unreadable_database_has_no_size_and_is_not_to_be_made(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        todos.database.unlink()
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "is gone" in app.main.notice)
        assert "an apply will make a new, empty one" in app.main.notice
        assert "Its last snapshot is " in app.main.notice
        assert "dev.before-0001.db" in app.main.notice
        assert "(not made yet)" in screen_text(app)
        todos.database.write_text("garbage " * 100)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: app.facts.unreadable)
        assert "dev.db unreadable" in screen_text(app).split("\n")[0]
        assert "(not made yet)" not in screen_text(app)


async def test_the_theme_is_remembered_and_live_with_it(tmp_path: Path) -> None:
    memory = tmp_path / "state.json"
    settings = settings_in(tmp_path)
    for keys, theme, live in ((("t",), "valet-light", False), (("r",), "valet-light", True)):
        engine = FakeEngine(settings, state_of(settings, plan_of(*changes())))
        app = StudioApp(settings, engine, Saves(), memory)
        async with app.run_test() as pilot:
            await until(pilot, lambda app=app: app.facts.plan is not None)  # type: ignore[misc]
            await pilot.press(*keys)
            await pilot.pause()
        kept = recall(memory)
        assert (kept.theme, kept.live) == (theme, live)
    assert StudioApp(settings, engine, Saves(), memory).theme == "valet-light"


async def test_help_leaves_the_tours_keys_out_and_closes_with_a_click(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        await studio_.press("question_mark")
        screen = studio_.app.screen
        assert isinstance(screen, HelpScreen)
        assert "tour's next step" not in screen.text.plain
        await studio_.pilot.click(offset=(1, 1))
        assert not isinstance(studio_.app.screen, HelpScreen)


async def test_a_tall_screen_has_room_for_the_log(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes()), (220, 60)) as studio_:
        assert studio_.app.main.log_pane.size.height > 6


async def test_jump_mode_says_how_to_leave(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        await studio_.press("ctrl+o")
        assert "A letter jumps there; any other key leaves." in studio_.screen


async def test_what_was_copied_is_said(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as studio_:
        await studio_.press("down", "c")
        assert "Copied the change's SQL, 1 line, to the clipboard." in studio_.notice
