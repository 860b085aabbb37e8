"""Fifteen details that make a terminal app loved: each is held by a test here."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from studio_drive import NARROW, WIDE, digest, opened, save, screen_text, until
from support import Project, add_many, fill_todos, schema_of, seed_blocks
from terminal import Terminal
from textual.pilot import Pilot

from valet_studio.tui.actions import ACTIONS, MOVES, PANES
from valet_studio.tui.app import StudioApp
from valet_studio.tui.help import HelpScreen
from valet_studio.tui.plan_tree import PlanTree
from valet_studio.tui.status import keys_text
from valet_studio.tui.text import size as size_told

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["120x36", "80x24"])
FIELDS = """
        title: v.string(),
        completed: v.number(),
        userId: v.string(),
        priority: v.string(),"""
BEFORE = schema_of(
    f"    todos: defineTable({{{FIELDS}\n    }})"
    ".sync({ filter: (q, ctx) => q.eq('userId', ctx.auth.userId), mode: 'full' }),"
)
SEED = seed_blocks()[4]
MAPPED = "return mapping[row.priority as string] ?? 1"
FAILING = SEED.replace(MAPPED, "return mapping[(row.priority as string).toLowerCase()] ?? 1")
SLOW = SEED.replace(MAPPED, f"for (let i = 0; i < 200000; i++) mapping.x = i\n{MAPPED}")


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents; the seed's backfill waits in schema.ts."""
    project.push(BEFORE)
    fill_todos(project)
    project.write(SEED)
    return project


AT_ONCE = 0.5
"""Seconds: far less than the work that is cancelled takes, also where the machine is busy."""


@pytest.fixture
def slow(todos: Project) -> Project:
    """Work that can be met in the middle."""
    add_many(todos)
    todos.write(SLOW)
    return todos


def status(app: StudioApp) -> str:
    """The line at the top."""
    return screen_text(app).split("\n")[0]


def keys(app: StudioApp) -> str:
    """The line of keys."""
    return screen_text(app).rstrip("\n").split("\n")[-1]


def line_of(app: StudioApp, text: str) -> int:
    """Where a text stands on the screen."""
    return next(at for at, line in enumerate(screen_text(app).split("\n")) if text in line)


def contrast_of(app: StudioApp, text: str) -> int:
    """How far the colour of a text is from its ground."""
    for strip in app.screen._compositor.render_strips():
        for said, style, _ in strip:
            if text in said and style is not None and style.color and style.bgcolor:
                one, other = style.color.get_truecolor(), style.bgcolor.get_truecolor()
                return sum(abs(a - b) for a, b in zip(one, other, strict=True))
    raise AssertionError(f"{text} is not on the screen")


async def end_of_run(app: StudioApp) -> float:
    """When what runs has ended; `Pilot.press` itself takes longer than a cancel may."""
    while app.facts.running is not None:
        await asyncio.sleep(0.001)
    return time.monotonic()


async def rehearsed(app: StudioApp, pilot: Pilot[None]) -> None:
    """Run a dry run to its good end."""
    await pilot.press("d")
    await until(pilot, lambda: app.facts.rehearsal_holds and app.facts.running is None)


@SIZES
async def test_1_the_last_good_plan_stays_dimmed_while_the_schema_is_broken(
    todos: Project, size: tuple[int, int]
) -> None:
    async with opened(todos, size) as (app, pilot):
        clear = contrast_of(app, "Add column priorityNum")
        save(todos, SEED.replace("priorityNum: v.number(),", "priorityNum: v.nmber(),"))
        await until(pilot, lambda: app.facts.broken)
        assert "✗ broken" in status(app)
        assert contrast_of(app, "Add column priorityNum") < clear * 0.7
        assert "valet/schema.ts:10:24" in screen_text(app)
        at = line_of(app, "priorityNum: v.nmber(),")
        source, caret = screen_text(app).split("\n")[at : at + 2]
        assert caret.index("^") == source.index("nmber")
        save(todos, SEED)
        await until(pilot, lambda: not app.facts.broken)
        assert contrast_of(app, "Add column priorityNum") == clear


def many(*more: str) -> str:
    """A schema of thirty tables, and more."""
    names = sorted([*more, *(f"t{number:02}" for number in range(30))])
    return schema_of("\n".join(f"{name}: defineTable({{ s: v.string() }})," for name in names))


@SIZES
async def test_2_cursor_folding_and_scroll_survive_a_new_plan(
    project: Project, size: tuple[int, int]
) -> None:
    project.write(many())
    async with opened(project, size) as (app, pilot):
        tree = app.main.query_one(PlanTree)
        await pilot.press("home", "left", *["down"] * 50)
        await pilot.pause()
        assert tree.selected is not None
        selected, folded = tree.selected.key, set(tree.folded)
        table = selected[0]
        at = line_of(app, f"table {table}")
        assert tree.scroll_offset.y > 0
        assert folded == {("t00", "", "")}
        save(project, many("a1", "a2", "t05b", "z1"))
        await until(pilot, lambda: app.facts.plan and len(app.facts.plan.changes) == 34)
        assert tree.selected.key == selected
        assert tree.folded == folded
        await until(pilot, lambda: line_of(app, f"table {table}") == at)
        tree.scroll_to(y=0, animate=False, force=True)
        await until(pilot, lambda: "a1" in screen_text(app))
        save(project, many("a1", "a2", "a3", "t05b", "z1"))
        await until(pilot, lambda: app.facts.plan and len(app.facts.plan.changes) == 35)
        await until(pilot, lambda: tree.scroll_offset.y == 0)
        assert tree.selected.key == selected


@SIZES
async def test_3_apply_is_off_until_a_dry_run_of_this_very_plan(
    todos: Project, size: tuple[int, int]
) -> None:
    async with opened(todos, size) as (app, pilot):
        before = digest(todos.database)
        assert "a apply (dry run first)" in keys(app)
        await pilot.press("a", "y")
        assert "Apply is off until a dry run of this plan succeeds. Press d." in screen_text(app)
        await rehearsed(app, pilot)
        assert "a apply  " in keys(app)
        save(todos, SEED.replace("?? 1", "?? 2"))
        await until(pilot, lambda: not app.facts.rehearsal_holds)
        assert "a apply (dry run first)" in keys(app)
        await pilot.press("a", "y")
        assert app.facts.running is None
        assert "the plan changed since its dry run. Press d" in screen_text(app)
        assert digest(todos.database) == before


@SIZES
async def test_4_the_key_that_asks_does_not_confirm_and_cancel_has_the_focus(
    todos: Project, size: tuple[int, int]
) -> None:
    async with opened(todos, size) as (app, pilot):
        before = digest(todos.database)
        await rehearsed(app, pilot)
        for answer in ("a", "enter", "space", "escape"):
            await pilot.press("a")
            assert "Apply to the database?" in screen_text(app)
            focused = app.focused
            assert focused is not None
            assert focused.id == "no"
            await pilot.press(answer)
            if answer == "a":
                assert "Apply to the database?" in screen_text(app)
                await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.main)
            assert app.facts.running is None
        assert digest(todos.database) == before
        await pilot.press("a", "y")
        await until(pilot, lambda: "in sync" in status(app))


@SIZES
@pytest.mark.parametrize("read_only", [False, True])
async def test_5_the_database_its_size_and_whether_it_may_be_written_are_in_view(
    todos: Project, size: tuple[int, int], read_only: bool
) -> None:
    app = StudioApp(replace(todos.settings, database=".valet/dev.db", read_only=read_only))
    bytes_told = size_told(todos.database.stat().st_size)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        for key in ("1", "2", "3", "4", "z", "z", "d"):
            await pilot.press(key)
            assert "dev.db" in status(app)
            assert bytes_told in status(app)
            assert ("read-only" in status(app)) is read_only
        await until(pilot, lambda: app.facts.running is None)
        save(todos, "broken(")
        await until(pilot, lambda: app.facts.broken)
        assert "dev.db" in status(app)
        assert ("read-only" in status(app)) is read_only


@SIZES
async def test_6_failures_show_rows_and_reasons(todos: Project, size: tuple[int, int]) -> None:
    todos.sql("UPDATE todos SET priority = NULL WHERE _id IN ('t0007', 't0050')")
    todos.write(FAILING)
    async with opened(todos, size) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.failing and app.facts.running is None)
        await pilot.press("3")
        await until(pilot, lambda: "t0050" in screen_text(app))
        pane = app.main.dry_run_pane
        for who, title in (("t0007", '"Todo 7"'), ("t0050", '"Todo 50"')):
            assert who in screen_text(app)
            await until(pilot, lambda title=title: title in pane.detail.text)  # type: ignore[misc]
            assert "toLowerCase" in pane.detail.text
            assert "schema.ts:" in pane.detail.text
            await pilot.press("down")
        assert "140 of 142" in pane.text or "2 of 142" in pane.text


async def test_7_cancel_works_at_once_and_says_what_was_rolled_back(slow: Project) -> None:
    async with opened(slow) as (app, pilot):
        before, seconds = digest(slow.database), []
        for _ in range(3):
            await pilot.press("d")
            await until(pilot, lambda: app.progress and app.progress.running)
            began = time.monotonic()
            ended = asyncio.create_task(end_of_run(app))
            await pilot.press("x")
            seconds.append(await ended - began)
            await until(pilot, lambda: "x cancel" not in keys(app))
            assert "The copy was deleted" in screen_text(app)
            assert "was never touched" in screen_text(app)
        assert min(seconds) < AT_ONCE
        assert digest(slow.database) == before


async def test_7_cancelling_an_apply_rolls_it_back(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await rehearsed(app, pilot)
        before = todos.sql("SELECT * FROM todos"), todos.sql("SELECT sql FROM sqlite_schema")
        other = apsw.Connection(str(todos.database))
        other.execute("BEGIN IMMEDIATE")
        await pilot.press("a", "y")
        await until(pilot, lambda: app.facts.running == "apply")
        began = time.monotonic()
        ended = asyncio.create_task(end_of_run(app))
        await pilot.press("x")
        assert await ended - began < 1
        await pilot.pause()
        other.execute("ROLLBACK")
        other.close()
        assert "rolled back" in screen_text(app)
        assert before == (
            todos.sql("SELECT * FROM todos"),
            todos.sql("SELECT sql FROM sqlite_schema"),
        )


async def test_8_every_statement_that_ran_is_in_the_log_and_can_be_copied(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await rehearsed(app, pilot)
        rehearsed_until = len(app.main.log_pane.entries)
        await pilot.press("a", "y")
        await until(pilot, lambda: "in sync" in status(app))
        log = app.main.log_pane
        ran = [e.text for e in log.entries[rehearsed_until:] if e.mark == "$"]
        assert [text for text in ran if text.startswith("ALTER TABLE")] == [
            'ALTER TABLE "todos" ADD COLUMN "priorityNum" INTEGER'
        ]
        assert len([text for text in ran if "CREATE TRIGGER" in text]) == 3
        await pilot.press("4", "home")
        copied = []
        for entry in log.entries:
            await pilot.press("c")
            if entry.mark == "$":
                copied.append(app.clipboard.rstrip(";"))
            await pilot.press("down")
        assert copied == [e.text.rstrip(";") for e in log.entries if e.mark == "$"]


SIGNS = schema_of(
    """    todos: defineTable({
        title: v.optional(v.string()),
        completed: v.boolean(),
        userId: v.string(),
        priority: v.string().deprecated(),
        due: v.string(),
    }).index('by_user', ['userId'])
    .sync({ filter: (q, ctx) => q.eq('userId', ctx.auth.userId), mode: 'full' }),"""
)


@SIZES
@pytest.mark.parametrize("no_color", [False, True])
async def test_9_signs_carry_the_meaning_and_colour_repeats_it(
    todos: Project, size: tuple[int, int], no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    todos.write(SIGNS)
    async with opened(todos, size) as (app, pilot):
        shown = screen_text(app)
        for sign, change in (
            ("~", "title"),
            ("✗", "completed"),
            ("-", "priority"),
            ("!+", "due"),
            ("+", "by_user"),
        ):
            assert any(f"{sign} " in line and change in line for line in shown.split("\n")), sign
        assert "✗ rejected" in status(app)
        strips = app.screen._compositor.render_strips()
        for drawn in app._filters:
            ground = app.screen.background_colors[1]
            strips = [strip.apply_filter(drawn, ground) for strip in strips]
        colours = {
            colour
            for strip in strips
            for _, style, _ in strip
            if style is not None
            for colour in (style.color, style.bgcolor)
            if colour is not None
        }
        assert colours
        assert all(colour.is_default for colour in colours) is no_color
        await pilot.press("question_mark")


async def test_10_the_footer_shows_only_keys_that_fit(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        for width in (120, 100, 80, 60, 40):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            whole, shown = keys_text(app.facts, width)
            assert keys(app).rstrip() == whole.plain.rstrip()
            assert whole.cell_length <= width
            assert {"help", "quit"} <= set(shown)


@pytest.mark.parametrize(("key", "pane"), [(str(n), pane) for n, pane in enumerate(PANES, 1)])
async def test_10_help_shows_all_keys_those_of_the_pane_first(
    todos: Project, key: str, pane: str
) -> None:
    async with opened(todos, (120, 120)) as (app, pilot):
        await pilot.press(key, "question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        shown = " ".join(app.screen.text.plain.split())
        here, everywhere = shown.index("In this pane"), shown.index("Everywhere")
        for _, told in MOVES[pane]:
            assert here < shown.index(" ".join(told.split())) < everywhere
        for action in ACTIONS:
            if action.pane in (pane, None) and not action.of_tour:
                at = shown.index(action.help)
                assert (at < everywhere) is (action.pane == pane)


@SIZES
async def test_11_empty_states_name_the_next_key_or_the_state(
    project: Project, size: tuple[int, int]
) -> None:
    app = StudioApp(project.settings)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.facts.missing)
        assert "i  makes a starting schema" in screen_text(app)
        assert "i make schema" in keys(app)
        await pilot.press("i")
        await until(pilot, lambda: app.facts.plan is not None)
        wrote = [e.text for e in app.main.log_pane.entries if e.text.startswith("Wrote ")]
        assert [text.rpartition("/")[2] for text in wrote] == ["schema.ts", ".gitignore"]
        await pilot.press("3")
        await pilot.pause()
        assert "d  rehearses this plan on a copy of the database" in screen_text(app)
        await rehearsed(app, pilot)
        await pilot.press("a", "y")
        await until(pilot, lambda: "in sync" in status(app))
        await pilot.press("1")
        await until(pilot, lambda: "Schema and database agree." in screen_text(app))
        assert "Watching" in screen_text(app)


@SIZES
async def test_12_nothing_pops_up_for_what_happens_in_sight(
    todos: Project, size: tuple[int, int]
) -> None:
    async with opened(todos, size) as (app, pilot):
        popped: list[object] = []
        app.notify = lambda *said, **_: popped.append(said)  # type: ignore[method-assign]
        await rehearsed(app, pilot)
        await pilot.press("1", "c", "w", "w", "r", "r")
        # What ended out of sight is told by the line above the keys.
        assert popped == []
        await pilot.press("a", "y")
        await until(pilot, lambda: "in sync" in status(app))
        assert "Applied 3 changes, 142 rows" in screen_text(app)
        assert popped == []


def test_13_the_first_paint_comes_before_the_schema_is_evaluated(todos: Project) -> None:
    todos.write(f"while (true) {{}}\n{SEED}")
    with Terminal(todos.root) as terminal:
        terminal.wait_for("1 Plan", "reading", "q quit")
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_13_a_missing_schema_offers_to_make_one(project: Project) -> None:
    with Terminal(project.root, columns=80, rows=24) as terminal:
        terminal.wait_for("There is no valet/schema.ts", "i make schema")
        terminal.press("i")
        terminal.wait_for("Create table")
        terminal.press("q")
        assert terminal.wait_for_end() == 0


async def test_14_80x24_is_one_pane_and_tabs(todos: Project) -> None:
    async with opened(todos, NARROW) as (app, pilot):
        panes = app.main.query(".pane")
        titles = ("1 Plan", "2 Types", "3 Dry run", "4 Log")
        for key, title in enumerate(titles, 1):
            await pilot.press(str(key))
            await pilot.pause()
            assert [pane.display for pane in panes].count(True) == 1
            assert f"[{title}]" in screen_text(app)
            assert all(other in screen_text(app) for other in titles)
            assert all(len(line) <= 80 for line in screen_text(app).split("\n"))
        await pilot.resize_terminal(*WIDE)
        await pilot.pause()
        assert [pane.display for pane in panes].count(True) == 4


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Path]]:
    """The copies of the database that dry runs hold."""
    folder = tmp_path / "copies"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return lambda: list(folder.rglob("*.db"))


async def test_15_quitting_a_dry_run_deletes_the_copy(
    slow: Project, copies: Callable[[], list[Path]]
) -> None:
    before = digest(slow.database)
    app = StudioApp(slow.settings)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        await pilot.press("d")
        await until(pilot, lambda: app.progress and app.progress.running and copies())
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert copies() == []
    assert digest(slow.database) == before


async def test_15_quitting_an_apply_asks(slow: Project) -> None:
    slow.write(SEED)
    async with opened(slow) as (app, pilot):
        await rehearsed(app, pilot)
        other = apsw.Connection(str(slow.database))
        other.execute("BEGIN IMMEDIATE")
        await pilot.press("a", "y")
        await until(pilot, lambda: app.facts.running == "apply")
        await pilot.press("q")
        assert "Leave during the apply?" in screen_text(app)
        focused = app.focused
        assert focused is not None
        assert focused.id == "no"
        await pilot.press("enter")
        other.execute("ROLLBACK")
        other.close()
        await until(pilot, lambda: "in sync" in status(app))
        assert app.is_running
