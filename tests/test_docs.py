"""The README is true: its tour runs, its commands exist, its dependencies are the real ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from valet_studio.cli import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

BLOCK = re.compile(r"<!-- tour(?:: (?P<file>\S+))? -->\n```(?:sh|ts)\n(?P<text>.*?)```", re.DOTALL)


def tour_script() -> str:
    """The tour as one script: commands as they stand, files written where the text shows them."""
    parts = ["set -euo pipefail"]
    for block in BLOCK.finditer(README):
        if block["file"]:
            parts.append(f"cat > {block['file']} <<'END_OF_FILE'\n{block['text']}END_OF_FILE")
        else:
            parts.append(block["text"])
    return "\n".join(parts)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the tour prints, run in an empty directory with the installed command."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", tour_script()],
        cwd=tmp_path_factory.mktemp("tour"),
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_tour_prints_what_the_readme_shows(told: str) -> None:
    shown = re.findall(
        r"^```\n(Pending.*?|Schema pushed.*?)\n```", README, re.DOTALL | re.MULTILINE
    )
    assert len(shown) == 2
    for text in shown:
        assert text in told


def test_the_tour_refuses_the_type_change_and_undoes_the_last_apply(told: str) -> None:
    assert "refused with exit code 4" in told
    assert "todos.completed changes its type" in told
    assert "142 of 142 rows updated" in told


COMMON = ("schema", "valet-dir", "db", "strict", "production", "read-only", "debug", "help")
"""Flags that every command takes; the README tells of them once."""


def test_the_flags_of_every_command_are_in_the_readme() -> None:
    paragraph = README.split("## Commands")[1].split("|")[0]
    for flag in COMMON[:-1]:
        assert f"`--{flag}" in paragraph


def commands() -> dict[str, click.Command]:
    """Every command by its full name."""
    found: dict[str, click.Command] = {}
    for name, command in cli.commands.items():
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": c for inner, c in command.commands.items()}
        else:
            found[name] = command
    return {name: command for name, command in found.items() if not command.hidden}


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_and_its_own_flags_are_in_the_readme(name: str) -> None:
    (line,) = [row for row in README.splitlines() if row.startswith(f"| `valet-studio {name}")]
    common = {f"--{flag}" for flag in COMMON}
    for parameter in commands()[name].params:
        flags = {flag for flag in parameter.opts if flag.startswith("--")}
        if isinstance(parameter, click.Option) and not flags & common and not parameter.hidden:
            assert flags & set(re.findall(r"--[a-z-]+", line)), parameter.opts


def test_every_dependency_earns_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = README.split("## What each dependency is for")[1]
    for requirement in project["dependencies"]:
        assert re.split(r"[<>=]", requirement)[0] in table


def test_pictures_exist() -> None:
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).stat().st_size > 0
