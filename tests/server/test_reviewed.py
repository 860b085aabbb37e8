"""What a client rehearsed on a server is what its push writes there."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from serving import Served, through
from support import TRACKED_TODOS, Project, fill_todos, last, never, seed_blocks

from valet_studio import pipeline
from valet_studio.errors import PlanIsStale
from valet_studio.migrate.events import Report
from valet_studio.remote import target as remote
from valet_studio.typescript.child import Child

BACKFILL = seed_blocks()[4]
VARYING = BACKFILL.replace("?? 1", "?? Math.random()")


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


def test_a_push_writes_what_the_clients_dry_run_computed(
    todos: Project, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = through(todos, served.url).look()
    reviewed = last(pipeline.dry_run(state, never))
    started: list[object] = []
    monkeypatch.setattr(Child, "start_backfill", lambda *given: started.append(given))
    done = last(pipeline.apply(state, never))
    assert done.status == "ok"
    assert started == []
    assert values(done) == values(reviewed)
    for who, value in values(reviewed):
        assert todos.sql("SELECT priorityNum FROM todos WHERE _id = ?", (who,)) == [(value,)]


def test_a_push_of_another_client_computes_its_own(
    todos: Project, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = through(todos, served.url).look()
    reviewed = last(pipeline.dry_run(state, never))
    monkeypatch.setattr(remote, "_CLIENT", "somebody else")
    done = last(pipeline.apply(state, never))
    assert done.status == "ok"
    assert values(done) != values(reviewed)


def test_a_push_is_refused_where_a_document_fails_that_did_not_when_it_was_reviewed(
    todos: Project, served: Served
) -> None:
    todos.write(
        BACKFILL.replace("?? 1", "?? (() => { if (row.title === 'bad') throw Error('no') })() ?? 1")
    )
    state = through(todos, served.url).look()
    assert last(pipeline.dry_run(state, never)).status == "ok"
    todos.sql("INSERT INTO todos (_id, title, priority) VALUES ('late', 'bad', 'odd')")
    before = todos.contents()
    with pytest.raises(PlanIsStale, match="none did in the dry run: late"):
        last(pipeline.apply(state, never))
    assert todos.contents() == before
    assert last(pipeline.apply(state, never)).status == "failed"


@pytest.mark.parametrize("client", ["", "x" * 65, "a\nb"])
def test_a_client_that_gives_no_id_for_itself_is_refused(served: Served, client: str) -> None:
    answer = served.post(f"/api/schema/dry-run?client={quote(client)}", {})
    assert answer.status == 400
