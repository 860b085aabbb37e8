"""A run as text for pane 3: progress while it goes, counts, samples and failures after. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from textual.content import Content

from valet_studio.errors import Location
from valet_studio.migrate.events import BackfillProgress, BackfillReport, TableRows
from valet_studio.plan.changes import Plan, RunBackfill
from valet_studio.schema.model import Json, Sources
from valet_studio.tui.detail import whole_document
from valet_studio.tui.progress import PHASES, FailedDocument, Progress
from valet_studio.tui.receipt import receipt
from valet_studio.tui.replica import replica_lines, replica_outcome
from valet_studio.tui.samples import SHOWN_VALUES, cell, distribution, histogram, samples
from valet_studio.tui.text import (
    BLANK,
    code,
    count,
    duration,
    excerpt,
    failed,
    filled,
    hanging,
    one_line,
    problem,
    rule,
    short_duration,
    shortened,
    value,
)


def run_lines(
    progress: Progress, width: int, earlier: str | None, key: Callable[[str], str]
) -> list[Content]:
    """All about one run, for a pane of that many cells; only samples may be wider.

    `key` names the key of an action.
    """
    retried = _retried(progress, width, key("dry_run"))
    headline = _headline(progress)
    if retried:
        headline = Content.styled(headline.plain, "$muted")
    parts = [*retried, *wrapped(headline, width)]
    if earlier is not None:
        parts += wrapped(Content.styled(f"! {earlier}", "$warning"), width)
    parts += _phases(progress, width)
    if not progress.ended:
        return [*parts, *_live(progress, width)]
    for item in progress.problems if not progress.cancelled else ():
        parts += [BLANK, *wrapped(problem(item, width), width)]
    kept = receipt(progress, width, key("undo") if earlier is None else None)
    parts += [BLANK, *kept] if kept else []
    if progress.replica is not None:
        parts += replica_outcome(progress.replica, width)
    failing = [report for report in progress.backfills if report.failed]
    for report in failing if len(failing) > 1 else ():
        parts += wrapped(
            Content.assemble((f"{report.table}.{report.column}  ", "bold"), _counts(report)), width
        )
    for report in sorted(progress.backfills, key=lambda report: not report.failed):
        parts += [BLANK, *_backfill(report, width, _code(progress.plan, report))]
    if progress.report is not None and progress.report.tables:
        parts += [BLANK, *_tables(progress.report.tables, width)]
    copied = progress.report.copied if progress.report is not None else None
    if copied is not None and copied.kind == "lean":
        told = f"On a lean copy of {', '.join(copied.tables)}; the other tables were counted."
        parts += [BLANK, *wrapped(Content.styled(told, "$muted"), width)]
    if progress.replica is not None:
        parts += [BLANK, *replica_lines(progress.replica, width)]
    return parts


def failure_lines(
    progress: Progress,
    item: FailedDocument,
    sources: Sources | None,
    document: dict[str, Json] | str,
    width: int,
    around: int,
) -> list[Content]:
    """One failed document: the error, the backfill's source with its line, the whole document.

    `document` is a sentence where it was not read. `around` is how many lines of the source are
    shown to either side of the one that failed.
    """
    failure = progress.newest(item)
    name = f"{item.table}.{item.column}"
    if failure is None:
        now = progress.sample_now(item)
        gives = f": it gives {value(now.after)}." if now is not None else "."
        done = Content.assemble(
            ("✓ ", "bold $success"), (f"{name} works for it now{gives}", "bold")
        )
        parts = wrapped(done, width)
    else:
        parts = hanging(
            Content.styled("✗ ", "bold $error"), failure.message, width, "bold $error"
        ).split("\n")
    place = failure.location if failure is not None else None
    if place is not None:
        parts.append(Content.styled(f"{place}, in the backfill of {name}", "$muted"))
        shown = None
        if sources is not None:
            before, after = _around(progress.plan, item, place, around)
            shown = excerpt(sources, place, width, before, after)
        if shown is not None:
            parts += shown.split("\n")
    others = progress.alike(item) - 1
    alike = f" · {count(others, 'other')} failed so too" if others > 0 else ""
    parts += [BLANK, rule(f"Document {item.failure.id or ''}{alike}")]
    if isinstance(document, str):
        parts.append(Content.styled(document, "$muted"))
    else:
        code_ = _code(progress.plan, item)
        parts += whole_document(ordered_fields(document, code_), width)
    return parts


def ordered_fields(document: dict[str, Json], code_: str) -> dict[str, Json]:
    """What a function's text names first, `_id` and `_version` last."""
    words = set(re.findall(r"[\w$]+", code_))
    names = sorted(document, key=lambda name: (name in ("_id", "_version"), name not in words))
    return {name: document[name] for name in names}


def _around(plan: Plan, item: FailedDocument, place: Location, most: int) -> tuple[int, int]:
    """How many lines of the backfill stand before and after the one that failed, at most `most`."""
    backfill = plan.backfill(item.table, item.column)
    begins = backfill.location if backfill is not None else None
    if backfill is not None and begins is not None and begins.file == place.file:
        before = place.line - begins.line
        after = len(backfill.code.splitlines()) - 1 - before
        if before >= 0 and after >= 0:
            return min(most, before), min(most, after)
    return min(most, 2), min(most, 2)


def wrapped(text: Content, width: int) -> list[Content]:
    """The text as lines of at most that many cells."""
    return text.wrap(max(8, width)) if text else [text]


def bar(done: float, width: int) -> Content:
    """A bar of that many cells, `done` between 0 and 1."""
    full = round(max(0.0, min(1.0, done)) * width)
    return Content.assemble(("━" * full, "$primary"), ("╌" * (width - full), "$border-idle"))


def _headline(progress: Progress) -> Content:
    report = progress.report
    if progress.replica_begun and not progress.ended:
        doing = "Cancelling" if progress.cancelling else "Rehearsing on a copy of the replica"
        return Content.styled(f"{doing}…", "bold")
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
    changes = count(len(report.plan.pending), "change")
    match report.status:
        case "ok":
            rows = f", {filled(report.backfills)} filled" if report.backfills else ""
            done = "worked" if progress.work == "dry run" else "done"
            return Content.assemble(
                (f"✓ {name} {done}: ", "bold $success"),
                (f"{changes}{rows}, {spent}", "bold"),
            )
        case "noop":
            return Content.assemble(("✓ ", "bold $success"), ("Nothing was left to do.", "bold"))
        case "failed":
            failing = [item for item in report.backfills if item.failed]
            of = f" in {count(len(failing), 'backfill')}" if len(failing) > 1 else ""
            told = f"✗ {name} failed: {failed(failing)}{of}, {spent}"
            return Content.styled(f"{told}{rest_sentence(progress)}", "bold $error")
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


def rest_sentence(progress: Progress) -> str:
    """That an apply did the rest of its plan although a backfill failed; "" where it did not."""
    report = progress.report
    if report is None or progress.work != "apply" or report.status != "failed":
        return ""
    failing = sum(item.failed > 0 for item in report.backfills)
    return ". The rest of the plan was applied." if len(report.plan.pending) > failing else ""


def _phases(progress: Progress, width: int) -> list[Content]:
    drawn = []
    backfill_failed = any(report.failed for report in progress.backfills)
    copied = progress.report.copied if progress.report is not None else None
    lean = copied is not None and copied.kind == "lean"
    # A report comes once the last phase is over, also where a backfill failed.
    passed = progress.report is not None and progress.report.status != "rejected"
    backfills = bool(progress.running or progress.backfills) or any(
        isinstance(change, RunBackfill) for change in progress.plan.pending
    )
    for phase in PHASES[progress.work]:
        if phase == "backfill" and not backfills:
            continue
        if phase == "snapshot" and phase != progress.phase and phase not in progress.passed:
            continue  # Only that of a large database is a phase of its own.
        name = "lean copy" if lean and phase == "copy" else phase
        spent = progress.seconds.get(phase)
        time = f" {short_duration(spent)}" if spent is not None and spent >= 0.001 else ""
        if phase == "backfill" and backfill_failed:
            drawn.append(Content.styled(f"✗ backfill{time}", "bold $error"))
        elif phase in progress.passed or progress.succeeded or (passed and progress.ended):
            drawn.append(Content.assemble((f"✓ {name}", "$success"), (time, "$muted")))
        elif phase == progress.phase:
            drawn.append(Content.styled(f"{'✗' if progress.ended else '●'} {phase}", "bold"))
        else:
            drawn.append(Content.styled(f"· {phase}", "$muted"))
    if progress.phase == "lock" and not progress.ended:
        drawn.insert(0, Content.styled("● waits for the write lock", "bold"))
    wide = Content("  ").join(drawn)
    return [wide] if wide.cell_length <= width else _packed(drawn, width)


def _packed(parts: Sequence[Content], width: int) -> list[Content]:
    """The parts in lines, none of them broken: a phase stays beside its time."""
    packed = [parts[0]]
    for part in parts[1:]:
        longer = Content.assemble(packed[-1], " ", part)
        if longer.cell_length <= width:
            packed[-1] = longer
        else:
            packed.append(part)
    return packed


def _live(progress: Progress, width: int) -> list[Content]:
    parts: list[Content] = []
    copied = progress.copied
    if progress.phase in ("copy", "snapshot") and copied is not None and copied.pages_total:
        part = copied.pages_done / copied.pages_total
        parts += [BLANK, _bar_line(part, f"{part:.0%}", width)]
    for live in progress.running.values():
        parts += [BLANK, *_live_backfill(live, width)]
    if progress.statements:
        told = f"{count(progress.statements, 'statement')} run"
        parts += [BLANK, Content.styled(told, "$muted")]
        parts.append(code(shortened(one_line(progress.statement), width), "sql"))
    return parts


def _bar_line(part: float, told: str, width: int) -> Content:
    room = max(8, min(40, width - len(told) - 3))
    return Content.assemble(bar(part, room), f"  {told}")


def _live_backfill(live: BackfillProgress, width: int) -> list[Content]:
    part = live.done / live.total if live.total else 1.0
    speed = live.done / live.seconds if live.seconds > 0 else 0.0
    left = f" · {duration((live.total - live.done) / speed)} left" if speed else ""
    failed = Content.styled(f" · ✗ {live.failed:,} failed" if live.failed else "", "bold $error")
    rows = f"{live.done:,} of {count(live.total, 'row')}"
    return [
        Content.assemble(("Backfill ", "$muted"), (f"{live.table}.{live.column}", "bold")),
        _bar_line(part, f"{part:.0%}", width),
        Content.styled(rows, "$muted") + failed,
        *([Content.styled(f"{speed:,.0f} rows/s{left}", "$muted")] if part < 1 else []),
    ]


def _retried(progress: Progress, width: int, dry_run_key: str) -> list[Content]:
    """What became of the failed documents when they were tried again: newer than the headline."""
    if progress.retried is None:
        return []
    tried = len(progress.tried_again)
    left = sum(progress.mended(item) is False for item in progress.tried_again)
    if left:
        verb = "fails" if left == 1 else "fail"
        told = f"✗ Tried {count(tried, 'failed document')} again: {left:,} still {verb}."
        return [*wrapped(Content.styled(told, "bold $error"), width), BLANK]
    told = f"✓ Tried {count(tried, 'failed document')} again: all work. "
    told += f"{dry_run_key} rehearses the plan."
    return [*wrapped(Content.styled(told, "bold $success"), width), BLANK]


def _tables(tables: Sequence[TableRows], width: int) -> list[Content]:
    names = max([5, *(Content(item.table).cell_length for item in tables)])
    names = min(names, max(8, width - 26))
    head = f"{'Table':<{names}}  {'rows before':>11}  {'after':>9}"
    parts = [rule(head)]
    for item in tables:
        same = item.rows_before == item.rows_after
        end = "  =" if same else "  ! differs"
        name = cell(item.table, names)
        parts.append(
            Content.assemble(
                f"{name}  {item.rows_before:>11,}  {item.rows_after:>9,}",
                (end, "$muted" if same else "bold $error"),
            )
        )
    return parts


def _backfill(report: BackfillReport, width: int, source: str) -> list[Content]:
    speed = f" · {report.rows / report.seconds:,.0f} rows/s" if report.seconds > 0.05 else ""
    parts = [
        Content.assemble(
            ("Backfill ", "$muted"),
            (f"{report.table}.{report.column}", "bold"),
            (f"  {duration(report.seconds)}{speed}", "$muted"),
        ),
        *wrapped(_counts(report), width),
    ]
    if report.failed > len(report.errors):
        told = f"The first {count(len(report.errors), 'failed document')} can be selected below."
        parts += wrapped(Content.styled(told, "$muted"), width)
    if report.deterministic is False:
        names = ", ".join(report.impure) or "the second in another order and time zone"
        told = f"! Two runs gave different values ({names}): clients would disagree."
        parts += wrapped(Content.styled(told, "bold $warning"), width)
    if report.histogram and not 0 < len(report.distribution) <= SHOWN_VALUES:
        parts += [BLANK, *histogram(report.histogram, width)]
    elif report.distribution:
        parts += [BLANK, *distribution(report, width)]
    if report.samples:
        parts += [BLANK, *samples(report, source)]
    return parts


def _counts(report: BackfillReport) -> Content:
    """Updated, null and failed documents; where one failed, nothing was updated."""
    null = f" · {report.nulls:,} of them null" if report.nulls and report.updated else ""
    same = f" · {report.unchanged:,} unchanged" if report.unchanged else ""
    if not report.failed:
        filled = f"{report.updated:,} of {count(report.rows, 'row')} filled"
        return Content(f"{filled}{same}{null} · 0 failed")
    worked = report.rows - report.failed
    others = f" · {worked:,} would work" if worked else ""
    if report.tried is not None:
        others = f" · stopped after {report.tried:,}, the others were not tried"
    return Content.assemble(
        (f"✗ {report.failed:,} of {count(report.rows, 'row')} failed", "bold $error"),
        (f"{others} · none filled", "$muted"),
    )


def _code(plan: Plan, of: BackfillReport | FailedDocument) -> str:
    """The backfill's function; its text tells which fields it reads."""
    backfill = plan.backfill(of.table, of.column)
    return backfill.code if backfill is not None else ""
