"""What the panes show and how they are moved in: filter, data, types, failures, live rehearsal."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from studio_drive import NARROW, WIDE, Studio, studio
from studio_fakes import (
    FILE,
    SOURCE,
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
from valet_studio.database.structure import Structures
from valet_studio.errors import Location, Problem
from valet_studio.migrate.events import BackfillReport, Bin, Report
from valet_studio.migrate.touched import Touched
from valet_studio.plan.changes import Drift, NarrowField, Risk
from valet_studio.schema.model import Field, Json, Schema, Sources, Storage, Table, Validator
from valet_studio.tui.actions import USUAL_KEYS
from valet_studio.tui.app import StudioApp
from valet_studio.tui.facts import Facts
from valet_studio.tui.looking import Looking
from valet_studio.tui.messages import TypesRead
from valet_studio.tui.plan_tree import PlanTree, row_content
from valet_studio.tui.progress import Progress
from valet_studio.tui.remembered import memory_path, recall
from valet_studio.tui.report_text import run_lines

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["120x36", "80x24"])
WRONG = Problem(
    "Property 'prioriti' does not exist on type 'Row' (TS2551).",
    "Did you mean 'priority'?",
    Location(FILE, 21, 32),
    "            return mapping[row.priority as string] ?? 1",
)


def rows(opened: Studio) -> list[str]:
    """The sentences in the plan's tree."""
    return [row.text for row in opened.app.main.plan_pane.changes.shown]


@SIZES
async def test_slash_filters_as_you_type_and_esc_clears(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(*changes(), *changes(table="users")), size) as opened:
        everything = rows(opened)
        await opened.press("slash", *"users")
        assert rows(opened)[0] == "users"
        assert len(rows(opened)) == 4
        await opened.press("space", *"run_backfill")
        assert [text for text in rows(opened) if "Backfill" in text] == rows(opened)[1:]
        assert len(rows(opened)) == 2
        selected = opened.app.main.plan_pane.selected
        assert selected is not None
        assert selected.key == ("users", "run_backfill", "priorityNum")
        await opened.press("escape")
        assert rows(opened) == everything
        assert isinstance(opened.app.focused, PlanTree)
        assert opened.app.main.plan_pane.selected == selected
        assert opened.engine.rehearsed == []


async def test_a_filter_stays_over_a_new_plan_until_esc(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes(), *changes(table="users"))) as opened:
        await opened.press("slash", *"USERS", "enter", "down", "down")
        more = plan_of(*changes(), *changes(table="users"), *changes(table="other"))
        opened.engine.state = state_of(opened.engine.settings, more)
        await opened.save()
        assert rows(opened)[0] == "users"
        assert len(rows(opened)) == 4
        await opened.press("escape")
        assert len(rows(opened)) == 12


async def test_left_and_right_fold_tables(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("end", "left")
        selected = opened.app.main.plan_pane.selected
        assert selected is not None
        assert selected.heading
        await opened.press("left")
        assert rows(opened) == ["todos"]
        await opened.press("right")
        assert len(rows(opened)) == 4


async def test_rows_can_be_selected_and_folded_by_mouse(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.pilot.click("#plan-tree", offset=(10, 3))
        selected = opened.app.main.plan_pane.selected
        assert selected is not None
        assert selected.key[1] == "run_backfill"
        await opened.pilot.click("#plan-tree", offset=(1, 0))
        assert rows(opened) == ["todos"]


async def test_risk_is_seen_without_colour(tmp_path: Path) -> None:
    risky = replace(changes()[1], risk=Risk.WARNING)
    async with studio(tmp_path, plan_of(changes()[0], risky, breaking())) as opened:
        assert "!+ Add column" in opened.screen
        assert " - priority" in opened.screen
        assert " ✗ completed changes" in opened.screen
        heading = opened.app.main.plan_pane.changes.rows[0]
        assert row_content(heading, True, 40).plain.strip().endswith("✗")
        await opened.press("home", "down", "down")
        assert "Look at this before you apply it." in opened.screen


async def test_what_no_schema_explains_is_not_counted_as_a_change(tmp_path: Path) -> None:
    found = Drift(table="todos", summary="A trigger.", risk=Risk.WARNING, rule="Kept.")
    alone = Drift(table="seen", summary="A view.", risk=Risk.WARNING, rule="Kept.")
    async with studio(tmp_path, plan_of(*changes(), found, alone)) as opened:
        assert "~ 3 changes" in opened.screen.split("\n")[0]
        headings = [r.counted for r in opened.app.main.plan_pane.changes.rows if r.heading]
        assert headings == ["3 changes · 1 unexplained  !", "1 unexplained  !"]
        await opened.press("end")
        assert "! A view." in opened.screen
        assert "before you apply it" not in opened.screen


def narrowing() -> NarrowField:
    """A promise that two documents break."""
    return NarrowField(
        table="todos",
        column="title",
        risk=Risk.BREAKING,
        summary="todos.title becomes required.",
        rule="Every document must keep the new promise.",
        location=Location(FILE, 5, 9),
        rows=142,
        offending=2,
        examples=("t0004", "t0009"),
        field=Field("title", Validator("string")),
        storage=Storage.TEXT,
    )


@SIZES
async def test_the_detail_shows_the_data_and_whole_offending_documents(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(narrowing()), size) as opened:
        document: dict[str, Json] = {"_id": "t0004", "title": None, "priority": "[/x]"}
        opened.engine.touches = Touched(142, 2, (document,))
        await opened.press("up", "down")
        held = "142 documents in todos · 2 null · 140 with a value"
        await opened.until(lambda: held in opened.screen)
        assert "✗ 2 break the promise" in opened.screen
        assert "▶ title     null" in opened.screen
        assert '"[/x]"' in opened.screen
        for _ in range(4):
            await opened.press("shift+down")
        assert "and 1 more document" in opened.screen


@pytest.mark.type_check
@SIZES
async def test_type_errors_are_counted_listed_and_shown_at_their_line(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    settings = settings_in(tmp_path)
    engine = FakeEngine(settings, state_of(settings, plan_of(*changes())), type_errors=(WRONG,))
    saves = Saves()
    app = StudioApp(settings, engine, saves)
    async with app.run_test(size=size) as pilot:
        opened = Studio(app, pilot, engine, saves)
        await opened.until(lambda: app.facts.type_errors)
        assert "✗ 1 type error" in opened.screen.split("\n")[0]
        assert rows(opened)[-2:] == ["Type errors", WRONG.message]
        await opened.press("end")
        assert "→ Did you mean 'priority'?" in opened.screen
        await opened.press("up", "up")
        for _ in range(4):
            await opened.press("shift+down")
        assert "^ ✗ Property 'prioriti'" in opened.screen
        engine.type_errors = ()
        text = engine.state.schema
        assert text is not None
        files = {"schema.ts": text.sources.files["schema.ts"] + "// mended\n"}
        mended = replace(text, sources=replace(text.sources, files=files))
        engine.state = replace(engine.state, schema=mended)
        await opened.save()
        await opened.until(lambda: not app.facts.type_errors)
        assert engine.checked == 2
        assert "type error" not in opened.screen.split("\n")[0]


@pytest.mark.type_check
async def test_the_same_text_is_not_checked_twice(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.until(lambda: opened.engine.checked and not opened.app.background.checking)
        opened.engine.state = state_of(opened.engine.settings, plan_of(*changes()[:1]))
        await opened.save()
        await opened.pilot.pause(0.8)
        assert opened.engine.checked == 1


@pytest.mark.type_check
async def test_a_save_stops_the_check_of_the_text_before(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        engine = opened.engine
        await opened.until(lambda: engine.checked == 1)
        engine.hold_check = threading.Event()
        other = Sources("schema.ts", {"schema.ts": SOURCE + "\n"}, "valet")
        engine.state = replace(engine.state, schema=Schema((Table("todos"),), other))
        await opened.save()
        await opened.until(lambda: engine.checked == 2)
        engine.state = state_of(engine.settings, plan_of(*changes()[:1]))
        await opened.save()
        await opened.until(lambda: engine.checks_stopped)
        engine.hold_check = None
        await opened.until(lambda: engine.checked == 3)


async def test_arrows_go_through_typescript_python_sql_and_schema_json(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        pane = opened.app.main.types_pane
        await opened.press("2")
        seen = []
        for _ in range(4):
            seen.append(pane.text.split("\n")[0])
            await opened.press("right")
        assert seen[0] == "types.ts  +2 -1"
        assert seen[1].startswith("types.py")
        assert seen[2].startswith("2 statements")
        assert seen[3].startswith("schema.json")
        assert "[TypeScript]" in opened.screen
        await opened.pilot.click("#types-tabs", offset=(24, 0))
        assert "[SQL]" in opened.screen
        assert 'ALTER TABLE "todos" ADD COLUMN' in opened.screen
        await opened.press("c")
        assert "ALTER TABLE" in opened.app.clipboard


async def test_sql_shows_the_structure_before_and_after(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        before = 'CREATE TABLE "todos" (\n  "title" TEXT\n);\n'
        after = 'CREATE TABLE "todos" (\n  "title" TEXT,\n  "priorityNum" INTEGER\n);\n'
        opened.engine.told_structures = Structures(before, after)
        await opened.save()
        pane = opened.app.main.types_pane
        await opened.press("2", "right", "right")
        await opened.until(lambda: pane.text.startswith("structure  +1 -0"))
        lines = [line.rstrip() for line in pane.text.split("\n")]
        assert [line for line in lines if line[:2] in ("+ ", "- ")] == ['+   "priorityNum" INTEGER']
        assert any(line.startswith("2 statements") for line in lines)
        assert 'ALTER TABLE "todos" ADD COLUMN "priorityNum" INTEGER;' in lines
        opened.engine.told_structures = Structures(after, after)
        await opened.save()
        await opened.until(lambda: pane.text.startswith("✓ The structure stays as it is."))
        assert 'ALTER TABLE "todos" ADD COLUMN "priorityNum" INTEGER;' in pane.text


async def test_types_stay_with_the_last_plan_while_the_database_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[TypesRead] = []
    read = Looking.on_types_read

    def on_types_read(app: Looking, message: TypesRead) -> None:
        read(app, message)
        drawn.append(message)

    monkeypatch.setattr(Looking, "on_types_read", on_types_read)
    async with studio(tmp_path, plan_of(*changes())) as opened:
        statement = "ALTER TABLE"
        await opened.press("2", "right", "right")
        await opened.until(lambda: statement in opened.app.main.types_pane.entry.text)
        good, problem = opened.engine.state, Problem("The database is locked.", "Try again.")
        opened.engine.state = replace(good, plan=None, problems=(problem,))
        drawn.clear()
        await opened.save()
        await opened.until(lambda: drawn)
        assert statement in opened.app.main.types_pane.entry.text


async def test_sides_stand_beside_each_other_only_where_there_is_room(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("2", "s")
        assert "too narrow" in opened.notice
        await opened.press("z")
        line = next(line for line in opened.screen.split("\n") if "priorityNum: number" in line)
        assert line.index("- ") < line.index("│", 3) < line.index("+ ")
        await opened.press("s")
        line = next(line for line in opened.screen.split("\n") if "priorityNum: number" in line)
        assert line.strip("┃ ").startswith("+ ")


async def test_brackets_jump_between_differences(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        before = [f"line {at}" for at in range(300)]
        after = before.copy()
        after[50], after[150], after[250] = "fifty", "hundred", "two hundred"
        (file,) = files_of(plan_of())
        file = replace(file, before="\n".join(before), after="\n".join(after))
        opened.engine.files = (file,)
        opened.engine.state = replace(opened.engine.state)
        await opened.save()
        await opened.press("2", "right_square_bracket")
        assert "+ hundred" in opened.screen
        assert "hunk 2 of 3" in opened.screen
        await opened.press("right_square_bracket")
        assert "+ two hundred" in opened.screen
        await opened.press("left_square_bracket", "left_square_bracket")
        assert "+ fifty" in opened.screen


@SIZES
async def test_a_failed_document_shows_error_source_and_itself(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        opened.engine.failing = 3
        opened.engine.documents = {f"t000{at}": {"_id": f"t000{at}", "n": at} for at in range(3)}
        await opened.rehearse()
        await opened.press("3", "down", "down")
        pane = opened.app.main.dry_run_pane
        await opened.until(lambda: '"t0002"' in pane.detail.text)
        assert "TypeError: Cannot read" in pane.detail.text
        assert "valet/schema.ts:21:28" in pane.detail.text
        assert "▶ 21 │" in pane.detail.text
        assert "n    2" in pane.detail.text
        for _ in range(8):
            await opened.press("shift+down")
        assert "Document t0002" in opened.screen
        await opened.press("c")
        assert opened.app.clipboard.startswith("t0002\n✗ TypeError")


async def test_shift_d_tries_the_failed_documents_again(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("D")
        assert "No document failed" in opened.notice
        opened.engine.failing = 3
        await opened.rehearse()
        opened.engine.still_failing = 1
        await opened.press("3", "D")
        await opened.until(lambda: opened.app.facts.running is None)
        assert "1 of 3 failed documents still fails." in opened.notice
        assert "✗ t0000  TypeError" in opened.screen
        assert "✓ t0001  works now" in opened.screen
        opened.engine.still_failing = 0
        await opened.press("D")
        await opened.until(lambda: "all work now" in opened.notice)
        assert "✓ t0000  works now" in opened.screen
        newest, before, *_ = opened.app.main.dry_run_pane.text.split("\n\n")
        assert newest.startswith("✓ Tried 3 failed documents again: all work.")
        assert before.startswith("✗ Dry run failed: 3 documents")
        await opened.press("a", "y")
        assert opened.engine.applied == []


@SIZES
async def test_live_rehearsal_dry_runs_each_new_plan(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        await opened.press("r")
        await opened.until(lambda: opened.app.facts.rehearsal_holds)
        assert " live " in opened.screen.split("\n")[0]
        other = plan_of(*changes()[:2], fingerprint="other000")
        opened.engine.state = state_of(opened.engine.settings, other)
        await opened.save()
        await opened.until(lambda: opened.app.facts.rehearsed == "other000")
        await opened.save()
        await opened.pilot.pause(0.1)
        assert opened.engine.rehearsed == ["3fa9c1d27e5b", "other000"]
        assert opened.app.main.pane_name == "plan"
        await opened.press("r")
        assert " live " not in opened.screen.split("\n")[0]
        opened.engine.state = state_of(opened.engine.settings, plan_of(*changes()))
        await opened.save()
        await opened.pilot.pause(0.1)
        assert len(opened.engine.rehearsed) == 2


async def test_a_save_cancels_the_live_rehearsal_and_begins_the_next(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.hold = threading.Event()
        await opened.press("r")
        await opened.until(lambda: opened.app.progress and opened.app.progress.running)
        other = plan_of(*changes()[:2], fingerprint="other000")
        opened.engine.state = state_of(opened.engine.settings, other)
        await opened.save()
        await opened.until(lambda: opened.engine.rehearsed == ["3fa9c1d27e5b", "other000"])
        assert opened.engine.closed == 1
        opened.engine.hold.set()
        await opened.until(lambda: opened.app.facts.rehearsal_holds)


async def test_cancelling_a_live_rehearsal_rests_until_the_next_plan(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.hold = threading.Event()
        await opened.press("r")
        await opened.until(lambda: opened.app.progress and opened.app.progress.running)
        await opened.press("x")
        await opened.until(opened.idle)
        await opened.pilot.pause(0.2)
        assert len(opened.engine.rehearsed) == 1


async def test_live_rehearsal_is_remembered(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    memory = tmp_path / "state" / "studio.json"
    for turned_on in (True, False):
        engine = FakeEngine(settings, state_of(settings, plan_of(*changes())))
        app = StudioApp(settings, engine, Saves(), memory=memory)
        async with app.run_test() as pilot:
            opened = Studio(app, pilot, engine, Saves())
            await opened.until(lambda a=app: a.facts.plan is not None)  # type: ignore[misc]
            assert app.facts.live is not turned_on
            await opened.press("r")
            assert recall(memory).live is turned_on


@pytest.mark.parametrize("text", ["", "{", "[]", '{"live": "yes"}', '{"live": null}'])
def test_a_damaged_memory_is_no_memory(tmp_path: Path, text: str) -> None:
    path = tmp_path / "studio.json"
    path.write_text(text, encoding="utf-8")
    assert recall(path).live is False
    path.write_text(json.dumps({"live": True, "other": 1}), encoding="utf-8")
    assert recall(path).live is True


def test_a_user_without_a_home_has_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert memory_path({}, "linux") is None


def test_memory_lies_where_the_system_wants_it(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert memory_path(home, "linux") == tmp_path / ".local/state/valet-studio/studio.json"
    named = home | {"XDG_STATE_HOME": str(tmp_path / "s")}
    assert memory_path(named, "linux") == tmp_path / "s/valet-studio/studio.json"
    mac = memory_path(home, "darwin")
    assert mac == tmp_path / "Library/Application Support/valet-studio/studio.json"
    local = {"USERPROFILE": str(tmp_path), "LOCALAPPDATA": str(tmp_path / "l")}
    assert memory_path(local, "win32") == tmp_path / "l/valet-studio/studio.json"


def report_lines(backfill: BackfillReport, width: int = 60) -> str:
    """A finished dry run with this one backfill, as pane 3 tells it."""
    plan = plan_of(*changes())
    report = Report("ok", plan, (), (backfill,), 0.1)
    progress = Progress("dry run", plan, "dev.db", report=report, ended=True)
    return "\n".join(
        line.plain
        for line in run_lines(progress, width, None, Facts(Settings(), keys=USUAL_KEYS).key)
    )


def test_many_numbers_are_drawn_as_a_histogram() -> None:
    bins = (Bin(0, 10, 0.25), Bin(10, 20, 0.75))
    told = report_lines(BackfillReport("t", "c", 900, 900, 0, 0.1, nulls=30, histogram=bins))
    assert "900 of 900 rows filled · 30 of them null · 0 failed" in told
    first, second = (line for line in told.split("\n") if "▇" in line)
    assert first.startswith("0 – 10")
    assert "25%" in first
    assert second.count("▇") == 3 * first.count("▇")


@pytest.mark.parametrize(
    ("low", "step", "first"),
    [
        (1_764_247_412_000.0, 60_000.0, "1,764,247,412,000 – 1,764,247,472,000"),
        (1_000_000_000.0, 0.25, "1,000,000,000.00 – 1,000,000,000.25"),
        (0.0, 10.0, "0 – 10"),
    ],
)
def test_spans_of_numbers_that_lie_close_together_are_told_apart(
    low: float, step: float, first: str
) -> None:
    bins = tuple(Bin(low + step * at, low + step * (at + 1), 0.25) for at in range(4))
    told = report_lines(BackfillReport("t", "c", 900, 900, 0, 0.1, histogram=bins))
    spans = [line.split("  ")[0] for line in told.split("\n") if "%" in line]
    assert spans[0] == first
    assert len(set(spans)) == 4


def test_samples_mark_what_changes() -> None:
    plan = plan_of(*changes())
    backfill = report_of(plan).backfills[0]
    same = replace(backfill.samples[0], before=3, after=3)
    told = report_lines(replace(backfill, samples=(same, *backfill.samples[1:])), 70)
    lines = [line for line in told.split("\n") if line.startswith("t000")]
    assert lines[0].split()[2:5] == ["3", "=", "3"]
    assert lines[1].split()[2:5] == ["null", "→", "2"]


def bold_titles(opened: Studio) -> list[str]:
    """The panes whose titles stand out."""
    titles = ("1 Plan", "2 Types", "3 Dry run", "4 Log")
    return [
        segment.text.strip()
        for strip in opened.app.screen._compositor.render_strips()
        for segment in strip
        if segment.text.strip() in titles and segment.style is not None and segment.style.bold
    ]


async def test_the_title_of_the_focused_pane_stands_out(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        for key, title in {"2": "2 Types", "4": "4 Log", "3": "3 Dry run", "1": "1 Plan"}.items():
            await opened.press(key)
            assert bold_titles(opened) == [title]


async def test_brackets_go_from_mark_to_mark_in_the_plan(tmp_path: Path) -> None:
    many = [change for name in ("a", "b", "c") for change in changes(table=name)]
    many[4] = replace(many[4], risk=Risk.WARNING)
    async with studio(tmp_path, plan_of(*many)) as opened:
        tree = opened.app.main.query_one(PlanTree)
        await opened.press("home", "minus", "right_square_bracket")
        assert tree.selected is not None
        assert tree.selected.key == ("b", "add_column", "priorityNum")
        many[1], many[8] = (replace(many[at], risk=Risk.BREAKING) for at in (1, 8))
        opened.engine.state = replace(opened.engine.state, plan=plan_of(*many))
        await opened.save()
        for key, table in (("right", "c"), ("right", "a"), ("left", "c"), ("left", "a")):
            await opened.press(f"{key}_square_bracket")
            assert (tree.selected.key[0], tree.selected.sign) == (table, "✗")


async def test_brackets_say_where_nothing_is_marked(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("1", "right_square_bracket")
        assert "No change is marked ✗ or !." in opened.notice
