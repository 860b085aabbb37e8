"""Which Deno runs schema.ts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import deno  # type: ignore[import-untyped]
import pytest
from support import Project, schema_of

from valet_studio.errors import SandboxError, SchemaError
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Sources
from valet_studio.typescript.deno import DENO_VARIABLE, find_deno
from valet_studio.typescript.limits import Limits


def test_it_is_the_one_that_the_package_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DENO_VARIABLE, raising=False)

    assert find_deno() == deno.find_deno_bin()


def test_one_beside_the_python_of_the_system_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(DENO_VARIABLE, raising=False)
    (tmp_path / "deno").write_text("another version")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)

    assert find_deno() == deno.find_deno_bin()


def test_the_user_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    other = str(shutil.which("env"))
    monkeypatch.setenv(DENO_VARIABLE, "env")

    assert find_deno() == other


def test_one_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DENO_VARIABLE, "/nowhere/deno")

    with pytest.raises(SandboxError, match="/nowhere/deno, which cannot be run"):
        find_deno()


@pytest.mark.skipif(shutil.which("true") is None, reason="no program that is no Deno")
def test_one_that_is_no_deno_is_not_taken_for_an_endless_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(DENO_VARIABLE, "true")
    with pytest.raises(SchemaError, match="ended its process") as stopped:
        evaluate(Sources("schema.ts", {"schema.ts": ""}))
    hint = stopped.value.problems[0].hint or ""
    assert "true, which VALET_STUDIO_DENO names, is a Deno of version 2.9 or later" in hint


def test_one_without_room_to_begin_is_not_blamed_on_the_schema() -> None:
    with pytest.raises(SandboxError) as stopped:
        evaluate(Sources("schema.ts", {"schema.ts": ""}), limits=Limits(heap_mb=1))
    assert str(stopped.value) == "Deno ended before it ran schema.ts: it ran out of memory."
    assert "`ulimit -a`" in (stopped.value.problems[0].hint or "")


@pytest.mark.skipif(sys.platform != "linux", reason="each system has limits of its own")
@pytest.mark.parametrize("most", [0, "as soon as it runs"])
def test_one_that_the_system_stops_is_not_blamed_on_the_schema(
    most: int | str, project: Project, tmp_path: Path
) -> None:
    """It writes what it makes of the modules: at its start, where nothing is kept yet."""
    project.write("while (true) {}\n" if most else schema_of("    t: defineTable({ a: v.any() }),"))
    script = (
        "import os, signal, sys; from valet_studio.typescript import child, deno\n"
        "began, read = deno.subprocess.Popen, child.read_frame\n"
        "def limited(command, **more):\n"
        "    global running\n"
        f"    limit = [] if {most!r} else ['sh', '-c', 'ulimit -f 0; exec \"$@\"', 'sh']\n"
        "    running = began([*limit, *command], **more)\n"
        "    return running\n"
        "def greeted(stream):\n"
        "    frame = read(stream)\n"
        f"    if {most!r}:\n"
        "        os.kill(running.pid, signal.SIGXFSZ)\n"
        "    return frame\n"
        "deno.subprocess.Popen, child.read_frame = limited, greeted\n"
        "sys.argv[1:] = ['plan']\n"
        "from valet_studio.cli import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert done.returncode == 1
    assert "The system stopped Deno: file size limit exceeded." in done.stderr
    assert "schema.ts:1:1" not in done.stderr
