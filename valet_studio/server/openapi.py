"""The description of the server for other programs, served at /openapi.json."""

from __future__ import annotations

from typing import Any

from valet_studio.migrate.touched import SHOWN_DOCUMENTS


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _query(name: str, description: str, kind: str = "string") -> dict[str, Any]:
    schema: dict[str, Any] = {"type": kind}
    if kind == "flag":
        schema = {"type": "string", "enum": ["0", "1"]}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _answer(description: str, schema: dict[str, Any], lines: bool = False) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    if lines:
        content["application/x-ndjson"] = {"schema": _ref("Event")}
    return {"description": description, "content": content}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_COUNT = {"type": "integer"}
_MAYBE_COUNT = {"type": ["integer", "null"]}
_COLUMN = _object(table=_TEXT, column=_TEXT)
_KEY: list[dict[str, list[str]]] = [{"deployKey": []}]
_STRICT = _query("strict", "Refuse backfills that vary by run.", "flag")
_FINGERPRINT = _query("fingerprint", "The plan that was reviewed; any other is refused.")
_CLIENT = _query("client", "The client's own id for itself: what it rehearsed, its push writes.")
_BODY = _body(_ref("Schema"))
_DOCUMENTS = _array({"type": "object"})
_ERRORS = {
    "400": _answer("Malformed: each error has a place.", _ref("Errors")),
    "401": _answer("The deploy key is missing or wrong.", _ref("Errors")),
    "413": _answer("The body is too large.", _ref("Errors")),
    "415": _answer("The body is not application/json.", _ref("Errors")),
}
_BACKFILL = _object(
    table=_TEXT,
    column=_TEXT,
    rows=_COUNT,
    updated=_COUNT,
    failed=_COUNT,
    seconds={"type": "number"},
    samples=_array(_object(_id=_TEXT, before={}, after={})),
    errors=_array(_object(_id=_MAYBE_TEXT, message=_TEXT, location=_ref("Location"))),
    distribution=_array(_object(value={}, count=_COUNT)),
    deterministic={"type": ["boolean", "null"]},
    reasons=_array(_object(reason=_TEXT, count=_COUNT)),
    tried=_COUNT,
)
_WHY = _object(
    table=_TEXT,
    column=_MAYBE_TEXT,
    message=_TEXT,
    recipe=_TEXT,
    documents=_array(_TEXT),
    location=_ref("Location"),
)

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Valet Studio push server", "version": ""},
    "paths": {
        "/api/schema": {
            "get": {
                "summary": "The schema that holds now, and what leads to it. Needs no key, but "
                "for brief and push.",
                "parameters": [
                    _query("since", "A client's schema hash: give the versions after it."),
                    _query("history_id", "The migration that brought the client there.", "integer"),
                    _query("applied_at", "When that one was applied."),
                    _query("noted", "Whether this server said so, not the client's own.", "flag"),
                    _query("brief", "Only the hash, and facts of the database.", "flag"),
                    _query(
                        "push",
                        "The id of a push: tell what became of it, and refuse it "
                        "should it yet arrive.",
                    ),
                ],
                "responses": {"200": _answer("The schema.", _ref("Current"))},
            },
            "post": {
                "summary": "Push a schema: migrate the database.",
                "security": _KEY,
                "parameters": [
                    _FINGERPRINT,
                    _STRICT,
                    _CLIENT,
                    _query("push", "The client's own id for this push."),
                ],
                "requestBody": _BODY,
                "responses": {
                    "200": _answer("Applied, or nothing to do.", _ref("Diff"), lines=True),
                    "409": _answer(
                        "Rejected, with the recipe; or another push is running, or the plan is "
                        "stale (then as Errors).",
                        {"anyOf": [_ref("Diff"), _ref("Errors")]},
                        lines=True,
                    ),
                    **_ERRORS,
                },
            },
        },
        "/api/schema/plan": {
            "post": {
                "summary": "What a push would do. Reads only.",
                "security": _KEY,
                "parameters": [_STRICT, _query("measured", "Whether to count.", "flag")],
                "requestBody": _BODY,
                "responses": {"200": _answer("The plan.", _ref("Plan")), **_ERRORS},
            }
        },
        "/api/schema/dry-run": {
            "post": {
                "summary": "Rehearse a push on a copy; one JSON line an event, the report last. "
                "With `Accept: application/json` the report alone.",
                "security": _KEY,
                "parameters": [_FINGERPRINT, _STRICT, _CLIENT],
                "requestBody": _BODY,
                "responses": {
                    "200": _answer("The events.", _object(), lines=True),
                    "409": _answer("Rejected, or the plan is stale.", _ref("Errors"), lines=True),
                    **_ERRORS,
                },
            }
        },
        "/api/schema/retry": {
            "post": {
                "summary": "Rehearse a push on the documents alone that failed, without a copy of "
                "the database. Answers as /api/schema/dry-run.",
                "security": _KEY,
                "parameters": [_FINGERPRINT, _STRICT],
                "requestBody": _body(
                    _object(
                        schema=_ref("Schema"),
                        documents={"type": "object", "additionalProperties": _array(_TEXT)},
                    )
                ),
                "responses": {
                    "200": _answer("The events.", _object(), lines=True),
                    "409": _answer("The plan is stale.", _ref("Errors"), lines=True),
                    **_ERRORS,
                },
            }
        },
        "/api/touched": {
            "post": {
                "summary": "How many documents a table holds, in how many of them a column is "
                "null, and some of them whole. Reads only.",
                "security": _KEY,
                "requestBody": _body(_ref("Wanted")),
                "responses": {
                    "200": _answer(
                        "The counts; null where there is no such table.",
                        _object(
                            touched={
                                "anyOf": [
                                    _object(rows=_COUNT, nulls=_MAYBE_COUNT, documents=_DOCUMENTS),
                                    {"type": "null"},
                                ]
                            }
                        ),
                    ),
                    **_ERRORS,
                },
            }
        },
        "/api/documents": {
            "post": {
                "summary": "Whole documents by _id, decoded to be shown; those that are not there "
                "are left out. Reads only.",
                "security": _KEY,
                "requestBody": _body(_ref("Wanted")),
                "responses": {
                    "200": _answer("The documents.", _object(documents=_DOCUMENTS)),
                    **_ERRORS,
                },
            }
        },
        "/api/undo": {
            "get": {
                "summary": "What an undo would take back: the last migration, and the documents "
                "written since. Reads only. With push, what became of that undo instead.",
                "security": _KEY,
                "parameters": [
                    _query("push", "The id of an undo; it is refused should it yet arrive."),
                    _query("id", "With push: the migration that was to be undone.", "integer"),
                    _query("applied_at", "With push: when that one was applied."),
                ],
                "responses": {
                    "200": _answer("The counts.", _ref("Undoable"), lines=True),
                    "409": _answer("There is nothing to undo.", _ref("Errors")),
                    "401": _ERRORS["401"],
                },
            },
            "post": {
                "summary": "Put the database back as it was before the last migration. What is "
                "replaced is kept in a file among the snapshots.",
                "security": _KEY,
                "parameters": [_query("push", "The client's own id for this undo.")],
                "requestBody": _body(
                    {
                        **_object(id=_MAYBE_COUNT, applied_at=_MAYBE_TEXT),
                        "description": "The migration that is meant: where another is the last "
                        "one, nothing is undone. {} takes the last one.",
                    }
                ),
                "responses": {
                    "200": _answer("What was done.", _ref("Undone"), lines=True),
                    "409": _answer(
                        "There is nothing to undo, another migration is the last one, or a push "
                        "is running.",
                        _ref("Errors"),
                    ),
                    **_ERRORS,
                },
            },
        },
        "/api/backfill/reset": {
            "post": {
                "summary": "Let a backfill run again, with the next push and for every document; "
                "then on every client too.",
                "security": _KEY,
                "parameters": [_query("push", "The client's own id for this reset.")],
                "requestBody": _body({**_COLUMN, "required": ["table", "column"]}),
                "responses": {
                    "200": _answer(
                        "Whether it is armed again; it is not where it never ran.",
                        _object(table=_TEXT, column=_TEXT, armed={"type": "boolean"}),
                        lines=True,
                    ),
                    "409": _answer("A push is running.", _ref("Errors")),
                    **_ERRORS,
                },
            }
        },
        "/api/history": {
            "get": {
                "summary": "What was applied, newest first.",
                "security": _KEY,
                "parameters": [
                    _query("schema", "The id of a migration: give the schema that it pushed.")
                ],
                "responses": {
                    "200": _answer(
                        "The history.",
                        _object(migrations=_array(_ref("Migration")), schema=_ref("Schema")),
                    )
                },
            }
        },
        "/healthz": {
            "get": {
                "summary": "Whether the server runs.",
                "responses": {
                    "200": _answer("It runs.", _object(status=_TEXT, server=_TEXT, version=_TEXT))
                },
            }
        },
        "/openapi.json": {
            "get": {
                "summary": "This document.",
                "responses": {"200": _answer("This document.", {"type": "object"})},
            }
        },
        "/api/sync": {
            "get": {
                "summary": "WebSocket: a Hello on connecting and at each change of the schema.",
                "responses": {"101": {"description": "Messages as Hello."}},
            }
        },
    },
    "components": {
        "securitySchemes": {"deployKey": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            "Schema": {
                **_object(
                    version={"const": 1},
                    hash=_TEXT,
                    tables=_array({"type": "object"}),
                    sources=_object(
                        entry=_TEXT,
                        folder=_TEXT,
                        files={"type": "object", "additionalProperties": _TEXT},
                    ),
                ),
                "description": "schema.json, as `valet-studio schema` prints it.",
                "required": ["version", "tables", "sources"],
            },
            "Diff": _object(
                status={"enum": ["ok", "failed", "rejected", "noop"]},
                schema_hash=_TEXT,
                new_tables=_array(_TEXT),
                added_columns=_array(_COLUMN),
                removed_columns=_array(_COLUMN),
                type_mismatches=_array(_WHY),
                other_problems=_array(_WHY),
                backfills=_array(_BACKFILL),
                history_id=_MAYBE_COUNT,
                seconds={"type": "number"},
                warnings=_array(_ref("Problem")),
            ),
            "Plan": _object(
                status={"enum": ["in_sync", "pending", "blocked"]},
                schema_hash=_TEXT,
                applied_hash=_MAYBE_TEXT,
                fingerprint=_TEXT,
                changes=_array({"type": "object"}),
                warnings=_array(_ref("Problem")),
                plan={"type": "object"},
            ),
            "Current": _object(
                schema_hash=_MAYBE_TEXT,
                known={"type": "boolean"},
                schema={"anyOf": [_ref("Schema"), {"type": "null"}]},
                versions=_array(
                    _object(
                        history_id=_COUNT,
                        applied_at=_MAYBE_TEXT,
                        hash=_TEXT,
                        backfills=_array(_TEXT),
                        document=_ref("Schema"),
                    )
                ),
                database={"type": "object"},
                push=_ref("Became"),
            ),
            "Wanted": {
                **_object(
                    table=_TEXT,
                    column=_MAYBE_TEXT,
                    ids={**_array(_TEXT), "maxItems": SHOWN_DOCUMENTS},
                    booleans=_array(_TEXT),
                    json=_array(_TEXT),
                ),
                "description": "What of a table is read; `booleans` and `json` name the columns "
                "that are shown as such.",
                "required": ["table"],
            },
            "Undoable": _object(
                id=_COUNT,
                applied_at=_TEXT,
                snapshot=_TEXT,
                written=_array(
                    _object(
                        table=_TEXT,
                        inserted=_COUNT,
                        updated=_COUNT,
                        deleted=_COUNT,
                        examples=_array(_TEXT),
                        untold=_array(_TEXT),
                    )
                ),
                push=_ref("Became"),
            ),
            "Undone": _object(id=_COUNT, restored_from=_TEXT, kept=_TEXT),
            "Became": _object(
                id=_TEXT,
                state={"enum": ["running", "applied", "unknown"]},
                history_id=_MAYBE_COUNT,
                report={"type": ["object", "null"]},
            ),
            "Migration": _object(
                id=_COUNT,
                applied_at=_TEXT,
                hash_before=_MAYBE_TEXT,
                hash_after=_MAYBE_TEXT,
                summary=_TEXT,
                rows=_COUNT,
                seconds={"type": "number"},
            ),
            "Event": _object(type=_TEXT),
            "Hello": _object(
                type={"const": "Hello"},
                protocolVersion={"const": 4},
                schemaHash=_MAYBE_TEXT,
                migration={"type": ["object", "null"]},
            ),
            "Location": {
                "anyOf": [_object(file=_TEXT, line=_COUNT, column=_COUNT), {"type": "null"}]
            },
            "Problem": _object(message=_TEXT, hint=_MAYBE_TEXT, location=_ref("Location")),
            "Errors": _object(status={"const": "error"}, errors=_array(_ref("Problem"))),
        },
    },
}
