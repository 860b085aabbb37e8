"""What the studio says of a look and of a run, for the notice and the log. Pure."""

from __future__ import annotations

from valet_studio.plan.changes import Plan, Risk
from valet_studio.tui.facts import Facts
from valet_studio.tui.progress import Progress
from valet_studio.tui.report_text import cancelled_sentence, rest_sentence, untouched_sentence
from valet_studio.tui.status import Tone
from valet_studio.tui.text import count, duration, failed, filled


def plan_sentence(plan: Plan) -> str:
    """A plan's state in a few words."""
    match plan.status:
        case "in_sync":
            return "schema and database agree"
        case "blocked":
            return "the plan is rejected"
        case "pending":
            pending = f"{count(len(plan.pending), 'change')} pending"
            return pending if plan.pending else "only the schema is to be recorded"


def look_notice(before: Facts, now: Facts, *, asked: bool) -> tuple[str, Tone] | None:
    """What to say of a look that has a plan; None where what was said last still holds."""
    if now.plan is None:
        return None
    said = plan_sentence(now.plan)
    old = before.plan.fingerprint if before.plan is not None else None
    if now.plan.status == "blocked":
        breaking = next(c for c in now.plan.changes if c.risk is Risk.BREAKING)
        return breaking.summary, "bad"
    if before.broken or before.missing or (before.plan and before.plan.status == "blocked"):
        return f"Read again: {said}.", "good"
    if old is not None and old != now.plan.fingerprint and old in (now.rehearsed, now.failed):
        return f"The plan changed since its dry run: {said}.", "plain"
    return (f"Read again: {said}.", "plain") if asked else None


def run_sentence(progress: Progress, now: Facts, *, read_only: bool) -> tuple[str, Tone]:
    """How a run ended, for the notice and the log.

    Args:
        read_only: whether nothing may be applied.
    """
    name = progress.work.capitalize()
    report = progress.report
    if progress.cancelled:
        return f"{name} cancelled. {cancelled_sentence(progress)}", "warning"
    if progress.problems or report is None:
        why = progress.problems[0].message if progress.problems else "It ended without a report."
        return f"{name} failed: {why} {untouched_sentence(progress)}", "bad"
    rows = f", {filled(report.backfills)}" if any(i.updated for i in report.backfills) else ""
    changes = count(len(report.plan.pending), "change")
    spent = duration(report.seconds)
    match report.status:
        case "ok" if progress.work == "dry run":
            if not now.shows(progress.plan):
                told = "The dry run of an earlier plan worked."
                return f"{told} {now.key('dry_run')} rehearses the new one.", "warning"
            then = "" if read_only else f" Press {now.key('apply')} to apply this plan."
            if progress.varied:
                return f"Dry run worked, but {progress.varied}.{then}", "warning"
            return f"Dry run worked: {changes}{rows}, {spent}.{then}", "good"
        case "ok":
            return f"Applied {changes}{rows}, {spent}.", "good"
        case "noop":
            return "Nothing was left to do.", "good"
        case "failed" if progress.work == "dry run":
            return (
                f"Dry run failed: {failed(report.backfills)} could not be filled. See pane 3.",
                "bad",
            )
        case "failed":
            rest = rest_sentence(progress).removeprefix(".")
            return f"A backfill failed and was rolled back; the next push retries it.{rest}", "bad"
        case "rejected":
            return f"{name} rejected: nothing was done.", "bad"
