"""The studio's pure parts: status and key lines, editor calls, differences, thinned progress."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pushing import database, look, push, schema, table
from rich.color import Color, ColorSystem
from studio_fakes import changes, plan_of, report_of, settings_in, state_of
from textual.content import Content
from textual.theme import Theme

from valet_studio.config import Settings
from valet_studio.errors import Location, Problem
from valet_studio.migrate.events import (
    BackfillProgress,
    BackfillReport,
    Event,
    PhaseStarted,
    Sample,
    StatementRun,
)
from valet_studio.migrate.target import DatabaseInfo
from valet_studio.pipeline import GeneratedFile, StudioState
from valet_studio.schema.model import Field, Json, Schema, Sources, Table, Validator
from valet_studio.schema.telling import shown
from valet_studio.tui.actions import ACTIONS, USUAL_KEYS
from valet_studio.tui.commands import Commands
from valet_studio.tui.detail import statements_of
from valet_studio.tui.diff import TypesView, side_by_side, types_view, unified
from valet_studio.tui.editor import editor_call
from valet_studio.tui.facts import Facts
from valet_studio.tui.help import help_line
from valet_studio.tui.progress import Progress, advance, advance_all, thinned
from valet_studio.tui.report_text import run_lines
from valet_studio.tui.samples import samples
from valet_studio.tui.status import keys_text, status_text
from valet_studio.tui.text import (
    excerpt,
    number,
    one_line,
    path_shortened,
    shortened,
    size,
    value,
)
from valet_studio.tui.theme import (
    DARK_16,
    LIGHT_16,
    THEMES,
    in_sixteen,
    other_theme,
    starting_theme,
)

PLACE = Location("valet/schema.ts", 12, 5)


@pytest.mark.parametrize(
    ("editor", "arguments", "in_terminal"),
    [
        ("vim", ["vim", "+12", "valet/schema.ts"], True),
        ("nvim -p", ["nvim", "-p", "+12", "valet/schema.ts"], True),
        ("/usr/bin/nano", ["/usr/bin/nano", "+12", "valet/schema.ts"], True),
        ("emacs -nw", ["emacs", "-nw", "+12:5", "valet/schema.ts"], True),
        ("code --wait", ["code", "--wait", "-g", "valet/schema.ts:12:5"], False),
        ("subl", ["subl", "valet/schema.ts:12:5"], False),
        ("hx", ["hx", "valet/schema.ts:12:5"], True),
        ("unheard-of", ["unheard-of", "valet/schema.ts"], True),
    ],
)
def test_each_editor_gets_the_line_in_its_own_way(
    editor: str, arguments: list[str], in_terminal: bool
) -> None:
    call = editor_call({"EDITOR": editor}, PLACE)
    assert call is not None
    assert list(call.arguments) == arguments
    assert call.in_terminal == in_terminal


def test_visual_wins_over_editor_and_either_over_the_systems_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = editor_call({"EDITOR": "nano", "VISUAL": "vim"}, PLACE)
    assert call is not None
    assert call.arguments[0] == "vim"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert editor_call({}, PLACE) is None
    assert editor_call({"VISUAL": " "}, PLACE) is None
    for name in ("vi", "nano"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    call = editor_call({}, PLACE)
    assert call is not None
    assert call.arguments[:2] == ("vi", f"+{PLACE.line}")


def test_every_action_has_a_method_and_no_key_does_two_things() -> None:
    for action in ACTIONS:
        assert callable(getattr(Commands, f"do_{action.id}"))
    keys = [key for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_keys_and_status_fit_their_line(tmp_path: Path, width: int) -> None:
    settings = settings_in(tmp_path)
    state = state_of(settings, plan_of(*changes()))
    facts = Facts(settings, state, state, keys=USUAL_KEYS)
    text, shown = keys_text(facts, width)
    assert text.cell_length <= width
    assert {"help", "quit"} <= set(shown)
    if width >= 80:
        assert {"dry_run", "apply"} <= set(shown)
        assert status_text(facts, width).cell_length <= width
        assert "schema.ts" in status_text(facts, width).plain
        assert "dev.db" in status_text(facts, width).plain
        assert "45 KB" in status_text(facts, width).plain


def view_of(before: str | None, after: str, name: str = "types.ts") -> TypesView:
    """What pane 2 shows of one generated file."""
    settings = Settings()
    schema = Schema((Table("todos", (Field("tags", Validator("string")),)),))
    files = (GeneratedFile(Path(name), before, after),)
    state = StudioState(settings, DatabaseInfo("dev.db", True), schema, plan_of(*changes()))
    view = types_view(state, files)
    assert view is not None
    return view


def plain(lines: list[Content]) -> str:
    return "\n".join(line.plain for line in lines)


def test_up_to_date_files_are_shown_whole() -> None:
    view = view_of("a\n", "a\n")
    assert view.stale == 0
    assert view.tabs[0].hunks == ()
    assert plain(unified(view.tabs[0])[0]) == "✓ Types are up to date.\n\na"


def test_a_difference_has_signs_and_brackets() -> None:
    view = view_of("tags: string;\n", "tags: string[];\n")
    drawn = plain(unified(view.tabs[0])[0])
    assert "- tags: string;\n+ tags: string[];" in drawn
    assert "+1 -1" in drawn
    assert view.stale == 1


def test_side_by_side_pairs_lines_and_fits_the_width() -> None:
    before = "same\nold [/x]\nolder\nend\n"
    view = view_of(before, "same\nnew [/x]\nend\n" + "long " * 40 + "\n")
    lines, begins = side_by_side(view.tabs[0], 80)
    assert begins == [1]
    assert "- old [/x]" in lines[2].plain
    assert "+ new [/x]" in lines[2].plain
    assert lines[3].plain.startswith("- older")
    assert lines[3].plain.rstrip().endswith("│")
    assert {line.cell_length for line in lines[1:]} == {79}


def test_python_and_sql_can_be_read_where_neither_is_written() -> None:
    view = view_of("a\n", "a\n")
    titles = {tab.title: plain(unified(tab)[0]) for tab in view.tabs}
    assert list(titles) == ["TypeScript", "Python", "SQL", "schema.json"]
    assert "class Todos" in titles["Python"]
    assert "not written" in titles["Python"]
    statements = [sql for change in plan_of(*changes()).pending for sql in change.sql]
    places = [titles["SQL"].index(sql) for sql in statements]
    assert places == sorted(places)


def test_a_text_that_no_file_holds_is_compared_with_the_applied_schemas() -> None:
    before = Schema((Table("todos", (Field("tags", Validator("number")),)),))
    state = StudioState(
        Settings(),
        DatabaseInfo("dev.db", True),
        Schema((Table("todos", (Field("tags", Validator("string")),)),)),
        plan_of(*changes()),
    )
    view = types_view(state, (), before)
    assert view is not None
    for tab in view.tabs:
        if tab.title == "SQL":
            continue
        drawn, begins = unified(tab)
        assert begins, tab.title
        assert any(line.plain.startswith("- ") for line in drawn), tab.title
        assert any(line.plain.startswith("+ ") for line in drawn), tab.title
        assert "not written" in drawn[0].plain
        sides, _ = side_by_side(tab, 100)
        paired = [line.plain for line in sides if line.plain.startswith("- ")]
        assert any("│+ " in line for line in paired), tab.title
    same = types_view(state, (), state.schema)
    assert same is not None
    assert all(not tab.hunks for tab in same.tabs)


def test_the_statements_of_each_change_can_be_jumped_to() -> None:
    view = view_of("a\n", "a\n")
    drawn, begins = unified(view.tabs[2])
    assert [drawn[at].plain.split(" ")[0] for at in begins] == ["--"] * len(begins)
    assert len(begins) == len(plan_of(*changes()).pending) + 1


def test_what_no_schema_explains_shows_the_statement_that_made_it() -> None:
    made = (
        "CREATE UNIQUE INDEX odd ON todos (title)",
        "CREATE TRIGGER snoop AFTER INSERT ON todos BEGIN SELECT 1; END",
    )
    with database() as connection:
        push(connection, schema(table(title=Validator("string"))))
        for statement in made:
            connection.execute(statement)
        plan = look(connection, schema(table(title=Validator("string"))))
    shown_of = [statement for change in plan.changes for statement in statements_of(change)]
    assert set(shown_of) == {f"{statement};" for statement in made}


def test_hunks_far_from_each_other_are_separate() -> None:
    lines = [f"line {at}" for at in range(60)]
    changed = lines.copy()
    changed[5], changed[50] = "five", "fifty"
    view = view_of("\n".join(lines), "\n".join(changed))
    drawn, begins = unified(view.tabs[0])
    assert len(begins) == 2
    assert drawn[begins[1] - 1].plain.strip() == "⋯"


def test_a_huge_difference_is_cut() -> None:
    text = "".join(f"export type T{at} = string[];\n" for at in range(5000))
    drawn = plain(unified(view_of(None, text).tabs[0])[0])
    assert len(drawn.splitlines()) < 1000
    assert "4,400 more lines" in drawn


events = st.lists(
    st.one_of(
        st.builds(
            BackfillProgress,
            st.just("t"),
            st.sampled_from("ab"),
            st.integers(0, 9),
            st.just(9),
            st.just(0),
            st.just(0.1),
        ),
        st.just(StatementRun("SELECT 1", 0.1)),
        st.sampled_from([PhaseStarted("copy"), PhaseStarted("backfill")]),
    )
)


@given(events)
def test_thinned_progress_ends_where_all_of_it_ends(told: list[Event]) -> None:
    start = Progress("dry run", plan_of(*changes()), "dev.db")
    full, thin = start, start
    timed = [(float(at), event) for at, event in enumerate(told)]
    for at, event in timed:
        full = advance(full, event, at)
    for at, event in thinned(timed):
        thin = advance(thin, event, at)
    assert thin == full == advance_all(start, timed)


def test_phases_are_timed_from_their_start_to_the_next() -> None:
    progress = Progress("dry run", plan_of(*changes()), "dev.db")
    progress = advance(progress, PhaseStarted("copy"), 1.0)
    progress = advance(progress, PhaseStarted("structure"), 1.5)
    progress = advance(progress, report_of(plan_of(*changes())), 4.0)
    assert progress.seconds == {"copy": 0.5, "structure": 2.5}


@pytest.mark.parametrize("width", [24, 36, 44])
def test_a_phase_stays_beside_its_time(width: int) -> None:
    progress = Progress("dry run", plan_of(*changes()), "dev.db")
    progress = advance(progress, PhaseStarted("copy"), 0)
    progress = advance(progress, PhaseStarted("structure"), 1.234)
    progress = advance(progress, PhaseStarted("backfill"), 2.468)
    progress = advance(progress, PhaseStarted("verify"), 3.702)
    told = [line.plain for line in run_lines(progress, width, None, str)]
    for phase in ("✓ copy 1.23 s", "✓ structure 1.23 s", "✓ backfill 1.23 s", "● verify"):
        assert any(phase in line for line in told)
    assert max(map(len, told)) <= width


@pytest.mark.parametrize("indent", ["\t\t", "        "], ids=["tabs", "spaces"])
def test_an_excerpt_of_a_long_line_shows_the_place_and_what_is_said_of_it(indent: str) -> None:
    long = f"{indent}.backfill('日本', (row) => {'+' * 60}fail({'+' * 60})"
    text = f"{indent}const a = 1\n{long}\n{indent}short: wrong\n"
    sources = Sources("schema.ts", {"schema.ts": text})
    failing = Location("valet/schema.ts", 2, long.index("fail") + 1)
    short = Location("valet/schema.ts", 3, len(indent) + 8)
    notes = (Problem("No.", None, failing), Problem("Never.", None, short))
    told = excerpt(sources, failing, 60, notes=notes)
    assert told is not None
    _, line, under, other, below = told.plain.split("\n")
    assert line.startswith("▶ 2 │ …")
    assert line.endswith("…")
    assert len(line) <= 60
    assert line[under.index("^") :].startswith("fail(")
    assert other[below.index("^") :] == "wrong"


@given(st.text(max_size=60), st.integers(2, 40))
def test_shortened_text_fits(text: str, width: int) -> None:
    assert len(path_shortened(text, width)) <= max(width, 0) or len(text) <= width
    assert shortened(text, width) == text or shortened(text, width).endswith("…")


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 B"), (812, "812 B"), (45_056, "45 KB"), (1_500_000, "1.5 MB"), (2.5e9, "2.5 GB")],
)
def test_sizes_read_well(number: int, told: str) -> None:
    assert size(number) == told


@pytest.mark.parametrize(
    ("told", "theme"),
    [
        ("", "valet-dark"),
        ("15;0", "valet-dark"),
        ("0;15", "valet-light"),
        ("0;default;7", "valet-light"),
    ],
)
def test_the_theme_follows_the_terminal_where_it_tells(told: str, theme: str) -> None:
    assert starting_theme({"COLORFGBG": told}) == theme


@pytest.mark.parametrize(
    ("remembered", "theme", "sixteen"),
    [
        ("valet-light", "valet-light", "valet-light-16"),
        ("valet-light-16", "valet-light", "valet-light-16"),
        ("nord", "nord", "nord"),
    ],
)
def test_the_theme_that_was_chosen_comes_back(remembered: str, theme: str, sixteen: str) -> None:
    chosen = starting_theme({"COLORFGBG": "15;0"}, remembered)
    assert (chosen, in_sixteen(chosen)) == (theme, sixteen)


@pytest.mark.parametrize("theme", THEMES)
def test_dark_and_light_take_turns(theme: Theme) -> None:
    sixteen = theme.name.endswith("-16")
    other = other_theme(theme.name, sixteen=sixteen)
    assert other != theme.name
    assert other_theme(other, sixteen=sixteen) == theme.name


def test_sixteen_colours_are_enough_for_the_signs() -> None:
    for theme in (DARK_16, LIGHT_16):
        signs = [theme.success, theme.error, theme.warning, theme.primary]
        drawn = {Color.parse(sign or "").downgrade(ColorSystem.STANDARD).number for sign in signs}
        grey = {0, 7, 8, 15}
        assert len(drawn) == 4
        assert not drawn & grey


@pytest.mark.parametrize(
    ("watching", "shown"),
    [
        (False, "‖ paused live .valet/dev.db"),
        (True, "● schema.ts  live .valet/dev.db"),
    ],
)
def test_a_narrow_status_keeps_what_must_not_be_overlooked(
    tmp_path: Path, watching: bool, shown: str
) -> None:
    settings = settings_in(tmp_path)
    state = state_of(settings, plan_of(*changes()))
    wrong = (Problem("wrong"),)
    facts = Facts(
        settings,
        state=state,
        good=state,
        type_errors=wrong,
        live=True,
        watching=watching,
        keys=USUAL_KEYS,
    )
    drawn = status_text(facts, 80)
    assert shown in drawn.plain
    assert "✗ 1 type error · no dry run" in drawn.plain
    database = replace(state.database, read_only=True)
    read_only = replace(facts, good=replace(state, database=database))
    assert ".valet/dev.db read-only" in status_text(read_only, 80).plain
    for width in range(60, 130):
        assert status_text(facts, width).cell_length <= width
        assert status_text(read_only, width).cell_length <= width


@pytest.mark.parametrize("huge", ["x" * 9_000_000, [1] * 2_000_000, {"a": ["\u202e" * 9_000_000]}])
def test_of_a_huge_value_no_more_is_laid_out_than_could_be_in_sight(huge: Json) -> None:
    told = value(huge)
    assert len(told) < 30_000
    assert told.rstrip('"').endswith("…")
    assert value("x" * 3_000) == f'"{"x" * 3_000}"'


def test_a_value_cannot_steer_the_terminal_or_turn_its_line_around() -> None:
    assert value("a\u202eRTL\x9b31m\u2066é") == '"a\\u202eRTL\\u009b31m\\u2066é"'


def test_no_blank_of_a_value_is_lost_or_looks_like_another() -> None:
    assert value("  Max  Power ") == '"  Max  Power "'
    assert value("1\u00a0234\u200b\ufeff") == '"1\\u00a0234\\u200b\\ufeff"'
    assert value("👩\u200d🔬 山田\u3000") == '"👩\u200d🔬 山田\u3000"'
    sample = Sample("t1", "a  b", "a b", {"name": "a  b"})
    report = BackfillReport("t", "name", 1, 1, 0, 0.1, samples=(sample,))
    drawn = [line.plain for line in samples(report, "(row) => row.name")]
    assert '"a  b"' in drawn[1]


def test_bytes_are_told_as_bytes_and_not_as_a_text() -> None:
    assert value(shown(b"\x0a\xff", None)) == "x'0aff'"
    assert value(shown("x'0aff'", None)) == "\"x'0aff'\""
    assert value(shown(bytes(5_000), None)) == f"x'{'00' * 32}…' (5,000 bytes)"


@pytest.mark.parametrize(
    ("amount", "told"),
    [(12, "12"), (1200, "1,200"), (0.354, "0.354"), (1079.75, "1,080"), (1.2e9, "1.2e+09")],
)
def test_numbers_are_told_for_people(amount: float, told: str) -> None:
    assert number(amount) == told


def test_a_message_is_brought_into_one_line_with_its_blanks() -> None:
    assert one_line('  "a  b" is\n\t no number\u2028. ') == '"a  b" is no number .'


def test_long_keys_of_the_help_stay_in_their_column() -> None:
    told = "Scroll what is told of the selected document, of which there may be more than fits."
    head, *rest = help_line("J K shift+↓ shift+↑", told, 60).plain.split("\n")
    assert head.startswith("  J K shift+↓    Scroll what")
    assert [line[:17].strip() for line in rest] == ["shift+↑", ""]
    assert " ".join(line[17:] for line in (head, *rest)) == told
