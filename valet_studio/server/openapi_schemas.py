"""What the push server takes and gives, as JSON Schema."""

from __future__ import annotations

from typing import Any

from valet_studio.migrate.touched import SHOWN_DOCUMENTS


def object_of(**properties: Any) -> dict[str, Any]:
    """A JSON object with these properties."""
    return {"type": "object", "properties": properties}


def array_of(items: dict[str, Any]) -> dict[str, Any]:
    """A JSON array of such items."""
    return {"type": "array", "items": items}


def ref(name: str) -> dict[str, Any]:
    """One of `SCHEMAS`, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


TEXT = {"type": "string"}
MAYBE_TEXT = {"type": ["string", "null"]}
COUNT = {"type": "integer"}
MAYBE_COUNT = {"type": ["integer", "null"]}
COLUMN = object_of(table=TEXT, column=TEXT)
_BACKFILL = object_of(
    table=TEXT,
    column=TEXT,
    rows=COUNT,
    updated=COUNT,
    failed=COUNT,
    seconds={"type": "number"},
    samples=array_of(object_of(_id=TEXT, before={}, after={})),
    errors=array_of(object_of(_id=MAYBE_TEXT, message=TEXT, location=ref("Location"))),
    distribution=array_of(object_of(value={}, count=COUNT)),
    deterministic={"type": ["boolean", "null"]},
    reasons=array_of(object_of(reason=TEXT, count=COUNT)),
    tried=COUNT,
)
_WHY = object_of(
    table=TEXT,
    column=MAYBE_TEXT,
    message=TEXT,
    recipe=TEXT,
    documents=array_of(TEXT),
    location=ref("Location"),
)

SCHEMAS: dict[str, Any] = {
    "Schema": {
        **object_of(
            version={"const": 1},
            hash=TEXT,
            tables=array_of({"type": "object"}),
            sources=object_of(
                entry=TEXT,
                folder=TEXT,
                files={"type": "object", "additionalProperties": TEXT},
            ),
        ),
        "description": "schema.json, as `valet-studio schema` prints it.",
        "required": ["version", "tables", "sources"],
    },
    "Diff": object_of(
        status={"enum": ["ok", "failed", "rejected", "noop"]},
        schema_hash=TEXT,
        new_tables=array_of(TEXT),
        added_columns=array_of(COLUMN),
        removed_columns=array_of(COLUMN),
        type_mismatches=array_of(_WHY),
        other_problems=array_of(_WHY),
        backfills=array_of(_BACKFILL),
        history_id=MAYBE_COUNT,
        seconds={"type": "number"},
        warnings=array_of(ref("Problem")),
    ),
    "Plan": object_of(
        status={"enum": ["in_sync", "pending", "blocked"]},
        schema_hash=TEXT,
        applied_hash=MAYBE_TEXT,
        fingerprint=TEXT,
        changes=array_of({"type": "object"}),
        warnings=array_of(ref("Problem")),
        plan={"type": "object"},
    ),
    "Current": object_of(
        schema_hash=MAYBE_TEXT,
        known={"type": "boolean"},
        schema={"anyOf": [ref("Schema"), {"type": "null"}]},
        versions=array_of(
            object_of(
                history_id=COUNT,
                applied_at=MAYBE_TEXT,
                hash=TEXT,
                backfills=array_of(TEXT),
                document=ref("Schema"),
            )
        ),
        database={"type": "object"},
        push=ref("Became"),
    ),
    "Wanted": {
        **object_of(
            table=TEXT,
            column=MAYBE_TEXT,
            ids={**array_of(TEXT), "maxItems": SHOWN_DOCUMENTS},
            booleans=array_of(TEXT),
            json=array_of(TEXT),
        ),
        "description": "What of a table is read; `booleans` and `json` name the columns "
        "that are shown as such.",
        "required": ["table"],
    },
    "Undoable": object_of(
        id=COUNT,
        applied_at=TEXT,
        snapshot=TEXT,
        written=array_of(
            object_of(
                table=TEXT,
                inserted=COUNT,
                updated=COUNT,
                deleted=COUNT,
                examples=array_of(TEXT),
                untold=array_of(TEXT),
            )
        ),
        push=ref("Became"),
    ),
    "Undone": object_of(id=COUNT, restored_from=TEXT, kept=TEXT),
    "Became": object_of(
        id=TEXT,
        state={"enum": ["running", "applied", "unknown"]},
        history_id=MAYBE_COUNT,
        report={"type": ["object", "null"]},
    ),
    "Migration": object_of(
        id=COUNT,
        applied_at=TEXT,
        hash_before=MAYBE_TEXT,
        hash_after=MAYBE_TEXT,
        summary=TEXT,
        rows=COUNT,
        seconds={"type": "number"},
    ),
    "Event": object_of(type=TEXT),
    "Hello": object_of(
        type={"const": "Hello"},
        protocolVersion={"const": 4},
        schemaHash=MAYBE_TEXT,
        migration={"type": ["object", "null"]},
    ),
    "Location": {"anyOf": [object_of(file=TEXT, line=COUNT, column=COUNT), {"type": "null"}]},
    "Problem": object_of(message=TEXT, hint=MAYBE_TEXT, location=ref("Location")),
    "Errors": object_of(status={"const": "error"}, errors=array_of(ref("Problem"))),
}
