"""What only a real terminal shows: title, resizing, wild keys, leaving, a browser's start."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from support import SLOW_FOR_MANY, TODOS, Project, add_many, fill_todos, seed_blocks
from terminal import Terminal

BEFORE = TODOS
SLOW = SLOW_FOR_MANY


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, and the seed's backfill to be applied."""
    project.push(BEFORE)
    fill_todos(project)
    project.write(seed_blocks()[4])
    return project


@pytest.fixture
def slow(todos: Project) -> Project:
    """A dry run that can be met in the middle."""
    add_many(todos)
    todos.write(SLOW)
    return todos


def test_the_title_tells_the_plan_and_is_given_back(todos: Project) -> None:
    with Terminal(todos.root) as terminal:
        terminal.wait_for("4 changes")
        assert terminal.screen.title == f"~ 4 changes · {todos.root.name} · Valet Studio"
        terminal.press("q")
        assert terminal.wait_for_end() == 0
        assert terminal.said.count(b"\x1b[22;2t") == terminal.said.count(b"\x1b[23;2t") == 1


def test_resizing_and_wild_keys_during_a_dry_run_apply_nothing(slow: Project) -> None:
    before = slow.database.read_bytes()
    with Terminal(slow.root) as terminal:
        terminal.wait_for("4 changes")
        terminal.press("d")
        terminal.wait_for("rows/s")
        for columns, rows in ((80, 24), (40, 10), (200, 60), (120, 36)):
            terminal.resize(columns, rows)
            terminal.press(*"ayuhgfoxdntzwc/?", "\x1b", "\r", "\t", "y", "\x1a", "\x0f", "\x1b")
            terminal.drain()
        for _ in range(4):
            terminal.press("\x1b")
            terminal.drain()
        terminal.wait_for("q quit")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert slow.database.read_bytes() == before


def test_leaving_while_the_schema_loops_is_at_once(todos: Project) -> None:
    todos.write("while (true) {}\n" + BEFORE)
    with Terminal(todos.root) as terminal:
        terminal.wait_for("1 Plan")
        began = time.monotonic()
        terminal.press("q")
        assert terminal.wait_for_end() == 0
        assert time.monotonic() - began < 4


def test_the_frame_of_the_pane_with_the_focus_is_heavy(todos: Project) -> None:
    with Terminal(todos.root) as terminal:
        terminal.wait_for("4 changes", "┏━ 1 Plan")
        titles = ("1 Plan", "2 Types", "3 Dry run", "4 Log")
        for key in "432143":
            terminal.press(key)
            others = [f"╭─ {title}" for title in titles if title[0] != key]
            focused = next(title for title in titles if title[0] == key)
            terminal.wait_for(f"┏━ {focused}", *others)
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_a_defect_is_a_sentence_and_an_exit_code(todos: Project, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import valet_studio.tui.commands as commands\n"
        "def broken(self):\n    raise RuntimeError('boom')\n"
        "commands.Commands.do_zoom = broken\n",
        encoding="utf-8",
    )
    with Terminal(todos.root, environment={"PYTHONPATH": str(tmp_path)}) as terminal:
        terminal.wait_for("4 changes")
        terminal.press("z")
        assert terminal.wait_for_end() == 1
        assert "Something went wrong that should not: RuntimeError: boom" in terminal.text
        assert "Traceback" not in terminal.text


def test_the_tour_can_be_given_from_the_command_line(tmp_path: Path) -> None:
    with Terminal(tmp_path, "demo", "--tour") as terminal:
        terminal.wait_for("1/7", "Schema and database agree")
        terminal.press("n")
        terminal.wait_for("2/7", "Add column todos.dueDate")
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_the_browser_gets_a_key_and_the_right_to_read(todos: Project) -> None:
    with Terminal(todos.root, "--web", "--web-port", "0", columns=200) as terminal:
        text = terminal.wait_for("read-only", "Ctrl-C ends it")
        assert re.search(r"http://127\.0\.0\.1:\d+/\?key=\S{20,}", text)
        terminal.press("\x03")
        assert terminal.wait_for_end() == 0


@pytest.mark.parametrize("key", ["o", "/", "R"])
def test_keys_in_one_burst_are_typed_in_their_order(todos: Project, key: str) -> None:
    with Terminal(todos.root) as terminal:
        terminal.wait_for("4 changes")
        terminal.press(key)
        terminal.wait_for({"o": "opens", "/": "esc clears", "R": "rehearses ·"}[key])
        terminal.press("abc\x7f\x7fx\x01-\x05+")
        terminal.wait_for("-ax+")


def test_a_plan_that_came_while_its_pane_was_hidden_has_the_whole_width(todos: Project) -> None:
    saved = seed_blocks()[4]
    todos.push(saved)
    with Terminal(todos.root, columns=80, rows=24) as terminal:
        terminal.wait_for("✓ in sync", "h history")
        terminal.press("3")
        terminal.wait_for("[3 Dry run]")
        todos.write(saved.replace("userId: v", "extra: v.optional(v.string()),\n        userId: v"))
        terminal.wait_for("~ 1 change", "d dry run")
        terminal.drain()  # What the change touches was read, too: nothing else draws it anew.
        terminal.press("1")
        terminal.wait_for("extra: v.optional(v.string()),")
