"""A client's file follows its server: same schema, same values, its own rows kept."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apsw
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_strategies import schemas, to_typescript
from serving import Served, connect_and_die, serve_command, serving, until
from support import TRACKED_TODOS, Project, fill_todos, schema_of, seed_blocks
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from valet_studio import pipeline
from valet_studio.cli import cli
from valet_studio.errors import Cancelled, ServerError, StudioError
from valet_studio.migrate.events import BackfillProgress, Event
from valet_studio.replica import Connected, SyncEngine
from valet_studio.replica.catch_up import ReplicaAhead

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]
LATER = BACKFILL.replace("priorityNum: v.number(),", "priorityNum: v.number(), size: v.number(),")
LATER = LATER.replace(
    ".backfill('priorityNum'",
    ".backfill('size', (row) => String(row.title).length)\n.backfill('priorityNum'",
)
WITHOUT_SIZE = BACKFILL.replace(
    "priorityNum: v.number(),", "priorityNum: v.number(), more: v.optional(v.string()),"
)

MUTATIONS = (
    'CREATE TABLE _valet_mutations (id INTEGER PRIMARY KEY, "table" TEXT, row_id TEXT,'
    " operation TEXT, document TEXT)"
)


class Client:
    """A replica in a file."""

    def __init__(self, path: Path, url: str = ""):
        self.path = path
        self.url = url

    def connect(self, told: Callable[[Event], object] = lambda _event: None) -> Connected:
        return SyncEngine(self.path, self.url).connect(told=told)

    def sql(self, statement: str, *bindings: Any) -> list[Any]:
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(5_000)
        try:
            return list(connection.execute(statement, bindings))
        finally:
            connection.close()

    def rows(self, table: str = "todos") -> list[Any]:
        columns = sorted(row[1] for row in self.sql(f'PRAGMA table_info("{table}")'))
        chosen = ", ".join(f'"{column}"' for column in columns)
        return [columns, *self.sql(f'SELECT {chosen} FROM "{table}" ORDER BY _id')]


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents under the first schema."""
    project.push(BEFORE)
    fill_todos(project)
    return project


@pytest.fixture
def client(todos: Project, served: Served, tmp_path: Path) -> Client:
    """A replica that holds the server's documents."""
    path = tmp_path / "client.db"
    shutil.copy(todos.database, path)
    return Client(path, served.url)


@pytest.fixture
def server(todos: Project) -> Client:
    """The server's own database, to be looked at in the same way."""
    return Client(todos.database)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, arguments, prog_name="valet-studio")


def hears(served: Served, host: str = "localhost", **headers: str) -> bool:
    """Whether a WebSocket is told which schema the server holds."""
    reached = socket.create_connection(("127.0.0.1", urlsplit(served.url).port or 0))
    try:
        with connect(f"ws://{host}/api/sync", sock=reached, additional_headers=headers) as heard:
            return "Hello" in str(heard.recv(timeout=5))
    except InvalidStatus as error:
        if error.response.status_code != 403:
            raise
        return False


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "http://localhost.evil.test", ""])
def test_a_web_page_of_elsewhere_hears_nothing(todos: Project, origin: str) -> None:
    with serving(todos.database, deploy_key=None) as served:
        assert not hears(served, Origin=origin)
        assert not hears(served, "evil.test")
        assert hears(served)
        assert hears(served, Origin="http://localhost:3000")
    with serving(todos.database) as served:
        assert hears(served, "app.test", Origin=origin)


def test_the_server_says_which_schema_it_holds(todos: Project, served: Served) -> None:
    with connect(served.url.replace("http", "ws") + "/api/sync") as socket:
        hello = {"type": "Hello", "protocolVersion": 4, "schemaHash": todos.meta()["schema_hash"]}
        (at,) = todos.sql("SELECT applied_at FROM _valet_history")[0]
        last = {"id": 1, "appliedAt": at}
        assert json.loads(socket.recv(timeout=5)) == {**hello, "migration": last}
        todos.push(BACKFILL)
        changed = json.loads(socket.recv(timeout=5))
    (at,) = todos.sql("SELECT applied_at FROM _valet_history WHERE id = 2")[0]
    assert changed == {
        **hello,
        "schemaHash": todos.meta()["schema_hash"],
        "migration": {"id": 2, "appliedAt": at},
    }


def test_a_replica_follows_with_equal_values(
    todos: Project, client: Client, server: Client
) -> None:
    assert client.connect().status == "in_sync"
    todos.push(BACKFILL)
    done = client.connect()
    assert done.status == "migrated"
    assert [b.updated for report in done.reports for b in report.backfills] == [142]
    assert client.rows() == server.rows()
    assert done.schema_hash == todos.meta()["schema_hash"]
    assert client.connect().status == "in_sync"


def test_a_new_replica_begins_with_the_schema_of_now(todos: Project, served: Served) -> None:
    todos.push(BACKFILL)
    fresh = Client(todos.root / "new.db", served.url)
    done = fresh.connect()
    assert (done.status, len(done.reports)) == ("migrated", 1)
    assert fresh.rows() == [
        ["_id", "_version", "completed", "priority", "priorityNum", "title", "userId"]
    ]


def test_a_replica_several_versions_behind_runs_every_backfill_on_its_way(
    todos: Project, client: Client, server: Client
) -> None:
    todos.push(LATER)
    todos.push(WITHOUT_SIZE)
    done = client.connect()
    assert [report.status for report in done.reports] == ["ok", "ok"]
    assert client.rows() == server.rows()
    assert client.sql("SELECT sum(size), sum(priorityNum) FROM todos") == server.sql(
        "SELECT sum(size), sum(priorityNum) FROM todos"
    )
    assert server.sql("SELECT sum(size) FROM todos")[0][0] > 142


def test_a_schema_that_came_back_is_caught_up_with_from_the_right_place(
    todos: Project, client: Client, server: Client
) -> None:
    todos.push(BACKFILL)
    client.connect()
    todos.push(BEFORE)
    todos.push(LATER)
    todos.push(BACKFILL)
    todos.push(WITHOUT_SIZE)
    assert client.connect().status == "migrated"
    assert client.rows() == server.rows()


def test_what_was_written_offline_is_kept(todos: Project, client: Client) -> None:
    client.sql(MUTATIONS)
    client.sql("INSERT INTO _valet_mutations VALUES (1, 'todos', 'mine', 'insert', '{}')")
    client.sql("INSERT INTO todos (_id, title, priority) VALUES ('mine', 'offline', 'high')")
    client.sql("CREATE TABLE _valet_other (a)")
    queue = client.sql("SELECT * FROM _valet_mutations")
    logged = client.sql("SELECT * FROM _valet_changes")
    todos.push(BACKFILL)
    assert client.connect().reports[0].backfills[0].updated == 143
    assert client.sql("SELECT title, priorityNum FROM todos WHERE _id = 'mine'") == [("offline", 3)]
    assert client.sql("SELECT * FROM _valet_mutations") == queue
    assert client.sql("SELECT * FROM _valet_changes") == logged
    assert client.sql("SELECT * FROM _valet_other") == []


def test_a_replica_ahead_of_its_server_is_told_so_and_left_alone(
    todos: Project, client: Client
) -> None:
    todos.push(BACKFILL)
    client.connect()
    pipeline.undo(todos.settings)
    before = client.path.read_bytes()
    with pytest.raises(ReplicaAhead, match="ahead"):
        client.connect()
    assert client.path.read_bytes() == before
    done = run("replica", "connect", str(client.path), "--server", client.url)
    assert done.exit_code == 1
    assert "Nothing was changed" in done.stderr
    assert client.path.read_bytes() == before


def test_following_a_server_that_is_undone_it_is_told_so_and_changes_nothing(
    todos: Project, served: Served, client: Client
) -> None:
    todos.push(BACKFILL)
    stopped = False
    outcomes: list[str] = []
    trouble: list[StudioError] = []

    def follow() -> None:
        engine = SyncEngine(client.path, served.url)
        followed = engine.follow(lambda: stopped, lost=trouble.append)
        outcomes.extend(done.status for done in followed)

    with ThreadPoolExecutor() as pool:
        try:
            following = pool.submit(follow)
            until(lambda: outcomes == ["migrated"])
            before = client.path.read_bytes()
            pipeline.undo(todos.with_(server=served.url, deploy_key=served.key).settings)
            until(lambda: bool(trouble))
        finally:
            stopped = True
        following.result(5)
    assert isinstance(trouble[0], ReplicaAhead)
    assert client.path.read_bytes() == before


def test_pushed_again_after_an_undo_a_backfill_runs_again_on_the_replica(
    todos: Project, served: Served, client: Client, server: Client
) -> None:
    """The schema is the one that the replica holds, but documents changed in between."""
    todos.push(BACKFILL)
    client.connect()
    pipeline.undo(todos.with_(server=served.url, deploy_key=served.key).settings)
    for side in (server, client):
        side.sql("UPDATE todos SET priority = 'high' WHERE _id = 't0003'")
    todos.apply()
    todos.sql("UPDATE _valet_history SET applied_at = '2099-01-01T00:00:00+00:00' WHERE id = 2")
    assert client.connect().status == "migrated"
    assert client.sql("SELECT priorityNum FROM todos WHERE _id = 't0003'") == [(3,)]
    values = 'SELECT _id, priority, "priorityNum" FROM todos ORDER BY _id'
    assert client.sql(values) == server.sql(values)
    assert client.connect().status == "in_sync"


def test_a_failing_backfill_leaves_the_replica_to_try_again(todos: Project, client: Client) -> None:
    mine = "INSERT INTO todos (_id, priority) VALUES ('odd', 'odd')"
    client.sql(mine)
    todos.push(BACKFILL.replace("?? 1", "?? (row.priority === 'odd' ? nothing() : 1)"))
    done = client.connect()
    assert done.status == "failed"
    assert done.schema_hash != todos.meta()["schema_hash"]
    assert run("replica", "connect", str(client.path), "--server", client.url).exit_code == 4
    client.sql("DELETE FROM todos WHERE _id = 'odd'")
    assert client.connect().status == "migrated"


def test_a_push_that_failed_and_was_given_up_is_nothing_to_a_replica(
    todos: Project, client: Client
) -> None:
    assert todos.push(BACKFILL.replace("?? 1", "?? nothing()")).status == "failed"
    assert todos.push(BEFORE).status == "ok"
    assert client.connect().status == "in_sync"
    assert client.connect().status == "in_sync"
    todos.push(BACKFILL)
    assert client.connect().status == "migrated"


def test_a_backfill_edited_after_a_push_that_failed_gives_both_sides_equal_values(
    todos: Project, client: Client, server: Client
) -> None:
    """It ran there, beside the one that failed; the replica sees the push that completes alone."""
    failing = LATER.replace("?? 1", "?? nothing()")
    assert todos.push(failing).status == "failed"
    assert todos.push(LATER.replace("title).length", "title).length + 1")).status == "ok"
    assert client.connect().status == "migrated"
    assert client.rows() == server.rows()


@pytest.mark.parametrize("events", [2, 7, 12])
def test_killed_in_the_middle_it_catches_up_on_the_next_connect(
    todos: Project, client: Client, server: Client, events: int
) -> None:
    todos.push(LATER)
    todos.push(WITHOUT_SIZE)
    connect_and_die(client.path, client.url, events)
    assert client.rows() != server.rows()
    assert client.connect().status == "migrated"
    assert client.rows() == server.rows()


def test_cancelled_it_changes_nothing(todos: Project, client: Client) -> None:
    todos.push(BACKFILL)
    before = client.rows()
    seen: list[Event] = []
    engine = SyncEngine(client.path, client.url)
    with pytest.raises(Cancelled):
        engine.connect(lambda: any(isinstance(e, BackfillProgress) for e in seen), seen.append)
    assert client.rows() == before


def test_following_takes_each_change_and_outlives_its_server(
    todos: Project, client: Client, server: Client
) -> None:
    stopped = False
    outcomes: list[str] = []
    trouble: list[StudioError] = []

    def follow(url: str) -> None:
        engine = SyncEngine(client.path, url)
        followed = engine.follow(lambda: stopped, lost=trouble.append)
        outcomes.extend(done.status for done in followed)

    with ThreadPoolExecutor() as pool:
        try:
            with serve_command(todos.database) as first:
                following = pool.submit(follow, first.url)
                until(lambda: outcomes == ["in_sync"])
                todos.push(BACKFILL)
                until(lambda: outcomes == ["in_sync", "migrated"])
                assert trouble == []
                assert first.process is not None
                first.process.terminate()
                assert first.process.wait(5) == 0
            todos.push(LATER)
            until(lambda: len(trouble) > 1)
            with serve_command(todos.database, "--port", first.url.rpartition(":")[2]):
                until(lambda: outcomes[-1] == "migrated" and len(outcomes) > 2)
        finally:
            stopped = True
        following.result(5)
    assert client.rows() == server.rows()


def test_a_server_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="cannot be followed"):
        SyncEngine(tmp_path / "a.db", "http://127.0.0.1:1").connect()
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_took(todos: Project, client: Client) -> None:
    todos.push(LATER)
    done = run("replica", "connect", str(client.path), "--server", client.url)
    assert done.exit_code == 0, done.output
    assert "took 1 schema version" in done.stdout
    assert 'Backfill "size": 142 rows updated' in done.stdout
    again = run("replica", "connect", str(client.path), "--server", client.url)
    assert "Nothing to do" in again.stdout


def test_many_replicas_catch_up_during_a_migration(
    todos: Project, served: Served, client: Client, server: Client
) -> None:
    clients = [Client(todos.root / f"c{number}.db", served.url) for number in range(200)]
    # One in four holds documents, since each that does starts a process to compute their values.
    some, none = todos.root / "some.db", todos.root / "none.db"
    for path, rest in ((some, "t0003"), (none, "")):
        shutil.copy(client.path, path)
        Client(path).sql("DELETE FROM todos WHERE _id > ?", rest)
    for number, each in enumerate(clients):
        shutil.copy(none if number % 4 else some, each.path)

    def follow(each: Client) -> Connected:
        done = each.connect()
        return done if done.status == "migrated" else each.connect()

    with ThreadPoolExecutor(16) as pool:
        early = [pool.submit(each.connect) for each in clients[:16]]
        pushing = pool.submit(todos.push, BACKFILL)
        for future in early:
            assert future.result().status in ("in_sync", "migrated")
        assert pushing.result().status == "ok"
        assert {done.status for done in pool.map(follow, clients)} <= {"migrated", "in_sync"}
    expected = [row for row in server.rows()[1:] if row[0] <= "t0003"]
    for number, each in enumerate(clients):
        assert each.rows() == [server.rows()[0], *([] if number % 4 else expected)]


EXPRESSIONS = (
    "row.n",
    "row.n === null ? null : -row.n",
    "String(row.n) + row.s",
    "[row.n, row.s]",
    "({ s: row.s })",
    "row.s !== null && row.s > 'm'",
    "Math.floor(Math.sqrt(Math.abs(row.n ?? 2)) * 1000) / 7",
)


@settings(max_examples=5)
@given(
    cells=st.lists(
        st.tuples(
            # Infinity is no JSON: its backfill fails, and clients get no new schema.
            st.none()
            | st.integers(-(2**53), 2**53)
            | st.floats(allow_nan=False, allow_infinity=False, width=32),
            st.none() | st.text(st.characters(codec="utf-8"), max_size=6),
        ),
        max_size=12,
    ),
    steps=st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=4),
    connects=st.sets(st.integers(0, 3)),
)
def test_server_and_client_end_with_equal_values(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[tuple[float | None, str | None]],
    steps: list[str],
    connects: set[int],
) -> None:
    project = Project(tmp_path_factory.mktemp("equal"))
    head = "n: v.union(v.number(), v.null()), s: v.union(v.string(), v.null())"
    project.push(schema_of(f"t: defineTable({{ {head} }}).sync({{ mode: 'full' }}),"))
    for number, cell in enumerate(cells):
        project.sql("INSERT INTO t (_id, n, s) VALUES (?, ?, ?)", (f"d{number}", *cell))
    path = project.root / "client.db"
    shutil.copy(project.database, path)
    with serving(project.database) as served:
        client = Client(path, served.url)
        for number, expression in enumerate(steps):
            # Each schema drops the backfill before it, so that none can be skipped.
            fields = f"{head}, c{number}: v.any()"
            done = project.push(
                schema_of(
                    f"t: defineTable({{ {fields} }}).sync({{ mode: 'full' }})"
                    f".backfill('c{number}', (row) => {expression}),"
                )
            )
            assert done.status == "ok"
            if number in connects:
                client.connect()
        client.connect()
    assert client.rows("t") == Client(project.database).rows("t")


@settings(max_examples=5)
@given(first=schemas(), second=schemas())
def test_any_schema_reaches_the_client(
    tmp_path_factory: pytest.TempPathFactory, first: Any, second: Any
) -> None:
    project = Project(tmp_path_factory.mktemp("any"))
    with serving(project.database) as served:
        client = Client(project.root / "client.db", served.url)
        for schema in (first, second):
            project.push(to_typescript(schema))
            client.connect()
    structure = "SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2"
    own = {"replica_position", "snapshot"}
    assert client.sql(structure) == project.sql(structure)
    meta = dict(client.sql('SELECT "key", "value" FROM _valet_meta'))
    both = [{k: v for k, v in held.items() if k not in own} for held in (meta, project.meta())]
    assert both[0] == both[1]


UNFIT = [
    ("update", '{"priority": 3}', '"priority": 3 is not a string'),
    ("update", '{"gone": 1}', '"gone" is not in the schema'),
    ("update", '{"title": null}', '"title": it is null'),
    ("insert", '{"title": "a", "completed": 1, "userId": "u"}', '"priorityNum" is required'),
    ("insert", "[]", "not a JSON object"),
]
FIT = [
    ("update", '{"title": "b"}'),
    ("delete", None),
    ("insert", '{"title": "a", "completed": 1, "userId": "u", "priorityNum": 2}'),
]


@pytest.fixture
def rehearsed(todos: Project, client: Client) -> Client:
    """A client with a queue, and the seed's backfill not pushed yet."""
    client.sql(MUTATIONS)
    for operation, document, *_ in (*UNFIT, *FIT):
        client.sql(
            'INSERT INTO _valet_mutations ("table", row_id, operation, document)'
            " VALUES ('todos', 't0001', ?, ?)",
            operation,
            document,
        )
    todos.write(BACKFILL)
    return client


@pytest.mark.parametrize("through", ["file", "server"])
def test_a_dry_run_shows_what_will_happen_on_a_client(
    todos: Project, served: Served, rehearsed: Client, through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALET_DEPLOY_KEY", str(served.key))
    database = str(todos.database) if through == "file" else served.url
    rehearsed.sql("INSERT INTO todos (_id, priority) VALUES ('mine', 'high')")
    before = (todos.database.read_bytes(), rehearsed.path.read_bytes())
    arguments = ("dry-run", "--db", database, "--replica", str(rehearsed.path))
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["backfills"][0]["updated"] == 142
    replica = told["replica"]
    assert (replica["status"], replica["versions"]) == ("ok", 1)
    assert replica["tables"] == [{"table": "todos", "rows_before": 143, "rows_after": 143}]
    assert replica["backfills"][0]["updated"] == 143
    assert replica["mutations"] == len(UNFIT) + len(FIT)
    for item, (*_, reason) in zip(replica["unfit"], UNFIT, strict=True):
        assert reason in item["reason"]
    text = run(*arguments).stdout
    assert "143 of 143 rows updated" in text
    assert "8 queued mutations, 5 of which no longer fit." in text
    assert '"gone" is not in the schema' in text
    assert (todos.database.read_bytes(), rehearsed.path.read_bytes()) == before


@pytest.mark.usefixtures("served")
def test_a_queue_of_another_layout_is_not_guessed_at(todos: Project, client: Client) -> None:
    client.sql("CREATE TABLE _valet_mutations (payload TEXT)")
    todos.write(BACKFILL)
    told = json.loads(run("dry-run", "--replica", str(client.path), "--json").stdout)["replica"]
    assert (told["status"], told["mutations"], told["unfit"]) == ("ok", 0, [])
    assert "another layout" in told["problems"][0]


def test_a_rehearsal_on_a_client_predicts_what_happens_there(
    todos: Project, client: Client, server: Client
) -> None:
    todos.push(LATER)
    todos.write(WITHOUT_SIZE)
    told = json.loads(run("dry-run", "--replica", str(client.path), "--json").stdout)["replica"]
    assert (told["status"], told["versions"]) == ("ok", 2)
    todos.push(WITHOUT_SIZE)
    done = client.connect()
    assert len(done.reports) == 2
    updated = [b.updated for report in done.reports for b in report.backfills]
    assert [b["updated"] for b in told["backfills"]] == updated == [142, 142]
    assert client.rows() == server.rows()


def test_a_client_that_will_refuse_the_schema_is_shown_and_exits_4(
    todos: Project, client: Client
) -> None:
    client.sql("INSERT INTO todos (_id, title) VALUES ('mine', 'without a user')")
    todos.write(
        BEFORE.replace("userId: v.string()", "userId: v.union(v.literal('u1'), v.literal('u2'))")
    )
    done = run("dry-run", "--replica", str(client.path))
    assert done.exit_code == 4
    assert "will refuse this schema, for its own documents" in done.stdout
    assert "mine" in done.stdout


def test_a_client_ahead_is_shown(todos: Project, client: Client) -> None:
    todos.push(BACKFILL)
    client.connect()
    pipeline.undo(todos.settings)
    done = run("dry-run", "--replica", str(client.path))
    assert done.exit_code == 4
    assert "cannot follow" in done.stdout
    assert "ahead of" in done.stdout


def test_a_schema_that_lies_about_its_sources_is_not_run(todos: Project, client: Client) -> None:
    text = json.loads(todos.sql("SELECT schema_json FROM _valet_history")[0][0])
    text["tables"][0]["fields"].pop()
    todos.push(BACKFILL)
    todos.sql("UPDATE _valet_history SET schema_json = ? WHERE id = 2", (json.dumps(text),))
    with pytest.raises(StudioError, match="todos is not what the sources declare"):
        client.connect()
