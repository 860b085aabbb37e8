"""What the server says, as JSON. Pure."""

from __future__ import annotations

from dataclasses import asdict

from valet_studio.errors import StudioError
from valet_studio.migrate.events import Report
from valet_studio.migrate.reruns import BackfillReset
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.versions import Versions
from valet_studio.migrate.wire import encode, encode_error
from valet_studio.migrate.written import Undoable
from valet_studio.plan.changes import (
    AddColumn,
    AnyChange,
    ChangeType,
    CreateTable,
    Plan,
    RemoveField,
    Risk,
)
from valet_studio.report_json import location_json, plan_json, problems_json, report_json
from valet_studio.schema.model import Json
from valet_studio.server.orders import Became


def push_json(report: Report) -> dict[str, Json]:
    """The diff that a push made, or, where it was rejected, why."""
    changes = report.plan.changes
    breaking = [change for change in changes if change.risk is Risk.BREAKING]
    told = report_json(report)
    return {
        "status": report.status,
        "schema_hash": report.plan.schema_hash,
        "new_tables": [c.table for c in changes if isinstance(c, CreateTable)],
        "added_columns": [_column(c) for c in changes if isinstance(c, AddColumn)],
        "removed_columns": [_column(c) for c in changes if isinstance(c, RemoveField)],
        "type_mismatches": [_why(c) for c in breaking if isinstance(c, ChangeType)],
        "other_problems": [_why(c) for c in breaking if not isinstance(c, ChangeType)],
        "backfills": told["backfills"],
        "history_id": report.history_id,
        "seconds": told["seconds"],
        "warnings": plan_json(report.plan)["warnings"],
    }


def became_json(push: str, became: Became) -> dict[str, Json]:
    """What became of a push, an undo or a reset."""
    return {
        "id": push,
        "state": became.state,
        "history_id": became.history_id,
        "report": encode(became.report),
    }


def undoable_json(found: Undoable) -> dict[str, Json]:
    """What an undo would take back."""
    return {
        "id": found.migration.id,
        "applied_at": found.migration.applied_at,
        "snapshot": str(found.snapshot),
        "written": [asdict(writes) for writes in found.writes],
    }


def undo_json(done: UndoReport) -> dict[str, Json]:
    """What an undo did."""
    return {
        "id": done.history_id,
        "restored_from": str(done.restored_from),
        "kept": str(done.kept),
    }


def reset_json(done: BackfillReset) -> dict[str, Json]:
    """What a reset did."""
    return {"table": done.table, "column": done.column, "armed": done.armed}


def plan_answer(plan: Plan) -> dict[str, Json]:
    """A plan as `plan --json` prints it, and once more as this program's client reads it."""
    return {**plan_json(plan), "plan": encode(plan)}


def error_json(error: StudioError) -> dict[str, Json]:
    """What went wrong as the commands print it, and once more as this program's client reads it."""
    return {**problems_json(error.problems), "error": encode_error(error)}


def versions_json(versions: Versions) -> dict[str, Json]:
    """The schema that holds now, and what leads to it from a replica's position."""
    last = versions.after[-1].document if versions.after else None
    return {
        "schema_hash": versions.hash,
        "known": versions.known,
        "schema": last,
        "versions": [
            {
                "history_id": v.history_id,
                "applied_at": v.applied_at,
                "hash": v.hash,
                "backfills": list(v.backfills),
                "document": v.document,
            }
            for v in versions.after
        ],
    }


def _column(change: AnyChange) -> dict[str, Json]:
    return {"table": change.table, "column": change.column}


def _why(change: AnyChange) -> dict[str, Json]:
    return {
        "table": change.table,
        "column": change.column,
        "message": change.summary,
        "recipe": change.rule,
        "documents": list(change.examples),
        "location": location_json(change.location),
    }
