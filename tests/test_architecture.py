"""The arrows of the design: who may import whom, seen in a fresh process."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "valet_studio"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("typescript",),
    ("schema",),
    ("plan", "database", "codegen"),
    ("migrate", "fixes"),
    ("remote", "libsql"),
    ("pipeline",),
    ("server", "replica"),
    ("tui", "cli"),
)
"""From the bottom up. Rooms of one layer never import each other; `cli` alone imports `tui`."""


def imports_of(path: Path) -> set[str]:
    """The modules of the package that a file imports, at its top or later."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "valet_studio" and len(parts) > 1 else ""


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_arrows_point_down(path: Path) -> None:
    height = {name: level for level, names in enumerate(LAYERS) for name in names}
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own not in height:
        return
    for module in imports_of(path):
        other = room(module)
        if other in height and other != own and (own, other) != ("cli", "tui"):
            assert height[other] < height[own], f"{own} imports {module}"


def modules_after(statement: str) -> set[str]:
    """Top-level modules in `sys.modules` of a fresh process after a statement."""
    code = (
        f"{statement}\nimport sys, json\nprint(json.dumps([m.split('.')[0] for m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_core_loads_no_terminal_library() -> None:
    loaded = modules_after("import valet_studio.pipeline, valet_studio.report, valet_studio.cli")
    assert loaded.isdisjoint({"textual", "rich", "pygments", "watchfiles"})
    assert loaded.isdisjoint({"starlette", "uvicorn", "websockets"})


def test_the_command_line_loads_nothing_slow() -> None:
    loaded = modules_after("import valet_studio.cli")
    assert loaded.isdisjoint({"textual", "rich", "apsw", "tree_sitter", "watchfiles", "asyncio"})


PURE = ("plan", "codegen", "fixes")
EFFECTS = {
    "os",
    "pathlib",
    "subprocess",
    "time",
    "datetime",
    "random",
    "apsw",
    "socket",
    "tempfile",
}


@pytest.mark.parametrize(
    "path",
    sorted(p for name in PURE for p in (PACKAGE / name).rglob("*.py")),
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_planning_and_generating_touch_nothing(path: Path) -> None:
    roots = {module.split(".")[0] for module in imports_of(path)}
    assert roots.isdisjoint(EFFECTS)
