"""A run as text for pane 3: progress while it goes, counts, samples and failures after. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from textual.content import Content

from valet_studio.migrate.events import BackfillProgress, BackfillReport, Failure, TableRows
from valet_studio.plan.changes import Plan, RunBackfill
from valet_studio.schema.model import Json
from valet_studio.tui.progress import PHASES, Progress
from valet_studio.tui.text import (
    BLANK,
    count,
    duration,
    hanging,
    lines,
    one_line,
    problem,
    rule,
    shortened,
    value,
)

SHOWN_FAILURES = 20
SHOWN_VALUES = 8
LEAST_CELL = 10
"""Cells below which a sample's column is left out, not cut further."""


def run_text(progress: Progress, width: int, earlier_plan: bool) -> Content:
    """All about one run, for a pane of that many cells."""
    parts: list[Content] = [_headline(progress)]
    if earlier_plan:
        parts.append(
            Content.styled(
                f"! Of an earlier plan ({progress.plan.fingerprint[:8]}): d rehearses this one.",
                "$warning",
            )
        )
    if not progress.ended or not progress.succeeded:
        parts.append(_phases(progress))
    if not progress.ended:
        parts += _live(progress, width)
        return lines(parts)
    for item in progress.problems if not progress.cancelled else ():
        parts += [BLANK, problem(item, width)]
    failed = [report for report in progress.backfills if report.failed or report.errors]
    for report in failed:
        parts += [BLANK, *_failures(report, width)]
    if progress.report is not None and progress.report.tables:
        parts += [BLANK, *_tables(progress.report.tables, width)]
    for report in progress.backfills:
        parts += [BLANK, *_backfill(report, width, _code(progress.plan, report))]
    return lines(parts)


def bar(done: float, width: int) -> Content:
    """A bar of that many cells, `done` between 0 and 1."""
    full = round(max(0.0, min(1.0, done)) * width)
    return Content.assemble(("━" * full, "$primary"), ("╌" * (width - full), "$border-idle"))


def _headline(progress: Progress) -> Content:
    report = progress.report
    if not progress.ended:
        where = "on a copy of" if progress.work == "dry run" else "on"
        doing = "Cancelling" if progress.cancelling else "Running"
        return Content.styled(f"{doing} the {progress.work} {where} {progress.label}…", "bold")
    name = progress.work.capitalize()
    if progress.cancelled:
        return Content.styled(f"{name} cancelled. {cancelled_sentence(progress)}", "bold $warning")
    if report is None:
        return Content.styled(f"✗ {name} failed. {untouched_sentence(progress)}", "bold $error")
    spent = duration(report.seconds)
    updated = sum(item.updated for item in report.backfills)
    changes = count(len(report.plan.pending), "change")
    match report.status:
        case "ok":
            done = "worked" if progress.work == "dry run" else "done"
            return Content.assemble(
                (f"✓ {name} {done}: ", "bold $success"),
                (f"{changes}, {count(updated, 'row')} filled, {spent}", "bold"),
            )
        case "noop":
            return Content.assemble(("✓ ", "bold $success"), ("Nothing was left to do.", "bold"))
        case "failed":
            number = sum(item.failed for item in report.backfills)
            return Content.styled(
                f"✗ {name} failed: {count(number, 'document')} not filled, {spent}",
                "bold $error",
            )
        case "rejected":
            return Content.styled(f"✗ {name} rejected: nothing was done.", "bold $error")


def cancelled_sentence(progress: Progress) -> str:
    """What a cancel rolled back."""
    if progress.work == "dry run":
        return f"The copy was deleted; {progress.label} was never touched."
    return f"Everything was rolled back; {progress.label} is as it was before."


def untouched_sentence(progress: Progress) -> str:
    """What an error left behind."""
    if progress.work == "dry run":
        return f"{progress.label} was never touched."
    return f"{progress.label} is as it was before."


def _phases(progress: Progress) -> Content:
    drawn = []
    backfill_failed = any(report.failed for report in progress.backfills)
    for phase in PHASES[progress.work]:
        if phase == "backfill" and backfill_failed:
            drawn.append(Content.styled("✗ backfill", "bold $error"))
        elif phase in progress.passed or progress.succeeded:
            drawn.append(Content.styled(f"✓ {phase}", "$success"))
        elif phase == progress.phase:
            drawn.append(Content.styled(f"{'✗' if progress.ended else '●'} {phase}", "bold"))
        else:
            drawn.append(Content.styled(f"· {phase}", "$muted"))
    return Content("   ").join(drawn)


def _live(progress: Progress, width: int) -> list[Content]:
    parts: list[Content] = []
    copied = progress.copied
    if progress.phase == "copy" and copied is not None and copied.pages_total:
        part = copied.pages_done / copied.pages_total
        parts += [BLANK, _bar_line(part, f"{part:.0%}", width)]
    for live in progress.running.values():
        parts += [BLANK, *_live_backfill(live, width)]
    for report in progress.finished.values():
        if report.errors:
            parts += [BLANK, *_failures(report, width)]
    if progress.statements:
        parts += [BLANK, Content.styled(f"{count(progress.statements, 'statement')} run", "$muted")]
    return parts


def _bar_line(part: float, told: str, width: int) -> Content:
    room = max(8, min(40, width - len(told) - 3))
    return Content.assemble(bar(part, room), f"  {told}")


def _live_backfill(live: BackfillProgress, width: int) -> list[Content]:
    part = live.done / live.total if live.total else 1.0
    speed = live.done / live.seconds if live.seconds > 0 else 0.0
    left = f" · {duration((live.total - live.done) / speed)} left" if speed else ""
    failed = f" · {live.failed:,} failed" if live.failed else ""
    return [
        Content.assemble(("Backfill ", "$muted"), (f"{live.table}.{live.column}", "bold")),
        _bar_line(part, f"{part:.0%}", width),
        Content.styled(
            f"{live.done:,} of {count(live.total, 'row')}{failed}",
            "$muted",
        ),
        Content.styled(f"{speed:,.0f} rows/s{left}", "$muted"),
    ]


def _tables(tables: Sequence[TableRows], width: int) -> list[Content]:
    names = max([5, *(Content(item.table).cell_length for item in tables)])
    names = min(names, max(8, width - 26))
    head = f"{'Table':<{names}}  {'rows before':>11}  {'after':>9}"
    parts = [rule(head)]
    for item in tables:
        same = item.rows_before == item.rows_after
        end = "  =" if same else "  ! differs"
        name = _cell(item.table, names)
        parts.append(
            Content.assemble(
                f"{name}  {item.rows_before:>11,}  {item.rows_after:>9,}",
                (end, "$muted" if same else "bold $error"),
            )
        )
    return parts


def _backfill(report: BackfillReport, width: int, code: str) -> list[Content]:
    speed = f" · {report.rows / report.seconds:,.0f} rows/s" if report.seconds > 0.05 else ""
    parts = [
        Content.assemble(("Backfill ", "$muted"), (f"{report.table}.{report.column}", "bold")),
        Content(
            f"{report.updated:,} of {count(report.rows, 'row')} filled · "
            f"{duration(report.seconds)}{speed}"
        ),
    ]
    if report.deterministic is False:
        names = f" ({', '.join(report.impure)})" if report.impure else ""
        parts.append(
            Content.styled(
                f"! Two runs gave different values{names}: clients would disagree.", "bold $warning"
            )
        )
    if report.samples:
        parts += [BLANK, *_samples(report, width, code)]
    if report.distribution:
        parts += [BLANK, *_distribution(report, width)]
    return parts


def _code(plan: Plan, report: BackfillReport) -> str:
    """The function that a report is about; its text tells which fields it reads."""
    for change in plan.changes:
        where = (change.table, change.column)
        if isinstance(change, RunBackfill) and where == (report.table, report.column):
            return change.declared.code
    return ""


def _samples(report: BackfillReport, width: int, code: str) -> list[Content]:
    names = list(dict.fromkeys(name for sample in report.samples for name in sample.row))
    names = [name for name in names if name not in ("_id", "_version", report.column)]
    words = set(re.findall(r"[\w$]+", code))
    names = [name for name in names if name in words] or names
    heads = ["_id", *names, "before", "after"]
    table: list[list[str]] = []
    for sample in report.samples:
        cells: list[Json] = [sample.row.get(name) for name in names]
        shown = [one_line(value(cell)) for cell in (*cells, sample.before, sample.after)]
        table.append([sample.id, *shown])
    widths = [
        min(28, max(Content(row[at]).cell_length for row in (heads, *table)))
        for at in range(len(heads))
    ]
    while sum(widths) + 2 * (len(widths) - 1) > width - 1 and max(widths) > LEAST_CELL:
        widths[widths.index(max(widths))] -= 1
    while sum(widths) + 2 * (len(widths) - 1) > width - 1 and len(widths) > 3:
        for cells_of in (heads, *table):
            del cells_of[-3]
        del widths[-3]
    last = len(heads) - 1
    parts = [rule("  ".join(_cell(head, cells) for head, cells in zip(heads, widths, strict=True)))]
    for row in table:
        cells_drawn = [_cell(text, cells) for text, cells in zip(row, widths, strict=True)]
        parts.append(
            Content.assemble(
                (cells_drawn[0], "$muted"),
                *(f"  {text}" for text in cells_drawn[1:last]),
                (f"  {cells_drawn[last]}", "bold"),
            )
        )
    return parts


def _distribution(report: BackfillReport, width: int) -> list[Content]:
    shown = report.distribution[:SHOWN_VALUES]
    most = max(item.count for item in shown)
    texts = [one_line(value(item.value)) for item in shown]
    names = min(24, max(Content(text).cell_length for text in texts))
    numbers = max(len(f"{item.count:,}") for item in shown)
    room = max(4, min(24, width - names - numbers - 6))
    parts = [rule("New values")]
    for item, text in zip(shown, texts, strict=True):
        full = max(1, round(item.count / most * room)) if item.count else 0
        parts.append(
            Content.assemble(
                _cell(text, names),
                f"  {item.count:>{numbers},}  ",
                ("▇" * full, "$primary"),
            )
        )
    rest = len(report.distribution) - len(shown)
    if rest > 0:
        parts.append(Content.styled(f"and {count(rest, 'other value')}", "$muted"))
    return parts


def _failures(report: BackfillReport, width: int) -> list[Content]:
    name = f"{report.table}.{report.column}"
    parts = [
        Content.styled(
            f"✗ Backfill {name}: {count(report.failed, 'document')} failed", "bold $error"
        )
    ]
    parts += [_failure(failure, width) for failure in report.errors[:SHOWN_FAILURES]]
    rest = report.failed - min(SHOWN_FAILURES, len(report.errors))
    if rest > 0:
        parts.append(Content.styled(f"  and {count(rest, 'more document')}", "$muted"))
    return parts


def _failure(failure: Failure, width: int) -> Content:
    who = failure.id if failure.id is not None else "(no document)"
    head = Content.assemble("  ", (who, "bold"))
    if failure.location is not None:
        head = Content.assemble(head, "  ", (str(failure.location), "$muted underline"))
    return lines((head, hanging(Content("    "), one_line(failure.message), width)))


def _cell(text: str, width: int) -> str:
    cut = shortened(text, width)
    return cut + " " * (width - Content(cut).cell_length)
