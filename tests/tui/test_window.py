"""Title, progress and keys: the pure parts of what the studio tells a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studio_fakes import changes, plan_of, report_of, settings_in, state_of

from valet_studio.migrate.events import BackfillProgress
from valet_studio.tui.actions import ACTIONS, USUAL_KEYS
from valet_studio.tui.facts import Facts
from valet_studio.tui.key_names import key_shown, textual_key
from valet_studio.tui.keys import bound
from valet_studio.tui.progress import Progress
from valet_studio.tui.window import (
    NO_PROGRESS,
    Window,
    progress_sequence,
    takes_progress,
    takes_title,
    title_sequence,
    window_title,
)


@pytest.mark.parametrize(
    ("environ", "title", "progress"),
    [
        ({"TERM": "xterm-256color"}, True, False),
        ({"TERM": "linux"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "tmux-256color", "TMUX": "x", "WT_SESSION": "y"}, True, False),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, True, True),
        ({"TERM": "xterm-256color", "WT_SESSION": "y"}, True, True),
    ],
)
def test_only_what_a_terminal_is_known_to_take_is_sent(
    environ: dict[str, str], title: bool, progress: bool
) -> None:
    assert takes_title(environ) is title
    assert takes_progress(environ) is progress


@given(st.text())
def test_no_name_steers_the_terminal_through_its_title(name: str) -> None:
    sequence = title_sequence(name)
    assert sequence.startswith("\x1b]2;")
    assert sequence.endswith("\x1b\\")
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in sequence[4:-2])


def test_the_title_and_the_progress_are_told_once_and_taken_back(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    plan = plan_of(*changes())
    state = state_of(settings, plan)
    facts = Facts(settings, state, state, keys=USUAL_KEYS)
    told: list[str] = []
    window = Window({"TERM": "xterm", "TERM_PROGRAM": "WezTerm"}, told.append)
    running = Progress("dry run", plan, "dev.db")
    half = Progress(
        "dry run", plan, "d", running={("t", "c"): BackfillProgress("t", "c", 71, 142, 0, 1.0)}
    )
    for progress in (None, None, running, half, half):
        window.show(facts, progress)
    window.leave()
    assert window_title(facts) == f"~ 3 changes · {tmp_path.name} · Valet Studio"
    assert told == [
        f"\x1b[22;2t\x1b]2;~ 3 changes · {tmp_path.name} · Valet Studio\x1b\\",
        "\x1b]9;4;3;0\x1b\\",
        "\x1b]9;4;1;50\x1b\\",
        "\x1b[23;2t",
        NO_PROGRESS,
    ]


def test_progress_ends_with_the_run_and_a_failure_stays() -> None:
    plan = plan_of(*changes())
    good = Progress("apply", plan, "d", report=report_of(plan), ended=True)
    bad = Progress("apply", plan, "d", report=report_of(plan, failing=1), ended=True)
    assert progress_sequence(good) == NO_PROGRESS
    assert progress_sequence(bad) == "\x1b]9;4;2;100\x1b\\"


@pytest.mark.parametrize(
    ("written", "key", "read"),
    [
        ("G", "G", "G"),
        ("ctrl+S", "ctrl+S", "ctrl+S"),
        ("?", "question_mark", "?"),
        ("esc", "escape", "esc"),
        ("F5", "f5", "f5"),
        ("+", "plus", "+"),
        ("/", "slash", "/"),
        ("PgUp", "pageup", "pgup"),
        ("shift+down", "shift+down", "shift+↓"),
        ("foo", None, ""),
        ("hyperdrive+x", None, ""),
        ("", None, ""),
    ],
)
def test_a_key_is_written_as_a_person_would(written: str, key: str | None, read: str) -> None:
    assert textual_key(written) == key
    assert key is None or key_shown(key) == read


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*(action.id for action in ACTIONS), "nothing"]),
            st.one_of(
                st.text(max_size=8), st.sampled_from(["a", "b", "d", "q", "x", "?", "f5", "enter"])
            ),
        ),
        max_size=12,
    )
)
def test_no_configuration_gives_one_key_two_meanings(chosen: list[tuple[str, str]]) -> None:
    found, _ = bound(chosen)
    keys = [key for action in ACTIONS for key in found.get(action.id, action.keys)]
    assert len(keys) == len(set(keys))
    assert all(found.values())
