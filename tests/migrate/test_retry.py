"""Rehearsing only the documents that failed: after schema.ts was mended, and reading only."""

from __future__ import annotations

import hashlib

import pytest
from support import EVERYWHERE, ON_FILES, Project, fill_todos, never, schema_of

from valet_studio import pipeline
from valet_studio.errors import Cancelled, PlanIsStale
from valet_studio.migrate.events import Report
from valet_studio.plan.changes import NarrowField

TABLES = """
    todos: defineTable({
        title: v.string(), completed: v.number(), userId: v.string(), priority: v.string(),
    }).sync({ filter: (q, ctx) => q.eq('userId', ctx.auth.userId), mode: 'full' })
      .searchIndex('by_title', { searchField: 'title' })
      .index('by_user', ['userId']),
"""
STRICT = """
    todos: defineTable({
        title: v.string(), completed: v.number(), userId: v.string(), priority: v.string(),
        shout: v.string(), length: v.number(),
    }).sync({ filter: (q, ctx) => q.eq('userId', ctx.auth.userId), mode: 'full' })
      .searchIndex('by_title', { searchField: 'title' })
      .index('by_user', ['userId'])
      .backfill('shout', (row) => (row.title as string).toUpperCase())
      .backfill('length', (row) => (row.shout as string ?? '').length GUARD),
"""


@pytest.fixture
def failed(project: Project) -> tuple[Project, Report]:
    """A dry run of which three documents failed: their title is null."""
    project.push(schema_of(TABLES))
    fill_todos(project, 40)
    project.sql("UPDATE todos SET title = NULL WHERE _id IN ('t0003', 't0007', 't0011')")
    project.write(schema_of(STRICT.replace("GUARD", "")))
    report = project.dry_run()
    assert report.status == "failed"
    return project, report


def digest(project: Project) -> str:
    return hashlib.sha256(project.database.read_bytes()).hexdigest()


@EVERYWHERE
def test_mended_documents_are_told_from_those_that_still_fail(
    failed: tuple[Project, Report],
) -> None:
    project, report = failed
    again = pipeline.retry_failed(project.look(), report, never)
    shout = again.backfills[0]
    assert (shout.rows, shout.failed) == (3, 3)
    assert {failure.id for failure in shout.errors} == {"t0003", "t0007", "t0011"}
    mended = "(row) => row._id === 't0003' ? 'none' : (row.title ?? row.gone.title).toUpperCase()"
    text = STRICT.replace("(row) => (row.title as string).toUpperCase()", mended)
    project.write(schema_of(text.replace("GUARD", "")))
    again = pipeline.retry_failed(project.look(), report, never)
    assert (again.backfills[0].rows, again.backfills[0].failed) == (3, 2)


@EVERYWHERE
def test_a_backfill_sees_what_an_earlier_one_of_the_same_push_wrote(
    failed: tuple[Project, Report],
) -> None:
    project, report = failed
    text = STRICT.replace("(row.title as string)", "(row.title as string ?? 'none')")
    project.write(schema_of(text.replace("GUARD", "+ 1")))
    again = pipeline.retry_failed(project.look(), report, never)
    assert again.status == "ok"
    assert {sample.after for sample in again.backfills[1].samples} == {5}


@ON_FILES
def test_retrying_reads_only(failed: tuple[Project, Report]) -> None:
    project, report = failed
    before, files = digest(project), set(project.database.parent.iterdir())
    pipeline.retry_failed(project.look(), report, never)
    assert digest(project) == before
    assert set(project.database.parent.iterdir()) == files


@EVERYWHERE
def test_a_document_that_is_gone_is_left_out(failed: tuple[Project, Report]) -> None:
    project, report = failed
    project.sql("DELETE FROM todos WHERE _id = 't0003'")
    assert pipeline.retry_failed(project.look(), report, never).backfills[0].rows == 2


@EVERYWHERE
def test_a_plan_that_is_stale_is_not_tried(failed: tuple[Project, Report]) -> None:
    project, report = failed
    state = project.look()
    project.sql("ALTER TABLE todos ADD COLUMN other TEXT")
    with pytest.raises(PlanIsStale):
        pipeline.retry_failed(state, report, never)


@ON_FILES
def test_a_plan_whose_table_is_gone_is_not_tried(failed: tuple[Project, Report]) -> None:
    project, report = failed
    state = project.look()
    project.sql("ALTER TABLE todos RENAME TO other")
    with pytest.raises(PlanIsStale):
        pipeline.retry_failed(state, report, never)


@EVERYWHERE
def test_cancelling_stops_it(failed: tuple[Project, Report]) -> None:
    project, report = failed
    with pytest.raises(Cancelled):
        pipeline.retry_failed(project.look(), report, lambda: True)


@EVERYWHERE
def test_a_narrowing_shows_its_offending_documents_whole(project: Project) -> None:
    project.push(schema_of(TABLES.replace("title: v.string()", "title: v.optional(v.string())")))
    fill_todos(project, 10)
    project.sql("UPDATE todos SET title = NULL WHERE _id = 't0004'")
    project.write(schema_of(TABLES))
    state = project.look()
    assert state.plan is not None
    change = next(c for c in state.plan.changes if isinstance(c, NarrowField))
    found = pipeline.touched(state, change, never)
    assert found is not None
    assert (found.rows, found.nulls) == (10, 1)
    (document,) = found.documents
    assert document["_id"] == "t0004"
    assert document["title"] is None
    assert document["priority"] == "high"
    assert pipeline.document(state, "todos", "t0004", never) == document
    assert pipeline.document(state, "todos", "t9999", never) is None
