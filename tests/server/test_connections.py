"""Clients that go away, answers that are lost, servers that stop: nothing is half done."""

from __future__ import annotations

import json
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
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
    SLOW_BACKFILL,
    TRACKED_TODOS,
    Project,
    cancel_at,
    fill_todos,
    last,
    never,
    schema_of,
    seed_blocks,
)

from valet_studio import pipeline
from valet_studio.errors import Cancelled, DatabaseError, ServerError
from valet_studio.migrate.events import BackfillProgress, Event
from valet_studio.migrate.target import LocalTarget
from valet_studio.plan.changes import Plan
from valet_studio.remote import http as remote_http
from valet_studio.remote import target as remote
from valet_studio.schema.document import to_document
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Sources
from valet_studio.server import service, working

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]
SLOW = SLOW_BACKFILL
PUSH = "/api/schema"


def document(text: str) -> dict[str, Any]:
    return dict(to_document(evaluate(Sources("schema.ts", {"schema.ts": text}))))


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, and the seed's backfill pending."""
    project.push(BEFORE)
    fill_todos(project)
    project.write(BACKFILL)
    return project


def untouched(project: Project) -> bool:
    return "priorityNum" not in str(project.sql("SELECT sql FROM sqlite_master"))


def at_backfill(events: Iterable[Event], do: Callable[[], object]) -> None:
    """Run work to its end, and do something once its backfill began."""
    done = False
    for event in events:
        if isinstance(event, BackfillProgress) and not done:
            done = True
            do()


def idle(served: Served) -> bool:
    assert served.app is not None
    service = served.app.service
    return not service.runs


def test_a_cancelled_push_is_rolled_back(todos: Project, served: Served) -> None:
    todos.write(SLOW)
    state = through(todos, served.url).look()
    with pytest.raises(Cancelled):
        cancel_at(lambda cancelled: pipeline.apply(state, cancelled), BackfillProgress)
    assert untouched(todos)
    assert last(pipeline.apply(state, never)).status == "ok"


def test_a_client_that_goes_away_cancels_its_dry_run(
    todos: Project, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    todos.write(SLOW)
    state = through(todos, served.url).look()
    events = pipeline.dry_run(state, never)
    assert any(isinstance(event, BackfillProgress) for event in events)
    assert not idle(served)
    close = getattr(events, "close")  # noqa: B009
    close()
    until(lambda: idle(served), 2)
    assert list(scratch.iterdir()) == []


@pytest.mark.usefixtures("todos")
def test_a_second_push_waits_for_the_first(served: Served) -> None:
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(served.post, "/api/schema", document(SLOW))
        until(lambda: not idle(served))
        second = served.post(
            "/api/schema", document(SLOW.replace("title:", "extra: v.any(), title:"))
        )
        assert slow.result().json["status"] == "ok"
    assert second.json["status"] == "ok"
    assert [column["column"] for column in second.json["added_columns"]] == ["extra"]


def test_a_second_push_that_waits_too_long_is_told_why(todos: Project) -> None:
    with serving(todos.database, wait_seconds=0.2) as served, ThreadPoolExecutor() as pool:
        slow = pool.submit(served.post, "/api/schema", document(SLOW))
        until(lambda: not idle(served))
        second = served.post("/api/schema", document(BACKFILL))
        assert second.status == 409
        assert "Another push is running" in second.json["errors"][0]["message"]
        assert slow.result().json["status"] == "ok"


def test_a_client_that_goes_away_while_it_waits_leaves_the_line(
    todos: Project, served: Served
) -> None:
    late = document(BACKFILL.replace("title:", "late: v.any(), title:"))
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(served.post, "/api/schema", document(SLOW))
        until(lambda: not idle(served))
        with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2]))) as waiting:
            body = json.dumps(late)
            waiting.sendall(
                b"POST /api/schema?push=late HTTP/1.1\r\nHost: localhost\r\n"
                + f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            until(lambda: became(served, "late") == "running")
        until(lambda: became(served, "late") == "unknown")
        assert not slow.done()
        assert slow.result().json["status"] == "ok"
    assert "late" not in str(todos.sql("SELECT sql FROM sqlite_master"))


def became(served: Served, push: str) -> str:
    return str(served.get(f"/api/schema?push={push}&brief=1").json["push"]["state"])


def test_a_push_that_outlasts_the_grace_of_a_stopping_server_is_rolled_back(
    todos: Project,
) -> None:
    before = todos.sql("SELECT * FROM sqlite_master")
    with ThreadPoolExecutor() as pool:
        with serving(todos.database, grace=0.2) as served:
            slow = pool.submit(served.post, "/api/schema", document(SLOW))
            until(lambda: not idle(served))
        assert slow.result().status == 503
        assert "rolled back" in slow.result().json["errors"][0]["message"]
    assert todos.sql("SELECT * FROM sqlite_master") == before
    assert todos.apply().status == "ok"


def test_of_many_pushes_at_once_none_is_lost(project: Project) -> None:
    count = 50
    with serving(project.database, wait_seconds=120) as served:

        def push(number: int) -> Any:
            fields = "name: v.string(), size: v.number()"
            text = schema_of(f"t{number}: defineTable({{ {fields} }}).backfill('size', () => 1),")
            return served.post(f"/api/schema?push=p{number}", document(text)).json

        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(push, range(count)))
        became = served.get("/api/schema?brief=1&push=p7").json["push"]
    assert [answer["status"] for answer in answers] == ["ok"] * count
    assert sorted(answer["history_id"] for answer in answers) == list(range(1, count + 1))
    assert (became["state"], became["history_id"]) == ("applied", answers[7]["history_id"])
    tables = {name for (name,) in project.sql("SELECT name FROM sqlite_master")}
    assert {f"t{number}" for number in range(count)} <= tables
    assert project.sql("SELECT count(*), count(hash_after) FROM _valet_history") == [(count, count)]


@pytest.mark.parametrize("forgotten", [False, True])
def test_an_answer_lost_after_the_commit_is_found_by_asking(
    todos: Project, served: Served, forgotten: bool
) -> None:
    with losing_the_answer(served, PUSH, "Report", forgotten=forgotten) as url:
        report = through(todos, url).apply()
    assert (report.status, report.history_id) == ("ok", 2)
    assert [backfill.updated for backfill in report.backfills] == ([] if forgotten else [142])
    assert todos.sql("SELECT count(*) FROM _valet_history") == [(2,)]
    assert todos.sql("SELECT count(priorityNum) FROM todos") == [(142,)]


def test_a_push_that_never_arrived_is_told_as_such_and_not_sent_again(
    todos: Project, served: Served
) -> None:
    proxy = Proxy(served.url, lambda request, _answer: asks(request, PUSH))
    with pytest.raises(ServerError, match="applied nothing"):
        through(todos, proxy.url).apply()
    proxy.close()
    assert untouched(todos)


def test_a_push_that_arrives_after_it_was_given_up_is_refused(
    todos: Project, served: Served
) -> None:
    assert served.get("/api/schema?push=late").json["push"]["state"] == "unknown"
    answer = served.post("/api/schema?push=late", document(BACKFILL))
    assert answer.status == 409
    assert untouched(todos)


def test_a_connection_cut_in_the_middle_is_told_as_what_it_became(
    todos: Project, served: Served
) -> None:
    todos.write(SLOW)
    proxy = Proxy(served.url, lambda request, answer: asks(request, PUSH) and b"backfill" in answer)
    with pytest.raises(ServerError, match="applied nothing"):
        through(todos, proxy.url).apply()
    proxy.close()
    assert untouched(todos)
    assert through(todos, served.url).apply().status == "ok"


def test_a_server_killed_in_the_middle_leaves_the_state_before(
    todos: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RESOLVE_SECONDS", 0.2)
    todos.write(SLOW)
    with serve_command(todos.database) as served:
        state = through(todos, served.url).look()
        assert served.process is not None
        process = served.process
        with pytest.raises(ServerError, match="whole or not at all"):
            at_backfill(pipeline.apply(state, never), process.kill)
    assert todos.plan().status == "pending"
    assert untouched(todos)
    with serve_command(todos.database) as served:
        assert through(todos, served.url).apply().status == "ok"
    assert todos.sql("SELECT count(priorityNum) FROM todos") == [(142,)]


def test_told_to_stop_a_server_ends_its_push_and_says_what_it_did(todos: Project) -> None:
    # It has ten seconds for it, which a busy machine would need for more.
    todos.write(SLOW.replace("8e6", "2e6"))
    with serve_command(todos.database) as served:
        state = through(todos, served.url).look()
        assert served.process is not None
        at_backfill(pipeline.apply(state, never), served.process.terminate)
        said, complained = served.process.communicate(timeout=20)
        assert served.process.returncode == 0
    assert 'Backfill "priorityNum": 142 rows updated' in said
    assert "Stopped serving." in said
    assert complained == ""
    assert todos.plan().status == "in_sync"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_a_server_ends_its_dry_runs_at_once(todos: Project, number: int) -> None:
    todos.write(SLOW.replace("8e6", "1e9"))
    with serve_command(todos.database) as served:
        state = through(todos, served.url).look()
        assert served.process is not None
        process = served.process
        with pytest.raises(ServerError, match="The server was stopped"):
            at_backfill(pipeline.dry_run(state, never), lambda: process.send_signal(number))
        _, complained = served.process.communicate(timeout=5)
        assert served.process.returncode == 0
        assert "Traceback" not in complained


@pytest.fixture
def rehearsing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many dry runs are under way, whenever one begins; the server has room for one."""
    dry_run, now, most = LocalTarget.dry_run, [0], []

    def noting(*given: Any) -> Iterator[Event]:
        now[0] += 1
        most.append(now[0])
        try:
            yield from dry_run(*given)
        finally:
            now[0] -= 1

    monkeypatch.setattr(LocalTarget, "dry_run", noting)
    monkeypatch.setattr(service, "DRY_RUNS_AT_ONCE", 1)
    return most


def test_dry_runs_wait_until_there_is_room(todos: Project, rehearsing: list[int]) -> None:
    with serving(todos.database) as served, ThreadPoolExecutor() as pool:
        path = "/api/schema/dry-run"
        asked = [pool.submit(served.post, path, document(BACKFILL)) for _ in range(3)]
        assert [each.result().status for each in asked] == [200, 200, 200]
    assert rehearsing == [1, 1, 1]


def test_a_dry_run_that_waits_does_not_begin_once_the_server_stops(
    todos: Project, rehearsing: list[int]
) -> None:
    endless = document(SLOW.replace("8e6", "1e9"))
    with serving(todos.database) as served, ThreadPoolExecutor() as pool:
        asked = [pool.submit(served.post, "/api/schema/dry-run", endless) for _ in range(2)]
        until(lambda: bool(rehearsing))
        assert served.app is not None
        served.app.service.stop_rehearsing()
        for each in asked:
            assert b"The server was stopped" in each.result().body
    assert rehearsing == [1]


def test_a_server_without_a_key_says_so_and_stays_on_this_machine(todos: Project) -> None:
    with serve_command(todos.database, key=None) as served:
        assert todos.with_(server=served.url).plan().status == "pending"
        assert served.process is not None
        served.process.terminate()
        _, complained = served.process.communicate(timeout=20)
    assert "no deploy key" in complained


def test_a_deploy_key_can_stand_in_a_file(todos: Project) -> None:
    (todos.root / "key").write_text(f"{KEY}\n", encoding="utf-8")
    arguments = ("--port", "0", "--deploy-key-file", str(todos.root / "key"))
    with serve_command(todos.database, *arguments, key=None) as served:
        assert through(todos, served.url).plan().status == "pending"
        refused = pipeline.look(todos.with_(server=served.url).settings)
    assert "asks for a key" in refused.problems[0].message


def test_network_trouble_leaves_schema_and_types(todos: Project) -> None:
    with serving(todos.database) as served:
        project = through(todos, served.url)
        assert project.plan().status == "pending"
        state = project.look()
    gone = pipeline.look(project.settings)
    assert gone.plan is None
    assert gone.schema is not None
    assert [file.path.name for file in pipeline.generated(gone)] == ["schema.json", "types.ts"]
    (problem,) = gone.problems
    assert served.url in problem.message
    assert "cannot be reached" in problem.message
    for work in (pipeline.apply, pipeline.dry_run):
        with pytest.raises(ServerError, match="cannot be reached"):
            last(work(state, never))


ODD = {
    "another server": b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope",
    "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    "another JSON": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://x.test/\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_no_push_server_is_a_sentence(todos: Project, what: str) -> None:
    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(ODD[what])

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        state = pipeline.look(through(todos, url).settings)
    (problem,) = state.problems
    assert url in problem.message
    assert problem.hint


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long a client waits for a word; a server that works says one more often."""
    monkeypatch.setattr(working, "PULSE_SECONDS", 0.1)
    monkeypatch.setattr(remote_http, "ANSWER_SECONDS", 0.6)
    return 0.6


def test_a_plan_that_takes_longer_than_the_client_waits_for_a_word_comes(
    todos: Project, served: Served, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = LocalTarget.measure
    elapsed = threading.Event()

    def slow(*given: Any, **more: Any) -> Plan:
        elapsed.wait(2 * patience)
        return measure(*given, **more)

    expected = todos.plan()
    monkeypatch.setattr(LocalTarget, "measure", slow)
    assert through(todos, served.url).plan() == expected
    answer = served.post("/api/schema/plan", document(BACKFILL))
    assert answer.status == 200
    assert answer.body.startswith(b"\n")
    assert answer.json["status"] == "pending"


def test_an_error_after_the_first_word_is_told(
    todos: Project, served: Served, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    elapsed = threading.Event()

    def failing(*_given: Any, **_more: Any) -> Plan:
        elapsed.wait(2 * patience)
        raise DatabaseError("The disk has a bad day.", "Give it another one.")

    monkeypatch.setattr(LocalTarget, "measure", failing)
    state = pipeline.look(through(todos, served.url).settings)
    with pytest.raises(DatabaseError, match="The disk has a bad day") as raised:
        pipeline.measure(state, never)
    assert raised.value.problems[0].hint == "Give it another one."
