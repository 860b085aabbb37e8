"""A replica that goes through several versions at once: what it is told, and where it stops."""

from __future__ import annotations

import json
import shutil
from collections import deque
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner
from serving import Served
from support import TRACKED_TODOS, Project, fill_todos, seed_blocks

from valet_studio import pipeline
from valet_studio.cli import cli
from valet_studio.errors import Cancelled, ServerError
from valet_studio.replica import SyncEngine
from valet_studio.replica.rehearse import rehearse_replica
from valet_studio.typescript.limits import Limits

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]


def with_fields(*names: str, text: str = BEFORE) -> str:
    fields = "".join(f"{name}: v.optional(v.number()), " for name in names)
    return text.replace("title: v.string()", f"{fields}title: v.string()")


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents under the first schema."""
    project.push(BEFORE)
    fill_todos(project)
    return project


@pytest.fixture
def client(todos: Project) -> Path:
    """A copy of the server's file."""
    path = todos.root / "client" / "client.db"
    path.parent.mkdir()
    shutil.copy(todos.database, path)
    return path


def sql(path: Path, statement: str) -> list[Any]:
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, arguments, prog_name="valet-studio")


def rehearsed(client: Path) -> dict[str, Any]:
    done = run("dry-run", "--replica", str(client), "--json")
    return dict(json.loads(done.stdout)["replica"])


def test_a_replica_behind_is_rehearsed_though_nothing_is_to_be_pushed(
    todos: Project, client: Path
) -> None:
    todos.push(BACKFILL)
    told = rehearsed(client)
    assert (told["status"], told["versions"]) == ("ok", 1)
    assert told["backfills"][0]["updated"] == 142


def test_a_version_that_is_nothing_new_to_it_hides_no_rows(
    todos: Project, served: Served, client: Path
) -> None:
    """One was undone and pushed again: it comes first, and has nothing left to do."""
    todos.push(with_fields("a"))
    SyncEngine(client, served.url).connect()
    pipeline.undo(todos.with_(server=served.url, deploy_key=served.key).settings)
    todos.apply()
    todos.write(with_fields("a", "b"))
    told = rehearsed(client)
    assert (told["status"], told["versions"]) == ("ok", 2)
    assert told["tables"] == [{"table": "todos", "rows_before": 142, "rows_after": 142}]
    assert SyncEngine(client, served.url).connect().status == "in_sync"
    (noted,) = sql(client, "SELECT value FROM _valet_meta WHERE key = 'replica_position'")[0]
    (at,) = todos.sql("SELECT applied_at FROM _valet_history WHERE id = 2")[0]
    assert json.loads(noted)["applied_at"] == at


@pytest.mark.parametrize(
    ("second", "status", "hint"),
    [
        (
            BACKFILL.replace("?? 1", "?? (row._id === 'odd' ? nothing() : 1)"),
            "failed",
            "the next push retries it",
        ),
        (
            BEFORE.replace("userId: v.string()", "userId: v.literal('u1')"),
            "rejected",
            "Mend the documents that break it",
        ),
    ],
)
def test_after_a_version_that_it_cannot_take_nothing_further_is_applied(
    todos: Project, served: Served, client: Path, second: str, status: str, hint: str
) -> None:
    sql(client, "INSERT INTO todos (_id, userId, priority) VALUES ('odd', 'u2', 'odd')")
    for text in (with_fields("a"), with_fields("a", text=second), with_fields("a", "b")):
        assert todos.push(text).status == "ok"
    told = rehearsed(client)
    assert told["status"] == status
    text = run("dry-run", "--replica", str(client)).stdout
    assert ("1 failed" in text) is (status == "failed")
    done = run("replica", "connect", str(client), "--server", served.url)
    assert done.exit_code == 4
    assert "took 1 schema version from" in done.stdout
    assert "odd" in done.stdout
    assert hint in done.stdout
    columns = {name for (name,) in sql(client, "SELECT name FROM pragma_table_info('todos')")}
    assert "a" in columns
    assert "b" not in columns
    assert list(client.parent.iterdir()) == [client], "a replica keeps no snapshots"


def test_a_version_that_cannot_be_read_is_told_as_what_stops_it(
    todos: Project, client: Path
) -> None:
    todos.push(with_fields("a"))
    document = json.loads(todos.sql("SELECT schema_json FROM _valet_history WHERE id = 2")[0][0])
    document["tables"][0]["fields"].pop()
    todos.sql("UPDATE _valet_history SET schema_json = ? WHERE id = 2", (json.dumps(document),))
    todos.write(with_fields("a", "b"))
    told = rehearsed(client)
    assert told["status"] == "failed"
    assert "todos is not what the sources declare" in told["problems"][0]


def test_a_rehearsal_that_is_cancelled_is_no_failure_of_the_client(
    todos: Project, client: Path
) -> None:
    todos.write(BACKFILL)
    state = todos.look()
    assert state.schema is not None
    target = pipeline.target_of(todos.settings)
    answers = deque([False, False])
    with pytest.raises(Cancelled):
        rehearse_replica(
            client,
            target,
            state.schema,
            lambda: answers.popleft() if answers else True,
            limits=Limits(),
        )


def test_a_schema_that_valet_itself_pushed_is_followed(
    todos: Project, served: Served, client: Path
) -> None:
    """The server's database holds it, and no migration of ours brought it there."""
    todos.push(with_fields("a"))
    todos.sql("DELETE FROM _valet_history WHERE id = 2")
    for status in ("migrated", "in_sync"):
        done = SyncEngine(client, served.url).connect()
        assert (done.status, done.schema_hash) == (status, todos.meta()["schema_hash"])
    assert sql(client, "SELECT 1 FROM pragma_table_info('todos') WHERE name = 'a'") == [(1,)]


@pytest.mark.parametrize("behind", [True, False])
def test_a_schema_that_the_server_does_not_record_is_not_followed(
    todos: Project, served: Served, client: Path, behind: bool
) -> None:
    """Another program pushed it, and left no schema that leads there."""
    if behind:
        todos.push(with_fields("a"))
    todos.sql("UPDATE _valet_meta SET value = 'of another' WHERE key = 'schema_hash'")
    before = client.read_bytes()
    with pytest.raises(ServerError, match="does not record the schema"):
        SyncEngine(client, served.url).connect()
    assert client.read_bytes() == before
