"""What a dry run computed is what the apply after it writes, wherever the database is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest
from support import EVERYWHERE, TRACKED_TODOS, Project, fill_todos, last, never, seed_blocks

from valet_studio import pipeline
from valet_studio.errors import PlanIsStale
from valet_studio.migrate.events import Report
from valet_studio.typescript.child import Child

BACKFILL = seed_blocks()[4]
VARYING = BACKFILL.replace("?? 1", "?? Math.random()")
FAILING = BACKFILL.replace(
    "?? 1", "?? (() => { if (row.title === 'bad') throw Error('no') })() ?? 1"
)


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, and a backfill pending that gives some of them another value each time."""
    project.push(TRACKED_TODOS)
    fill_todos(project)
    project.write(VARYING)
    return project


def values(report: Report) -> list[tuple[Any, Any]]:
    """Documents with their values, as far as a report shows them."""
    return [(sample.id, sample.after) for sample in report.backfills[0].samples]


@EVERYWHERE
def test_what_was_reviewed_is_written_without_javascript(
    todos: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = todos.look()
    reviewed = last(pipeline.dry_run(state, never))
    started: list[object] = []
    monkeypatch.setattr(Child, "start_backfill", lambda *given: started.append(given))
    done = last(pipeline.apply(state, never))
    assert done.status == "ok"
    assert started == []
    assert values(done) == values(reviewed)
    for who, value in values(reviewed):
        assert todos.sql("SELECT priorityNum FROM todos WHERE _id = ?", (who,)) == [(value,)]


def test_what_was_reviewed_of_one_database_is_not_written_to_another(todos: Project) -> None:
    reviewed = last(pipeline.dry_run(todos.look(), never))
    other = todos.root / "other.db"
    shutil.copy(todos.database, other)
    state = pipeline.look(replace(todos.settings, database=str(other)))
    done = last(pipeline.apply(state, never))
    assert done.status == "ok"
    assert values(done) != values(reviewed)


@EVERYWHERE
def test_what_was_reviewed_of_one_backfill_is_not_written_by_another(todos: Project) -> None:
    assert last(pipeline.dry_run(todos.look(), never)).status == "ok"
    todos.write(BACKFILL)
    assert todos.apply().status == "ok"
    assert todos.sql("SELECT DISTINCT priorityNum FROM todos ORDER BY 1") == [(1,), (2,), (3,)]


@EVERYWHERE
def test_a_document_that_was_written_since_is_computed_anew(todos: Project) -> None:
    state = todos.look()
    assert last(pipeline.dry_run(state, never)).status == "ok"
    todos.sql("UPDATE todos SET priority = 'high' WHERE _id = 't0007'")
    todos.sql("INSERT INTO todos (_id, title, priority) VALUES ('late', 'new', 'medium')")
    assert last(pipeline.apply(state, never)).backfills[0].updated == 143
    found = "SELECT priorityNum FROM todos WHERE _id IN ('t0007', 'late') ORDER BY _id"
    assert todos.sql(found) == [(2,), (3,)]


@EVERYWHERE
def test_a_document_that_fails_and_did_not_when_it_was_reviewed_refuses_the_apply(
    todos: Project,
) -> None:
    todos.write(FAILING)
    state = todos.look()
    assert last(pipeline.dry_run(state, never)).status == "ok"
    todos.sql("INSERT INTO todos (_id, title, priority) VALUES ('late', 'bad', 'odd')")
    before = todos.sql("SELECT * FROM todos ORDER BY _id")
    with pytest.raises(PlanIsStale, match="none did in the dry run: late"):
        last(pipeline.apply(state, never))
    assert todos.sql("SELECT * FROM todos ORDER BY _id") == before
    # Who was told so and applies again takes the seed's rule: the backfill is taken back alone.
    assert last(pipeline.apply(state, never)).status == "failed"
