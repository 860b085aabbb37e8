"""Replicas, tokens, TLS, and servers that are none: refused in sentences, and nothing is written."""

from __future__ import annotations

import asyncio
import http.server
import json
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from libsql_servers import Sqld, cluster, sqld
from serving import serving, until
from support import TRACKED_TODOS, Project, fill_todos, last, never, seed_blocks
from terminal import Terminal

from valet_studio import pipeline
from valet_studio.cli import cli
from valet_studio.config import Flags, resolve
from valet_studio.errors import DatabaseBusy, DatabaseError, ServerError, StudioError, Unsupported
from valet_studio.libsql.hrana import server_at
from valet_studio.libsql.target import LibsqlTarget

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]

PUBLIC_KEY = "M-R01pa6SLgVTTSwvHgDqjU5JS9QQbfMk2MDg86nnDg"
TOKEN = (
    "eyJhbGciOiAiRWREU0EiLCAidHlwIjogIkpXVCJ9.eyJhIjogInJ3In0.j-XVVy_aGoYiLqcVwAtSlvDaeAeyQjO9Oj6y"
    "H9RG6-F16XPFi8_sc3PHkVQeFYZ79wxgjeT7DQic0QRez1qPCw"
)
"""A token that this key signs, made for these tests; it opens nothing else."""

CERTIFICATE = Path(__file__).parent.parent / "data" / "localhost.pem"
"""A certificate of 127.0.0.1 that nobody trusts by himself, and its key, made for these tests."""


def problem(project: Project) -> str:
    state = pipeline.look(project.settings)
    assert state.plan is None
    (found,) = state.problems
    return f"{found.message} {found.hint}"


def test_a_replica_shows_the_plan_and_is_never_written_through(
    project: Project, tmp_path: Path
) -> None:
    with cluster(tmp_path / "cluster") as (primary, silent, telling):
        there = project.with_(server=primary.url, libsql=primary)
        there.push(BEFORE)
        fill_todos(there)
        there.write(BACKFILL)
        before = primary.contents()
        for replica, hint in ((silent, "does not tell"), (telling, f"--db {primary.url}.")):
            until(partial(replica.holds, before))
            here = there.with_(server=replica.url)
            state = here.look()
            assert state.database.read_only is True
            assert state.plan == there.plan()
            assert last(pipeline.dry_run(state, never)).backfills[0].updated == 142
            with pytest.raises(Unsupported, match="is a replica") as refused:
                last(pipeline.apply(state, never))
            assert hint in str(refused.value.problems[0].hint)
        assert primary.contents() == before
        assert there.apply().status == "ok"
        for replica in (silent, telling):
            until(partial(replica.holds, primary.contents()))
            assert there.with_(server=replica.url).plan().status == "in_sync"


def test_a_finished_backfill_is_forgotten_on_the_primary_alone(
    project: Project, tmp_path: Path
) -> None:
    with cluster(tmp_path / "cluster") as (primary, replica, _):
        there = project.with_(server=primary.url, libsql=primary)
        there.push(BEFORE)
        fill_todos(there)
        there.push(BACKFILL)
        until(partial(replica.holds, primary.contents()))
        with pytest.raises(Unsupported, match="is a replica"):
            pipeline.reset_backfill(
                there.with_(server=replica.url).settings, "todos", "priorityNum"
            )
        assert there.plan().status == "in_sync"
        assert pipeline.reset_backfill(there.settings, "todos", "priorityNum") is True
        assert pipeline.reset_backfill(there.settings, "todos", "title") is False
        assert [change.kind for change in there.plan().pending] == ["run_backfill"]
        assert there.apply().backfills[0].updated == 142


def test_the_token_comes_from_the_environment(project: Project, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(PUBLIC_KEY)
    with sqld(
        tmp_path / "sqld", "--auth-jwt-key-file", str(tmp_path / "key"), token=TOKEN
    ) as libsql:
        project.write(BEFORE)
        there = project.with_(server=libsql.url, libsql=libsql)
        assert "asks for a token: set VALET_DB_TOKEN" in problem(there)
        assert "refuses the token in VALET_DB_TOKEN" in problem(there.with_(db_token="wrong"))
        assert there.with_(db_token=TOKEN).apply().status == "ok"
        project.root.joinpath(".env").write_text(f"VALET_DB_TOKEN={TOKEN}\n")
        done = CliRunner().invoke(cli, ["plan", "--json", "--db", libsql.url])
        assert json.loads(done.stdout)["status"] == "in_sync"
        assert TOKEN not in repr(resolve(Flags(), {"VALET_DB_TOKEN": TOKEN}))


@contextmanager
def tls(server: Sqld) -> Iterator[int]:
    """The server behind TLS, on a port of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    async def serve(client: StreamReader, to_client: StreamWriter) -> None:
        there, to_there = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(client, to_there), pump(there, to_client))

    # In one thread, since none may read such a socket while another writes to it.
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        starting = asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        listening = asyncio.run_coroutine_threadsafe(starting, loop).result()
        yield listening.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def pump(source: StreamReader, destination: StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(65_536):
            destination.write(piece)
            await destination.drain()
    destination.close()


def test_libsql_means_tls_and_a_certificate_that_is_trusted(
    todos: Project, libsql: Sqld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls(libsql) as port:
        secure = todos.with_(server=f"libsql://127.0.0.1:{port}")
        assert "cannot be trusted" in problem(secure)
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert secure.plan().status == "pending"
        assert secure.apply().status == "ok"
    plain = todos.with_(server=libsql.url.replace("http+", ""))
    assert "http+libsql://HOST:PORT" in problem(plain)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http+libsql://127.0.0.1:1", "cannot be reached: connection refused"),
        ("libsql://no-such-host.invalid", "its name is not known"),
        ("libsql://", "no address of a libSQL server"),
        ("libsql://h:x", "no address of a libSQL server"),
        ("libsql://host/path", "no address of a libSQL server"),
        ("libsql://host?authToken=x", "VALET_DB_TOKEN"),
        ("http+libsql://user:word@host", "VALET_DB_TOKEN"),
        ("libsql://ho st", "no address of a libSQL server"),
        ("libsql://a..b", "its name is not known"),
    ],
)
def test_an_address_that_is_of_no_use_is_a_sentence(
    project: Project, address: str, said: str
) -> None:
    project.write(BEFORE)
    assert said in problem(project.with_(server=address))


def test_a_token_that_no_header_can_hold_is_a_sentence(project: Project) -> None:
    project.write(BEFORE)
    there = project.with_(server="libsql://127.0.0.1", db_token="a\nb")
    assert "VALET_DB_TOKEN holds characters" in problem(there)


def test_a_push_server_is_told_apart(project: Project) -> None:
    project.push(BEFORE)
    with serving(project.database) as served:
        there = project.with_(server=served.url.replace("http://", "http+libsql://"))
        assert "no libSQL server" in problem(there)


class _Odd(http.server.BaseHTTPRequestHandler):
    status, body = 200, b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *arguments: Any) -> None:
        """Nothing is logged."""


def answer(**document: Any) -> bytes:
    return json.dumps({"baton": None, "base_url": None, **document}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (200, b"<html>", ServerError, "no libSQL server"),
        (200, b"[]", ServerError, "no libSQL server"),
        pytest.param(200, b"[" * 100_000, ServerError, "no libSQL server", id="too deep"),
        (200, answer(results=[]), ServerError, "no libSQL server"),
        (200, answer(results=[{"type": "ok"}]), ServerError, "no libSQL server"),
        (
            200,
            answer(results=[{"type": "ok", "response": {"result": {"rows": [[{}]]}}}]),
            ServerError,
            "no libSQL server",
        ),
        (
            200,
            answer(
                results=[
                    {
                        "type": "error",
                        "error": {
                            "message": "SQLite error: no such table: x",
                            "code": "SQLITE_UNKNOWN",
                        },
                    }
                ]
            ),
            DatabaseError,
            "no such table: x",
        ),
        (
            200,
            answer(
                results=[
                    {
                        "type": "error",
                        "error": {"message": "database is locked", "code": "SQLITE_BUSY"},
                    }
                ]
            ),
            DatabaseBusy,
            "busy",
        ),
        (404, b"", ServerError, "status 404"),
        (502, b"bad gateway", ServerError, "status 502"),
        (500, b'{"error":"out of memory"}', DatabaseError, "out of memory"),
        (307, b"", ServerError, "no libSQL server"),
    ],
)
def test_what_no_libsql_server_answers_is_a_sentence(
    project: Project, status: int, body: bytes, kind: type[StudioError], said: str
) -> None:
    project.write(BEFORE)
    handler = type("Odd", (_Odd,), {"status": status, "body": body})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as odd:
        thread = threading.Thread(target=odd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        target = LibsqlTarget.at(f"http+libsql://127.0.0.1:{odd.server_port}", None)
        with pytest.raises(kind, match=said):
            target.history()
        odd.shutdown()
        thread.join()


def test_looking_leaves_room_for_others(project: Project, tmp_path: Path) -> None:
    with sqld(tmp_path / "sqld", "--max-concurrent-connections", "4") as libsql:
        there = project.with_(server=libsql.url, libsql=libsql)
        there.push(BEFORE)
        there.write(BACKFILL)
        for _ in range(4):
            assert there.plan().status == "pending"
            pipeline.history(there.settings)
        assert libsql.sql("SELECT count(*) FROM todos") == [(0,)]


def test_there_is_no_undo_and_it_says_what_to_do(todos: Project) -> None:
    assert not todos.look().database.keeps_snapshots
    todos.apply()
    for refused in (pipeline.undo, pipeline.written_since):
        with pytest.raises(Unsupported, match="no snapshot is kept") as error:
            refused(todos.settings)
        assert "backup" in str(error.value.problems[0].hint)


def test_failed_documents_are_tried_again_alone(todos: Project) -> None:
    failing = BACKFILL.replace("?? 1", "?? (() => { throw new Error('what is urgent?') })()")
    todos.write(failing)
    report = todos.dry_run()
    assert report.backfills[0].failed == 35
    again = pipeline.retry_failed(todos.look(), report, never)
    assert (again.backfills[0].rows, again.backfills[0].failed) == (35, 35)
    todos.write(BACKFILL)
    again = pipeline.retry_failed(todos.look(), report, never)
    assert (again.status, again.backfills[0].updated) == ("ok", 35)


def test_what_a_change_touches_is_shown(todos: Project) -> None:
    state = todos.look()
    assert state.plan is not None
    found = pipeline.touched(state, state.plan.pending[0], never)
    assert found is not None
    assert found.rows == 142
    shown = pipeline.document(state, "todos", "t0001", never)
    assert shown is not None
    assert (shown["title"], shown["completed"]) == ("Todo 1", 1)


def test_values_that_only_python_can_check_are_counted(todos: Project) -> None:
    kinds = "v.union(v.literal('high'), v.literal('medium'), v.literal('low'))"
    todos.write(BEFORE.replace("priority: v.string()", f"priority: {kinds}"))
    (change,) = [c for c in todos.plan().changes if c.kind == "narrow_field"]
    assert (change.offending, change.risk.value) == (35, "breaking")


def test_the_histories_of_schemas_are_compared(todos: Project) -> None:
    todos.apply()
    changes = pipeline.history_diff(todos.settings, 1, 2)
    assert any("priorityNum" in str(change) for change in changes)


def test_the_commands_work_on_it(todos: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALET_STUDIO_DB", todos.settings.database)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, arguments, prog_name="valet-studio")

    assert run("check").exit_code == 3
    assert "todos.priorityNum" in run("plan").stdout
    assert "142" in run("dry-run").stdout
    applied = run("apply", "--yes")
    assert applied.exit_code == 0, applied.output
    assert "142" in applied.stdout
    assert json.loads(run("plan", "--json").stdout)["status"] == "in_sync"
    assert "todos.priorityNum" in run("history").stdout
    refused = run("serve")
    assert refused.exit_code == 1
    assert "is a libSQL server" in refused.output


def test_the_studio_rehearses_and_applies_on_it(todos: Project, libsql: Sqld) -> None:
    with Terminal(todos.root, "--db", libsql.url) as terminal:
        terminal.wait_for("Add column", str(libsql.port))
        terminal.press("d")
        terminal.wait_for("142 rows", "Press a to apply")
        terminal.press("a")
        terminal.wait_for("Apply to the database?")
        terminal.press("y")
        terminal.wait_for("142 rows", "in sync")
        libsql.stop(kill=True)
        todos.write(BACKFILL.replace("title: v.string(),", "title: v.string(), x: v.any(),"))
        terminal.wait_for("cannot be reached")
        libsql.start()
        todos.write(BACKFILL.replace("title: v.string(),", "title: v.string(), y: v.any(),"))
        terminal.wait_for("1 change")
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_the_default_ports_are_those_of_the_schemes() -> None:
    assert (server_at("libsql://db.example", None).port, server_at("libsql://h", None).secure) == (
        443,
        True,
    )
    assert server_at("http+libsql://h", None).port == 8080
