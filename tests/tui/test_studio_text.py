"""The studio's pure parts: status and key lines, editor calls, differences, thinned progress."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studio_fakes import changes, plan_of, settings_in, state_of

from valet_studio.errors import Location
from valet_studio.migrate.events import BackfillProgress, Event, PhaseStarted, StatementRun
from valet_studio.pipeline import GeneratedFile
from valet_studio.tui.actions import ACTIONS
from valet_studio.tui.commands import Commands
from valet_studio.tui.diff import types_diff
from valet_studio.tui.editor import editor_call
from valet_studio.tui.facts import Facts
from valet_studio.tui.progress import Progress, advance, thinned
from valet_studio.tui.status import keys_text, status_text
from valet_studio.tui.text import path_shortened, shortened, size
from valet_studio.tui.theme import starting_theme

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


def test_visual_wins_over_editor_and_neither_is_no_call() -> None:
    call = editor_call({"EDITOR": "nano", "VISUAL": "vim"}, PLACE)
    assert call is not None
    assert call.arguments[0] == "vim"
    assert editor_call({}, PLACE) is None
    assert editor_call({"VISUAL": " "}, PLACE) is None


def test_every_action_has_a_method_and_no_key_does_two_things() -> None:
    for action in ACTIONS:
        assert callable(getattr(Commands, f"do_{action.id}"))
    keys = [key for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_keys_and_status_fit_their_line(tmp_path: Path, width: int) -> None:
    settings = settings_in(tmp_path)
    state = state_of(settings, plan_of(*changes()))
    facts = Facts(settings, state, state)
    text, shown = keys_text(facts, width)
    assert text.cell_length <= width
    assert {"help", "quit"} <= set(shown)
    if width >= 80:
        assert {"dry_run", "apply"} <= set(shown)
        assert status_text(facts, width).cell_length <= width
        assert "schema.ts" in status_text(facts, width).plain
        assert "dev.db" in status_text(facts, width).plain
        assert "45 KB" in status_text(facts, width).plain


def test_up_to_date_files_have_no_difference() -> None:
    same = GeneratedFile(Path("types.ts"), "a\n", "a\n")
    assert types_diff((same,)) is None


def test_a_difference_has_signs_and_brackets() -> None:
    file = GeneratedFile(Path("types.ts"), "tags: string;\n", "tags: string[];\n")
    drawn = types_diff((file,))
    assert drawn is not None
    assert "- tags: string;\n+ tags: string[];" in drawn.plain
    assert "+1 -1" in drawn.plain


def test_a_huge_difference_is_cut() -> None:
    text = "".join(f"export type T{at} = string[];\n" for at in range(5000))
    drawn = types_diff((GeneratedFile(Path("types.ts"), None, text),))
    assert drawn is not None
    assert len(drawn.plain.splitlines()) < 1000
    assert "4,400 more lines" in drawn.plain


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
    for event in told:
        full = advance(full, event)
    for event in thinned(told):
        thin = advance(thin, event)
    assert thin == full


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
