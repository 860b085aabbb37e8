"""The screens over a stand-in engine: undo, history, quick fixes, other files, jumps, own keys."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from studio_drive import NARROW, WIDE, Studio, screen_text, studio, until
from studio_fakes import FakeEngine, Saves, breaking, changes, plan_of, settings_in, state_of

from valet_studio.config import Settings
from valet_studio.fixes.fix import Fix
from valet_studio.migrate.history import HistoryEntry
from valet_studio.migrate.written import TableWrites
from valet_studio.plan.changes import Risk, RunBackfill
from valet_studio.tui import looking, offered, runs
from valet_studio.tui.actions import ACTIONS
from valet_studio.tui.app import StudioApp
from valet_studio.tui.confirm import QuestionScreen
from valet_studio.tui.dry_run_pane import DryRunPane
from valet_studio.tui.log_pane import LogPane
from valet_studio.tui.plan_tree import PlanTree
from valet_studio.tui.types_pane import TypesPane

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["120x36", "80x24"])
ENTRIES = (
    HistoryEntry(3, "2026-03-02T10:00:00+00:00", "b" * 64, None, "1 change: ~ todos.x", 0, 0.5),
    HistoryEntry(
        2, "2026-03-01T09:30:00+00:00", "a" * 64, "b" * 64, "2 changes: + todos.[/x]", 142, 0.02
    ),
    HistoryEntry(1, "2026-02-28T08:00:00+00:00", None, "a" * 64, "1 change: + todos", 0, 0.01),
)


def flat(text: str) -> str:
    """The screen's text without its frames and line breaks."""
    return " ".join(text.replace("┃", " ").replace("│", " ").replace("║", " ").split())


async def shown(opened: Studio, *texts: str) -> None:
    """Wait until the screen shows all of them."""
    await opened.until(lambda: all(text in flat(opened.screen) for text in texts))


# ---- undo


@SIZES
async def test_undo_tells_what_was_written_since_and_asks(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(), size) as opened:
        opened.engine.entries = ENTRIES
        opened.engine.writes = (
            TableWrites("todos", 3, 2, 1, examples=("t1", "t2")),
            TableWrites("[/x]", 1, 0, 0, untold=("[/y]",)),
        )
        await opened.press("u")
        await shown(opened, "Undo the last migration?", "3 2026-03-02 10:00 UTC")
        assert "! 7 documents written since will be taken back too:" in opened.screen
        assert "todos 3 inserted, 2 updated, 1 deleted (t1, t2, …)" in flat(opened.screen)
        assert "[/x] 1 inserted" in flat(opened.screen)
        assert "! Whether [/x].[/y] was written since cannot be told" in flat(opened.screen)
        await opened.press("enter")
        assert opened.engine.undone == []
        assert "Nothing was undone." in opened.notice
        await opened.press("u")
        await shown(opened, "Undo the last migration?")
        await opened.press("y")
        await shown(opened, "Migration 3 is undone.", ".valet/snapshots/dev.undone-0003.db")
        assert opened.engine.undone == [3]
        await opened.press("escape")
        assert "Migration 3 is undone. What was there is kept in" in opened.notice
        assert opened.app.facts.running is None


@SIZES
async def test_a_sign_stands_on_the_line_of_its_name(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path, plan_of(), size) as opened:
        for length in range(20):
            named = ", ".join(f"{sign} {'t' * length}.{sign * 9}" for sign in "abcdef")
            summary = "6 changes: " + named.translate(str.maketrans("abcdef", "+-~!✗+"))
            opened.engine.entries = (replace(ENTRIES[0], summary=summary),)
            await opened.press("u")
            await shown(opened, "Undo the last migration?", "6 changes:")
            ends = {line.rstrip(" ┃│║").rpartition(" ")[2] for line in opened.screen.splitlines()}
            assert not ends & set("+-~!✗")
            await opened.press("escape")


async def test_a_new_plan_withdraws_an_undo_and_says_why(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of()) as opened:
        opened.engine.entries = ENTRIES
        await opened.press("u")
        await shown(opened, "Undo the last migration?")
        other = plan_of(*changes(), fingerprint="other000")
        opened.engine.state = state_of(opened.engine.settings, other)
        await opened.save()
        assert "Undo the last migration?" not in opened.screen
        assert opened.engine.undone == []
        assert "plan changed while you were asked: nothing was done" in opened.notice


async def test_undo_where_nothing_was_applied_says_so(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of()) as opened:
        await opened.press("u")
        await opened.until(lambda: "there is nothing to undo" in opened.notice)


async def test_an_undo_can_be_cancelled(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of()) as opened:
        opened.engine.entries = ENTRIES
        opened.engine.hold = threading.Event()
        await opened.press("u")
        await shown(opened, "Undo the last migration?")
        await opened.press("y")
        await opened.until(lambda: opened.app.facts.running == "undo")
        await opened.press("d")
        assert "The undo is still running" in opened.notice
        await opened.press("x")
        await opened.until(lambda: opened.app.facts.running is None)
        assert opened.engine.undone == []
        assert "Cancelled." in opened.notice


async def test_undo_of_a_production_database_asks_for_its_name(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of()) as opened:
        opened.app.settings = replace(opened.app.settings, production=True)
        opened.engine.entries = ENTRIES
        await opened.press("u")
        await shown(opened, "PRODUCTION", "Type dev.db to go on")
        await opened.press(*"dev.db", "enter", "enter")
        await opened.until(lambda: opened.engine.undone == [3])


# ---- applying


@pytest.mark.parametrize("why", ["production", "overwrites"])
async def test_what_an_undo_cannot_mend_asks_for_the_name(tmp_path: Path, why: str) -> None:
    told = [
        replace(change, overwrites=12) if isinstance(change, RunBackfill) else change
        for change in changes(142)
    ]
    plan = plan_of(*(told if why == "overwrites" else changes()))
    async with studio(tmp_path, plan) as opened:
        opened.app.settings = replace(opened.app.settings, production=why == "production")
        await opened.rehearse()
        await opened.press("a")
        await shown(opened, "Apply to the database?", "Type dev.db to go on:")
        await opened.press("y", "enter", "tab", "enter")
        assert opened.engine.applied == []
        await opened.until(lambda: opened.app.screen is opened.app.main)
        await opened.press("a")
        await opened.press(*"dev.d")
        yes = opened.app.screen.query_one("#yes")
        assert yes.disabled
        await opened.press("b")
        assert not yes.disabled
        await opened.press("enter")
        assert opened.engine.applied == []
        await opened.press("enter")
        await opened.until(lambda: opened.engine.applied == [plan.fingerprint])


async def test_an_apply_gives_a_receipt(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        engine = opened.engine
        engine.after_apply = state_of(engine.settings, plan_of(fingerprint="after000"))
        await opened.rehearse()
        await opened.press("a", "y")
        await opened.until(lambda: engine.written)
        for told in ("Migration 7", "3 in 0.03 s", "142 filled, 142 kept", "hash-a"):
            assert told in flat(opened.screen)
        assert ".valet/snapshots/dev.before-0007.db" in opened.screen
        log = [entry.text for entry in opened.app.main.log_pane.entries]
        assert any("Migration 7: 142 rows, 0.03 s, schema hash-a, snapshot" in t for t in log)


# ---- history


async def test_history_tells_its_way_out_in_a_narrow_terminal_too(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(), (60, 15)) as opened:
        opened.engine.entries = ENTRIES
        await opened.press("h")
        await shown(opened, "From migration 2 to migration 3")
        assert "esc closes" in opened.screen


@SIZES
async def test_history_shows_each_migration_and_compares_any_two(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(), size) as opened:
        opened.engine.entries = ENTRIES
        await opened.press("h")
        await shown(opened, "From migration 2 to migration 3", "Field todos.field3 (string).")
        assert "incomplete" in opened.screen
        await opened.press("down")
        await shown(
            opened, "From migration 1 to migration 2", "142 filled in 0.02 s", "aaaaaaaaaaaa"
        )
        assert "[/x]" in opened.screen
        await opened.press("down")
        await shown(opened, "From an empty schema to migration 1")
        await opened.press("space", "up", "up")
        await shown(opened, "◆ 1", "From migration 1 to migration 3", "Compared with 1: [/x].")
        await opened.press("c")
        assert "Compared with 1: [/x]." in opened.app.clipboard
        await opened.press("escape")
        assert opened.app.screen is opened.app.main


@SIZES
async def test_a_migration_of_many_values_takes_two_lines(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    many = replace(ENTRIES[1], rows=400_000, seconds=2.02)
    async with studio(tmp_path, plan_of(), size) as opened:
        opened.engine.entries = (many, replace(many, hash_after=None))
        await opened.press("h")
        await opened.until(lambda: "400,000 values" in opened.screen)
        lines = opened.screen.split("\n")
        at = [number for number, line in enumerate(lines) if "09:30 UTC" in line[:40]]
        assert at[1] - at[0] == 2
        assert "incomplete" in lines[at[1]]


async def test_a_history_that_cannot_be_read_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(tmp_path, plan_of()) as opened:

        def explode(*_: object) -> None:
            raise RuntimeError("[/boom]")

        monkeypatch.setattr(opened.engine, "history", explode)
        await opened.press("h")
        await shown(opened, "RuntimeError: [/boom]")
        await opened.press("q")
        assert opened.app.screen is opened.app.main


async def test_an_empty_history_says_what_fills_it(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of()) as opened:
        await opened.press("h")
        await shown(opened, "Nothing was applied yet.", "Each apply adds a migration here.")


# ---- quick fixes


def fixes_of(settings: Settings) -> tuple[Fix, ...]:
    """Two edits of the schema that the settings name."""
    text = settings.schema_path.read_text(encoding="utf-8")
    first = text.replace("completed: v.number(),", "completed: v.number(), // [/x]")
    second = text.replace("userId", "owner")
    file = str(settings.schema_path)
    return (
        Fix("Mark it [/x]", "So that it is seen.", file, text, first),
        Fix("Rename it", "So that it reads well.", file, text, second),
    )


@SIZES
async def test_a_quick_fix_is_shown_written_and_taken_back(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(tmp_path, plan_of(breaking()), size) as opened:
        path = opened.engine.settings.schema_path
        before = path.read_text(encoding="utf-8")
        fixes = fixes_of(opened.engine.settings)
        monkeypatch.setattr(offered, "fixes_for", lambda *_: fixes)
        await opened.press("f")
        await shown(opened, "Mark it [/x]", "Rename it", "So that it is seen.")
        assert "+         completed: v.number(), // [/x]" in opened.screen
        await opened.press("down")
        await shown(opened, "So that it reads well.")
        await opened.press("escape")
        assert path.read_text(encoding="utf-8") == before
        await opened.press("f", "enter")
        await opened.until(lambda: "// [/x]" in path.read_text(encoding="utf-8"))
        await opened.until(lambda: "F takes it back" in opened.notice)
        await opened.press("F")
        await opened.until(lambda: path.read_text(encoding="utf-8") == before)
        await opened.until(lambda: "Took back" in opened.notice)
        await opened.press("F")
        assert "No quick fix was written" in opened.notice


async def test_a_fix_is_not_taken_back_over_a_later_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(tmp_path, plan_of(breaking())) as opened:
        path = opened.engine.settings.schema_path
        fixes = fixes_of(opened.engine.settings)
        monkeypatch.setattr(offered, "fixes_for", lambda *_: fixes[:1])
        await opened.press("f", "y")
        await opened.until(lambda: opened.app.facts.fixed == 1)
        path.write_text("// mine now", encoding="utf-8")
        await opened.press("F")
        await opened.until(lambda: "was edited since the quick fix" in opened.notice)
        assert path.read_text(encoding="utf-8") == "// mine now"


async def test_where_there_is_nothing_to_fix_it_says_so(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("f")
        assert "nothing to fix" in opened.notice
        await opened.press("j")
        assert "nothing to fix" not in opened.notice


async def test_where_there_is_nothing_to_fix_the_way_to_what_is_marked_is_told(
    tmp_path: Path,
) -> None:
    first, *others = changes()
    async with studio(tmp_path, plan_of(first, replace(others[0], risk=Risk.WARNING))) as opened:
        await opened.press("home", "f")
        assert "what is selected; ] goes to the next marked change." in opened.notice
        await opened.press("right_square_bracket", "f")
        assert "nothing to fix in what is selected." in opened.notice


# ---- other files, jumps, themes, keys


async def test_open_reads_another_schema_and_database(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        other = tmp_path / "other" / "schema.ts"
        other.parent.mkdir()
        other.write_text("", encoding="utf-8")
        looks = opened.app.generation
        await opened.press("o")
        await opened.press(*str(other), "tab", *"other.db")
        await shown(opened, "The database will be made by the first apply.")
        await opened.press("enter")
        await opened.until(lambda: opened.app.generation > looks)
        assert opened.app.settings.schema_path == other
        assert opened.app.settings.database == "other.db"
        assert "Opened" in opened.notice


async def test_a_path_is_completed(tmp_path: Path) -> None:
    from valet_studio.tui.open_screen import completed

    (tmp_path / "valet").mkdir()
    (tmp_path / "valet" / "schema.ts").touch()
    (tmp_path / "valet" / "notes.md").touch()
    (tmp_path / ".hidden").mkdir()
    assert completed(f"{tmp_path}/va", (".ts",)) == f"{tmp_path}/valet/"
    assert completed(f"{tmp_path}/valet/", (".ts",)) == f"{tmp_path}/valet/schema.ts"
    assert completed(f"{tmp_path}/valet/n", (".ts",)) is None
    assert completed(f"{tmp_path}/.h", (".ts",)) == f"{tmp_path}/.hidden/"
    assert completed(f"{tmp_path}/nowhere/x", (".ts",)) is None
    assert completed("http://x", (".ts",)) is None


@SIZES
async def test_jump_goes_to_panes_and_changes(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        await opened.press("ctrl+o", "f")
        await opened.until(lambda: opened.app.main.pane_name == "log")
        await opened.press("1", "ctrl+o")
        await opened.until(lambda: " j " in opened.screen)
        await opened.press("j")
        await opened.until(lambda: opened.app.screen is opened.app.main)
        selected = opened.app.main.plan_pane.selected
        assert selected is not None
        assert selected.key[1] == "add_column"
        await opened.press("ctrl+o", "1")
        await opened.until(lambda: opened.app.screen is opened.app.main)
        await opened.press("ctrl+o", "escape")
        await opened.until(lambda: opened.app.screen is opened.app.main)


async def test_any_theme_can_be_chosen(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("T", *"nord")
        await opened.until(lambda: "nord" in opened.screen)
        await opened.press("enter")
        await opened.until(lambda: opened.app.theme == "nord")
        assert "Add column" in opened.screen


async def test_keys_of_the_configuration_file_hold_everywhere(tmp_path: Path) -> None:
    settings = replace(
        settings_in(tmp_path), keys=(("dry-run", "G"), ("apply", "ctrl+s"), ("quit", "X"))
    )
    engine = FakeEngine(settings, state_of(settings, plan_of(*changes())))
    app = StudioApp(settings, engine, Saves())
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        assert "G dry run" in screen_text(app)
        assert "ctrl+s apply" in screen_text(app)
        await pilot.press("d")
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert engine.rehearsed == []
        assert "Press G." in screen_text(app)
        await pilot.press("question_mark")
        assert "ctrl+s" in screen_text(app)
        await pilot.press("escape", "G")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, QuestionScreen))
        await pilot.press("escape", "X")
        await until(pilot, lambda: app._exit)


async def test_a_bad_key_is_a_sentence_and_leaves_the_old_one(tmp_path: Path) -> None:
    settings = replace(settings_in(tmp_path), keys=(("aply", "G"), ("dry_run", "q")))
    engine = FakeEngine(settings, state_of(settings, plan_of(*changes())))
    app = StudioApp(settings, engine, Saves())
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        log = [entry.text for entry in app.main.log_pane.entries]
        assert any("[keys] names no action of the studio: aply." in text for text in log)
        assert any("[keys] dry_run cannot be q: that is the key of quit." in text for text in log)
        await pilot.press("d")
        await until(pilot, lambda: engine.rehearsed)


def test_no_pane_hides_an_action_behind_a_key_of_its_own() -> None:
    keys = {key for action in ACTIONS for key in action.keys}
    for pane in (PlanTree, TypesPane, DryRunPane, LogPane):
        own = set(pane._merge_bindings().key_to_bindings)
        assert not own & keys, pane


# ---- read-only, the database beside, the tour


async def test_read_only_turns_every_writing_action_off_with_a_reason(tmp_path: Path) -> None:
    settings = replace(settings_in(tmp_path), read_only=True)
    state = state_of(settings, plan_of(*changes()))
    state = replace(state, database=replace(state.database, read_only=True))
    engine = FakeEngine(settings, state, entries=ENTRIES)
    app = StudioApp(settings, engine, Saves())
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        for key, what in (("a", "Apply"), ("u", "Undo"), ("g", "Writing types"), ("f", "Writing")):
            await pilot.press(key, "y")
            await pilot.pause()
            assert f"{what} " in screen_text(app)
            assert "is off: the studio was opened read-only." in screen_text(app)
        assert not engine.applied
        assert not engine.undone
        assert engine.written == 0


async def test_undo_is_off_with_a_reason_where_no_snapshot_is_kept(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    state = state_of(settings, plan_of(*changes()))
    state = replace(state, database=replace(state.database, keeps_snapshots=False))
    engine = FakeEngine(settings, state, entries=ENTRIES)
    app = StudioApp(settings, engine, Saves())
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        await pilot.press("u", "y")
        await until(pilot, lambda: "Undo is off: no snapshot is kept" in screen_text(app))
        assert not engine.undone


async def test_a_database_written_by_another_program_is_read_again(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        app = opened.app
        looks = app.generation
        app.look_at_database()
        assert app.generation == looks
        Path(opened.engine.settings.database).write_bytes(b"x")
        app.rest_until = 0
        opened.engine.state = state_of(opened.engine.settings, plan_of(*changes()[:1]))
        app.look_at_database()
        await opened.until(lambda: "1 change" in opened.screen.split("\n")[0])


@pytest.mark.parametrize(("slow", "rest"), [("look", 0), ("measure", 600)])
async def test_only_a_slow_count_puts_off_the_next_look_at_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str, rest: float
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(looking, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(runs, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    settings = settings_in(tmp_path)
    engine = FakeEngine(settings, state_of(settings, plan_of(*changes())))
    quick = getattr(engine, slow)

    def takes_a_minute(*given: object) -> object:
        clock.now += 60
        return quick(*given)

    monkeypatch.setattr(engine, slow, takes_a_minute)
    app = StudioApp(settings, engine, Saves())
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        assert app.rest_until - clock.now == rest


async def test_a_defect_is_kept_for_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def open_and_break() -> StudioApp:
        async with studio(tmp_path, plan_of(*changes())) as opened:

            def explode() -> None:
                raise RuntimeError("boom")

            monkeypatch.setattr(opened.app.commands, "do_zoom", explode)
            await opened.pilot.press("z")
            await opened.until(lambda: opened.app.defect)
        return opened.app

    with pytest.raises(RuntimeError, match="boom"):
        await open_and_break()
