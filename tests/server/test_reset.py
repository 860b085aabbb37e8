"""Arming a backfill again, on a file and through a server."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import CliRunner
from serving import (
    KEY,
    Proxy,
    Served,
    asks,
    losing_the_answer,
    serve_command,
    serving,
    through,
    until,
)
from support import (
    EVERYWHERE,
    ON_FILES,
    SLOW_BACKFILL,
    TRACKED_TODOS,
    Project,
    fill_todos,
    seed_blocks,
)

from valet_studio import pipeline
from valet_studio.cli import cli
from valet_studio.errors import DatabaseBusy, ServerError

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]
SLOW = SLOW_BACKFILL
RESET = "/api/backfill/reset"
KEY_OF_BACKFILL = "backfill:todos:priorityNum"


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, the seed's backfill applied."""
    project.push(BEFORE)
    fill_todos(project)
    project.push(BACKFILL)
    return project


def reset(project: Project) -> bool:
    return pipeline.reset_backfill(project.settings, "todos", "priorityNum")


@EVERYWHERE
def test_a_reset_backfill_runs_with_the_next_push_for_every_document(todos: Project) -> None:
    todos.sql("UPDATE todos SET priorityNum = 99")
    assert reset(todos)
    assert KEY_OF_BACKFILL not in todos.meta()
    assert not reset(todos)
    report = todos.apply()
    assert report.backfills[0].updated == 142
    assert todos.sql("SELECT count(*) FROM todos WHERE priorityNum = 99") == [(0,)]
    assert KEY_OF_BACKFILL in todos.meta()


@ON_FILES
def test_what_never_ran_is_not_reset(todos: Project) -> None:
    before = todos.database.read_bytes()
    assert not pipeline.reset_backfill(todos.settings, "todos", "title")
    assert not pipeline.reset_backfill(todos.settings, "none", "x")
    assert todos.database.read_bytes() == before


@ON_FILES
def test_the_record_of_runs_grows_with_each(todos: Project) -> None:
    reset(todos)
    todos.apply()
    runs = json.loads(todos.meta()["backfill_runs"])
    assert runs == [{"backfill": KEY_OF_BACKFILL, "history_id": n} for n in (2, 3)]


def test_the_command_works_through_a_server(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALET_DEPLOY_KEY", KEY)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, arguments, prog_name="valet-studio")

    command = ("backfill", "reset", "todos.priorityNum", "--db", served.url)
    refused = run("--read-only", *command)
    assert (refused.exit_code, "opened read-only" in refused.stderr) == (1, True)
    done = run(*command)
    assert done.exit_code == 0, done.output
    assert "The backfill of todos.priorityNum is armed again" in done.stdout
    again = run(*command)
    assert again.exit_code == 1
    assert "there is nothing to reset" in again.stderr


def test_any_client_can_reset(todos: Project, served: Served) -> None:
    column = {"table": "todos", "column": "priorityNum"}
    odd: tuple[Any, ...] = (b"", [], {}, {"table": "todos"}, {**column, "column": 1})
    for body in odd:
        assert served.post(RESET, body).status == 400
    assert served.post(RESET, column, Content_Type="text/plain").status == 415
    assert KEY_OF_BACKFILL in todos.meta()
    assert served.post(RESET, column).json == {**column, "armed": True}
    assert served.post(RESET, column).json == {**column, "armed": False}
    assert KEY_OF_BACKFILL not in todos.meta()


@pytest.mark.parametrize("forgotten", [False, True])
def test_an_answer_lost_after_the_reset_is_found_by_asking(
    todos: Project, served: Served, forgotten: bool
) -> None:
    with losing_the_answer(served, RESET, "BackfillReset", forgotten=forgotten) as url:
        assert reset(through(todos, url))
    assert KEY_OF_BACKFILL not in todos.meta()


def test_a_reset_that_never_arrived_is_told_as_such_and_not_sent_again(
    todos: Project, served: Served
) -> None:
    proxy = Proxy(served.url, lambda request, _answer: asks(request, RESET))
    with pytest.raises(ServerError, match="applied nothing"):
        reset(through(todos, proxy.url))
    proxy.close()
    assert KEY_OF_BACKFILL in todos.meta()


def test_a_reset_waits_for_the_push_that_runs(todos: Project) -> None:
    reset(todos)
    with serving(todos.database, wait_seconds=0.3) as served, ThreadPoolExecutor() as pool:
        project = through(todos, served.url)
        project.write(SLOW)
        push = pool.submit(project.apply)
        assert served.app is not None
        service = served.app.service
        until(lambda: bool(service.runs))
        with pytest.raises(DatabaseBusy, match="Another push is running"):
            reset(project)
        assert push.result().status == "ok"
    assert KEY_OF_BACKFILL in todos.meta()


def test_the_servers_terminal_tells_of_a_reset(todos: Project) -> None:
    with serve_command(todos.database) as served:
        assert reset(through(todos, served.url))
        assert served.process is not None
        served.process.terminate()
        said, complained = served.process.communicate(timeout=20)
    assert "The backfill of todos.priorityNum is armed again" in said
    assert complained == ""
