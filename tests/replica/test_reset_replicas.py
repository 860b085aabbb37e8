"""A backfill that is reset on the server runs again there, and on every client that follows."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import apsw
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import Served, connect_and_die, serving, until
from support import TRACKED_TODOS, Project, fill_todos, schema_of, seed_blocks

from valet_studio import pipeline
from valet_studio.cli import cli
from valet_studio.replica import Connected, SyncEngine
from valet_studio.replica.catch_up import ReplicaAhead

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]
OTHER_CODE = BACKFILL.replace("high: 3", "high: 30")
DEPENDENT = BACKFILL.replace(
    "priorityNum: v.number(),", "priorityNum: v.number(), twice: v.number(),"
).replace(
    ".backfill('priorityNum'",
    ".backfill('twice', (row) => Number(row.priorityNum) * 2).backfill('priorityNum'",
)


class Side:
    """A server's or a client's database, as another program sees it."""

    def __init__(self, path: Path, url: str = ""):
        self.path = path
        self.url = url

    def connect(self) -> Connected:
        return SyncEngine(self.path, self.url).connect()

    def sql(self, statement: str, *bindings: Any) -> list[Any]:
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(5_000)
        try:
            return list(connection.execute(statement, bindings))
        finally:
            connection.close()

    def values(self, table: str = "todos") -> list[Any]:
        columns = sorted(row[1] for row in self.sql(f'PRAGMA table_info("{table}")'))
        chosen = ", ".join(f'"{column}"' for column in columns if column != "_version")
        return [columns, *self.sql(f'SELECT {chosen} FROM "{table}" ORDER BY _id')]


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, the seed's backfill applied."""
    project.push(BEFORE)
    fill_todos(project)
    return project


@pytest.fixture
def remote(todos: Project, served: Served) -> Project:
    """The project through its server."""
    return todos.with_(server=served.url, deploy_key=served.key)


@pytest.fixture
def server(todos: Project) -> Side:
    return Side(todos.database)


@pytest.fixture(params=["followed", "copied"])
def client(request: pytest.FixtureRequest, todos: Project, served: Served, tmp_path: Path) -> Side:
    """A replica after the seed's backfill, which it took over, or which its file came with."""
    side = Side(tmp_path / "client.db", served.url)
    if request.param == "followed":
        shutil.copy(todos.database, side.path)
        todos.push(BACKFILL)
        assert side.connect().status == "migrated"
    else:
        todos.push(BACKFILL)
        shutil.copy(todos.database, side.path)
    return side


def edit(*sides: Side) -> None:
    """The same edits everywhere: what syncing documents would bring."""
    for side in sides:
        side.sql("UPDATE todos SET priority = 'high' WHERE _id = 't0003'")
        side.sql("UPDATE todos SET priorityNum = 99 WHERE _id IN ('t0004', 't0005')")


@pytest.mark.parametrize("text", [BACKFILL, OTHER_CODE], ids=["same code", "other code"])
def test_a_backfill_that_runs_again_runs_again_on_clients(
    remote: Project, client: Side, server: Side, text: str
) -> None:
    edit(server, client)
    assert pipeline.reset_backfill(remote.settings, "todos", "priorityNum")
    assert client.connect().status == "in_sync"
    assert remote.push(text).backfills[0].updated == 142
    assert server.values() != client.values()
    done = client.connect()
    assert done.status == "migrated"
    assert [b.updated for report in done.reports for b in report.backfills] == [142]
    assert client.values() == server.values()
    assert client.sql("SELECT count(*) FROM todos WHERE priorityNum = 99") == [(0,)]
    again = client.connect()
    assert (again.status, again.reports) == ("in_sync", ())


def test_without_a_reset_nothing_runs_again(remote: Project, client: Side, server: Side) -> None:
    edit(server, client)
    remote.push(BACKFILL.replace("title:", "extra: v.any(), title:"))
    done = client.connect()
    assert [report.backfills for report in done.reports] == [()]
    assert client.values() == server.values()
    assert client.sql("SELECT count(*) FROM todos WHERE priorityNum = 99") == [(2,)]


def test_a_replica_behind_runs_again_what_ran_again_on_its_way(
    remote: Project, client: Side, server: Side
) -> None:
    """`twice` is computed from what the first re-run gave, and the second one comes after it."""
    pipeline.reset_backfill(remote.settings, "todos", "priorityNum")
    remote.push(OTHER_CODE)
    remote.push(DEPENDENT.replace("high: 3", "high: 30"))
    pipeline.reset_backfill(remote.settings, "todos", "priorityNum")
    remote.push(DEPENDENT)
    assert client.connect().status == "migrated"
    assert client.values() == server.values()
    assert server.sql("SELECT max(twice), max(priorityNum) FROM todos") == [(60, 3)]


def test_a_following_replica_is_told_though_the_schema_is_the_same(
    remote: Project, client: Side, server: Side
) -> None:
    stopped = False
    outcomes: list[str] = []

    def follow() -> None:
        engine = SyncEngine(client.path, client.url)
        outcomes.extend(done.status for done in engine.follow(lambda: stopped))

    edit(server, client)
    with ThreadPoolExecutor() as pool:
        try:
            following = pool.submit(follow)
            until(lambda: outcomes == ["in_sync"])
            pipeline.reset_backfill(remote.settings, "todos", "priorityNum")
            remote.apply()
            until(lambda: outcomes == ["in_sync", "migrated"])
        finally:
            stopped = True
        following.result(5)
    assert client.values() == server.values()


def test_a_document_that_fails_leaves_the_replica_to_try_again(
    remote: Project, client: Side, server: Side
) -> None:
    text = BACKFILL.replace("?? 1", "?? (row.priority === 'odd' ? nothing() : 1)")
    pipeline.reset_backfill(remote.settings, "todos", "priorityNum")
    remote.push(text)
    client.sql("INSERT INTO todos (_id, priority, priorityNum) VALUES ('mine', 'odd', 7)")
    before = client.values()
    for _ in range(2):
        assert client.connect().status == "failed"
        assert client.values() == before
    client.sql("DELETE FROM todos WHERE _id = 'mine'")
    assert client.connect().status == "migrated"
    assert client.values() == server.values()
    assert client.connect().status == "in_sync"


@pytest.mark.parametrize("events", [1, 4, 7])
def test_killed_in_the_middle_it_runs_again_on_the_next_connect(
    remote: Project, client: Side, server: Side, events: int
) -> None:
    edit(server, client)
    pipeline.reset_backfill(remote.settings, "todos", "priorityNum")
    remote.apply()
    connect_and_die(client.path, client.url, events)
    assert client.values() != server.values()
    assert client.connect().status == "migrated"
    assert client.values() == server.values()


def test_a_replica_is_ahead_of_a_server_that_took_the_second_run_back(
    remote: Project, todos: Project, client: Side, server: Side
) -> None:
    """The schema hash is the same all the time."""
    pipeline.reset_backfill(remote.settings, "todos", "priorityNum")
    remote.apply()
    client.connect()
    pipeline.undo(remote.settings)
    before = client.path.read_bytes()
    with pytest.raises(ReplicaAhead, match="Nothing was changed"):
        client.connect()
    assert client.path.read_bytes() == before
    edit(server, client)
    assert remote.apply().status == "ok"
    todos.sql("UPDATE _valet_history SET applied_at = '2099-01-01T00:00:00+00:00' WHERE id = 3")
    assert client.connect().status == "migrated"
    assert client.values() == server.values()
    assert client.connect().status == "in_sync"


def test_a_rehearsal_on_a_client_shows_what_will_run_again(
    remote: Project, client: Side, server: Side
) -> None:
    edit(server, client)
    pipeline.reset_backfill(remote.settings, "todos", "priorityNum")
    arguments = ["dry-run", "--db", str(server.path), "--replica", str(client.path), "--json"]
    before = client.path.read_bytes()
    done = CliRunner().invoke(cli, arguments, prog_name="valet-studio")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["replica"]
    assert (told["status"], told["versions"]) == ("ok", 1)
    assert [b["updated"] for b in told["backfills"]] == [142]
    assert client.path.read_bytes() == before


Step = Literal["edit", "reset a", "reset b", "push", "other code", "connect"]
STEPS: tuple[Step, ...] = ("edit", "reset a", "reset b", "push", "other code", "connect")


@settings(max_examples=12)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=4, max_size=10))
def test_whatever_is_reset_and_pushed_server_and_client_end_equal(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    """`b` is computed from `a`, so that the order of the runs counts. Edited documents reach the
    client as they are by then, once it has migrated."""
    project = Project(tmp_path_factory.mktemp("equal"))
    project.push(schema_of("t: defineTable({ n: v.number() }).sync({ mode: 'full' }),"))
    project.sql("INSERT INTO t (_id, n) VALUES ('x', 1), ('y', 2), ('z', 3)")
    path = project.root / "client.db"
    shutil.copy(project.database, path)
    server, factor = Side(project.database), 10
    edited: list[str] = []

    def push() -> None:
        fields = "n: v.number(), a: v.number(), b: v.number()"
        project.push(
            schema_of(
                f"t: defineTable({{ {fields} }}).sync({{ mode: 'full' }})"
                f".backfill('a', (row) => row.n * {factor})"
                ".backfill('b', (row) => Number(row.a) + row.n),"
            )
        )

    with serving(project.database) as served:
        client = Side(path, served.url)

        def connect() -> None:
            client.connect()
            for who in edited:
                row = server.sql("SELECT n, a, b FROM t WHERE _id = ?", who)[0]
                client.sql("UPDATE t SET n = ?, a = ?, b = ? WHERE _id = ?", *row, who)
            edited.clear()

        push()
        connect()
        for step in [*steps, "push", "connect"]:
            match step:
                case "edit":
                    edited.append("xyz"[len(edited) % 3])
                    server.sql("UPDATE t SET n = n + 5, a = -n WHERE _id = ?", edited[-1])
                case "reset a" | "reset b":
                    pipeline.reset_backfill(project.settings, "t", step[-1])
                case "push":
                    push()
                case "other code":
                    factor += 1
                    push()
                case "connect":
                    connect()
        assert client.values("t") == server.values("t")
        assert client.connect().status == "in_sync"
