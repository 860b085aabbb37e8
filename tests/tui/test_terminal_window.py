"""The terminal's title and progress in a real terminal: sent where they are known, and taken back
however the studio ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import threading
import time
from pathlib import Path
from typing import IO, cast

import pytest
from support import SLOW_FOR_MANY, TODOS, Project, add_many, fill_todos
from terminal import STUDIO, Terminal
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from valet_studio.tui.output import Lasting

BEFORE = TODOS
SLOW = SLOW_FOR_MANY
PLAIN = {"TERM_PROGRAM": "", "TMUX": "", "STY": "", "WT_SESSION": "", "ConEmuPID": ""}
DRAWS = PLAIN | {"TERM_PROGRAM": "WezTerm"}
PROGRESS = re.compile(rb"\x1b\]9;4;(\d);(\d+)\x1b\\")
KEPT, GIVEN_BACK = b"\x1b[22;2t", b"\x1b[23;2t"


@pytest.fixture
def slow(project: Project) -> Project:
    """A dry run that can be met in the middle."""
    project.push(BEFORE)
    fill_todos(project)
    add_many(project)
    project.write(SLOW)
    return project


def rehearsing(terminal: Terminal) -> None:
    """Wait until a dry run is in its middle."""
    terminal.wait_for("4 changes")
    terminal.press("d")
    terminal.wait_for("rows/s")


def told(terminal: Terminal) -> list[tuple[int, int]]:
    """The progress that the terminal was told: what, and how many per cent."""
    return [(int(what), int(part)) for what, part in PROGRESS.findall(terminal.said)]


def as_before(terminal: Terminal) -> None:
    """Nothing of the studio is left in the terminal: progress, title, screen, cursor."""
    assert told(terminal)[-1] == (0, 0)
    assert terminal.said.count(KEPT) == terminal.said.count(GIVEN_BACK) == 1
    assert terminal.said.rindex(b"\x1b[?1049l") > terminal.said.rindex(b"\x1b[?1049h")
    assert terminal.said.rindex(b"\x1b[?25h") > terminal.said.rindex(b"\x1b[?25l")


def test_progress_is_drawn_while_a_dry_run_goes_on(slow: Project) -> None:
    with Terminal(slow.root, environment=DRAWS) as terminal:
        rehearsing(terminal)
        terminal.press("x")
        terminal.wait_for("The copy was deleted")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
        parts = [part for what, part in told(terminal) if what == 1]
        assert parts == sorted(set(parts))
        assert all(0 <= part <= 100 for part in parts)
        assert parts
        as_before(terminal)


@pytest.mark.parametrize("environment", [PLAIN, DRAWS | {"TMUX": "x"}], ids=["unknown", "tmux"])
def test_no_progress_is_sent_to_a_terminal_that_might_pop_it_up(
    slow: Project, environment: dict[str, str]
) -> None:
    with Terminal(slow.root, environment=environment) as terminal:
        rehearsing(terminal)
        terminal.press("q")
        assert terminal.wait_for_end() == 0
        assert b"\x1b]9;" not in terminal.said


def test_no_title_is_sent_to_a_terminal_without_one(slow: Project) -> None:
    with Terminal(slow.root, environment=PLAIN | {"TERM": "linux"}) as terminal:
        terminal.wait_for("4 changes")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
        assert b"\x1b]2;" not in terminal.said
        assert KEPT not in terminal.said
        assert GIVEN_BACK not in terminal.said


def test_leaving_during_a_dry_run_takes_title_and_progress_back(slow: Project) -> None:
    with Terminal(slow.root, environment=DRAWS) as terminal:
        rehearsing(terminal)
        terminal.press("q")
        assert terminal.wait_for_end() == 0
        as_before(terminal)


def test_ctrl_c_tells_how_to_leave_and_leaves_progress_where_it_is(slow: Project) -> None:
    with Terminal(slow.root, environment=DRAWS) as terminal:
        rehearsing(terminal)
        terminal.press("\x03")
        terminal.wait_for("q leaves the studio.")
        assert told(terminal)[-1][0] in (1, 3)
        terminal.press("q")
        assert terminal.wait_for_end() == 0
        as_before(terminal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_studio_leaves_the_terminal_as_it_was(
    slow: Project, number: signal.Signals
) -> None:
    before = slow.database.read_bytes()
    with Terminal(slow.root, environment=DRAWS) as terminal:
        rehearsing(terminal)
        os.kill(terminal.process.pid, number)
        terminal.wait_for_end()
        as_before(terminal)
        assert "Traceback" not in terminal.text
    assert slow.database.read_bytes() == before


def test_a_terminal_that_goes_away_ends_the_studio(slow: Project) -> None:
    with Terminal(slow.root, environment=DRAWS) as terminal:
        rehearsing(terminal)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, terminal.process.child_fd)
        os.close(nowhere)
        deadline = time.monotonic() + 10
        while terminal.process.isalive() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not terminal.process.isalive()


def test_nobody_waits_for_what_cannot_be_written() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    file = Lasting(os.fdopen(writing, "w", buffering=1, encoding="utf-8"))
    assert file.fileno() == writing
    writer = WriterThread(cast("IO[str]", file))
    writer.start()

    def write_and_stop() -> None:
        for _ in range(2 * MAX_QUEUED_WRITES):
            writer.write("frame\n")
        writer.stop()

    waiting = threading.Thread(target=write_and_stop, daemon=True)
    waiting.start()
    waiting.join(10)
    assert not waiting.is_alive()


def test_ctrl_z_goes_to_the_shell_and_fg_comes_back(slow: Project) -> None:
    with Terminal(
        slow.root, environment=DRAWS | {"PS1": "shell> "}, program=("sh", "-i")
    ) as terminal:
        terminal.press(f"{shlex.join(STUDIO)}\r")
        terminal.wait_for("4 changes")
        terminal.press("\x1a")
        terminal.wait_for_bytes(b"shell> ", 2)
        assert terminal.said.rindex(b"\x1b[?1049l") > terminal.said.rindex(b"\x1b[?1049h")
        assert terminal.said.rindex(b"\x1b[?25h") > terminal.said.rindex(b"\x1b[?25l")
        assert terminal.said.count(KEPT) == terminal.said.count(GIVEN_BACK) == 1
        slow.write(BEFORE)
        terminal.press("fg\r")
        terminal.wait_for("1 Plan", "in sync")
        terminal.press("q")
        terminal.wait_for_bytes(b"shell> ", 3)
        terminal.press("exit\r")
        assert terminal.wait_for_end() == 0


@pytest.mark.parametrize("stops", ["kill -TSTP 0", "kill -STOP $$"], ids=["job", "itself"])
def test_an_editor_that_is_stopped_gives_the_shell_back(
    slow: Project, tmp_path: Path, stops: str
) -> None:
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\necho editing; {stops}; echo edited again; read line\n")
    editor.chmod(0o755)
    environment = DRAWS | {"PS1": "shell> ", "VISUAL": str(editor)}
    with Terminal(slow.root, environment=environment, program=("sh", "-i")) as terminal:
        terminal.press(f"{shlex.join(STUDIO)}\r")
        terminal.wait_for("4 changes")
        terminal.press("e")
        terminal.wait_for("editing")
        terminal.wait_for_bytes(b"shell> ", 2)
        terminal.press("fg\r")
        terminal.wait_for("edited again")
        terminal.press("\r")
        terminal.wait_for("Opened valet/schema.ts")
        terminal.press("q")
        terminal.wait_for_bytes(b"shell> ", 3)
        terminal.press("exit\r")
        assert terminal.wait_for_end() == 0


def test_ctrl_z_says_why_where_no_shell_waits(slow: Project) -> None:
    with Terminal(slow.root) as terminal:
        terminal.wait_for("4 changes")
        terminal.press("\x1a")
        terminal.wait_for("No shell started the studio that could bring it back.")
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_a_defect_takes_title_and_progress_back(slow: Project, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import valet_studio.tui.commands as commands\n"
        "def broken(self):\n    raise RuntimeError('boom')\n"
        "commands.Commands.do_zoom = broken\n",
        encoding="utf-8",
    )
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    with Terminal(slow.root, environment=DRAWS | {"PYTHONPATH": path}) as terminal:
        rehearsing(terminal)
        terminal.press("z")
        assert terminal.wait_for_end() == 1
        as_before(terminal)
        assert "RuntimeError: boom" in terminal.text
