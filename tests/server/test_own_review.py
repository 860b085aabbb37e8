"""A client's push writes what that client rehearsed, and not what another one did."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from serving import Served, through
from support import TRACKED_TODOS, Project, fill_todos, last, never, seed_blocks

from valet_studio import pipeline
from valet_studio.remote import target as remote
from valet_studio.schema.document import to_document
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Sources

VARYING = seed_blocks()[4].replace("?? 1", "?? Math.random()")


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, and a backfill pending that gives some of them another value each time."""
    project.push(TRACKED_TODOS)
    fill_todos(project)
    project.write(VARYING)
    return project


def test_a_snapshot_is_said_to_be_kept_on_the_server(todos: Project, served: Served) -> None:
    report = last(pipeline.apply(through(todos, served.url).look(), never))
    assert report.snapshot is not None
    assert report.snapshot.endswith("on the server")


def test_a_push_of_another_client_computes_its_own(
    todos: Project, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = through(todos, served.url).look()
    reviewed = last(pipeline.dry_run(state, never)).backfills[0].samples
    monkeypatch.setattr(remote, "_CLIENT", "somebody else")
    done = last(pipeline.apply(state, never))
    assert done.status == "ok"
    assert done.backfills[0].samples != reviewed


@pytest.mark.parametrize("client", ["", "x" * 65, "a\nb"])
def test_a_client_that_gives_no_id_for_itself_is_refused(served: Served, client: str) -> None:
    schema = to_document(evaluate(Sources("schema.ts", {"schema.ts": VARYING})))
    answer = served.post(f"/api/schema/dry-run?client={quote(client)}", schema)
    assert answer.status == 400
    assert "client is no id" in answer.json["errors"][0]["message"]
