"""A function that is proved to be pure runs once for each input, and nobody could tell."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import apsw
import plain_loop
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from plain_loop import contents, database, in_batches, one_by_one
from support import Project, interrupted, last, never, schema_of

from valet_studio import pipeline
from valet_studio.database.inspect import inspect
from valet_studio.migrate import by_input, migration, work
from valet_studio.migrate.by_input import ByInput
from valet_studio.migrate.documents import Documents
from valet_studio.migrate.events import BackfillReport
from valet_studio.migrate.pace import FIRST_ROWS
from valet_studio.schema.model import Table
from valet_studio.typescript.cells import Value
from valet_studio.typescript.child import Child
from valet_studio.typescript.limits import Limits

COUNT = 45_000
FIELDS = "n: v.number(), s: v.optional(v.string()), out: v.optional(v.string())"
BEFORE = schema_of(f"t: defineTable({{ {FIELDS} }}).sync({{ mode: 'full' }}),")

FUNCTIONS = {
    function: plain_loop.schema_of(function)
    for function in (
        "(row) => row.s",
        "(row) => row.n",
        "(row) => row.flag",
        "(row) => [row.n, Object.is(row.n, -0), typeof row.n].length",
        "(row) => row.n === 1 ? null : row.n * 2 ** 70",
        "(row) => { if (row.s === 'bad') throw new Error('no'); return row.s.length }",
        "(row) => (row.s ?? '').toUpperCase() || undefined",
        "(row) => ({ a: 1, b: 2 } as any)[row.s]",
        "(row: any) => Object.is(row.raw, -0)",
        "(row) => (row.s === 'a' || row.s == null ? 'x' : 'y')",
        "() => 'all'",
    )
}
FEW = st.sampled_from(
    [
        [None, 0, 0, None, None, None],
        ["a", 1, 1, None, None, None],
        ["A", 2**53, 1, None, None, None],
        ["bad", -1.5, 0, None, None, None],
        ["", 2.0**60, 1, None, None, None],
        ["a\0b", 1e300, None, None, None, -0.0],
        ["\U0001f600 ", None, None, None, None, None],
    ]
)
OTHERS = st.sampled_from(
    [
        [b"a", 2**53 + 1, 7, None, None, None],
        ["1", float("inf"), None, None, None, None],
        [b"", "text", b"x", None, None, None],
    ]
)


@pytest.mark.parametrize("sql_type", ["", "BLOB", "BLOB REAL"])
def test_a_column_that_converts_nothing_keeps_the_sign_of_zero(sql_type: str) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(f"CREATE TABLE t (_id TEXT PRIMARY KEY NOT NULL, raw {sql_type})")
    connection.execute("INSERT INTO t VALUES ('d1', ?)", (-0.0,))
    batch = Documents(connection, Table("t"), inspect(connection).tables[0]).batch(None, None, 1)
    assert batch is not None
    assert b'"raw":[-0.0]' in batch.payload


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs are learnt from few documents, too."""
    monkeypatch.setattr(work, "WORTHWHILE", 1)
    monkeypatch.setattr(by_input, "_FIRST", 2)
    monkeypatch.setattr(by_input, "_SPAN", 3)


@pytest.mark.usefixtures("small")
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.dictionaries(
        st.integers(-(2**63), 2**63 - 1) | st.integers(1, 40), FEW | FEW | FEW | OTHERS, max_size=14
    ),
    function=st.sampled_from(sorted(FUNCTIONS)),
    layout=st.sampled_from(["rowids", "without rowids", "column named rowid", "case ignored"]),
)
@example(
    rows={-(2**63): ["a", 1, 1] + [None] * 3, 2**63 - 1: ["b", 2, 0] + [None] * 3},
    function="(row) => row.s",
    layout="rowids",
)
@example(
    rows={at: [s, 0, 0, None, None, None] for at, s in enumerate("aaAbB")},
    function="(row) => row.s",
    layout="case ignored",
)
@example(
    rows={at: [None] * 5 + [0.0 if at < 3 else -0.0] for at in range(5)},
    function="(row: any) => Object.is(row.raw, -0)",
    layout="rowids",
)
def test_it_agrees_with_a_plain_loop(
    rows: dict[int, list[Any]], function: str, layout: str
) -> None:
    schema = FUNCTIONS[function]
    fast, plain = database(rows, layout), database(rows, layout)
    report = in_batches(fast, schema)
    failed = one_by_one(plain, schema)
    assert report.failed == len(failed)
    assert {failure.id for failure in report.errors} == failed
    if failed:
        assert {out for _, _, out in contents(fast)} <= {None}
    else:
        assert contents(fast) == contents(plain)
        assert report.nulls == sum(out is None for _, _, out in contents(plain))
        assert report.updated == len(rows)


def backfilled(function: str) -> str:
    return BEFORE.replace("}).sync", f"}}).backfill('out', {function}).sync")


def fill(project: Project, others: str = "NULL") -> None:
    """Documents of few inputs; what `s` holds in the last 100 is given."""
    project.prepare(
        BEFORE,
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?1)"
        " INSERT INTO t (rowid, _id, n, s) SELECT 2 * i, 'd' || i, i,"
        f" CASE WHEN i > ?1 - 100 THEN {others} WHEN i % 3 THEN 'odd' ELSE 'even' END FROM c",
        COUNT,
    )


@pytest.fixture(params=["delete", "wal"])
def documents(project: Project, request: pytest.FixtureRequest) -> Project:
    """A pending backfill that reads one field of three inputs."""
    fill(project)
    project.sql(f"PRAGMA journal_mode = {request.param}")
    project.write(backfilled("(row) => row.s === null ? 'none' : row.s.toUpperCase()"))
    return project


WRONG = "SELECT count(*) FROM t WHERE out IS NOT coalesce(upper(s), 'none')"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many documents each batch held that was sent to JavaScript."""
    counts: list[int] = []
    send = Child.send

    def counted(child: Child, payload: bytes) -> None:
        counts.append(int(payload.rpartition(b'"count":')[2].rstrip(b"}")))
        send(child, payload)

    monkeypatch.setattr(Child, "send", counted)
    return counts


def ran_on_the_first_and_one(sent: list[int]) -> bool:
    """Whether a function ran on the first documents, and on one that held another input."""
    *first, one = sent
    return first[0] == FIRST_ROWS and len(first) in (2, 3) and sum(first) <= 5_000 and one == 1


def test_each_further_input_runs_once(documents: Project, sent: list[int]) -> None:
    report = documents.apply()
    assert ran_on_the_first_and_one(sent)
    assert documents.sql(WRONG) == [(0,)]
    (told,) = report.backfills
    assert (told.rows, told.updated, told.failed, told.nulls) == (COUNT, COUNT, 0, 0)
    assert {(v.value, v.count) for v in told.distribution} == set(
        documents.sql("SELECT out, count(*) FROM t GROUP BY out")
    )


@pytest.mark.parametrize(
    "function",
    [
        "(row) => row.s === null ? 'none' : row.s + Math.random()",
        "((calls = 0) => (row: any) => `${row.s}${calls++}`)()",
        "(row) => `${row.s}${row.n}`",
    ],
)
def test_what_is_not_proved_runs_for_every_document(
    documents: Project, sent: list[int], function: str
) -> None:
    documents.write(backfilled(function))
    assert documents.apply().status == "ok"
    assert sum(sent) == COUNT


@pytest.mark.parametrize(
    ("function", "distinct"),
    [
        ("((calls = 0) => (row: any) => `${row.s}${calls++}`)()", COUNT),
        ("(row) => (Math.random() < 2 ? `${row.s}` : 'never')", 3),
    ],
)
def test_a_function_that_is_found_out_runs_for_every_document(
    documents: Project,
    sent: list[int],
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    distinct: int,
) -> None:
    monkeypatch.setattr(work, "is_pure", lambda *_: True)
    documents.write(backfilled(function))
    assert documents.apply().status == "ok"
    assert sum(sent) == FIRST_ROWS + COUNT
    assert documents.sql("SELECT count(DISTINCT out) FROM t") == [(distinct,)]


def told(report: BackfillReport) -> BackfillReport:
    return replace(report, seconds=0, histogram=())


@pytest.mark.parametrize("held", ["NULL", "upper(s)", "iif(n % 2, 'ODD', 'x')"])
@pytest.mark.parametrize("others", ["NULL", "i % 5", "'odd'"])
def test_the_report_is_that_of_running_it_for_every_document(
    project: Project, monkeypatch: pytest.MonkeyPatch, held: str, others: str
) -> None:
    fill(project, others)
    project.sql(f"UPDATE t SET out = {held}")
    project.write(backfilled("(row) => row.s === null ? null : row.s.toUpperCase()"))
    by_input_told = project.dry_run()
    monkeypatch.setattr(work, "WORTHWHILE", COUNT + 1)
    for_each_told = project.dry_run()
    assert by_input_told.status == "ok"
    assert [told(b) for b in by_input_told.backfills] == [told(b) for b in for_each_told.backfills]


def test_numbers_are_drawn_as_they_are_spread(project: Project) -> None:
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?)"
        " INSERT INTO t (_id, n) SELECT 'd' || i, i % 4 = 0 FROM c",
        (COUNT,),
    )
    project.write(
        schema_of(
            "t: defineTable({ n: v.number(), out: v.optional(v.number()) })"
            ".backfill('out', (row) => row.n * 8),"
        )
    )
    bins = project.dry_run().backfills[0].histogram
    assert [bin.part for bin in (bins[0], bins[-1])] == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("rehearsed", [False, True], ids=["applied", "applied after a dry run"])
@pytest.mark.parametrize(
    "write",
    [
        "UPDATE t SET s = 'even' WHERE n = 30000",
        "UPDATE t SET s = 'never seen' WHERE n = 30000",
        "UPDATE t SET s = 'never ' || (n % 40) WHERE n > 30000",
        "UPDATE t SET s = NULL WHERE n > 100",
        "INSERT INTO t (rowid, _id, n, s) VALUES (-7, 'first', 0, 'new'), (7, 'mid', 0, 'even')",
        "DELETE FROM t WHERE n > 100",
        "DELETE FROM t",
    ],
)
def test_what_was_written_meanwhile_gets_its_own_value(
    documents: Project, write: str, rehearsed: bool
) -> None:
    state = documents.look()
    if rehearsed:
        assert last(pipeline.dry_run(state, never)).status == "ok"
    report = interrupted(pipeline.apply(state, never), lambda: documents.sql(write))
    assert report.status == "ok"
    assert documents.sql(WRONG) == [(0,)]
    ((count,),) = documents.sql("SELECT count(*) FROM t")
    (told,) = report.backfills
    assert (told.rows, told.updated) == (count, count)
    counts = dict(documents.sql("SELECT out, count(*) FROM t GROUP BY out"))
    assert all(counts[found.value] == found.count for found in told.distribution)


def held_before(documents: Project) -> None:
    documents.sql("UPDATE t SET out = 'before'")


@pytest.mark.parametrize("fails", [False, True])
def test_a_new_input_over_values_that_stood_there_never_loses_them(
    documents: Project, fails: bool
) -> None:
    held_before(documents)
    if fails:
        documents.write(
            backfilled(
                "(row) => { if (row.s === 'new') throw new Error('no'); return row.s ?? '' }"
            )
        )
    write = "UPDATE t SET s = 'new' WHERE n = 30000"
    kept = documents.sql("SELECT _id, out FROM t")
    report = interrupted(pipeline.apply(documents.look(), never), lambda: documents.sql(write))
    assert report.status == ("failed" if fails else "ok")
    if fails:
        assert documents.sql("SELECT _id, out FROM t") == kept
    else:
        assert documents.sql(WRONG) == [(0,)]


def test_a_column_that_is_filled_from_itself_is_not_filled_twice(documents: Project) -> None:
    documents.write(BEFORE.replace("}).sync", "}).backfill('s', (row) => `${row.s}+`).sync"))
    report = interrupted(
        pipeline.apply(documents.look(), never),
        lambda: documents.sql("UPDATE t SET s = 'new' WHERE n = 30000"),
    )
    assert report.status == "ok"
    assert documents.sql("SELECT s FROM t WHERE n IN (5, 6, 30000) ORDER BY n") == [
        ("odd+",),
        ("even+",),
        ("new+",),
    ]


def test_inputs_that_cannot_be_counted_beside_are_counted_afterwards(
    documents: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def busy(found: ByInput, connection: apsw.Connection) -> Counter[Value] | None:
        if connection is not found._connection:
            asked.append("beside")
            raise apsw.BusyError("busy")
        asked.append("afterwards")
        return count(found, connection)

    count = ByInput.count_on
    monkeypatch.setattr(ByInput, "count_on", busy)
    report = interrupted(
        pipeline.apply(documents.look(), never),
        lambda: documents.sql("UPDATE t SET s = 'even' WHERE n = 30000"),
    )
    assert report.status == "ok"
    assert asked[-2:] == ["beside", "afterwards"]
    assert documents.sql(WRONG) == [(0,)]
    (told,) = report.backfills
    assert {(v.value, v.count) for v in told.distribution} == set(
        documents.sql("SELECT out, count(*) FROM t GROUP BY out")
    )


def test_nobody_waits_for_what_counts_where_the_cache_is_full(
    documents: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = threading.Event()
    in_time: list[bool] = []

    def count_late(found: ByInput, connection: apsw.Connection) -> Counter[Value] | None:
        if connection is not found._connection:
            connection.execute(f"SELECT count(*) FROM {found._table}").fetchall()
            in_time.append(filled.wait(5))
        return count(found, connection)

    def fill_and_tell(found: ByInput, total: int) -> Iterator[int]:
        yield from fill_all(found, total)
        filled.set()

    count, fill_all = ByInput.count_on, ByInput.fill
    monkeypatch.setattr(migration, "CACHE_KIB", 64)
    monkeypatch.setattr(ByInput, "count_on", count_late)
    monkeypatch.setattr(ByInput, "fill", fill_and_tell)
    report = interrupted(
        pipeline.apply(documents.look(), never),
        lambda: documents.sql("UPDATE t SET s = 'even' WHERE n = 30000"),
    )
    assert report.status == "ok"
    assert in_time == [True]
    assert documents.sql(WRONG) == [(0,)]


def test_an_input_that_fails_meanwhile_fails_the_backfill(documents: Project) -> None:
    documents.write(
        backfilled("(row) => { if (row.s === 'bad') throw new Error('no'); return row.s ?? '' }")
    )
    report = interrupted(
        pipeline.apply(documents.look(), never),
        lambda: documents.sql("UPDATE t SET s = 'bad' WHERE n IN (3, 30000)"),
    )
    assert report.status == "failed"
    assert [failure.id for failure in report.backfills[0].errors] == ["d3", "d30000"]
    assert documents.sql("SELECT count(*) FROM t WHERE out IS NOT NULL") == [(0,)]


def test_every_document_of_an_input_that_fails_is_told(project: Project) -> None:
    fill(project, "'bad'")
    project.write(
        backfilled("(row) => { if (row.s === 'bad') throw new Error('no'); return row.s }")
    )
    (told,) = project.apply().backfills
    assert told.failed == 100
    assert told.errors[0].id == f"d{COUNT - 99}"
    assert project.sql("SELECT count(*) FROM t WHERE out IS NOT NULL") == [(0,)]


@pytest.mark.parametrize("at", [3, COUNT - 2])
def test_an_input_that_never_ends_is_named(project: Project, at: int) -> None:
    fill(project)
    project.sql("UPDATE t SET s = 'bad' WHERE n = ?", (at,))
    project.write(backfilled("(row) => { while (row.s === 'bad') {} return row.s ?? '' }"))
    report = project.with_(limits=Limits(document_seconds=1.0)).apply()
    assert report.status == "failed"
    assert [failure.id for failure in report.backfills[0].errors] == [f"d{at}"]
    assert project.sql("SELECT count(*) FROM t WHERE out IS NOT NULL") == [(0,)]


def test_an_apply_after_a_dry_run_starts_no_javascript(documents: Project, sent: list[int]) -> None:
    state = documents.look()
    reviewed = last(pipeline.dry_run(state, never))
    sent.clear()
    applied = last(pipeline.apply(state, never))
    assert sent == []
    assert documents.sql(WRONG) == [(0,)]
    assert told(applied.backfills[0]) == replace(
        told(reviewed.backfills[0]), unchanged=None, deterministic=None
    )


def test_a_trigger_that_writes_inputs_leaves_no_document_without_a_value(
    documents: Project,
) -> None:
    documents.sql(
        "CREATE TRIGGER theirs AFTER UPDATE OF out ON t WHEN NEW.n = 20000 "
        "BEGIN UPDATE t SET s = 'odder' WHERE n > 44000; END"
    )
    assert documents.apply().status == "ok"
    assert documents.sql("SELECT count(*) FROM t WHERE out IS NULL") == [(0,)]


def test_a_search_index_made_by_the_same_push_is_filled(
    documents: Project, sent: list[int]
) -> None:
    text = backfilled("(row) => row.s === null ? 'none' : row.s.toUpperCase()")
    documents.write(
        text.replace("}).backfill", "}).searchIndex('by_out', { searchField: 'out' }).backfill")
    )
    assert documents.apply().status == "ok"
    assert ran_on_the_first_and_one(sent)
    assert documents.sql("SELECT count(*) FROM t_valet_search_by_out('none')") == [(100,)]
