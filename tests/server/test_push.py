"""The push server as an HTTP client sees it."""

from __future__ import annotations

import json
import socket
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from serving import KEY, Served, serving
from support import TRACKED_TODOS, Project, fill_todos, seed_blocks

from valet_studio.schema.document import from_document, to_document
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Sources

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]
FAILING = BACKFILL.replace("?? 1", "?? (() => { throw new Error('no such priority') })()")
OTHER_TYPE = BEFORE.replace("priority: v.string()", "priority: v.number()")


def document(text: str, **changes: Any) -> dict[str, Any]:
    """The schema.json of a schema.ts."""
    return dict(to_document(evaluate(Sources("schema.ts", {"schema.ts": text})))) | changes


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents under the schema that has a string priority."""
    project.push(BEFORE)
    fill_todos(project)
    return project


def test_a_push_answers_with_the_diff(todos: Project, served: Served) -> None:
    pushed = document(BACKFILL)
    answer = served.post("/api/schema", pushed)
    assert answer.status == 200
    told = answer.json
    assert told["status"] == "ok"
    assert told["schema_hash"] == pushed["hash"] == todos.meta()["schema_hash"]
    assert told["new_tables"] == []
    assert told["added_columns"] == [{"table": "todos", "column": "priorityNum"}]
    assert told["removed_columns"] == []
    assert told["type_mismatches"] == []
    assert [(b["column"], b["rows"], b["updated"]) for b in told["backfills"]] == [
        ("priorityNum", 142, 142)
    ]
    assert todos.sql("SELECT count(priorityNum) FROM todos") == [(142,)]
    again = served.post("/api/schema", pushed).json
    assert (again["status"], again["added_columns"]) == ("noop", [])


def test_a_rejected_push_tells_the_mismatch_and_the_recipe(todos: Project, served: Served) -> None:
    before = todos.database.read_bytes()
    answer = served.post("/api/schema", document(OTHER_TYPE))
    assert answer.status == 409
    (mismatch,) = answer.json["type_mismatches"]
    assert (mismatch["table"], mismatch["column"]) == ("todos", "priority")
    assert ".deprecated()" in mismatch["recipe"]
    assert "backfill" in mismatch["recipe"]
    assert mismatch["location"]["file"] == "valet/schema.ts"
    assert todos.database.read_bytes() == before
    asked = "/api/schema?push=rejected"
    lines = served.post(asked, document(OTHER_TYPE), Accept="application/x-ndjson")
    assert lines.status == 409
    assert json.loads(lines.body)["status"] == "rejected"
    assert served.get(asked).json["push"]["state"] == "unknown"


def test_a_failed_backfill_names_document_and_line(todos: Project, served: Served) -> None:
    answer = served.post("/api/schema", document(FAILING))
    assert answer.status == 200
    assert answer.json["status"] == "failed"
    failures = answer.json["backfills"][0]["errors"]
    assert failures[0]["_id"] == "t0003"
    line = failures[0]["location"]["line"]
    assert "no such priority" in FAILING.splitlines()[line - 1]
    assert todos.sql("SELECT count(priorityNum) FROM todos") == [(0,)]
    assert served.post("/api/schema", document(BACKFILL)).json["status"] == "ok"


def test_a_plan_and_a_dry_run_change_nothing(todos: Project, served: Served) -> None:
    before = todos.database.read_bytes()
    plan = served.post("/api/schema/plan", document(BACKFILL)).json
    assert [change["kind"] for change in plan["changes"]] == [
        *("add_column", "deprecate_field", "change_sync", "run_backfill")
    ]
    assert "142 documents" in plan["changes"][-1]["summary"]
    quick = served.post("/api/schema/plan?measured=0", document(BACKFILL)).json
    assert "documents" not in quick["changes"][-1]["summary"]
    lines = served.post("/api/schema/dry-run", document(BACKFILL)).body.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["phase"] for event in events if event["type"] == "PhaseStarted"] == [
        *("copy", "structure", "backfill", "verify", "commit")
    ]
    assert events[-1]["type"] == "Report"
    report = served.post("/api/schema/dry-run", document(BACKFILL), Accept="application/json").json
    assert report["backfills"][0]["deterministic"] is True
    assert todos.database.read_bytes() == before


def test_another_plan_than_the_reviewed_one_is_refused(todos: Project, served: Served) -> None:
    for path in ("/api/schema", "/api/schema/dry-run"):
        answer = served.post(f"{path}?fingerprint=abc", document(BACKFILL))
        assert answer.status == 409
        assert "changed after this plan" in answer.json["errors"][0]["message"]
    assert "priorityNum" not in str(todos.sql("SELECT sql FROM sqlite_master"))


@pytest.mark.parametrize("query", ["strict=1", "strict=1&measured=0"])
def test_asked_to_be_strict_it_refuses_a_backfill_that_varies(
    todos: Project, served: Served, query: str
) -> None:
    varying = document(BACKFILL.replace("?? 1", "?? Math.random()"))
    assert served.post(f"/api/schema/plan?{query}", varying).json["status"] == "blocked"
    for path in ("/api/schema/dry-run", "/api/schema"):
        answer = served.post(f"{path}?{query}", varying, Accept="application/json")
        assert answer.json["status"] == "rejected"
    assert "priorityNum" not in str(todos.sql("SELECT sql FROM sqlite_master"))


def test_schema_and_history(todos: Project, served: Served) -> None:
    pushed = document(BACKFILL)
    first = todos.meta()["schema_hash"]
    served.post("/api/schema", pushed)
    current = served.get("/api/schema", Authorization=None).json
    assert current["schema_hash"] == pushed["hash"]
    assert from_document(current["schema"]) == from_document(pushed)
    since = served.get(f"/api/schema?since={first}").json
    assert [version["hash"] for version in since["versions"]] == [pushed["hash"]]
    assert served.get("/api/schema?since=abc").json["known"] is False
    migrations = served.get("/api/history").json["migrations"]
    assert [migration["rows"] for migration in migrations] == [142, 0]


POSTS = ["/api/schema", "/api/schema/plan", "/api/schema/dry-run"]
ASKING = [
    *("/api/schema/retry", "/api/touched", "/api/documents", "/api/undo", "/api/backfill/reset")
]


@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", "Bearer", f"Basic {KEY}", f"Bearer {KEY}x"]
)
def test_only_the_deploy_key_opens(todos: Project, served: Served, given: str | None) -> None:
    before = todos.database.read_bytes()
    for path in POSTS:
        answer = served.post(path, document(BACKFILL), Authorization=given)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    for path in ASKING:
        assert served.post(path, {"table": "todos"}, Authorization=given).status == 401
    for path in ("/api/history", "/api/undo", "/api/undo?push=x"):
        assert served.get(path, Authorization=given).status == 401
    assert served.get("/api/schema?push=x", Authorization=given).status == 401
    assert todos.database.read_bytes() == before
    assert served.get("/healthz", Authorization=given).json["status"] == "ok"


def test_without_a_key_only_this_machine_is_answered(todos: Project) -> None:
    with serving(todos.database, deploy_key=None) as served:
        assert served.post("/api/schema/plan", document(BACKFILL)).status == 200
        answer = served.post("/api/schema", document(BACKFILL), Host="evil.test")
        assert answer.status == 403
        assert (
            served.post("/api/schema", document(BACKFILL), Content_Type="text/plain").status == 415
        )
    assert todos.plan().applied_hash == document(BEFORE)["hash"]


FOREIGN = [
    *("evil.test", "localhost.evil.test", "localhost:1.evil.test", "localhost@evil.test"),
    *("a{.evil.test", "a`.evil.test", "[", "[::1", "[::1].evil.test", "::1", ":", ""),
]


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_that_only_resolves_to_this_machine_is_refused(todos: Project, host: str) -> None:
    before = todos.database.read_bytes()
    with serving(todos.database, deploy_key=None) as served:
        for path in (*POSTS, "/api/undo"):
            assert served.post(path, document(BACKFILL), Host=host).status == 403
        for path in ("/api/history", "/api/schema", "/healthz", "/openapi.json"):
            assert served.get(path, Host=host).status == 403
    assert todos.database.read_bytes() == before


@pytest.mark.parametrize(
    "headers", ["", "Host: localhost\r\nHost: localhost\r\n"], ids=["no host", "two hosts"]
)
def test_who_does_not_say_for_which_host_is_refused(todos: Project, headers: str) -> None:
    with (
        serving(todos.database, deploy_key=None) as served,
        socket.create_connection(("127.0.0.1", urlsplit(served.url).port or 0)) as asking,
    ):
        asking.sendall(f"GET /api/history HTTP/1.0\r\n{headers}\r\n".encode())
        status = asking.makefile("rb").readline()
    assert status.split()[1] in (b"400", b"403")


def test_key_and_content_type_are_known_however_they_are_written(served: Served) -> None:
    written = {
        "Authorization": f"bearer   {KEY}",
        "Content_Type": "Application/JSON; charset=utf-8",
    }
    assert served.post("/api/schema/plan", document(BACKFILL), **written).status == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]", "[::1]:5555"]
)
def test_this_machine_is_answered_by_all_its_names(todos: Project, host: str) -> None:
    with serving(todos.database, deploy_key=None) as served:
        for path in ("/api/history", "/api/schema"):
            assert served.get(path, Host=host).status == 200


def lying(**changes: Any) -> dict[str, Any]:
    return document(BACKFILL, **changes)


def sources(**changes: Any) -> dict[str, Any]:
    told = document(BACKFILL)
    return told | {"sources": told["sources"] | changes}


MALFORMED = {
    "not text": (b"\xff{}", "not UTF-8"),
    "not JSON": (b'{\n  "version": }', "not JSON"),
    "too deep": (b"[" * 100_000, "deep"),
    "no object": (b"[]", "not an object"),
    "another version": (lying(version=2), "version 2"),
    "no list": (lying(tables={}), "tables of schema.json is not a list"),
    "another hash": (lying(hash="0" * 64), "the sources have the hash"),
    "other tables": (lying(tables=document(BEFORE)["tables"], hash=None), "tables.todos"),
    "a table too many": (lying(tables=[*document(BEFORE)["tables"], {"name": "x"}]), "tables."),
    "a table too few": (lying(tables=[], hash=None), "declare the table todos"),
    "no entry": (sources(entry="other.ts"), "does not hold the entry"),
    "a way out": (sources(files={"schema.ts": BACKFILL, "../../x.ts": ""}), "no path inside"),
    "a root": (sources(files={"schema.ts": BACKFILL, "/etc/x.ts": ""}), "no path inside"),
    "an empty name": (sources(files={"schema.ts": BACKFILL, "": ""}), "no path inside"),
    "half a character": (sources(files={"schema.ts": "\ud800"}), "not text"),
    "no schema": (sources(files={"schema.ts": "export default 1"}), "defineSchema"),
    "a syntax error": (sources(files={"schema.ts": "export default {{"}), "Syntax error"),
    "an import": (
        sources(files={"schema.ts": "import 'node:fs'\nexport default 1"}),
        "schema.ts failed",
    ),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_push_is_400_with_a_place(todos: Project, served: Served, what: str) -> None:
    body, message = MALFORMED[what]
    before = todos.database.read_bytes()
    for path in POSTS:
        answer = served.post(path, body)
        assert answer.status == 400, answer.body
        error = answer.json["errors"][0]
        assert message in error["message"]
        assert error["location"] or "schema.json" in error["message"] or "." in error["message"]
    assert todos.database.read_bytes() == before


def test_a_json_error_has_its_line_and_column(served: Served) -> None:
    error = served.post("/api/schema", b'{\n  "version": }').json["errors"][0]
    assert error["location"] == {"file": "schema.json", "line": 2, "column": 14}


def test_a_body_that_is_too_large_is_refused(todos: Project) -> None:
    with serving(todos.database, max_body=20_000) as served:
        assert served.post("/api/schema/plan", document(BACKFILL)).status == 200
        answer = served.post("/api/schema", b" " * 20_001)
        assert answer.status == 413
        assert served.post("/api/schema", b" " * 20_000).status == 400


def test_pushed_code_is_as_confined_as_local_code(todos: Project, served: Served) -> None:
    spying = BACKFILL.replace("?? 1", "?? Deno.readTextFileSync('/etc/passwd').length")
    answer = served.post("/api/schema/dry-run", document(spying), Accept="application/json")
    assert answer.json["status"] == "failed"
    assert "root" not in answer.body.decode()
    assert todos.plan().applied_hash == document(BEFORE)["hash"]


@pytest.mark.parametrize(
    ("key", "headers"), [(None, {"Host": "evil.test"}), ("secret", {"Authorization": "Bearer no"})]
)
def test_the_openapi_document_lists_how_strangers_are_refused(
    todos: Project, key: str | None, headers: dict[str, str]
) -> None:
    with serving(todos.database, deploy_key=key) as served:
        paths = served.get("/openapi.json").json["paths"]
        refused = 0
        for path in paths.keys() - {"/api/sync"}:
            for method in paths[path]:
                ask: Any = served.get if method == "get" else partial(served.post, document={})
                status = ask(path, **headers).status
                refused += status in (401, 403)
                assert str(status) in paths[path][method]["responses"], (method, path)
        assert refused >= 8


def test_the_openapi_document_lists_what_is_answered(served: Served) -> None:
    described = served.get("/openapi.json").json
    assert served.app is not None
    routes = {
        (getattr(route, "path", ""), method)
        for route in served.app.asgi.routes
        for method in (getattr(route, "methods", None) or {"GET"}) - {"HEAD"}
    }
    paths = described["paths"]
    assert {(p, m.upper()) for p, methods in paths.items() for m in methods} == routes
    text = json.dumps(described)
    for reference in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in described["components"]["schemas"]
    diff = served.post("/api/schema", document(BACKFILL)).json
    assert set(described["components"]["schemas"]["Diff"]["properties"]) == set(diff)


def test_documents_are_read_by_their_ids(todos: Project, served: Served) -> None:
    todos.sql("UPDATE todos SET title = '[1]', completed = NULL WHERE _id = 't0001'")
    asked = {"table": "todos", "ids": ["t0001", *"abcd"], "json": ["title"]}
    (document,) = served.post("/api/documents", asked).json["documents"]
    assert (document["_id"], document["title"], document["completed"]) == ("t0001", [1], None)
    found = served.post("/api/touched", asked | {"column": "completed"}).json["touched"]
    assert (found["rows"], found["nulls"], found["documents"]) == (142, 1, [document])
    assert served.post("/api/touched", {"table": "none"}).json == {"touched": None}
    assert served.post("/api/documents", {"table": "none", "ids": ["a"]}).json["documents"] == []


@pytest.mark.parametrize(
    "name", ["none", "_valet_meta", "seen", "plain", "todos_fts", "half \ud800"]
)
def test_documents_of_what_is_no_table_are_not_tried(
    todos: Project, served: Served, name: str
) -> None:
    todos.sql("CREATE VIEW seen AS SELECT * FROM todos; CREATE TABLE plain (x)")
    todos.sql("CREATE VIRTUAL TABLE todos_fts USING fts5(title)")
    asked = {"schema": document(BACKFILL), "documents": {"todos": ["t0001", "t0001"]}}
    answer = served.post("/api/schema/retry", asked, Accept="application/json")
    assert answer.json["backfills"][0]["rows"] == 1
    asked["documents"][name] = ["_id"]
    answer = served.post("/api/schema/retry", asked)
    assert answer.status == 400
    message = answer.json["errors"][0]["message"]
    assert "is no text" in message if "half" in name else f"'{name}', which is no table" in message


def test_half_of_a_character_is_called_so_wherever_it_stands(
    todos: Project, served: Served
) -> None:
    before = todos.database.read_bytes()
    for path, asked in {
        "/api/documents": {"table": "todos", "ids": ["\ud800"]},
        "/api/touched": {"table": "todos", "column": "\ud800"},
        "/api/backfill/reset": {"table": "\ud800", "column": "a"},
    }.items():
        answer = served.post(path, asked)
        assert answer.status == 400
        assert "half of a character" in answer.json["errors"][0]["message"]
    assert served.post("/api/documents", {"table": "todos", "ids": ["\U0001f600"]}).status == 200
    assert todos.database.read_bytes() == before


@pytest.mark.parametrize("push", ["x" * 65, "", "%00"], ids=["long", "empty", "control"])
def test_an_id_that_no_push_can_have_is_not_asked_after(served: Served, push: str) -> None:
    for path in ("/api/schema", "/api/undo"):
        answer = served.get(f"{path}?push={push}")
        assert answer.status == 400
        assert "push is no id" in answer.json["errors"][0]["message"]


ODD_QUESTIONS: dict[str, list[Any]] = {
    "/api/documents": [
        b"",
        b"[]",
        b"[" * 100_000,
        {},
        {"table": 1},
        {"table": "todos", "ids": ["a"] * 6},
    ],
    "/api/touched": [b"{", {"table": "todos", "column": []}, {"table": "todos", "ids": [1]}],
    "/api/schema/retry": [
        {},
        {"schema": document(BACKFILL), "documents": {"todos": "t1"}},
        {"schema": document(BACKFILL), "documents": {"todos": [1]}},
        {"schema": document(BACKFILL), "documents": {"todos": [*map(str, range(100_001))]}},
        {"documents": {"todos": ["t1"]}},
    ],
}


@pytest.mark.parametrize("path", ODD_QUESTIONS)
def test_a_malformed_question_is_400_with_a_sentence(served: Served, path: str) -> None:
    for body in ODD_QUESTIONS[path]:
        answer = served.post(path, body)
        assert answer.status == 400, body
        assert answer.json["errors"][0]["message"].endswith(".")
    assert served.post(path, {"table": "todos"}, Content_Type="text/plain").status == 415


@pytest.mark.parametrize("given", ["x", "-1", "", "٣", "9" * 18])
def test_a_number_that_no_migration_has_is_not_looked_for(served: Served, given: str) -> None:
    for query in ("/api/history?schema=", "/api/schema?history_id=", "/api/undo?push=x&id="):
        answer = served.get(query + quote(given))
        assert answer.status == 400
        assert "must be the id of a migration" in answer.json["errors"][0]["message"]


def test_a_method_that_a_path_does_not_take_is_said_in_json(served: Served) -> None:
    answer = served.request("DELETE", "/api/schema")
    assert answer.status == 405
    assert "DELETE /api/schema" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize("path", ["/", "/api", "/api/schemas"])
def test_what_is_not_there_is_said_in_json(served: Served, path: str) -> None:
    answer = served.get(path)
    assert answer.status == 404
    assert "/openapi.json" in answer.json["errors"][0]["hint"]
