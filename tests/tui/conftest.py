"""What holds for every test of the studio."""

from __future__ import annotations

import pytest
from support import SEED_TODOS, Project, fill_todos, seed_blocks

from valet_studio.tui import background


@pytest.fixture(autouse=True)
def no_type_check(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the type checker, which takes a core for a second, start for `type_check` tests alone."""
    if request.node.get_closest_marker("type_check") is None:
        monkeypatch.setattr(background, "CHECK_AFTER", 3_600)


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents; the seed's backfill waits in schema.ts."""
    project.push(SEED_TODOS)
    fill_todos(project)
    project.write(seed_blocks()[4])
    return project
