"""What every test stands on: a real project in a directory of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import textual._wait
from libsql_servers import sqld
from support import Project

if TYPE_CHECKING:
    from serving import Served

# A shell that runs the tests in the background has Ctrl-C ignored, by them and by all they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A law holds on a slow machine too.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")

# Pilot looks this often whether the app is idle after a key; at its own 20 ms, half of the time of
# the studio's tests is waiting.
textual._wait.SLEEP_GRANULARITY = 1 / 200
textual._wait.SLEEP_IDLE = textual._wait.SLEEP_GRANULARITY / 10


def pytest_xdist_auto_num_workers() -> int:
    """More than there are processors: many tests wait for a process, a lock or a screen."""
    return (os.cpu_count() or 1) + 2


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Project]:
    """An empty project; the working directory is its root.

    With `support.EVERYWHERE` the test runs three times: on the file, through a push server on it,
    and on a libSQL server.
    """
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    where = getattr(request, "param", "file")
    if where == "file":
        yield project
    elif where == "libsql":
        with sqld(tmp_path / "sqld") as libsql:
            yield project.with_(server=libsql.url, libsql=libsql)
    else:
        from serving import serving

        with serving(project.database) as served:
            yield project.with_(server=served.url, deploy_key=served.key)


@pytest.fixture
def served(todos: Project) -> Iterator[Served]:
    """A push server on the database of the test's own `todos`."""
    from serving import serving

    with serving(todos.database) as server:
        yield server


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long text goes by its argument's name, so that one can type the name of a test."""
    return argname if isinstance(val, str | bytes) and len(val) > 80 else None
