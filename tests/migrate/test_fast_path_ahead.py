"""Values computed before the lock, or by a dry run, are written only where they still hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import apsw
import pytest
from support import Project, interrupted, last, never, schema_of

from valet_studio import pipeline
from valet_studio.errors import IsCancelled, PlanIsStale
from valet_studio.migrate.events import BackfillProgress, Event, PhaseStarted
from valet_studio.typescript.child import Child
from valet_studio.typescript.limits import Limits

FIELDS = "n: v.number(), s: v.string(), out: v.string()"
BEFORE = schema_of(f"t: defineTable({{ {FIELDS} }}).sync({{ mode: 'full' }}),")
COUNT = 45_000


def backfilled(function: str) -> str:
    return BEFORE.replace(" }),", f" }}).backfill('out', {function}),")


def fill(project: Project) -> None:
    """Three batches of documents, with holes between their rowids."""
    project.prepare(
        BEFORE,
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?)"
        " INSERT INTO t (rowid, _id, n, s) SELECT 2 * i, 'd' || i, i, 's' || i FROM c",
        COUNT,
    )


@pytest.fixture(params=["delete", "wal"])
def documents(project: Project, request: pytest.FixtureRequest) -> Project:
    """A pending backfill that reads two of the fields."""
    fill(project)
    project.sql(f"PRAGMA journal_mode = {request.param}")
    project.write(backfilled("(row) => `${row.n}/${row.s}`"))
    return project


WRITES = [
    "UPDATE t SET n = -1 WHERE _id = 'd30000'",
    "UPDATE t SET s = 'x' || s",
    "DELETE FROM t WHERE n BETWEEN 19990 AND 20010",
    "DELETE FROM t",
    "INSERT INTO t (rowid, _id, n, s) VALUES (40001, 'between', 7, 'b'), (-5, 'first', 8, 'f')",
    "INSERT INTO t (_id, n, s) SELECT 'more' || n, n, s FROM t",
    "UPDATE t SET rowid = rowid + 1000000 WHERE n = 5",
    "UPDATE t SET n = n + 1, out = 'theirs', _version = 9 WHERE n % 2",
    "DELETE FROM t WHERE _id = 'd1'; INSERT INTO t (rowid, _id, n, s) VALUES (2, 'new', 1, 's1')",
]


@pytest.mark.parametrize("write", WRITES)
def test_what_was_written_meanwhile_is_computed_again(documents: Project, write: str) -> None:
    report = interrupted(pipeline.apply(documents.look(), never), lambda: documents.sql(write))
    assert report.status == "ok"
    assert documents.sql("SELECT count(*) FROM t WHERE out IS NOT n || '/' || s") == [(0,)]
    ((count,),) = documents.sql("SELECT count(*) FROM t")
    assert (report.backfills[0].rows, report.backfills[0].updated) == (count, count)
    stored = {out for (out,) in documents.sql("SELECT out FROM t")}
    told = {sample.after for sample in report.backfills[0].samples}
    assert told <= stored
    assert bool(told) == bool(stored)


def test_a_document_that_now_fails_fails_the_backfill(project: Project) -> None:
    fill(project)
    project.write(backfilled("(row) => { if (row.n < 0) throw new Error('no'); return row.s }"))
    report = interrupted(
        pipeline.apply(project.look(), never),
        lambda: project.sql("UPDATE t SET n = -1 WHERE _id = 'd30000'"),
    )
    assert report.status == "failed"
    assert [failure.id for failure in report.backfills[0].errors] == ["d30000"]
    assert project.sql("SELECT count(*) FROM t WHERE out IS NOT NULL") == [(0,)]


@pytest.mark.parametrize("meanwhile", [False, True], ids=["before the apply", "meanwhile"])
def test_nothing_is_applied_where_a_document_fails_that_did_not_in_the_dry_run(
    project: Project, meanwhile: bool
) -> None:
    fill(project)
    project.write(backfilled("(row) => { if (row.n < 0) throw new Error('no'); return row.s }"))
    state = project.look()
    assert last(pipeline.dry_run(state, never)).status == "ok"
    meta = project.meta()

    def breaking() -> None:
        project.sql("UPDATE t SET n = -1 WHERE _id = 'd30000'")

    if not meanwhile:
        breaking()
    told = r"1 document fails the backfill of t\.out, and none did in the dry run: d30000: .*no"
    with pytest.raises(PlanIsStale, match=told):
        interrupted(pipeline.apply(state, never), breaking)
    assert project.meta() == meta
    assert project.sql("SELECT count(*) FROM t WHERE out IS NOT NULL") == [(0,)]


@pytest.mark.parametrize("rehearsed", [True, False])
def test_a_backfill_sees_what_another_one_filled(project: Project, rehearsed: bool) -> None:
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql("INSERT INTO t (_id, n) VALUES ('a', 1), ('b', 2)")
    project.write(
        schema_of(
            "t: defineTable({ n: v.number(), x: v.number(), y: v.number() })"
            ".backfill('x', (row) => row.n * 10).backfill('y', (row) => row.x + 1),"
        )
    )
    if rehearsed:
        assert project.dry_run().status == "ok"
    assert project.apply().status == "ok"
    assert project.sql("SELECT x, y FROM t ORDER BY n") == [(10, 11), (20, 21)]


def test_the_lock_is_not_held_while_values_are_computed(documents: Project) -> None:
    other = apsw.Connection(str(documents.database))
    computing = True
    for event in pipeline.apply(documents.look(), never):
        computing = computing and event != PhaseStarted("structure")
        if computing and isinstance(event, BackfillProgress):
            other.execute("INSERT INTO _valet_changes VALUES (1, 't', 'x', 'insert')")
    other.close()
    assert documents.sql("SELECT count(*) FROM t WHERE out IS NOT n || '/' || s") == [(0,)]


def test_apply_writes_what_the_dry_run_computed(
    documents: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.write(backfilled("(row) => `${row.n} ${Math.random()}`"))
    state = documents.look()
    reviewed = last(pipeline.dry_run(state, never)).backfills[0].samples
    started: list[object] = []
    monkeypatch.setattr(Child, "start_backfill", lambda *given: started.append(given))
    report = last(pipeline.apply(state, never))
    assert report.status == "ok"
    assert started == []
    assert report.backfills[0].samples == reviewed
    for sample in reviewed:
        assert documents.sql("SELECT out FROM t WHERE _id = ?", (sample.id,)) == [(sample.after,)]


def test_what_changed_since_the_dry_run_is_computed_again(documents: Project) -> None:
    state = documents.look()
    last(pipeline.dry_run(state, never))
    documents.sql("UPDATE t SET n = -1 WHERE _id = 'd30000'")
    documents.sql("INSERT INTO t (_id, n, s) VALUES ('late', 0, '')")
    assert last(pipeline.apply(state, never)).backfills[0].updated == COUNT + 1
    assert documents.sql("SELECT count(*) FROM t WHERE out IS NOT n || '/' || s") == [(0,)]


@pytest.mark.parametrize("run", [pipeline.apply, pipeline.dry_run])
def test_the_time_told_is_all_that_it_took(
    project: Project, run: Callable[[pipeline.StudioState, IsCancelled], Iterator[Event]]
) -> None:
    project.push(BEFORE)
    project.sql("INSERT INTO t (_id, n, s) VALUES ('a', 1, 'x')")
    project.write(backfilled("(row) => row.s"))
    events = run(project.look(), never)
    first = next(event for event in events if isinstance(event, PhaseStarted | BackfillProgress))
    time.sleep(0.2)  # As if it had taken that long to begin with.
    report = last(events)
    assert isinstance(first, PhaseStarted)
    assert report.seconds >= 0.2
    if first == PhaseStarted("backfill"):
        assert pipeline.history(project.settings)[0].seconds >= 0.2


def test_what_is_computed_ahead_counts_as_the_backfills_time(project: Project) -> None:
    project.push(BEFORE)
    project.sql("INSERT INTO t (_id, n, s) VALUES ('a', 1, 'x')")
    project.write(backfilled("(row) => row.s"))
    report = interrupted(pipeline.apply(project.look(), never), lambda: time.sleep(0.2))
    assert report.backfills[0].seconds >= 0.2


def test_a_dry_run_of_another_plan_is_not_used(documents: Project) -> None:
    last(pipeline.dry_run(documents.look(), never))
    documents.write(backfilled("(row) => `${row.n}:${row.s}`"))
    assert documents.apply().status == "ok"
    assert documents.sql("SELECT count(*) FROM t WHERE out IS NOT n || ':' || s") == [(0,)]


@pytest.mark.parametrize(
    ("begin", "end", "told"),
    [
        (0, 200, r"dev.db is damaged: "),
        (8, 16, r'^Table "t" is damaged: Tree \d+ page \d+ [^\n\[]*, and \d+ more\. Nothing was'),
    ],
)
def test_a_damaged_table_is_found_before_anything_is_done(
    documents: Project, begin: int, end: int, told: str
) -> None:
    state = documents.look()
    documents.sql("PRAGMA journal_mode = delete")
    find = "SELECT max(pageno) FROM dbstat WHERE name = 't' AND pagetype = 'leaf'"
    page = (documents.sql(find)[0][0] - 1) * 4096
    data = bytearray(documents.database.read_bytes())
    data[page + begin : page + end] = b"\xee" * (end - begin)
    documents.database.write_bytes(data)
    with pytest.raises(Exception, match=told):
        last(pipeline.apply(state, never))
    assert documents.database.read_bytes() == bytes(data)


@pytest.mark.parametrize(
    "write",
    [
        "UPDATE t SET s = 'odd' WHERE n = 30000",
        "UPDATE t SET s = 'never seen' WHERE n = 30000",
        "UPDATE t SET s = x'00ff' WHERE n = 30000",
        "UPDATE t SET s = NULL WHERE n > 100",
        "INSERT INTO t (_id, n, s) VALUES ('late', 0, 'even')",
        "DELETE FROM t WHERE n < 30000",
    ],
)
def test_few_inputs_are_looked_up_as_they_stand(documents: Project, write: str) -> None:
    documents.sql("UPDATE t SET s = CASE n % 3 WHEN 0 THEN 'odd' WHEN 1 THEN 'even' END")
    documents.write(backfilled("(row) => `<${row.s instanceof ArrayBuffer ? 'b' : row.s}>`"))
    report = interrupted(pipeline.apply(documents.look(), never), lambda: documents.sql(write))
    assert report.status == "ok"
    wrong = "out IS NOT '<' || iif(typeof(s) = 'blob', 'b', coalesce(s, 'null')) || '>'"
    assert documents.sql(f"SELECT _id, s, out FROM t WHERE {wrong}") == []
    ((count,),) = documents.sql("SELECT count(*) FROM t")
    assert report.backfills[0].updated == count


def test_a_function_that_counts_is_not_looked_up(documents: Project) -> None:
    documents.sql("UPDATE t SET s = 'same'")
    counting = "((calls = 0) => (row: any) => row.s + calls++)()"
    documents.write(backfilled(counting))
    interrupted(
        pipeline.apply(documents.look(), never),
        lambda: documents.sql("UPDATE t SET out = 'x' WHERE n = 1"),
    )
    assert documents.sql("SELECT count(DISTINCT out) FROM t") == [(COUNT,)]


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)


@pytest.mark.usefixtures("two_processors")
@pytest.mark.parametrize(
    ("function", "processes"),
    [
        ("(row) => `${row.n}/${row.s}`", 2),
        ("((calls = 0) => (row: any) => (calls++, `${row.n}/${row.s}`))()", 1),
    ],
)
def test_processes_share_what_is_proved_to_be_pure(
    documents: Project, monkeypatch: pytest.MonkeyPatch, function: str, processes: int
) -> None:
    used: set[int] = set()
    send = Child.send
    monkeypatch.setattr(Child, "send", lambda c, b: (used.add(id(c)), send(c, b))[1])  # type: ignore[func-returns-value]
    documents.write(backfilled(function))
    assert documents.apply().status == "ok"
    assert len(used) == processes
    assert documents.sql("SELECT count(*) FROM t WHERE out IS NOT n || '/' || s") == [(0,)]


@pytest.mark.usefixtures("two_processors")
@pytest.mark.parametrize("fatal", [7, 30_000, COUNT])
def test_a_document_that_is_fatal_to_one_of_two_processes_is_named(
    documents: Project, fatal: int
) -> None:
    documents.write(
        backfilled(f"(row) => {{ while (row.n === {fatal}) {{}} return row.s + row.n }}")
    )
    report = documents.with_(limits=Limits(document_seconds=1.0)).apply()
    assert report.status == "failed"
    assert [failure.id for failure in report.backfills[0].errors] == [f"d{fatal}"]
    assert documents.sql("SELECT count(*) FROM t WHERE out IS NOT NULL") == [(0,)]
