"""Plans, dry runs, results and problems as text and SQL. Pure.

The text carries its meaning in words and in the signs `+ - ~ ! ✗`, never in colour.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING
from unicodedata import category, east_asian_width

from valet_studio.errors import Location, Problem
from valet_studio.plan.changes import (
    AddColumn,
    AnyChange,
    ChangeSync,
    CreateIndex,
    CreateSearchIndex,
    CreateTable,
    Drift,
    DropIndex,
    DropSearchIndex,
    NarrowField,
    Plan,
    RemoveField,
    RemoveTable,
    RestoreField,
    RestoreTable,
    Risk,
    RunBackfill,
    by_table,
)
from valet_studio.plan.sentences import count
from valet_studio.schema.model import Json
from valet_studio.schema.telling import megabytes, one_line, told, told_fields

# A plan is told before what runs it is loaded.
if TYPE_CHECKING:
    from valet_studio.migrate.events import BackfillReport, Failure, Report


SHOWN_SAMPLES = 5
SHOWN_FAILURES = 10
SHOWN_REASONS = 5
SHOWN_VALUES = 8
SHOWN_HELD = 8
VALUE_WIDTH = 48
LINE_WIDTH = 200


def plan_text(plan: Plan, notes: Sequence[Problem] = ()) -> str:
    """The plan by table, each change with its sign, sentence and place; why, where it matters.

    `notes` change nothing of its state, and stand at its end.
    """
    blocks = []
    for table, changes in by_table(plan.changes):
        lines = [f"Table {json.dumps(table, ensure_ascii=False)}:"]
        for change, following in zip(changes, [*changes[1:], None], strict=True):
            said_next = isinstance(following, Drift) and following.rule == change.rule
            first, *rest = _change_lines(change, with_rule=not said_next)
            mark = "!" if change.risk is Risk.WARNING and change.shown_sign != "!" else " "
            lines += [f"{mark} {first}", *(f"  {line}" for line in rest)]
        blocks.append("\n".join(lines))
    blocks += [_marked("!", warning) for warning in plan.warnings]
    blocks += [_marked("Note:", note) for note in notes]
    return "\n\n".join([headline(plan), *blocks]) + "\n"


def plan_sql(plan: Plan) -> str:
    """The statements that apply will run, in order, each change's sentence as a comment."""
    parts = []
    for change in plan.pending:
        lines = [f"-- {one_line(f'{change.shown_sign} {change.summary}')}"]
        lines += [f"-- {note}" for note in sql_notes(change)]
        lines += [f"{statement.rstrip().removesuffix(';')};" for statement in change.sql]
        parts.append("\n".join(lines))
    if plan.status == "blocked":
        parts.insert(0, "-- Blocked: this push is rejected, and none of this will run.")
    elif parts:
        parts.append(f"-- {_BOOKKEEPING}")
    return "\n\n".join(parts or [f"-- {headline(plan)}"]) + "\n"


_BOOKKEEPING = (
    "Schema, hash and history are recorded in _valet_meta and _valet_history; Valet's own tables "
    "are made where they are missing."
)


def sql_notes(change: AnyChange) -> tuple[str, ...]:
    """What apply does for a change beside the statements that it names."""
    notes = []
    if isinstance(change, RunBackfill):
        notes.append("Runs the function in schema.ts; no SQL says the same.")
    if isinstance(change, (AddColumn, RunBackfill)):
        notes.append(
            "Change-tracking triggers, where there are any, are dropped for it and made again."
        )
    return tuple(notes)


def push_text(report: Report) -> str:
    """What a push says, in the words of the seed's "Backfills with .backfill()"."""
    match report.status:
        case "noop":
            return "Schema unchanged. Nothing to push.\n"
        case "ok":
            lines = ["Schema pushed successfully"]
        case "failed":
            lines = ["Schema pushed, but a backfill failed"]
        case "rejected":
            lines = ["Schema rejected. Nothing was changed."]
    tables = [change.table for change in report.plan.pending]
    tables += [backfill.table for backfill in report.backfills]
    for table in dict.fromkeys(tables):
        changes = [change for change in report.plan.pending if change.table == table]
        if report.status == "rejected":
            told = _rejected_lines(changes)
        else:
            told = _pushed_lines(changes)
            for backfill in report.backfills:
                if backfill.table == table:
                    told += _backfill_lines(backfill)
        if told:
            lines.append(f"  Table {json.dumps(table, ensure_ascii=False)}:")
            lines += [f"    {line}" for line in told]
    if report.status == "failed":
        lines.append(
            "The failed backfill set no document. Mend it in schema.ts; the next push retries it."
        )
    return "\n".join(lines) + "\n"


def report_text(
    report: Report, *, rehearsal: bool, database: str, told: Sequence[Problem] = ()
) -> str:
    """A dry run or an apply: rows, backfills with samples and failures, and what comes next.

    Args:
        report: what came of it.
        rehearsal: whether it is of a dry run.
        database: how the user names the database.
        told: warnings of the plan that the user has just read.
    """
    blocks = [_outcome(report, rehearsal, database)]
    if report.status == "rejected":
        breaking = [c for c in report.plan.changes if c.risk is Risk.BREAKING]
        blocks += ["\n".join(_change_lines(change)) for change in breaking]
    if report.tables:
        width = max(cells(rows.table) for rows in report.tables)
        rows = [
            f"  {padded(rows.table, width)}  {rows.rows_before:,} → {rows.rows_after:,}"
            for rows in report.tables
        ]
        blocks.append("\n".join(["Rows:", *rows]))
    blocks += [_backfill_block(done, _may_lack_return(done, report)) for done in report.backfills]
    blocks += [_marked("!", warning) for warning in untold(report.plan.warnings, told)]
    return "\n\n".join(blocks) + "\n"


def untold(warnings: Sequence[Problem], told: Sequence[Problem]) -> tuple[Problem, ...]:
    """The warnings that are not among those that were told."""
    return tuple(warning for warning in warnings if warning not in told)


def problems_text(problems: Iterable[Problem]) -> str:
    """Each problem with its place, the source line with a caret, and the way out."""
    return "\n\n".join("\n".join(_problem_lines(problem)) for problem in problems) + "\n"


def warnings_text(warnings: Sequence[Problem]) -> str:
    """Warnings under the sign `!`, in the form of `problems_text`; "" where there are none."""
    return "".join(f"{_marked('!', warning)}\n" for warning in warnings)


def headline(plan: Plan) -> str:
    """What comes of a plan, in one sentence or two."""
    total = len(plan.pending)
    changes = count(total, "change")
    match plan.status:
        case "in_sync" if plan.changes:
            return "Schema and database agree, but the database holds what no schema explains."
        case "in_sync":
            return "Schema and database agree. Nothing to do."
        case "blocked":
            breaking = sum(change.risk is Risk.BREAKING for change in plan.changes)
            what = count(breaking, "breaking change")
            return f"Blocked: {what} of {total}. The whole push is rejected."
        case "pending":
            risky = sum(change.risk is Risk.WARNING for change in plan.pending)
            look = f", {risky} to look at (!)" if risky else ""
            if not total:
                return "Pending: no change to the database; only the schema will be recorded."
            unexplained = len(plan.changes) - total
            things = count(unexplained, "thing")
            left = f" The database holds {things} that no schema explains (!)."
            return f"Pending: {changes}{look}.{left if unexplained else ''}"


def _change_lines(change: AnyChange, *, with_rule: bool = True) -> list[str]:
    place = f"  ({change.location})" if change.location else ""
    lines = [f"{change.shown_sign} {one_line(change.summary)}{place}"]
    if change.risk is not Risk.SAFE and change.rule and with_rule:
        lines.append(f"    {one_line(change.rule)}")
    if change.examples:
        shown = ", ".join(json.dumps(e, ensure_ascii=False) for e in change.examples)
        more = (change.offending or change.rows or 0) - len(change.examples)
        lines.append(f"    Documents: {shown}" + (f" and {more:,} more" if more > 0 else ""))
    if isinstance(change, NarrowField) and change.values:
        lines.append(f"    They hold: {held_values(change, written)}")
    return lines


def held_values(change: NarrowField, one: Callable[[Json], str]) -> str:
    """What breaks a promise: `78 × "", 65 × "Lead"`."""
    held = [f"{each.count:,} × {one(each.value)}" for each in change.values[:SHOWN_HELD]]
    others = ["…"] if len(change.values) > SHOWN_HELD else []
    return ", ".join(held + others)


def _pushed_lines(changes: Sequence[AnyChange]) -> list[str]:
    """What a push did to one table, in the seed's words. Deprecations change no column."""
    lines = [
        f"Created with columns: {', '.join(field.name for field in change.declared.fields)}"
        if change.declared.fields
        else "Created without columns"
        for change in changes
        if isinstance(change, CreateTable)
    ]
    if any(isinstance(change, RestoreTable) for change in changes):
        lines.append("Restored: the table and its rows were still there")
    if any(isinstance(change, RemoveTable) for change in changes):
        lines.append("Removed from the types; the table and its rows are kept")
    for label, kind in (
        ("Added columns", AddColumn),
        ("Restored columns", RestoreField),
        ("Removed columns, kept in the database", RemoveField),
        ("Added indexes", (CreateIndex, CreateSearchIndex)),
        ("Dropped indexes", (DropIndex, DropSearchIndex)),
    ):
        names = dict.fromkeys(c.index or c.column or "" for c in changes if isinstance(c, kind))
        if names:
            lines.append(f"{label}: {', '.join(names)}")
    if any(isinstance(change, ChangeSync) for change in changes):
        lines.append("Changed sync rules: clients sync the table again")
    return lines


def _rejected_lines(changes: Sequence[AnyChange]) -> list[str]:
    breaking = [change for change in changes if change.risk is Risk.BREAKING]
    return [line for change in breaking for line in _change_lines(change)]


def _backfill_lines(backfill: BackfillReport) -> list[str]:
    name = json.dumps(backfill.column, ensure_ascii=False)
    if not backfill.failed and not backfill.errors:
        return [f"Backfill {name}: {count(backfill.updated, 'row')} updated"]
    failed = f"{backfill.failed:,} of {count(backfill.rows, 'row')} failed"
    return [f"Backfill {name}: {failed}", *(f"  {line}" for line in _failure_lines(backfill))]


def _failure_lines(backfill: BackfillReport) -> list[str]:
    lines = [_failure(failure, backfill) for failure in _of_each_kind(backfill.errors)]
    hidden = max(backfill.failed, len(backfill.errors)) - len(lines)
    lines += [f"… and {hidden:,} more"] if hidden else []
    if hidden and backfill.reasons:
        lines += [f"{r.count:,} × {one_line(r.reason)}" for r in backfill.reasons[:SHOWN_REASONS]]
        others = len(backfill.reasons) - SHOWN_REASONS
        lines += [f"… and {count(others, 'other reason')}"] if others > 0 else []
    if backfill.tried is not None:
        lines.append(
            f"! It was stopped at the first of these, after {backfill.tried:,} of "
            f"{count(backfill.rows, 'document')}: the others were not tried."
        )
    return lines


def _of_each_kind(failures: Sequence[Failure]) -> list[Failure]:
    """As many as are shown, in their order, so that a rare reason is not lost behind a common one:
    as many of each as there is room for."""
    alike: dict[str, list[Failure]] = {}
    for failure in failures:
        alike.setdefault(failure.message, []).append(failure)
    turns = zip_longest(*alike.values())
    chosen = [f for turn in turns for f in turn if f is not None][:SHOWN_FAILURES]
    return [failure for failure in failures if failure in chosen]


def _failure(failure: Failure, backfill: BackfillReport) -> str:
    who = f"_id {json.dumps(failure.id, ensure_ascii=False)}: " if failure.id is not None else ""
    if who and failure.read:
        who = f"{who[:-2]} ({told_fields(failure.read, VALUE_WIDTH)}): "
    place = f"  ({failure.location})" if failure.location else ""
    return f"✗ {who}{one_line(failure.reason(backfill.column))}{place}"


def _outcome(report: Report, rehearsal: bool, database: str) -> str:
    took = f"{report.seconds:.1f} s"
    match report.status, rehearsal:
        case "noop", True:
            return "Nothing to rehearse: schema and database agree."
        case "noop", False:
            return "Nothing to apply: schema and database agree."
        case "rejected", _:
            return f"✗ {headline(report.plan)} Nothing was changed."
        case "ok", True:
            return f"Dry run succeeded in {took} on {_copy(report)}; {database} was not touched."
        case "ok", False:
            return f"Applied to {database} in {took}."
        case "failed", True:
            return f"✗ Dry run failed in {took} on {_copy(report)}; {database} was not touched."
        case _:
            return (
                f"✗ A backfill failed and set no document. The rest of the plan was applied to "
                f"{database} in {took}. Mend the backfill in schema.ts; the next apply retries it."
            )


def _copy(report: Report) -> str:
    """What was rehearsed on; of a lean copy also what it holds, for that is not all."""
    copied = report.copied
    if copied is None:
        return "a copy"
    if copied.kind == "full":
        return "a full copy" if copied.of else "an empty database"
    held = f"{megabytes(copied.bytes)} of {megabytes(copied.of)}"
    return f"a lean copy ({', '.join(copied.tables) or 'no table'}: {held})"


def _may_lack_return(backfill: BackfillReport, report: Report) -> bool:
    """Whether its function has a body: `(row) => row.name` cannot forget to return."""
    declared = report.plan.backfill(backfill.table, backfill.column)
    head, arrow, body = (declared.code if declared is not None else "").partition("=>")
    return not arrow or "{" in head or body.lstrip().startswith("{")


def _backfill_block(backfill: BackfillReport, may_lack_return: bool) -> str:
    head = (
        f"Backfill {backfill.table}.{backfill.column}: "
        f"{backfill.updated:,} of {count(backfill.rows, 'row')} updated"
    )
    if backfill.failed or backfill.errors:
        lines = [f"{head}, {backfill.failed:,} failed, {backfill.seconds:.1f} s"]
        return "\n".join([*lines, *(f"  {line}" for line in _failure_lines(backfill))])
    same = f", {backfill.unchanged:,} unchanged" if backfill.unchanged else ""
    lines = [f"{head}{same}, {backfill.seconds:.1f} s"]
    if backfill.distribution:
        shown = backfill.distribution[:SHOWN_VALUES]
        width = max(len(f"{counted.count:,}") for counted in shown)
        lines.append("  New values, most frequent first:")
        lines += [f"    {counted.count:>{width},} × {written(counted.value)}" for counted in shown]
    if backfill.samples:
        lines.append("  Samples, before → after:")
        samples = backfill.samples[:SHOWN_SAMPLES]
        width = max(cells(written(sample.id)) for sample in samples)
        for sample in samples:
            values = f"{written(sample.before)} → {written(sample.after)}"
            lines.append(f"    {padded(written(sample.id), width)}  {values}")
    if backfill.nulls:
        asked = ": is a return missing?" if may_lack_return else "."
        lines.append(f"  ! {count(backfill.nulls, 'document')} got null{asked}")
    if backfill.deterministic is False:
        why = f" It uses {', '.join(backfill.impure)}." if backfill.impure else ""
        lines.append(
            f"  ! A second run, backwards and in another time zone, computed other values.{why}"
        )
    elif backfill.deterministic and backfill.rows:
        lines.append("  A second process, which went backwards, computed the same values.")
    return "\n".join(lines)


def _marked(mark: str, problem: Problem) -> str:
    first, *rest = _problem_lines(problem)
    return "\n".join([f"{mark} {first}", *(f"  {line}" for line in rest)])


def _problem_lines(problem: Problem) -> list[str]:
    place = f"{problem.location}: " if problem.location else ""
    lines = [f"{place}{one_line(problem.message)}"]
    if problem.source_line is not None and problem.location is not None:
        lines += _source_lines(problem.source_line, problem.location)
    if problem.hint:
        lines.append(f"hint: {one_line(problem.hint)}")
    return lines


def _source_lines(source: str, location: Location) -> list[str]:
    """The line and a caret below its column; tabs before it are kept, so that both line up. Of a
    long line, such as a minified one, the part around the column."""
    at = location.column - 1
    start = at - LINE_WIDTH // 2 if at >= LINE_WIDTH else 0
    end = start + LINE_WIDTH
    shown = source[start:end].rstrip()
    before, after = "…" if start else "", "…" if len(source) > end else ""
    pad = "".join("\t" if c == "\t" else " " * cells(c) for c in before + source[start:at])
    return [f"    {before}{shown}{after}", f"    {pad}^"]


def cells(text: str) -> int:
    """How wide a terminal shows a text: Chinese and its like take two cells, accents none."""
    if text.isascii():
        return len(text)
    wide = sum(east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(category(each) in ("Mn", "Me", "Cf") for each in text)


def padded(text: str, width: int) -> str:
    """The text, filled up to a width in cells."""
    return text + " " * (width - cells(text))


def written(value: Json) -> str:
    """A value as text shows it, and no more of it than is of use."""
    return told(value, VALUE_WIDTH)
