"""What a backfill must not leave behind: values of a failed run, and entries in the change log."""

from __future__ import annotations

import pytest
from support import Project, fill_todos, schema_of

FIELDS = "title: v.string(), completed: v.number(), userId: v.string(), priority: v.string()"
PLAIN = schema_of(f"todos: defineTable({{ {FIELDS} }}),")
TRACKED = schema_of(f"todos: defineTable({{ {FIELDS} }}).sync({{ mode: 'full' }}),")
BACKFILLED = schema_of(
    f"todos: defineTable({{ {FIELDS} }}).sync({{ mode: 'full' }})"
    ".backfill('title', (row) => row.title.toUpperCase()),"
)


def test_values_written_before_the_failing_document_are_taken_back(project: Project) -> None:
    project.push(schema_of("t: defineTable({ n: v.number(), m: v.optional(v.number()) }),"))
    project.sql(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 90000)"
        " INSERT INTO t (_id, n, m) SELECT 'd' || i, i, -i FROM c"
    )
    report = project.push(
        schema_of(
            "t: defineTable({ n: v.number(), m: v.optional(v.number()) }).backfill('m', (row) => {"
            " if (row.n === 89999) throw new Error('late'); return row.n }),"
        )
    )
    assert report.status == "failed"
    (backfill,) = report.backfills
    assert [failure.id for failure in backfill.errors] == ["d89999"]
    assert project.sql("SELECT count(*) FROM t WHERE m = -n") == [(90000,)]


@pytest.mark.parametrize("before", [PLAIN, TRACKED], ids=["tracked by the same push", "tracked"])
def test_filling_a_column_that_stands_is_not_logged(project: Project, before: str) -> None:
    project.push(before)
    fill_todos(project)
    logged = project.sql("SELECT count(*) FROM _valet_changes")
    assert project.push(BACKFILLED).backfills[0].updated == 142
    assert project.sql("SELECT count(*) FROM todos WHERE title = upper(title)") == [(142,)]
    assert project.sql("SELECT count(*) FROM _valet_changes") == logged
    project.sql("UPDATE todos SET completed = 1 WHERE _id = 't0000'")
    ((now,),), ((was,),) = project.sql("SELECT count(*) FROM _valet_changes"), logged
    assert now == was + 1


def test_a_rehearsal_counts_what_stays_and_what_becomes_null(project: Project) -> None:
    project.push(schema_of("t: defineTable({ n: v.number(), m: v.optional(v.number()) }),"))
    project.sql(
        "INSERT INTO t (_id, n, m) VALUES ('a', 1, 1), ('b', 2, 7), ('c', 3, 3), ('d', 4, 4)"
    )
    project.write(
        schema_of(
            "t: defineTable({ n: v.number(), m: v.optional(v.number()) })"
            ".backfill('m', (row) => row.n === 4 ? null : row.n),"
        )
    )
    (backfill,) = project.dry_run().backfills
    assert (backfill.updated, backfill.unchanged, backfill.nulls) == (4, 2, 1)


def test_null_in_a_new_column_changes_nothing(project: Project) -> None:
    project.push(schema_of("t: defineTable({ n: v.number() }),"))
    project.sql("INSERT INTO t (_id, n) VALUES ('a', 1), ('b', 2)")
    project.write(
        schema_of(
            "t: defineTable({ n: v.number(), m: v.optional(v.number()) })"
            ".backfill('m', (row) => row.n === 2 ? null : row.n),"
        )
    )
    (backfill,) = project.dry_run().backfills
    assert (backfill.updated, backfill.unchanged, backfill.nulls) == (2, 1, 1)
