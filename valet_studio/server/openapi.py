"""The description of the server for other programs, served at /openapi.json."""

from __future__ import annotations

from typing import Any

from valet_studio.migrate.wire import NDJSON
from valet_studio.server.openapi_schemas import (
    COLUMN,
    COUNT,
    MAYBE_COUNT,
    MAYBE_TEXT,
    SCHEMAS,
    TEXT,
    array_of,
    object_of,
    ref,
)


def _query(name: str, description: str, kind: str = "string") -> dict[str, Any]:
    schema: dict[str, Any] = {"type": kind}
    if kind == "flag":
        schema = {"type": "string", "enum": ["0", "1"]}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _answer(description: str, schema: dict[str, Any], lines: bool = False) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    if lines:
        content[NDJSON] = {"schema": ref("Event")}
    return {"description": description, "content": content}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


_KEY: list[dict[str, list[str]]] = [{"deployKey": []}]
_STRICT = _query("strict", "Refuse backfills that vary by run.", "flag")
_FINGERPRINT = _query("fingerprint", "The plan that was reviewed; any other is refused.")
_CLIENT = _query("client", "The client's own id for itself: what it rehearsed, its push writes.")
_BODY = _body(ref("Schema"))
_DOCUMENTS = array_of({"type": "object"})
_STRANGER = {
    "403": _answer("The server has no deploy key, and answers to localhost only.", ref("Errors"))
}
_NO_KEY = {**_STRANGER, "401": _answer("The deploy key is missing or wrong.", ref("Errors"))}
_ERRORS = {
    **_NO_KEY,
    "400": _answer("Malformed: each error has a place.", ref("Errors")),
    "413": _answer("The body is too large.", ref("Errors")),
    "415": _answer("The body is not application/json.", ref("Errors")),
}
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
                "responses": {"200": _answer("The schema.", ref("Current")), **_NO_KEY},
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
                    "200": _answer("Applied, or nothing to do.", ref("Diff"), lines=True),
                    "409": _answer(
                        "Rejected, with the recipe; or another push is running, or the plan is "
                        "stale (then as Errors).",
                        {"anyOf": [ref("Diff"), ref("Errors")]},
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
                "responses": {"200": _answer("The plan.", ref("Plan")), **_ERRORS},
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
                    "200": _answer("The events.", object_of(), lines=True),
                    "409": _answer("Rejected, or the plan is stale.", ref("Errors"), lines=True),
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
                    object_of(
                        schema=ref("Schema"),
                        documents={"type": "object", "additionalProperties": array_of(TEXT)},
                    )
                ),
                "responses": {
                    "200": _answer("The events.", object_of(), lines=True),
                    "409": _answer("The plan is stale.", ref("Errors"), lines=True),
                    **_ERRORS,
                },
            }
        },
        "/api/touched": {
            "post": {
                "summary": "How many documents a table holds, in how many of them a column is "
                "null, and some of them whole. Reads only.",
                "security": _KEY,
                "requestBody": _body(ref("Wanted")),
                "responses": {
                    "200": _answer(
                        "The counts; null where there is no such table.",
                        object_of(
                            touched={
                                "anyOf": [
                                    object_of(rows=COUNT, nulls=MAYBE_COUNT, documents=_DOCUMENTS),
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
                "requestBody": _body(ref("Wanted")),
                "responses": {
                    "200": _answer("The documents.", object_of(documents=_DOCUMENTS)),
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
                    "200": _answer("The counts.", ref("Undoable"), lines=True),
                    "409": _answer("There is nothing to undo.", ref("Errors")),
                    **_NO_KEY,
                },
            },
            "post": {
                "summary": "Put the database back as it was before the last migration. What is "
                "replaced is kept in a file among the snapshots.",
                "security": _KEY,
                "parameters": [_query("push", "The client's own id for this undo.")],
                "requestBody": _body(
                    {
                        **object_of(id=MAYBE_COUNT, applied_at=MAYBE_TEXT),
                        "description": "The migration that is meant: where another is the last "
                        "one, nothing is undone. {} takes the last one.",
                    }
                ),
                "responses": {
                    "200": _answer("What was done.", ref("Undone"), lines=True),
                    "409": _answer(
                        "There is nothing to undo, another migration is the last one, or a push "
                        "is running.",
                        ref("Errors"),
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
                "requestBody": _body({**COLUMN, "required": ["table", "column"]}),
                "responses": {
                    "200": _answer(
                        "Whether it is armed again; it is not where it never ran.",
                        object_of(table=TEXT, column=TEXT, armed={"type": "boolean"}),
                        lines=True,
                    ),
                    "409": _answer("A push is running.", ref("Errors")),
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
                        object_of(migrations=array_of(ref("Migration")), schema=ref("Schema")),
                    ),
                    **_NO_KEY,
                },
            }
        },
        "/healthz": {
            "get": {
                "summary": "Whether the server runs.",
                "responses": {
                    "200": _answer("It runs.", object_of(status=TEXT, server=TEXT, version=TEXT)),
                    **_STRANGER,
                },
            }
        },
        "/openapi.json": {
            "get": {
                "summary": "This document.",
                "responses": {"200": _answer("This document.", {"type": "object"}), **_STRANGER},
            }
        },
        "/api/sync": {
            "get": {
                "summary": "WebSocket: a Hello on connecting and at each change of the schema.",
                "responses": {"101": {"description": "Messages as Hello."}, **_STRANGER},
            }
        },
    },
    "components": {
        "securitySchemes": {"deployKey": {"type": "http", "scheme": "bearer"}},
        "schemas": SCHEMAS,
    },
}
