"""Which Deno runs schema.ts."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import deno  # type: ignore[import-untyped]
import pytest

from valet_studio.errors import SandboxError, SchemaError
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Sources
from valet_studio.typescript.deno import DENO_VARIABLE, find_deno


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
