"""A libSQL server, and the seed's todos on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from libsql_servers import Sqld, sqld
from support import TRACKED_TODOS, Project, fill_todos, seed_blocks


@pytest.fixture
def libsql(tmp_path: Path) -> Iterator[Sqld]:
    """A server that holds nothing yet."""
    with sqld(tmp_path / "sqld") as server:
        yield server


@pytest.fixture
def todos(project: Project, libsql: Sqld) -> Project:
    """142 documents on the server, the seed's backfill pending."""
    there = project.with_(server=libsql.url, libsql=libsql)
    there.push(TRACKED_TODOS)
    fill_todos(there)
    there.write(seed_blocks()[4])
    return there
