"""An apply on a libSQL server: the state before or the state after, whatever happens meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from libsql_servers import Cutting, Sqld
from support import TRACKED_TODOS, Project, fill_todos, never, schema_of, seed_blocks

from valet_studio import pipeline
from valet_studio.errors import (
    Cancelled,
    DatabaseBusy,
    MigrationFailed,
    PlanIsStale,
    ServerError,
)
from valet_studio.libsql import resolve, side
from valet_studio.libsql.hrana import Statement, StepFailed, server_at
from valet_studio.libsql.mirror import moment
from valet_studio.libsql.session import reading
from valet_studio.migrate.events import BackfillProgress, Event, PhaseStarted, Report, StatementRun

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]
EXPECTED = "CASE priority WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END"
WRONG = f"SELECT count(*) FROM todos WHERE priorityNum IS NOT {EXPECTED}"
LEFT = "SELECT count(*) FROM sqlite_master WHERE name LIKE '_valet_backfill_%'"


def at(project: Project, wanted: Callable[[Event], bool], do: Callable[[], object]) -> Report:
    """Apply, and do something each time such an event comes."""
    final: Event | None = None
    for event in pipeline.apply(project.look(), never):
        if wanted(event):
            do()
        final = event
    assert isinstance(final, Report)
    return final


def phase(name: str) -> Callable[[Event], bool]:
    return lambda event: event == PhaseStarted(name)  # type: ignore[arg-type]


def cancel_when(project: Project, wanted: Callable[[Event], bool]) -> None:
    """Apply, and cancel from such an event on."""
    seen: list[Event] = []
    for event in pipeline.apply(project.look(), lambda: bool(seen)):
        if wanted(event):
            seen.append(event)  # noqa: PERF401 — a list comprehension would not stop


def write_some(libsql: Sqld) -> None:
    libsql.sql("UPDATE todos SET priority = 'high' WHERE _id = 't0001'")
    libsql.sql("INSERT INTO todos (_id, title, priority) VALUES ('new', 'it''s new', 'medium')")
    libsql.sql("DELETE FROM todos WHERE _id = 't0002'")


@pytest.mark.parametrize("when", ["copy", "structure", "backfill", "verify", "commit"])
def test_documents_written_meanwhile_get_the_value_of_what_they_are(
    todos: Project, libsql: Sqld, when: str
) -> None:
    report = at(todos, phase(when), lambda: write_some(libsql))
    assert report.status == "ok"
    assert libsql.sql("SELECT count(*), count(priorityNum) FROM todos") == [(142, 142)]
    assert libsql.sql(WRONG) == [(0,)]
    assert libsql.sql("SELECT priorityNum FROM todos WHERE _id IN ('t0001', 'new') ORDER BY 1") == [
        (2,),
        (3,),
    ]
    assert (report.backfills[0].rows, report.backfills[0].updated) == (142, 142)
    assert libsql.sql(LEFT) == [(0,)]
    assert todos.plan().status == "in_sync"


@pytest.mark.parametrize(
    "write",
    [
        "UPDATE todos SET priority = 'HIGH' WHERE priority = 'high'",
        "UPDATE todos SET priority = priority || char(0) WHERE _id = 't0000'",
        "UPDATE todos SET priority = x'68696768' WHERE _id = 't0000'",
        "UPDATE todos SET priority = NULL WHERE _id = 't0000'",
        "UPDATE todos SET rowid = rowid + 1000",
    ],
)
def test_every_kind_of_change_is_noticed(project: Project, libsql: Sqld, write: str) -> None:
    there = project.with_(server=libsql.url, libsql=libsql)
    libsql.sql(
        "CREATE TABLE todos (_id TEXT PRIMARY KEY NOT NULL, _version INTEGER NOT NULL DEFAULT 0,"
        " title TEXT, completed INTEGER, userId TEXT, priority TEXT COLLATE NOCASE)"
    )
    fill_todos(there)
    there.write(BACKFILL.replace("row.priority as string", "String(row.priority)"))
    assert at(there, phase("commit"), lambda: libsql.sql(write)).status == "ok"
    assert libsql.sql(WRONG.replace("CASE priority", "CASE priority COLLATE BINARY")) == [(0,)]


def test_more_than_a_few_changes_are_copied_anew(
    todos: Project, libsql: Sqld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("valet_studio.libsql.mirror._RENEWED_ROWS", 10)
    at(todos, phase("commit"), lambda: libsql.sql("UPDATE todos SET priority = 'medium'"))
    assert libsql.sql("SELECT DISTINCT priorityNum FROM todos") == [(2,)]


def test_a_document_that_fails_after_it_was_written_fails_the_backfill(
    todos: Project, libsql: Sqld
) -> None:
    todos.write(
        BACKFILL.replace(
            "return mapping", "if (row.priority === 'bad') throw new Error('bad');\n return mapping"
        )
    )
    spoil = "UPDATE todos SET priority = 'bad' WHERE _id = 't0007'"
    report = at(todos, phase("commit"), lambda: libsql.sql(spoil))
    assert report.status == "failed"
    assert [failure.id for failure in report.backfills[0].errors] == ["t0007"]
    assert libsql.sql("SELECT count(priorityNum) FROM todos") == [(0,)]
    assert [change.kind for change in todos.plan().pending] == ["run_backfill"]
    assert libsql.sql(LEFT) == [(0,)]


def test_documents_that_are_written_all_the_time_are_a_sentence(
    todos: Project, libsql: Sqld
) -> None:
    before = libsql.sql("SELECT sql FROM sqlite_master")

    def done(event: Event) -> bool:
        return isinstance(event, BackfillProgress) and event.done == event.total

    def touch() -> None:
        libsql.sql("UPDATE todos SET priority = priority || 'x' WHERE _id = 't0003'")

    with pytest.raises(DatabaseBusy, match="again and again"):
        at(todos, done, touch)
    assert libsql.sql("SELECT sql FROM sqlite_master") == before


def test_backfills_that_read_each_other_agree_with_a_file(project: Project, libsql: Sqld) -> None:
    there = project.with_(server=libsql.url, libsql=libsql)
    there.push(schema_of("t: defineTable({ a: v.number(), old: v.optional(v.number()) }),"))
    libsql.sql("INSERT INTO t (_id, a, old) VALUES ('x', 2, 5), ('y', 3, 6)")
    there.write(
        schema_of(
            "t: defineTable({ a: v.number(), old: v.optional(v.number()), b: v.number(),"
            " c: v.any() })"
            ".backfill('b', (row) => row.a * 10)"
            ".backfill('old', (row) => row.old + row.b)"
            ".backfill('c', (row) => ({ ...row }))"
        )
    )
    write = "UPDATE t SET a = 4 WHERE _id = 'y'"
    assert at(there, phase("commit"), lambda: libsql.sql(write)).status == "ok"
    assert libsql.sql("SELECT a, b, old FROM t ORDER BY _id") == [(2, 20, 25), (4, 40, 46)]
    assert libsql.sql("SELECT c->>'b', c->>'old', c->>'c' FROM t ORDER BY _id") == [
        (20, 25, None),
        (40, 46, None),
    ]


def test_a_backfill_is_computed_again_where_only_what_it_reads_of_another_changed(
    project: Project, libsql: Sqld
) -> None:
    there = project.with_(server=libsql.url, libsql=libsql)
    there.push(schema_of("t: defineTable({ a: v.number() }),"))
    libsql.sql("INSERT INTO t (_id, a) VALUES ('x', 2), ('y', 3)")
    there.write(
        schema_of(
            "t: defineTable({ a: v.number(), b: v.number(), c: v.number() })"
            ".backfill('b', (row) => row.a * 10).backfill('c', (row) => row.b + 1)"
        )
    )
    write = "UPDATE t SET a = 4 WHERE _id = 'y'"
    assert at(there, phase("commit"), lambda: libsql.sql(write)).status == "ok"
    assert libsql.sql("SELECT a, b, c FROM t ORDER BY _id") == [(2, 20, 21), (4, 40, 41)]


def test_documents_without_a_number_are_told_apart_by_their_id(
    project: Project, libsql: Sqld
) -> None:
    there = project.with_(server=libsql.url, libsql=libsql)
    fields = "rowid: v.number(), oid: v.number()"
    libsql.sql(
        "CREATE TABLE t (_id TEXT PRIMARY KEY NOT NULL, _version INTEGER NOT NULL DEFAULT 0,"
        ' "rowid" INTEGER, "_rowid_" INTEGER, "oid" INTEGER)'
    )
    libsql.sql("INSERT INTO t (_id, rowid, oid) VALUES ('it''s', 1, 5), ('B', 1, 6), ('b', 1, 7)")
    there.write(
        schema_of(f"t: defineTable({{ {fields}, n: v.number() }}).backfill('n', (r) => r.oid * 2),")
    )
    write = "UPDATE t SET oid = 8 WHERE _id = 'b'"
    assert at(there, phase("commit"), lambda: libsql.sql(write)).status == "ok"
    assert libsql.sql("SELECT _id, n FROM t ORDER BY oid") == [("it's", 10), ("B", 12), ("b", 16)]


def test_a_search_index_finds_what_a_backfill_has_set(project: Project, libsql: Sqld) -> None:
    there = project.with_(server=libsql.url, libsql=libsql)
    there.push(schema_of("t: defineTable({ a: v.string() }),"))
    libsql.sql("INSERT INTO t (_id, a) VALUES ('x', 'red'), ('y', 'green')")
    searched = schema_of(
        "t: defineTable({ a: v.string(), b: v.string() })"
        ".searchIndex('by_b', { searchField: 'b' }).backfill('b', (row) => row.a + ' apple'),"
    )
    assert there.push(searched).status == "ok"
    find = "SELECT b FROM t_valet_search_by_b WHERE t_valet_search_by_b MATCH ? ORDER BY 1"
    assert libsql.sql(find, ("apple",)) == [("green apple",), ("red apple",)]
    assert there.plan().status == "in_sync"
    more = searched.replace("b: v.string() })", "b: v.string(), c: v.number() })")
    assert there.push(more.replace("'b', (row)", "'c', () => 1).backfill('b', (row)")).status == (
        "ok"
    )
    assert libsql.sql(find, ("green",)) == [("green apple",)]


def test_new_documents_get_the_value_of_a_function_that_reads_nothing(
    todos: Project, libsql: Sqld
) -> None:
    todos.write(BACKFILL.replace("return mapping[row.priority as string] ?? 1", "return 7"))
    write = "INSERT INTO todos (_id) VALUES ('new')"
    assert at(todos, phase("commit"), lambda: libsql.sql(write)).backfills[0].updated == 143
    assert libsql.sql("SELECT DISTINCT priorityNum FROM todos") == [(7,)]


def test_values_of_every_kind_are_swapped_in(project: Project, libsql: Sqld) -> None:
    there = project.with_(server=libsql.url, libsql=libsql)
    there.push(schema_of("t: defineTable({ n: v.number() }),"))
    libsql.sql("INSERT INTO t (_id, n) SELECT 'd' || value, value FROM json_each('[1,2,3,4,5]')")
    values = "[null, 'nul\\0 \\u2028 😀', new Uint8Array([0, 255]).buffer, { a: [1.5] }, 'x']"
    fields = "real: v.number(), big: v.number(), text: v.optional(v.string()), blob: v.bytes()"
    report = there.push(
        schema_of(
            f"t: defineTable({{ n: v.number(), {fields}, any: v.any() }})"
            ".backfill('real', (row) => 0.1 + row.n / 5)"
            ".backfill('big', (row) => 2 ** (60 + row.n))"
            f".backfill('text', (row) => row.n === 1 ? null : {values}[1])"
            f".backfill('blob', () => {values}[2])"
            f".backfill('any', () => {values}[3])"
        )
    )
    assert report.status == "ok", report.backfills
    assert libsql.sql("SELECT real FROM t ORDER BY n") == [(0.1 + n / 5,) for n in range(1, 6)]
    assert libsql.sql("SELECT big FROM t ORDER BY n") == [(2 ** (60 + n),) for n in (1, 2)] + [
        (2.0 ** (60 + n),) for n in (3, 4, 5)
    ]
    assert libsql.sql("SELECT DISTINCT text FROM t ORDER BY 1") == [(None,), ("nul\0 \u2028 😀",)]
    assert libsql.sql("SELECT DISTINCT blob, any FROM t") == [(b"\0\xff", '{"a":[1.5]}')]


def test_large_documents_are_compared_as_they_are(project: Project, libsql: Sqld) -> None:
    there = project.with_(server=libsql.url, libsql=libsql)
    there.push(schema_of("t: defineTable({ blob: v.bytes(), x: v.number() }),"))
    libsql.sql("INSERT INTO t (_id, blob, x) VALUES ('x', zeroblob(3000000), 1), ('y', x'00', 2)")
    there.write(
        schema_of(
            "t: defineTable({ blob: v.bytes(), x: v.number(), size: v.number() })"
            ".backfill('size', (row) => row.blob.byteLength + row.x / 7),"
        )
    )
    write = "UPDATE t SET blob = zeroblob(3000001) WHERE _id = 'x'"
    assert at(there, phase("commit"), lambda: libsql.sql(write)).status == "ok"
    assert libsql.sql("SELECT size FROM t ORDER BY _id") == [(3_000_001 + 1 / 7,), (1 + 2 / 7,)]


@pytest.mark.parametrize(
    "other",
    [
        "CREATE TABLE other (a)",
        "INSERT INTO _valet_meta (key, value) VALUES ('backfill:todos:title', '{}')",
        "UPDATE _valet_meta SET value = 'x' WHERE key = 'schema_hash'",
    ],
)
def test_a_database_that_moves_on_during_an_apply_is_not_touched(
    todos: Project, libsql: Sqld, other: str
) -> None:
    with pytest.raises(PlanIsStale):
        at(todos, phase("commit"), lambda: libsql.sql(other))
    assert "priorityNum" not in str(libsql.sql("SELECT sql FROM sqlite_master"))
    assert libsql.sql(LEFT) == [(0,)]
    assert todos.apply().status == "ok"


def test_of_two_applies_at_once_one_is_carried_out(todos: Project, libsql: Sqld) -> None:
    reports: list[Report] = []
    with pytest.raises(PlanIsStale):
        at(todos, phase("commit"), lambda: reports.append(todos.apply()))
    assert [report.status for report in reports] == ["ok"]
    assert [entry.id for entry in pipeline.history(todos.settings)] == [2, 1]
    assert libsql.sql(WRONG) == [(0,)]
    assert libsql.sql(LEFT) == [(0,)]


@pytest.mark.parametrize("kind", [StatementRun, BackfillProgress])
def test_cancel_leaves_everything_as_it_was(todos: Project, libsql: Sqld, kind: type) -> None:
    before = libsql.contents()
    with pytest.raises(Cancelled):
        cancel_when(todos, lambda event: isinstance(event, kind))
    assert libsql.contents() == before


def test_cancel_between_the_values_and_the_last_batch_leaves_everything_as_it_was(
    todos: Project, libsql: Sqld
) -> None:
    before = libsql.contents()
    with pytest.raises(Cancelled):
        cancel_when(todos, phase("commit"))
    assert libsql.contents() == before


KILLED = """
import os, signal, sys
from pathlib import Path
from support import Project, never
from valet_studio import pipeline
from valet_studio.migrate.events import PhaseStarted

project = Project(Path(sys.argv[1]), server=sys.argv[2])
for event in pipeline.apply(project.look(), never):
    if event == PhaseStarted(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("when", ["backfill", "commit"])
def test_a_killed_apply_leaves_the_state_before_and_the_next_one_completes(
    todos: Project, libsql: Sqld, when: str
) -> None:
    before = todos.plan()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(todos.root), libsql.url, when],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert libsql.sql(LEFT) == [(int(when == "commit"),)]
    assert todos.plan() == before
    assert todos.apply().status == "ok"
    assert libsql.sql(WRONG) == [(0,)]
    assert libsql.sql(LEFT) == [(0,)]


def is_last_batch(asked: bytes) -> bool:
    return b"/v3/pipeline" in asked and b"INSERT INTO _valet_history" in asked


def through(libsql: Sqld, cut: Callable[[bytes, bytes], bool]) -> tuple[Cutting, str]:
    proxy = Cutting(libsql, cut)
    return proxy, proxy.url


def test_an_answer_that_is_lost_is_asked_for(todos: Project, libsql: Sqld) -> None:
    sent: list[bytes] = []

    def cut(asked: bytes, answered: bytes) -> bool:
        if is_last_batch(asked) and answered:
            sent.append(answered)
            return True
        return False

    proxy, url = through(libsql, cut)
    report = todos.with_(server=url).apply()
    proxy.close()
    assert len(sent) == 1
    assert (report.status, report.history_id) == ("ok", 2)
    assert [entry.id for entry in pipeline.history(todos.settings)] == [2, 1]
    assert libsql.sql(WRONG) == [(0,)]


@pytest.mark.parametrize(
    "pushed", [BACKFILL, BEFORE.replace("title: v.string(),", "title: v.string(), x: v.any(),")]
)
def test_a_push_that_never_arrived_is_not_applied(
    todos: Project, libsql: Sqld, pushed: str
) -> None:
    todos.write(pushed)
    before = libsql.contents()
    late: list[bytes] = []

    def cut(asked: bytes, _answered: bytes) -> bool:
        late.extend([asked] if is_last_batch(asked) else [])
        return is_last_batch(asked)

    proxy, url = through(libsql, cut)
    with pytest.raises(ServerError, match="applied nothing"):
        todos.with_(server=url).apply()
    proxy.close()
    assert libsql.contents() == before
    (batch,) = late
    assert b"integer overflow" in proxy.passed_on(batch)
    assert libsql.contents() == before
    assert todos.apply().status == "ok"


def test_an_answer_that_is_lost_while_values_are_sent_changes_nothing(
    todos: Project, libsql: Sqld
) -> None:
    before = libsql.contents()
    proxy, url = through(
        libsql, lambda asked, answered: b"INSERT OR REPLACE" in asked and bool(answered)
    )
    with pytest.raises(ServerError, match="Nothing was changed"):
        todos.with_(server=url).apply()
    proxy.close()
    assert libsql.contents() == before


@pytest.mark.usefixtures("todos")
def test_a_batch_that_arrives_late_changes_nothing(libsql: Sqld) -> None:
    server = server_at(libsql.url, None)
    with reading(server) as session:
        then = moment(session)
    resolve.settled(server, then)
    resolve.settled(server, then)
    with reading(server) as session:
        assert moment(session).cookie == then.cookie + 2
    with pytest.raises(StepFailed) as refused:
        server.atomic([side.unmoved(then), Statement("DELETE FROM todos")])
    assert refused.value.step == 0
    assert libsql.sql("SELECT count(*) FROM todos") == [(142,)]


@pytest.mark.parametrize("when", ["values", "asked", "answered"])
def test_a_primary_killed_in_the_middle_has_the_state_before_or_after(
    todos: Project, libsql: Sqld, when: str
) -> None:
    fill = "INSERT INTO todos (_id, priority) SELECT 'm' || value, 'high' FROM json_each(?)"
    libsql.sql(fill, (str(list(range(20_000))),))
    todos.write(BACKFILL)

    def cut(asked: bytes, answered: bytes) -> bool:
        if libsql.process is None:
            return True
        hit = {
            "values": b"INSERT OR REPLACE" in asked and bool(answered),
            "asked": is_last_batch(asked) and not answered,
            "answered": is_last_batch(asked) and bool(answered),
        }[when]
        if hit:
            libsql.stop(kill=True)
            libsql.start()
        return hit

    proxy, url = through(libsql, cut)
    there = todos.with_(server=url)
    if when == "answered":
        assert there.apply().status == "ok"
    else:
        with pytest.raises(ServerError, match=r"Nothing was changed|applied nothing"):
            there.apply()
    proxy.close()
    filled = libsql.sql("SELECT count(*) FROM pragma_table_info('todos') WHERE name='priorityNum'")
    assert filled == [(int(when == "answered"),)]
    assert todos.plan().status == ("in_sync" if when == "answered" else "pending")
    assert todos.apply().status == ("noop" if when == "answered" else "ok")
    assert libsql.sql(WRONG) == [(0,)]
    assert libsql.sql(LEFT) == [(0,)]


def test_a_primary_that_stays_away_is_a_sentence(
    todos: Project, libsql: Sqld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "RESOLVE_SECONDS", 0.3)

    def cut(asked: bytes, answered: bytes) -> bool:
        if is_last_batch(asked) and answered:
            libsql.stop(kill=True)
            return True
        return libsql.process is None

    proxy, url = through(libsql, cut)
    with pytest.raises(ServerError, match="whole or not at all"):
        todos.with_(server=url).apply()
    proxy.close()
    libsql.start()
    assert todos.plan().status == "in_sync"


def test_every_batch_is_small(
    project: Project, libsql: Sqld, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = project.with_(server=libsql.url, libsql=libsql)
    there.push(BEFORE)
    libsql.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 8000)"
        " INSERT INTO todos (_id, priority) SELECT n, 'low' || hex(zeroblob(100)) FROM c"
    )
    there.write(BACKFILL)
    sizes: list[int] = []
    request = http.client.HTTPConnection.request

    def measured(self: Any, method: str, url: str, body: Any = None, *rest: Any) -> None:
        sizes.append(len(body or b""))
        request(self, method, url, body, *rest)

    monkeypatch.setattr(http.client.HTTPConnection, "request", measured)
    assert there.apply().status == "ok"
    monkeypatch.undo()
    assert 500_000 < max(sizes) < 1_000_000
    assert sum(size > 400_000 for size in sizes) > 2
    assert libsql.sql("SELECT count(priorityNum) FROM todos") == [(8_000,)]


def test_what_a_trigger_of_another_does_is_found_before_the_commit(
    todos: Project, libsql: Sqld, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = libsql.contents()
    count_before = side.count_before

    def meddled(tables: list[str]) -> list[Statement]:
        greedy = (
            "CREATE TRIGGER greedy AFTER UPDATE ON todos BEGIN"
            " DELETE FROM todos WHERE _id = 't0000'; END"
        )
        return [*count_before(tables), Statement(greedy)]

    monkeypatch.setattr(side, "count_before", meddled)
    with pytest.raises(MigrationFailed, match="rolled back"):
        todos.apply()
    assert libsql.contents() == before


def test_a_lock_that_another_holds_is_waited_for(todos: Project, libsql: Sqld) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", libsql.port, timeout=20)

    def send(baton: str | None, statement: str) -> Any:
        body = {"baton": baton, "requests": [{"type": "execute", "stmt": {"sql": statement}}]}
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v3/pipeline", json.dumps(body), headers)
        return json.loads(connection.getresponse().read())

    baton = send(None, "BEGIN IMMEDIATE")["baton"]
    baton = send(baton, "UPDATE todos SET priority = 'high' WHERE _id = 't0001'")["baton"]
    released = threading.Timer(0.5, send, (baton, "COMMIT"))
    released.start()
    assert todos.apply().status == "ok"
    released.join()
    connection.close()
    assert libsql.sql(WRONG) == [(0,)]
    assert libsql.sql("SELECT priorityNum FROM todos WHERE _id = 't0001'") == [(3,)]
