"""Taking a push back through its server: what was written since is told, and all of it is kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
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
from support import SLOW_BACKFILL, TRACKED_TODOS, Project, fill_todos, never, seed_blocks

from valet_studio import pipeline
from valet_studio.cli import cli
from valet_studio.errors import Cancelled, DatabaseBusy, PlanIsStale, ServerError, StudioError
from valet_studio.migrate.history import MigrationId
from valet_studio.migrate.snapshot_files import snapshot_folder
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.written import TableWrites
from valet_studio.remote import target as remote

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]
SLOW = SLOW_BACKFILL
UNDO = "/api/undo"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, arguments, prog_name="valet-studio")


@pytest.fixture
def todos(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """142 documents, the seed's backfill applied, and one document written since."""
    project.push(BEFORE)
    fill_todos(project)
    project.push(BACKFILL)
    project.sql("INSERT INTO todos (_id, title, priorityNum) VALUES ('new', 'after', 1)")
    monkeypatch.setenv("VALET_DEPLOY_KEY", KEY)
    return project


@pytest.fixture
def remote_todos(todos: Project, served: Served) -> Project:
    """The same project through its server."""
    return through(todos, served.url)


def undone(project: Project) -> bool:
    return "priorityNum" not in str(project.sql("SELECT sql FROM sqlite_master"))


def last_migration(project: Project) -> MigrationId:
    return pipeline.history(project.settings)[0].identity


def test_undo_puts_back_and_keeps_what_it_replaces(todos: Project, remote_todos: Project) -> None:
    assert pipeline.written_since(remote_todos.settings) == (
        TableWrites("todos", inserted=1, examples=("new",)),
    )
    report = pipeline.undo(remote_todos.settings)
    assert (report.history_id, report.label) == (2, remote_todos.server)
    assert undone(todos)
    assert todos.sql("SELECT count(*) FROM todos") == [(142,)]
    assert report.kept.is_absolute()
    kept = apsw.Connection(str(report.kept), flags=apsw.SQLITE_OPEN_READONLY)
    assert kept.execute("SELECT title, priorityNum FROM todos WHERE _id = 'new'").get == (
        "after",
        1,
    )
    kept.close()
    assert [entry.id for entry in pipeline.history(remote_todos.settings)] == [1]
    assert remote_todos.apply().status == "ok"


def test_the_command_says_what_it_did_and_where(todos: Project, served: Served) -> None:
    refused = run("undo", "--db", served.url)
    assert refused.exit_code == 1
    assert "Add --yes" in refused.stderr
    assert not undone(todos)
    done = run("undo", "--yes", "--db", served.url)
    assert done.exit_code == 0, done.output
    assert f"Undid migration 2: {served.url} is as it was before it." in done.stdout
    assert "on the server" in done.stdout
    assert undone(todos)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--read-only"], "is opened read-only"),
        (["--production"], "is marked as a production database"),
        (["--confirm", "another"], "--confirm names another"),
    ],
)
def test_marks_hold_for_a_server_too(
    todos: Project, served: Served, flags: list[str], message: str
) -> None:
    done = run("undo", "--yes", "--db", served.url, *flags)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not undone(todos)
    name = served.url.removeprefix("http://")
    if flags == ["--production"]:
        assert run("undo", "--yes", "--db", served.url, *flags, "--confirm", name).exit_code == 0
        assert undone(todos)


@pytest.mark.parametrize("gone", ["history", "snapshot"])
def test_without_a_snapshot_it_is_refused_with_a_sentence(
    todos: Project, served: Served, remote_todos: Project, gone: str
) -> None:
    from valet_studio.database.target import FileTarget

    if gone == "history":
        todos.sql("DELETE FROM _valet_history")
    else:
        for file in snapshot_folder(FileTarget("", todos.database)).iterdir():
            file.unlink()
    before = todos.database.read_bytes()
    for work in (pipeline.undo, pipeline.written_since):
        with pytest.raises(StudioError, match=r"nothing to undo|is gone"):
            work(remote_todos.settings)
    assert served.get("/api/undo").status == 409
    assert served.post("/api/undo", {}).status == 409
    assert todos.database.read_bytes() == before


def test_any_client_can_ask_and_undo(todos: Project, served: Served) -> None:
    told = served.get("/api/undo").json
    assert told["id"] == 2
    assert Path(told["snapshot"]).is_file()
    assert told["written"] == [
        {
            "table": "todos",
            "inserted": 1,
            "updated": 0,
            "deleted": 0,
            "examples": ["new"],
            "untold": [],
        }
    ]
    meant = {"id": told["id"], "applied_at": told["applied_at"]}
    other = {**meant, "applied_at": "2001-01-01T00:00:00+00:00"}
    for wrong in (other, {"id": 1}, {"id": 3}):
        answer = served.post("/api/undo", wrong)
        assert answer.status == 409
        assert "is no longer the last one" in answer.json["errors"][0]["message"]
    assert not undone(todos)
    answer = served.post("/api/undo", meant)
    assert (answer.status, answer.json["id"]) == (200, 2)
    assert Path(answer.json["kept"]).is_file()
    assert undone(todos)


@pytest.mark.parametrize("body", [b"", b"[]", {"id": "2"}, {"id": 2.5}, {"applied_at": 1}])
def test_an_odd_undo_is_400(todos: Project, served: Served, body: Any) -> None:
    assert served.post("/api/undo", body).status == 400
    assert not undone(todos)


def test_a_web_page_cannot_undo(todos: Project) -> None:
    with serving(todos.database, deploy_key=None) as served:
        assert served.post("/api/undo", {}, Content_Type="text/plain").status == 415
        assert served.post("/api/undo", {}, Host="evil.test").status == 403
    assert not undone(todos)


def test_a_push_in_between_is_not_taken_back(todos: Project, remote_todos: Project) -> None:
    meant = last_migration(remote_todos)
    todos.push(BACKFILL.replace("title:", "extra: v.any(), title:"))
    with pytest.raises(PlanIsStale, match="no longer the last"):
        pipeline.undo(remote_todos.settings, never, meant)
    assert todos.plan().status == "in_sync"


def idle(served: Served) -> bool:
    assert served.app is not None
    return not served.app.service.runs


def test_an_undo_waits_for_the_push_that_runs(
    todos: Project, served: Served, remote_todos: Project
) -> None:
    meant = last_migration(remote_todos)
    todos.sql("DELETE FROM _valet_meta WHERE key LIKE 'backfill:%'")
    slow = remote_todos.with_()
    slow.write(SLOW.replace("title:", "extra: v.any(), title:"))
    with ThreadPoolExecutor() as pool:
        push = pool.submit(slow.apply)
        until(lambda: not idle(served))
        undo = pool.submit(pipeline.undo, remote_todos.settings, never, meant)
        assert push.result().status == "ok"
        with pytest.raises(PlanIsStale):
            undo.result()
    assert pipeline.undo(remote_todos.settings).history_id == 3


def test_an_undo_that_waits_too_long_or_is_cancelled_does_nothing(todos: Project) -> None:
    todos.sql("DELETE FROM _valet_meta WHERE key LIKE 'backfill:%'")
    with serving(todos.database, wait_seconds=0.3) as served, ThreadPoolExecutor() as pool:
        project = through(todos, served.url)
        project.write(SLOW.replace("title:", "extra: v.any(), title:"))
        meant = last_migration(project)
        push = pool.submit(project.apply)
        until(lambda: not idle(served))
        with pytest.raises(Cancelled):
            pipeline.undo(project.settings, lambda: True, meant)
        with pytest.raises(DatabaseBusy, match="Another push is running"):
            pipeline.undo(project.settings, never, meant)
        assert push.result().status == "ok"
    assert [entry.id for entry in pipeline.history(todos.settings)] == [3, 2, 1]


@pytest.mark.parametrize("forgotten", [False, True])
def test_an_answer_lost_after_the_undo_is_found_by_asking(
    todos: Project, served: Served, forgotten: bool
) -> None:
    with losing_the_answer(served, UNDO, "UndoReport", forgotten=forgotten) as url:
        report = pipeline.undo(through(todos, url).settings)
    assert report.history_id == 2
    kept = apsw.Connection(str(report.kept), flags=apsw.SQLITE_OPEN_READONLY)
    assert kept.execute("SELECT count(*) FROM todos").get == 143
    kept.close()
    assert [entry.id for entry in pipeline.history(todos.settings)] == [1]


def test_an_undo_that_never_arrived_is_told_as_such_and_not_sent_again(
    todos: Project, served: Served
) -> None:
    proxy = Proxy(served.url, lambda request, _answer: asks(request, UNDO))
    with pytest.raises(ServerError, match="applied nothing"):
        pipeline.undo(through(todos, proxy.url).settings)
    proxy.close()
    assert not undone(todos)


def test_an_undo_that_arrives_after_it_was_given_up_is_refused(
    todos: Project, served: Served
) -> None:
    last = last_migration(todos)
    asked = f"/api/undo?push=late&id={last.id}"
    assert served.get(asked).json["push"]["state"] == "unknown"
    answer = served.post("/api/undo?push=late", {})
    assert answer.status == 409
    assert not undone(todos)


def test_a_server_that_is_gone_is_told_as_such(
    todos: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RESOLVE_SECONDS", 0.2)
    with serve_command(todos.database) as served:
        settings = through(todos, served.url).settings
        assert served.process is not None
        process = served.process

        def cut(request: bytes, _answer: bytes) -> bool:
            if asks(request, UNDO):
                process.kill()
                process.wait()
            return asks(request, UNDO)

        proxy = Proxy(served.url, cut)
        with pytest.raises(ServerError, match="during the undo"):
            pipeline.undo(replace(settings, database=proxy.url))
        proxy.close()
    assert not undone(todos)


def test_the_servers_terminal_tells_of_an_undo(todos: Project) -> None:
    with serve_command(todos.database) as served:
        done = pipeline.undo(through(todos, served.url).settings)
        assert isinstance(done, UndoReport)
        assert served.process is not None
        served.process.terminate()
        said, complained = served.process.communicate(timeout=20)
    assert f"Undid migration 2: {todos.database} is as it was before it." in said
    assert complained == ""
