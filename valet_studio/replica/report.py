"""What happens, or will happen, on a client: as text and as JSON. Pure."""

from __future__ import annotations

from dataclasses import asdict

from valet_studio.plan.sentences import count
from valet_studio.replica.engine import Connected
from valet_studio.replica.rehearse import ReplicaReport
from valet_studio.report import plan_text, problems_text, push_text
from valet_studio.report_json import backfill_json
from valet_studio.schema.model import Json

SHOWN_MUTATIONS = 10


def connected_text(done: Connected, label: str) -> str:
    """What a connection brought, in the words of a push."""
    if done.status == "in_sync":
        return f"{label} holds the server's schema. Nothing to do.\n"
    applied = [report for report in done.reports if report.status == "ok"]
    head = f"{label} took {count(len(applied), 'schema version')} from the server.\n"
    return head + "".join(
        plan_text(report.plan) if report.status == "rejected" else push_text(report)
        for report in done.reports
    )


def replica_text(report: ReplicaReport) -> str:
    """A rehearsal on a client's file."""
    lines = [_outcome(report)]
    lines += [
        f"  {rows.table}: {rows.rows_before:,} → {rows.rows_after:,} rows" for rows in report.tables
    ]
    for backfill in report.backfills:
        told = f"  Backfill {backfill.table}.{backfill.column}: "
        told += f"{backfill.updated:,} of {count(backfill.rows, 'row')} updated"
        lines.append(told + (f", {backfill.failed:,} failed" if backfill.failed else ""))
        lines += [f"    ✗ _id {failure.id}: {failure.message}" for failure in backfill.errors[:5]]
    if report.mutations:
        lines.append(f"  {count(report.mutations, 'queued mutation')}, {_fitting(report)}.")
    for item in report.unfit[:SHOWN_MUTATIONS]:
        mutation = item.mutation
        what = f"{mutation.operation} of {mutation.table} {mutation.row_id}"
        lines.append(f"  ! Mutation {mutation.id} ({what}) no longer fits: {item.reason}.")
    if len(report.unfit) > SHOWN_MUTATIONS:
        lines.append(f"  … and {len(report.unfit) - SHOWN_MUTATIONS:,} more")
    text = "\n".join(lines) + "\n"
    if report.status == "rejected":
        text += plan_text(report.reports[-1].plan)
    return text + (problems_text(report.problems) if report.problems else "")


def replica_json(report: ReplicaReport) -> dict[str, Json]:
    """The same as JSON."""
    return {
        "file": report.label,
        "status": report.status,
        "versions": report.versions,
        "tables": [asdict(rows) for rows in report.tables],
        "backfills": [backfill_json(backfill) for backfill in report.backfills],
        "mutations": report.mutations,
        "unfit": [
            {
                "id": item.mutation.id,
                "table": item.mutation.table,
                "row_id": item.mutation.row_id,
                "operation": item.mutation.operation,
                "reason": item.reason,
            }
            for item in report.unfit
        ],
        "problems": [problem.message for problem in report.problems],
    }


def _outcome(report: ReplicaReport) -> str:
    steps = count(report.versions, "schema version")
    match report.status:
        case "ok":
            return f"Replica {report.label} will follow through {steps}:"
        case "noop":
            return f"Replica {report.label} has nothing to do."
        case "ahead":
            return f"✗ Replica {report.label} cannot follow."
        case "rejected":
            return f"✗ Replica {report.label} will refuse this schema, for its own documents:"
        case _:
            return f"✗ Replica {report.label} will fail to follow:"


def _fitting(report: ReplicaReport) -> str:
    if not report.unfit:
        return "and all fit the new schema"
    return f"{len(report.unfit):,} of which no longer fit{'s' if len(report.unfit) == 1 else ''}"
