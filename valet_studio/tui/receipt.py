"""The receipt of an apply: what was done, how it is called, and the way back. Pure."""

from __future__ import annotations

from textual.content import Content

from valet_studio.tui.progress import Progress
from valet_studio.tui.text import count, duration, filled, path_shortened


def receipt(progress: Progress, width: int, undo_key: str | None) -> list[Content]:
    """Rows, seconds, hash, history id, snapshot: one line each; none where nothing was applied.

    `undo_key` is None where it would not take back this very migration.
    """
    report = progress.report
    if progress.work != "apply" or report is None or report.history_id is None:
        return []
    updated = sum(item.updated for item in report.backfills)
    what = " values" if len(report.backfills) > 1 else ""
    held = sum(item.rows_after for item in report.tables)
    complete = report.status == "ok"
    facts = [
        ("Migration", f"{report.history_id}"),
        ("Changes", f"{len(report.plan.pending):,} in {duration(report.seconds)}"),
        (
            "Documents",
            f"{updated:,}{what} filled, {held:,} kept" if updated else f"{held:,} kept",
        ),
        (
            "Schema",
            report.plan.schema_hash[:12] if complete else "incomplete: the hash was not stored",
        ),
    ]
    drawn = [
        Content.assemble((f"{name:<10} ", "$muted"), (told, "bold" if at == 0 else ""))
        for at, (name, told) in enumerate(facts)
    ]
    if report.snapshot is not None:
        path = path_shortened(report.snapshot, max(20, width - 12))
        drawn.append(Content.assemble((f"{'Snapshot':<10} ", "$muted"), path))
        if undo_key is not None:
            told = ("  puts it back", "$muted")
            drawn.append(Content.assemble((" " * 11, ""), (undo_key, "bold $primary"), told))
    return drawn


def receipt_sentence(progress: Progress) -> str:
    """The receipt in one line, for the log; empty where nothing was applied."""
    report = progress.report
    if report is None or report.history_id is None:
        return ""
    kept = f", snapshot {report.snapshot}" if report.snapshot is not None else ""
    done = (
        filled(report.backfills) if report.backfills else count(len(report.plan.pending), "change")
    )
    return (
        f"Migration {report.history_id}: {done}, {duration(report.seconds)}, "
        f"schema {report.plan.schema_hash[:12]}{kept}"
    )
