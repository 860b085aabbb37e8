"""Commands that are told to end, or whose terminal is closed, leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import deno_of, stat_of
from serving import until
from support import SLOW_BACKFILL, TODOS, Project, fill_todos, schema_of

from valet_studio.scratch import scratch

ENDLESS = "while (true) {}\n" + schema_of("    t: defineTable({ a: v.string() }),")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are listed by /proc")
ENDED = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])


@contextmanager
def started(
    project: Project, *arguments: str, before: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, with a temporary directory of its own."""
    scratch = project.root / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [*before, sys.executable, "-u", "-m", "valet_studio", *arguments],
        env={**os.environ, "TMPDIR": str(scratch), "VALET_STUDIO_EVALUATE_SECONDS": "60"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def once_it_runs(process: subprocess.Popen[str]) -> list[int]:
    """Its Deno processes, as soon as there are any."""
    until(lambda: bool(deno_of(process.pid)) or process.poll() is not None, 30)
    return deno_of(process.pid)


def is_gone(project: Project, children: list[int]) -> bool:
    return not any(Path(f"/proc/{child}").exists() for child in children) and not list(
        (project.root / "scratch").iterdir()
    )


@ENDED
def test_a_schema_without_an_end_ends_with_its_command(
    project: Project, number: signal.Signals
) -> None:
    project.write(ENDLESS)
    with started(project, "plan") as process:
        children = once_it_runs(process)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (128 + signal.SIGTERM, "", "")
        assert is_gone(project, children)


def test_a_schema_without_an_end_ends_with_the_next_command(project: Project) -> None:
    project.write(ENDLESS)
    with started(project, "plan") as process:
        (child,) = once_it_runs(process)
        # Deno itself needs less than that to begin: it is in the loop.
        until(lambda: int(stat_of(child)[11]) > 50, 30)
        process.kill()
        process.wait()
        with scratch(project.root / "scratch") as folder:
            assert list(folder.parent.iterdir()) == [folder]
        # Whoever is its parent now may not have asked yet how it ended.
        until(lambda: stat_of(child)[:1] in ([], ["Z"]), 30)


@ENDED
@pytest.mark.parametrize("command", [("dry-run",), ("apply", "--yes")])
def test_long_work_that_is_ended_is_rolled_back(
    project: Project, number: signal.Signals, command: tuple[str, ...]
) -> None:
    project.push(TODOS)
    fill_todos(project)
    project.write(SLOW_BACKFILL)
    before = project.database.read_bytes()
    with started(project, *command) as process:
        children = once_it_runs(process)
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode in (130, 128 + signal.SIGTERM)
        assert is_gone(project, children)
    assert project.database.read_bytes() == before


def test_a_watch_whose_terminal_is_closed_stops(project: Project) -> None:
    project.write(schema_of("    t: defineTable({ a: v.string() }),"))
    with started(project, "codegen", "--watch") as process:
        assert process.stdout is not None
        assert any("Watching" in line for line in process.stdout)
        children = deno_of(process.pid)
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "Stopped watching.\n")
        assert is_gone(project, children)


def test_nohup_keeps_a_command_from_the_end_of_its_terminal(project: Project) -> None:
    project.write(schema_of("    t: defineTable({ a: v.string() }),"))
    with started(project, "codegen", "--watch", before=["nohup"]) as process:
        assert process.stdout is not None
        assert any("Watching" in line for line in process.stdout)
        process.send_signal(signal.SIGHUP)
        project.write(schema_of("    t: defineTable({ a: v.string(), b: v.string() }),"))
        assert any("Added columns: b" in line for line in process.stdout)


IN_AN_IMPORT = """
import signal, sys
from valet_studio.commands.process import tidy_up_when_ended
tidy_up_when_ended()
def told(frame, event, argument):
    if frame.f_code.co_name == "cb" and "importlib" in frame.f_code.co_filename:
        sys.settrace(None)
        print("ended")
        signal.raise_signal(signal.SIGTERM)
sys.settrace(told)
import colorsys
signal.pause()
"""


def test_an_end_in_the_middle_of_an_import_is_heard() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_AN_IMPORT], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "ended\n", "")
