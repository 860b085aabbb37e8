"""However slow a function is, its progress is seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Project, never, schema_of

from valet_studio import pipeline
from valet_studio.migrate.events import MAX_SAMPLES, BackfillProgress, Report
from valet_studio.migrate.pace import BATCH_SECONDS, FIRST_ROWS, Pace

FIELDS = "t: defineTable({ n: v.number(), m: v.number() })"


@given(st.integers(1, 10_000), st.floats(0, 100), st.integers(1, 10_000))
def test_a_batch_takes_a_moment_and_holds_a_document(rows: int, seconds: float, most: int) -> None:
    pace = Pace(most)
    assert (pace.rows, pace.known) == (FIRST_ROWS, False)
    pace.learn(rows, seconds)
    assert pace.known
    assert 1 <= pace.rows <= most
    expected = pace.rows * seconds / rows
    assert pace.rows == 1 or expected <= BATCH_SECONDS * 1.001
    # No smaller than it has to be.
    seconds = max(seconds, 0.001)
    assert pace.rows == most or (pace.rows + 1) * seconds / rows >= BATCH_SECONDS * 0.999


@pytest.mark.parametrize("function", ["slow(row.n)", "slow(row.n) + Math.random() * 0"])
def test_progress_is_seen_while_a_slow_function_runs(project: Project, function: str) -> None:
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 60) "
        "INSERT INTO t (_id, n) SELECT 'd' || i, i FROM c"
    )
    slow = "const slow = (n: number) => { const end = Date.now() + 20; while (Date.now() < end); return n }"
    backfill = f"{FIELDS}.backfill('m', (row) => {function}),"
    project.write(schema_of(backfill).replace("export default", f"{slow}\nexport default"))
    events = list(pipeline.dry_run(project.look(), never))
    done = [event.done for event in events if isinstance(event, BackfillProgress)]
    assert done == sorted(done)
    assert done[-1] == 60
    between = set(done) - {0, 60}
    assert FIRST_ROWS in between
    assert len(between) >= 3
    report = events[-1]
    assert isinstance(report, Report)
    (told,) = report.backfills
    assert [sample.id for sample in told.samples] == [f"d{n}" for n in range(1, MAX_SAMPLES + 1)]
    assert project.apply().status == "ok"
    assert project.sql("SELECT count(*) FROM t WHERE m = n") == [(60,)]


def test_the_first_documents_of_a_slow_function_tell_its_inputs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("valet_studio.migrate.work.WORTHWHILE", 1)
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql(
        "WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 499) "
        "INSERT INTO t (_id, n) SELECT 'd' || i, i / 100 FROM c"
    )
    busy = "let x = row.n; for (let i = 0; i < 20_000_000; i++) x = (x + i) % 7; return row.n * 2"
    project.write(schema_of(f"{FIELDS}.backfill('m', (row) => {{ {busy} }}),"))
    (told,) = project.dry_run().backfills
    # Five inputs: all 500 documents would take half a minute.
    assert told.seconds < 15
    assert {(value.value, value.count) for value in told.distribution} == {
        (2 * n, 100) for n in range(5)
    }
