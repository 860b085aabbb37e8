"""Commands at a terminal: they ask, show progress, and stop at Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pexpect
import pytest
from support import Project, fill_todos, seed_blocks

from valet_studio import scaffold

BACKFILL = seed_blocks()[4]
ENDLESS = BACKFILL.replace("return mapping", "while (true) {}\n            return mapping")

PROGRAM = ("-m", "valet_studio")
ELSEWHERE = """
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
from valet_studio.cli import main
main()
"""
"""The command, with Ctrl-C told to a thread beside it."""


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, and the seed's backfill pending."""
    project.push(scaffold.DEMO_BEFORE)
    fill_todos(project)
    project.write(BACKFILL)
    return project


def run(*arguments: str, program: Sequence[str] = PROGRAM) -> pexpect.spawn[str]:
    return pexpect.spawn(
        sys.executable,
        [*program, *arguments],
        encoding="utf-8",
        timeout=20,
        dimensions=(40, 120),
    )


def end(command: pexpect.spawn[str]) -> tuple[str, int | None]:
    """What it printed to its end, and its exit code."""
    command.expect(pexpect.EOF)
    command.close()
    return command.before or "", command.exitstatus


def test_enter_means_no(todos: Project) -> None:
    before = todos.database.read_bytes()
    command = run("apply")
    command.expect(r"Apply this to \.valet/dev\.db\? \[y/N\]")
    command.sendline("")
    printed, code = end(command)
    assert "Nothing was applied." in printed
    assert code == 1
    assert todos.database.read_bytes() == before


def test_yes_applies_what_was_shown(todos: Project) -> None:
    command = run("apply")
    command.expect(r"\[y/N\]")
    assert "Add column todos.priorityNum" in (command.before or "")
    command.sendline("y")
    printed, code = end(command)
    assert "142 of 142 rows updated" in printed
    assert code == 0
    assert todos.sql("SELECT count(priorityNum) FROM todos") == [(142,)]


@pytest.mark.parametrize("leaves", ["ctrl-c", "ctrl-c to another thread", "ctrl-d"])
def test_who_leaves_at_the_question_changes_nothing(todos: Project, leaves: str) -> None:
    before = todos.database.read_bytes()
    program = ["-c", ELSEWHERE] if leaves == "ctrl-c to another thread" else PROGRAM
    command = run("apply", program=program)
    command.expect(r"\[y/N\]: ")
    if leaves == "ctrl-d":
        command.sendeof()
    else:
        command.sendintr()
    printed, code = end(command)
    assert "\r\nCancelled. Nothing was changed." in printed
    assert code == 130
    assert todos.database.read_bytes() == before


def test_what_is_neither_yes_nor_no_is_asked_again(todos: Project) -> None:
    command = run("apply")
    command.expect(r"\[y/N\]: ")
    command.sendline("maybe")
    command.expect(r"Answer y or n\.\s+Apply this to \.valet/dev\.db\? \[y/N\]: ")
    command.sendline(" YES ")
    printed, code = end(command)
    assert "142 of 142 rows updated" in printed
    assert code == 0
    assert todos.sql("SELECT count(priorityNum) FROM todos") == [(142,)]


@pytest.mark.parametrize("arguments", [["dry-run"], ["apply", "--yes"]])
def test_ctrl_c_stops_a_backfill_and_rolls_back(todos: Project, arguments: list[str]) -> None:
    todos.write(ENDLESS)
    before = todos.database.read_bytes()
    command = run(*arguments)
    command.expect(r"Backfill todos\.priorityNum: 0 of 142")
    command.sendintr()
    printed, code = end(command)
    assert "Cancelled." in printed
    assert "Traceback" not in printed
    assert code == 130
    assert todos.database.read_bytes() == before


def test_signs_have_colour_only_where_it_is_welcome(
    todos: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    todos.write(BACKFILL)
    assert "\x1b[32m+ Add column" in end(run("plan"))[0]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in end(run("plan"))[0]
