"""A dry run predicts the apply and leaves no trace."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import (
    EVERYWHERE,
    ON_FILES,
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
from valet_studio.errors import Cancelled, DatabaseError, MigrationFailed, PlanRejected
from valet_studio.migrate.events import BackfillProgress, CopyProgress, ValueCount

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]


@pytest.fixture
def todos(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """142 documents, the seed's backfill pending, and a temporary directory of its own."""
    project.push(BEFORE)
    fill_todos(project)
    project.write(BACKFILL)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    return project


def files_of(project: Project) -> dict[str, bytes]:
    """Every file of the project and its bytes, its temporary files included."""
    return {
        str(path.relative_to(project.root)): path.read_bytes()
        for path in sorted(project.root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_nothing_is_changed_and_nothing_is_left(todos: Project, mode: str) -> None:
    todos.sql(f"PRAGMA journal_mode = {mode}")
    before = files_of(todos)
    assert todos.dry_run().status == "ok"
    assert files_of(todos) == before


@ON_FILES
def test_a_database_that_does_not_exist_is_not_made(project: Project) -> None:
    project.write(BACKFILL)
    report = project.dry_run()
    assert report.status == "ok"
    assert not project.database.exists()
    assert not project.database.parent.exists()


@EVERYWHERE
def test_it_tells_counts_samples_and_distribution(todos: Project) -> None:
    report = todos.dry_run()
    assert [(t.table, t.rows_before, t.rows_after) for t in report.tables] == [("todos", 142, 142)]
    (backfill,) = report.backfills
    assert (backfill.rows, backfill.updated, backfill.failed) == (142, 142, 0)
    assert backfill.deterministic is True
    assert set(backfill.distribution) == {
        ValueCount(1, 70),
        ValueCount(2, 36),
        ValueCount(3, 36),
    }
    assert len(backfill.samples) == 20
    for sample in backfill.samples:
        assert sample.before is None
        assert sample.row["_id"] == sample.id
        expected = {"high": 3, "medium": 2}.get(str(sample.row["priority"]), 1)
        assert sample.after == expected


@EVERYWHERE
def test_every_outcome_has_a_sample(project: Project) -> None:
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 30000)"
        " INSERT INTO t (_id, n) SELECT 'd' || i, i FROM c"
    )
    project.write(
        schema_of(
            "t: defineTable({ n: v.number(), rare: v.boolean() }).backfill('rare', (r) => r.n === 29999),"
        )
    )
    (backfill,) = project.dry_run().backfills
    assert {sample.after for sample in backfill.samples} == {True, False}
    assert [sample.id for sample in backfill.samples if sample.after is True] == ["d29999"]


@EVERYWHERE
def test_failures_name_the_document_and_the_line(todos: Project) -> None:
    todos.write(
        BACKFILL.replace("?? 1", "?? (() => { throw new Error(`what is ${row.priority}?`) })()")
    )
    report = todos.dry_run()
    assert report.status == "failed"
    (backfill,) = report.backfills
    assert (backfill.updated, backfill.failed) == (0, 35)
    assert len(backfill.errors) == 35
    first = backfill.errors[0]
    assert first.id == "t0003"
    assert "what is urgent?" in first.message
    assert first.read == {"priority": "urgent"}
    assert first.location is not None
    assert (
        "throw new Error"
        in BACKFILL.replace("?? 1", "throw new Error").splitlines()[first.location.line - 1]
    )


@EVERYWHERE
@pytest.mark.parametrize("taken", ["row.note ?? row.tags", "(({ note, tags }) => note)(row)"])
def test_failures_tell_what_the_function_read_and_not_all_of_a_long_text(
    project: Project, taken: str
) -> None:
    fields = "note: v.string(), tags: v.array(v.string()), other: v.string()"
    project.push(schema_of(f"t: defineTable({{ {fields} }}),"))
    note = "n" * 100_000
    project.sql("INSERT INTO t (_id, note, tags, other) VALUES ('x', ?, '[\"a\"]', 'o')", (note,))
    project.write(
        schema_of(
            f"t: defineTable({{ {fields}, n: v.number() }}).backfill('n', (row) =>"
            f" String({taken}) as unknown as number),"
        )
    )
    (failure,) = project.dry_run().backfills[0].errors
    assert failure.read == {"note": "n" * 200 + "…", "tags": ["a"]}


@EVERYWHERE
@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("Math.random()", "Math.random"),
        ("Date.now()", "Date.now"),
        ("new Date().getTime()", "new Date()"),
        ("crypto.getRandomValues(new Uint32Array(1))[0]", "crypto"),
    ],
)
def test_a_backfill_that_differs_from_run_to_run_is_found(
    todos: Project, expression: str, named: str
) -> None:
    todos.write(BACKFILL.replace("?? 1", f"?? {expression}"))
    (backfill,) = todos.dry_run().backfills
    assert backfill.deterministic is False
    assert any(named in name for name in backfill.impure)
    warnings = [warning.message for warning in todos.plan().warnings]
    assert any(named in message for message in warnings), warnings


@pytest.mark.parametrize(
    ("value", "same"),
    [
        ("new Date('2020-06-01T20:00:00Z').getDate()", False),
        ("new Date(2020, 5, 1).getTime()", False),
        ("new Date('2020-06-01T20:00:00Z').getUTCDate()", True),
    ],
)
def test_a_value_that_depends_on_the_time_zone_is_found_out(
    todos: Project, value: str, same: bool
) -> None:
    todos.write(BACKFILL.replace("?? 1", f"?? {value}"))
    (backfill,) = todos.dry_run().backfills
    assert backfill.deterministic is same


@pytest.mark.parametrize(
    ("before", "value"),
    [
        ("let counter = 0", "++counter"),
        ("const seen = new Set<unknown>()", "seen.add(row.priority).size"),
        ("", "((globalThis as any).k = ((globalThis as any).k ?? 0) + 1)"),
    ],
)
def test_a_value_that_depends_on_the_documents_before_it_is_found_out(
    todos: Project, before: str, value: str
) -> None:
    text = BACKFILL.replace("return mapping[row.priority as string] ?? 1", f"return {value}")
    todos.write(text.replace("export default", f"{before}\nexport default"))
    (backfill,) = todos.dry_run().backfills
    assert backfill.deterministic is False
    with pytest.raises(PlanRejected, match="strict refuses") as refused:
        todos.with_(strict=True).dry_run()
    (problem,) = refused.value.problems
    (running,) = (c for c in todos.plan().changes if c.kind == "run_backfill")
    assert problem.location == running.location is not None


def test_failures_are_told_from_the_first_document_on(todos: Project) -> None:
    failing = BACKFILL.replace(
        "return mapping[", "if (row.priority === 'urgent') throw new Error('no')\nreturn mapping["
    )
    todos.write(failing)
    (backfill,) = todos.dry_run().backfills
    told = [failure.id for failure in backfill.errors]
    assert len(told) > 10
    assert told == sorted(told, key=str)
    assert backfill.deterministic is True


@EVERYWHERE
def test_strict_rejects_what_differs_from_run_to_run(todos: Project) -> None:
    todos.write(BACKFILL.replace("?? 1", "?? Math.random()"))
    strict = todos.with_(strict=True)
    assert strict.plan().status == "blocked"
    assert strict.apply().status == "rejected"
    assert todos.apply().status == "ok"


def test_cancel_stops_at_once_and_deletes_the_copy(todos: Project) -> None:
    before = files_of(todos)
    state = todos.look()
    with pytest.raises(Cancelled):
        cancel_at(lambda cancelled: pipeline.dry_run(state, cancelled), BackfillProgress)
    assert files_of(todos) == before


def test_closing_the_run_deletes_the_copy(todos: Project) -> None:
    before = files_of(todos)
    events = pipeline.dry_run(todos.look(), never)
    assert any(isinstance(event, BackfillProgress) for event in events)
    close = getattr(events, "close")  # noqa: B009
    close()
    assert files_of(todos) == before


@EVERYWHERE
def test_progress_covers_copy_and_documents(todos: Project) -> None:
    events = list(pipeline.dry_run(todos.look(), never))
    copied = [event for event in events if isinstance(event, CopyProgress)]
    assert copied[-1].pages_done == copied[-1].pages_total > 0
    filled = [event for event in events if isinstance(event, BackfillProgress)]
    assert (filled[0].done, filled[-1].done, filled[-1].total) == (0, 142, 142)


@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    cells=st.lists(
        st.tuples(
            st.none()
            | st.integers(-(2**63), 2**63 - 1)
            | st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.text(st.characters(codec="utf-8"), max_size=8),
        ),
        max_size=20,
    ),
    modulus=st.integers(2, 5),
)
def test_a_dry_run_predicts_the_apply(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[tuple[float | int | None, str | None]],
    modulus: int,
) -> None:
    project = Project(tmp_path_factory.mktemp("law"))
    project.push(schema_of("t: defineTable({ n: v.number(), s: v.string() }),"))
    for number, (n, s) in enumerate(cells):
        project.sql("INSERT INTO t (_id, n, s) VALUES (?, ?, ?)", (f"d{number}", n, s))
    old = project.sql("SELECT _id, _version, typeof(n), n, s FROM t ORDER BY 1")
    project.write(
        schema_of(
            "t: defineTable({ n: v.number(), s: v.string(), out: v.optional(v.string()) })"
            f".backfill('out', (r) => r.n === null ? null : String(r.n % {modulus}) + r.s),"
        )
    )
    state = project.look()
    predicted = last(pipeline.dry_run(state, never))
    actual = last(pipeline.apply(state, never))
    assert predicted.status == actual.status
    assert predicted.tables == actual.tables
    assert [b.distribution for b in predicted.backfills] == [
        b.distribution for b in actual.backfills
    ]
    assert [b.samples for b in predicted.backfills] == [b.samples for b in actual.backfills]
    assert predicted.statements == actual.statements
    assert project.sql("SELECT _id, _version, typeof(n), n, s FROM t ORDER BY 1") == old
    assert (project.plan().status == "in_sync") == (actual.status == "ok")
    exact = all(n is None or n == float(n) for n, _ in cells)
    assert (actual.status == "ok") == exact


@ON_FILES
def test_what_sqlite_refuses_names_the_database_and_its_copy(project: Project) -> None:
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql("INSERT INTO t (_id, n) VALUES ('a', 1)")
    project.sql(
        "CREATE TRIGGER theirs BEFORE UPDATE ON t BEGIN SELECT RAISE(ABORT, 'hands off'); END"
    )
    fields = "t: defineTable({ n: v.number(), m: v.number() })"
    project.write(schema_of(f"{fields}.backfill('m', (row) => row.n * 2),"))
    with pytest.raises(DatabaseError, match="hands off") as rehearsed:
        project.dry_run()
    assert re.match(r"SQLite refused .*dev\.db \(its copy in .+\): hands", str(rehearsed.value))
    with pytest.raises(DatabaseError, match="hands off") as applied:
        project.apply()
    assert "copy" not in str(applied.value)
    assert "trigger" in (applied.value.problems[0].hint or "")


def test_only_triggers_that_a_backfill_runs_are_named_as_the_cause(project: Project) -> None:
    project.push(schema_of("t: defineTable({ n: v.number() }), log: defineTable({}),"))
    project.sql("INSERT INTO t (_id, n) VALUES ('a', 1)")
    for name, event in (("made", "INSERT"), ("written", "UPDATE")):
        project.sql(
            f"CREATE TRIGGER {name} AFTER {event} ON t BEGIN"
            " INSERT INTO log (_id) VALUES (hex(randomblob(4))); END"
        )
    fields = "t: defineTable({ n: v.number(), m: v.number() })"
    project.write(schema_of(f"{fields}.backfill('m', (row) => row.n), log: defineTable({{}}),"))
    with pytest.raises(MigrationFailed) as failed:
        project.dry_run()
    hint = failed.value.problems[0].hint or ""
    assert "written on t" in hint
    assert "made on t" not in hint


@ON_FILES
def test_a_document_without_an_id_is_shown_as_one(project: Project) -> None:
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql("DROP TABLE t")
    project.sql("CREATE TABLE t (_id TEXT PRIMARY KEY, _version INTEGER, n INTEGER)")
    project.sql("INSERT INTO t (n) VALUES (1)")
    fields = "t: defineTable({ n: v.number(), m: v.number() })"
    project.write(schema_of(f"{fields}.backfill('m', (row) => row.n * 2),"))
    (backfill,) = project.dry_run().backfills
    assert [(sample.id, sample.after) for sample in backfill.samples] == [(None, 2)]


@pytest.mark.parametrize("read", ["row.b", "row.b + (row.c ?? '')"], ids=["by input", "each"])
@pytest.mark.parametrize("count", [900, 45_000])
def test_the_documents_whose_value_changes_are_shown_first(
    project: Project, read: str, count: int
) -> None:
    fields = "{ a: v.string(), b: v.string(), c: v.optional(v.string()) }"
    project.prepare(
        schema_of(f"t: defineTable({fields}),"),
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?1)"
        " INSERT INTO t (_id, a, b) SELECT 'd' || i,"
        " CASE WHEN i % 300 < 5 THEN 'odd' WHEN i > ?1 - 2 THEN 'late' ELSE 'x' END, 'x' FROM c",
        count,
    )
    project.write(schema_of(f"t: defineTable({fields}).backfill('a', (row) => {read}),"))
    (told,) = project.dry_run().backfills
    differing = project.sql("SELECT count(*) FROM t WHERE a <> 'x'")[0][0]
    assert told.unchanged == count - differing
    changes = [(sample.before, sample.after) for sample in told.samples]
    assert len(changes) == 20
    if count == 900:
        assert set(changes[:2]) == {("odd", "x"), ("late", "x")}
        assert changes[differing:] == [("x", "x")] * (20 - differing)
    else:
        # Whether the last ones are looked at is a question of how many go into a batch.
        assert changes[0] == ("odd", "x")
        assert set(changes) <= {("odd", "x"), ("late", "x")}
    assert len({sample.id for sample in told.samples}) == 20
