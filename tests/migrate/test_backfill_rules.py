"""The seed document's "Backfill rules" and "Type changes are not allowed", one test a rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import EVERYWHERE, TRACKED_TODOS, Project, fill_todos, schema_of, seed_blocks

from valet_studio.migrate.documents import BATCH_ROWS
from valet_studio.migrate.events import ReasonCount, Report
from valet_studio.plan.changes import RunBackfill
from valet_studio.report import report_text
from valet_studio.report_json import report_json
from valet_studio.typescript.limits import Limits

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]
FAILING = BACKFILL.replace(
    "return mapping[row.priority as string] ?? 1",
    "if (row.title === 'Todo 77') throw new Error('no priority')\n"
    "            return mapping[row.priority as string] ?? 1",
)


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents under the schema that has a string priority."""
    assert project.push(BEFORE).status == "ok"
    fill_todos(project)
    return project


@EVERYWHERE
def test_every_document_gets_its_value(todos: Project) -> None:
    report = todos.push(BACKFILL)
    assert report.status == "ok"
    assert [(b.table, b.column, b.rows, b.updated, b.failed) for b in report.backfills] == [
        ("todos", "priorityNum", 142, 142, 0)
    ]
    assert todos.sql(
        "SELECT priority, priorityNum, typeof(priorityNum), count(*) FROM todos GROUP BY 1 ORDER BY 1"
    ) == [
        ("high", 3, "integer", 36),
        ("low", 1, "integer", 35),
        ("medium", 2, "integer", 36),
        ("urgent", 1, "integer", 35),
    ]


@EVERYWHERE
def test_it_is_recorded_under_the_documented_key(todos: Project) -> None:
    todos.write(BACKFILL)
    plan = todos.plan()
    (digest,) = (c.declared.digest for c in plan.pending if isinstance(c, RunBackfill))
    todos.apply()
    assert todos.meta()["backfill:todos:priorityNum"] == f'{{"digest": "{digest}", "rows": 142}}'


@EVERYWHERE
def test_it_runs_once_even_if_its_code_changes(todos: Project) -> None:
    todos.push(BACKFILL)
    changed = BACKFILL.replace("high: 3", "high: 30")
    report = todos.push(changed)
    assert report.backfills == ()
    assert todos.sql("SELECT max(priorityNum) FROM todos") == [(3,)]


@EVERYWHERE
def test_a_changed_backfill_is_a_warning(todos: Project) -> None:
    todos.push(BACKFILL)
    todos.write(BACKFILL.replace("high: 3", "high: 30"))
    (warning,) = todos.plan().warnings
    assert "todos.priorityNum" in warning.message
    assert warning.hint is not None
    assert "backfill reset todos.priorityNum" in warning.hint
    assert warning.location is not None
    assert warning.location.file.endswith("schema.ts")


@EVERYWHERE
def test_pushing_the_same_schema_twice_changes_no_byte(todos: Project) -> None:
    todos.push(BACKFILL)
    before = todos.contents()
    assert todos.apply().status == "noop"
    assert todos.contents() == before


@EVERYWHERE
def test_the_function_receives_the_whole_document(todos: Project) -> None:
    seen = schema_of(
        "todos: defineTable({ title: v.string(), completed: v.number(), userId: v.string(),"
        " priority: v.string().deprecated(), seen: v.string() }).sync({ mode: 'full' })"
        ".backfill('seen', (row) => JSON.stringify(row)),"
    )
    todos.push(seen)
    ((document,),) = todos.sql("SELECT seen FROM todos WHERE _id = 't0001'")
    assert json.loads(document) == {
        "_id": "t0001",
        "_version": 0,
        "title": "Todo 1",
        "completed": 1,
        "userId": "u1",
        "priority": "medium",
        "seen": None,
    }


@EVERYWHERE
def test_one_failing_document_fails_the_whole_backfill(todos: Project) -> None:
    hash_before = todos.meta()["schema_hash"]
    report = todos.push(FAILING)
    assert report.status == "failed"
    (backfill,) = report.backfills
    assert (backfill.updated, backfill.failed) == (0, 1)
    (failure,) = backfill.errors
    assert failure.id == "t0077"
    assert "no priority" in failure.message
    assert failure.location is not None
    line = FAILING.splitlines()[failure.location.line - 1]
    assert line[failure.location.column - 1 :].startswith("new Error('no priority')")
    assert todos.sql("SELECT count(*), count(priorityNum) FROM todos") == [(142, 0)]
    assert todos.meta()["schema_hash"] == hash_before
    assert "backfill:todos:priorityNum" not in todos.meta()


@EVERYWHERE
def test_the_next_push_retries_a_failed_backfill(todos: Project) -> None:
    todos.push(FAILING)
    assert [change.kind for change in todos.plan().pending] == ["run_backfill"]
    report = todos.push(BACKFILL)
    assert report.status == "ok"
    assert report.backfills[0].updated == 142
    assert todos.plan().status == "in_sync"


@EVERYWHERE
def test_a_failed_backfill_is_retried_even_unchanged(todos: Project) -> None:
    todos.push(FAILING)
    todos.sql("UPDATE todos SET title = 'mended' WHERE _id = 't0077'")
    assert todos.apply().status == "ok"


NARROWED = BEFORE.replace(
    "priority: v.string()",
    "priority: v.union(v.literal('high'), v.literal('medium'), v.literal('low'))",
)
UNMENDED = NARROWED.replace(
    ".sync({ mode: 'full' })",
    ".sync({ mode: 'full' }).backfill('priority', (row) => row.priority as string)",
)


def _two(size: str, label: str) -> str:
    return schema_of(
        "todos: defineTable({ title: v.string(), completed: v.number(), userId: v.string(),"
        " priority: v.string(), size: v.optional(v.number()), label: v.optional(v.string()) })"
        f".sync({{ mode: 'full' }}).backfill('size', (row) => {size})"
        f".backfill('label', (row) => {label}),"
    )


@EVERYWHERE
def test_what_is_edited_beside_one_that_failed_runs_as_it_is_then(todos: Project) -> None:
    """Clients run what the push holds that completes, and nothing of those that failed."""
    sizes = "SELECT DISTINCT size FROM todos"
    assert todos.push(_two("1", "nothing()")).status == "failed"
    assert todos.push(_two("1", "none()")).status == "failed"
    assert todos.sql(sizes) == [(1,)]
    todos.write(_two("2", "'a'"))
    runs = [change for change in todos.plan().pending if isinstance(change, RunBackfill)]
    assert [(run.column, run.overwrites) for run in runs] == [("size", 142), ("label", 0)]
    assert "edited since" in runs[0].rule
    assert todos.plan().warnings == ()
    assert todos.apply().status == "ok"
    assert todos.sql(sizes) == [(2,)]
    assert todos.push(_two("3", "'a'")).backfills == ()
    assert todos.sql(sizes) == [(2,)]


@EVERYWHERE
def test_what_is_not_edited_beside_one_that_failed_does_not_run_again(todos: Project) -> None:
    assert todos.push(_two("1", "nothing()")).status == "failed"
    assert [b.column for b in todos.push(_two("1", "'a'")).backfills] == ["label"]


def test_what_ran_beside_one_that_failed_and_is_declared_again_later_runs_as_it_is_then(
    todos: Project,
) -> None:
    assert todos.push(_two("1", "nothing()")).status == "failed"
    assert todos.push(BEFORE).status == "ok"
    assert [b.column for b in todos.push(_two("2", "'a'")).backfills] == ["size", "label"]
    assert todos.push(_two("3", "'a'")).backfills == ()


@EVERYWHERE
def test_a_promise_that_a_failed_backfill_did_not_make_true_is_not_made(todos: Project) -> None:
    report = todos.push(UNMENDED)
    assert (report.status, report.backfills[0].failed) == ("failed", 35)
    assert [c.kind for c in todos.plan().pending] == ["narrow_field", "run_backfill"]

    todos.write(NARROWED)
    plan = todos.plan()
    assert plan.status == "blocked"
    assert [(c.kind, c.offending) for c in plan.pending] == [("narrow_field", 35)]

    assert todos.push(UNMENDED.replace("row.priority as string", "'low' as const")).status == "ok"
    todos.write(NARROWED)
    assert todos.plan().pending == ()


@EVERYWHERE
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("v.string()", "v.number()"),
        ("v.number()", "v.string()"),
        ("v.boolean()", "v.number()"),
        ("v.number()", "v.boolean()"),
        ("v.string()", "v.array(v.string())"),
        ("v.string()", "v.bytes()"),
    ],
)
def test_a_type_change_is_rejected_and_nothing_is_applied(
    project: Project, before: str, after: str
) -> None:
    project.push(schema_of(f"todos: defineTable({{ priority: {before} }}),"))
    was = project.contents()
    project.write(
        schema_of(
            f"todos: defineTable({{ priority: {after}, added: v.string() }}),"
            " more: defineTable({ a: v.string() }),"
        )
    )
    plan = project.plan()
    assert plan.status == "blocked"
    (change,) = [change for change in plan.changes if change.kind == "change_type"]
    assert change.location is not None
    assert change.location.line == 3
    for word in ("deprecated", "new", ".backfill("):
        assert word in change.rule
    assert project.apply().status == "rejected"
    assert project.contents() == was


@pytest.mark.parametrize(
    ("validator", "result", "stored"),
    [
        ("v.string()", "'a'", "a"),
        ("v.number()", "0.1 + 0.2", 0.1 + 0.2),
        ("v.number()", "2 ** 40", 2**40),
        ("v.number()", "2 ** 53", 2**53),
        ("v.number()", "2 ** 64", 2.0**64),
        ("v.number()", "-1e20", -1e20),
        ("v.number()", "1.5e300", 1.5e300),
        ("v.boolean()", "true", 1),
        ("v.boolean()", "false", 0),
        ("v.array(v.number())", "[1, 2]", "[1,2]"),
        ("v.object({ a: v.optional(v.string()) })", "({})", "{}"),
        ("v.bytes()", "new Uint8Array([1, 255]).buffer", b"\x01\xff"),
        ("v.optional(v.string())", "undefined", None),
        ("v.optional(v.string())", "null", None),
        ("v.union(v.literal('a'), v.literal('b'))", "'b'", "b"),
        ("v.any()", "({ deep: [null, 'x'] })", '{"deep":[null,"x"]}'),
        ("v.record(v.string(), v.number())", "({ a: 1 })", '{"a":1}'),
        ("v.string()", "'nul\\0 and \\u2028 and 😀'", "nul\0 and \u2028 and 😀"),
    ],
)
def test_a_value_is_stored_as_its_validator_says(
    project: Project, validator: str, result: str, stored: object
) -> None:
    project.push(schema_of("t: defineTable({ a: v.string() }),"))
    project.sql("INSERT INTO t (_id, a) VALUES ('x', 'y')")
    report = project.push(
        schema_of(
            f"t: defineTable({{ a: v.string(), b: {validator} }}).backfill('b', () => {result}),"
        )
    )
    assert report.status == "ok", report.backfills
    assert project.sql("SELECT b FROM t") == [(stored,)]


@pytest.mark.parametrize(
    ("validator", "result"),
    [
        ("v.string()", "undefined as any"),
        ("v.string()", "null as any"),
        ("v.string()", "3 as any"),
        ("v.number()", "NaN"),
        ("v.number()", "Infinity"),
        ("v.int()", "1.5"),
        ("v.boolean()", "1 as any"),
        ("v.string()", "Promise.resolve('a') as any"),
        ("v.string()", "'\\ud800'"),
        ("v.array(v.number())", "['a'] as any"),
        ("v.object({ a: v.string() })", "({ a: 'x', b: 1 }) as any"),
        ("v.union(v.literal('a'), v.literal('b'))", "'c' as any"),
    ],
)
def test_a_value_that_breaks_its_validator_fails_with_the_document(
    project: Project, validator: str, result: str
) -> None:
    project.push(schema_of("t: defineTable({ a: v.string() }),"))
    project.sql("INSERT INTO t (_id, a) VALUES ('x', 'y')")
    report = project.push(
        schema_of(
            f"t: defineTable({{ a: v.string(), b: {validator} }}).backfill('b', () => {result}),"
        )
    )
    assert report.status == "failed"
    (failure,) = report.backfills[0].errors
    assert failure.id == "x"
    assert failure.location is not None
    assert failure.location.line == 3
    assert project.sql("SELECT b FROM t") == [(None,)]


@EVERYWHERE
def test_stored_values_reach_the_function_as_their_types(project: Project) -> None:
    fields = "flag: v.boolean(), list: v.array(v.string()), blob: v.bytes(), note: v.optional(v.string())"
    project.push(schema_of(f"t: defineTable({{ {fields} }}),"))
    project.sql(
        "INSERT INTO t (_id, flag, list, blob, note) VALUES ('x', 1, '[\"a\"]', x'0aff', NULL)"
    )
    report = project.push(
        schema_of(
            f"t: defineTable({{ {fields}, seen: v.string() }}).backfill('seen', (row) =>"
            " `${row.flag === true} ${row.list[0]} ${new Uint8Array(row.blob)[1]} ${row.note === null}`),"
        )
    )
    assert report.status == "ok", report.backfills
    assert project.sql("SELECT seen FROM t") == [("true a 255 true",)]


def test_an_integer_that_javascript_cannot_hold_is_never_rounded(project: Project) -> None:
    project.push(schema_of("t: defineTable({ big: v.int64() }),"))
    project.sql("INSERT INTO t (_id, big) VALUES ('x', 9007199254740993)")
    report = project.push(
        schema_of(
            "t: defineTable({ big: v.int64(), copy: v.int64() }).backfill('copy', (row) => row.big),"
        )
    )
    assert report.status == "failed"
    (failure,) = report.backfills[0].errors
    assert failure.id == "x"
    assert "9007199254740993" in failure.message
    unread = project.push(
        schema_of(
            "t: defineTable({ big: v.int64(), copy: v.int64() }).backfill('copy', (row) => 1),"
        )
    )
    assert unread.status == "ok"


@EVERYWHERE
def test_text_that_is_not_utf8_fails_with_the_document_named(project: Project) -> None:
    project.push(schema_of("t: defineTable({ a: v.string() }),"))
    project.sql("INSERT INTO t (_id, a) VALUES ('fine', 'y'), ('bad', CAST(x'ff41' AS TEXT))")
    project.write(
        schema_of("t: defineTable({ a: v.string(), b: v.string() }).backfill('b', (row) => row.a),")
    )
    with pytest.raises(Exception, match='Document "bad" of "t" holds text in "a"'):
        project.apply()
    assert "b" not in {row[1] for row in project.sql("PRAGMA table_info(t)")}


@pytest.mark.parametrize(
    "rows", [1, BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1, 2 * BATCH_ROWS + 5_000]
)
def test_batches_cover_every_document_once(project: Project, rows: int) -> None:
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?)"
        " INSERT INTO t (rowid, _id, n) SELECT i * 3, 'd' || i, i FROM c",
        (rows,),
    )
    report = project.push(
        schema_of(
            "t: defineTable({ n: v.number(), m: v.number() }).backfill('m', (row) => row.n * 2),"
        )
    )
    assert report.backfills[0].updated == rows
    assert project.sql("SELECT count(*), sum(m = n * 2) FROM t") == [(rows, rows)]


def test_a_table_without_rowids_is_backfilled_by_id(project: Project) -> None:
    project.sql(
        "CREATE TABLE t (_id TEXT PRIMARY KEY NOT NULL, _version INTEGER NOT NULL DEFAULT 0,"
        " n INTEGER) WITHOUT ROWID"
    )
    project.sql("INSERT INTO t (_id, n) VALUES ('b', 2), ('a', 1), ('ä', 3)")
    report = project.push(
        schema_of(
            "t: defineTable({ n: v.number(), m: v.number() }).backfill('m', (row) => row.n * 2),"
        )
    )
    assert report.status == "ok", report
    assert project.sql("SELECT _id, m FROM t ORDER BY n") == [("a", 2), ("b", 4), ("ä", 6)]


@pytest.mark.parametrize(
    "body",
    [
        "while (true) {}",
        "const a: unknown[] = []; while (true) a.push(new Array(1e6).fill(a.length))",
    ],
)
def test_an_endless_or_exploding_backfill_is_stopped_with_its_document(
    project: Project, body: str
) -> None:
    project = project.with_(limits=Limits(document_seconds=1.0, heap_mb=64))
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql("INSERT INTO t (_id, n) VALUES ('a', 1), ('b', 2), ('c', 3)")
    report = project.push(
        schema_of(
            "t: defineTable({ n: v.number(), m: v.number() }).backfill('m', (row) => {"
            f" if (row.n === 2) {{ {body} }} return 1 }}),"
        )
    )
    assert report.status == "failed"
    (failure,) = report.backfills[0].errors
    assert failure.id == "b"
    assert report.backfills[0].tried == 0
    assert project.sql("SELECT count(m) FROM t") == [(0,)]


def test_where_it_was_stopped_comes_before_what_failed_and_the_rest_is_not_called_good(
    project: Project,
) -> None:
    project = project.with_(limits=Limits(document_seconds=0.5))
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 900)"
        " INSERT INTO t (_id, n) SELECT 'd' || i, i FROM c"
    )
    project.write(
        schema_of(
            "t: defineTable({ n: v.number(), m: v.number() }).backfill('m', (row) => {"
            " if (row.n === 800) while (true) {}; if (row.n % 7 === 0) throw new Error('seven');"
            " return 1 }),"
        )
    )
    (told,) = project.dry_run().backfills
    assert told.tried is not None
    assert 0 < told.tried < 800
    assert told.failed == told.tried // 7 + 1
    assert [failure.id for failure in told.errors[:2]] == ["d800", "d7"]
    text = report_text(
        Report("failed", project.plan(), backfills=(told,)), rehearsal=True, database=""
    )
    assert f"after {told.tried:,} of 900 documents: the others were not tried." in text


@pytest.mark.parametrize(
    ("backfill", "told"),
    [
        ("", "1 document holds null: use v.optional() or .backfill()."),
        (
            ".backfill('p', (row) => row.a)",
            "1 document holds null: its backfill ran before; "
            "`valet-studio backfill reset t.p` runs it again.",
        ),
        (".backfill('q', (row) => row.a)", "1 document holds null: use v.optional() or"),
    ],
)
def test_a_field_that_comes_back_says_how_its_nulls_are_filled(
    project: Project, backfill: str, told: str
) -> None:
    before = schema_of("t: defineTable({ a: v.string() }),")
    fields = "{ a: v.string(), p: v.string(), q: v.optional(v.string()) }"
    ran = schema_of(f"t: defineTable({fields}).backfill('p', (row) => row.a),")
    project.push(ran)
    project.push(before)
    project.sql("INSERT INTO t (_id, a) VALUES ('new', 'x')")
    project.write(schema_of(f"t: defineTable({fields}){backfill},"))
    (change,) = (c for c in project.plan().changes if c.kind == "restore_field" and c.column == "p")
    assert told in change.summary


def test_a_field_that_comes_back_with_a_backfill_to_run_needs_no_advice(project: Project) -> None:
    project.push(schema_of("t: defineTable({ a: v.string(), p: v.string() }),"))
    project.push(schema_of("t: defineTable({ a: v.string() }),"))
    project.sql("INSERT INTO t (_id, a) VALUES ('new', 'x')")
    project.write(
        schema_of("t: defineTable({ a: v.string(), p: v.string() }).backfill('p', (row) => row.a),")
    )
    (change,) = (c for c in project.plan().changes if c.kind == "restore_field")
    assert "null" not in change.summary
    project.apply()
    assert project.sql("SELECT p FROM t") == [("x",)]


def test_columns_that_sqlite_tells_apart_are_not_taken_for_one_another(project: Project) -> None:
    project.push(schema_of("t: defineTable({ 'é': v.string() }),"))
    fields = "{ 'É': v.optional(v.string()), 'é': v.string(), copy: v.optional(v.string()) }"
    project.push(schema_of(f"t: defineTable({fields}),"))
    project.sql("""INSERT INTO t (_id, "É", "é") VALUES ('1', 'large', 'small')""")
    project.push(
        schema_of(
            f"t: defineTable({fields}).backfill('copy', (row) => row['É'] + row['é'])"
            ".backfill('é', () => 'new'),"
        )
    )
    assert project.sql('SELECT "É", "é", copy FROM t') == [("large", "new", "largesmall")]


def test_names_with_colons_are_not_taken_for_each_other(project: Project) -> None:
    filled = "'a:b': defineTable({ x: v.string(), c: v.string() }).backfill('c', () => 'one'),"
    project.push(schema_of("'a:b': defineTable({ x: v.string() }), a: defineTable({})"))
    project.sql("""INSERT INTO "a:b" (_id, x) VALUES ('1', 'x')""")
    project.sql("INSERT INTO a (_id) VALUES ('1'), ('2')")
    both = f"{filled} a: defineTable({{ 'b:c': v.string() }}).backfill('b:c', () => 'two')"
    project.write(schema_of(both))
    assert sorted(c.rows or 0 for c in project.plan().pending if c.kind == "run_backfill") == [1, 2]
    project.push(schema_of(f"{filled} a: defineTable({{}})"))
    report = project.push(schema_of(both))
    assert [(b.table, b.column, b.updated) for b in report.backfills] == [("a", "b:c", 2)]
    assert project.sql('SELECT DISTINCT "b:c" FROM a') == [("two",)]
    assert project.plan().status == "in_sync"
    assert "backfill:a:b:c" in project.meta()


@EVERYWHERE
def test_failures_are_counted_by_their_reasons(todos: Project) -> None:
    fails = (
        "if (row.priority === 'low') throw new Error('too low')\n"
        "            if (row.title === 'Todo 77') throw new Error('no priority')\n"
    )
    line = "return mapping[row.priority as string] ?? 1"
    todos.write(BACKFILL.replace(line, f"{fails}            {line}"))
    (backfill,) = todos.dry_run().backfills
    assert backfill.failed == 36
    assert backfill.reasons == (ReasonCount("too low", 35), ReasonCount("no priority", 1))
    told: Any = report_json(todos.dry_run())
    assert told["backfills"][0]["reasons"] == [
        {"reason": "too low", "count": 35},
        {"reason": "no priority", "count": 1},
    ]
    each = "throw new Error(row.title)\n            "
    todos.write(BACKFILL.replace(line, each + line))
    assert todos.dry_run().backfills[0].reasons == ()  # To count each once tells nothing.
