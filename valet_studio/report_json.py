"""Plans, reports and problems as JSON values, in the shapes that the README documents. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from valet_studio.errors import Location, Problem
from valet_studio.plan.changes import AnyChange, NarrowField, Plan
from valet_studio.schema.model import Json
from valet_studio.schema.questions import MAX_VALUES

if TYPE_CHECKING:
    from valet_studio.migrate.events import BackfillReport, Failure, Report


def plan_json(plan: Plan) -> dict[str, Json]:
    """What `plan --json` prints."""
    return {
        "status": plan.status,
        "schema_hash": plan.schema_hash,
        "applied_hash": plan.applied_hash,
        "fingerprint": plan.fingerprint,
        "changes": [_change(change) for change in plan.changes],
        "warnings": [_problem(warning) for warning in plan.warnings],
    }


def report_json(report: Report) -> dict[str, Json]:
    """What `dry-run --json` and `apply --json` print; `copy` and `copied` are a dry run's."""
    told: dict[str, Json] = {
        "status": report.status,
        "plan": plan_json(report.plan),
        "tables": [asdict(rows) for rows in report.tables],
        "backfills": [backfill_json(backfill) for backfill in report.backfills],
        "seconds": round(report.seconds, 6),
    }
    if report.copied is not None:
        told["copy"] = report.copied.kind
        told["copied"] = {
            "bytes": report.copied.bytes,
            "of": report.copied.of,
            "tables": list(report.copied.tables) if report.copied.kind == "lean" else None,
        }
    return told


def problems_json(problems: Iterable[Problem]) -> dict[str, Json]:
    """What any command prints with `--json` where it could not do its work."""
    return {"status": "error", "errors": [_problem(problem) for problem in problems]}


def _change(change: AnyChange) -> Json:
    told: dict[str, Json] = {
        "kind": change.kind,
        "table": change.table,
        "column": change.column,
        "risk": change.risk.value,
        "summary": change.summary,
        "sql": list(change.sql),
        "location": location_json(change.location),
    }
    if change.index is not None:
        told["index"] = change.index
    if isinstance(change, NarrowField) and change.rows:
        told["unfit"] = {
            "count": change.rows,
            "documents": list(change.examples),
            "values": [
                {"value": held.value, "count": held.count} for held in change.values[:MAX_VALUES]
            ],
        }
    return told


def backfill_json(backfill: BackfillReport) -> Json:
    """What a backfill did, or would do."""
    told: dict[str, Json] = {
        "table": backfill.table,
        "column": backfill.column,
        "rows": backfill.rows,
        "updated": backfill.updated,
        "failed": backfill.failed,
        "seconds": round(backfill.seconds, 6),
        "samples": [
            {"_id": sample.id, "before": sample.before, "after": sample.after}
            for sample in backfill.samples
        ],
        "errors": [_failure(failure) for failure in backfill.errors],
        "distribution": [asdict(counted) for counted in backfill.distribution],
        "deterministic": backfill.deterministic,
    }
    if backfill.reasons:
        told["reasons"] = [asdict(counted) for counted in backfill.reasons]
    if backfill.tried is not None:
        told["tried"] = backfill.tried
    return told


def _failure(failure: Failure) -> Json:
    return {
        "_id": failure.id,
        "message": failure.message,
        "location": location_json(failure.location),
    }


def _problem(problem: Problem) -> Json:
    return {
        "message": problem.message,
        "hint": problem.hint,
        "location": location_json(problem.location),
    }


def location_json(location: Location | None) -> Json:
    """A place; null where there is none."""
    return asdict(location) if location is not None else None
