"""history, undo, backfill reset."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict

import click

from valet_studio import pipeline
from valet_studio.commands.console import complain, interruptible, say, say_json
from valet_studio.commands.question import agreed, may_change, must_ask, must_be_named
from valet_studio.config import Settings
from valet_studio.errors import StudioError
from valet_studio.migrate.history import HistoryEntry
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.written import TableWrites
from valet_studio.plan.diff import SchemaChange
from valet_studio.plan.sentences import count
from valet_studio.schema.state import backfill_key


def history(
    settings: Settings,
    *,
    as_json: bool,
    migration: int | None = None,
    diff: tuple[int, int] | None = None,
) -> int:
    """Print what was applied to the database, newest first; or one migration; or how the schemas
    of two differ."""
    if diff is not None:
        changes = pipeline.history_diff(settings, *diff)
        return _tell_diff(changes, diff[0], diff[1], as_json=as_json)
    entries = pipeline.history(settings)
    if migration is not None:
        earlier = max((e.id for e in entries if e.id < migration), default=None)
        changes = pipeline.history_diff(settings, earlier, migration)
        entry = next(e for e in entries if e.id == migration)
        if as_json:
            say_json({**asdict(entry), "changes": [*map(asdict, changes)]})
            return 0
        _tell_entry(entry)
        return _tell_diff(changes, earlier, migration, as_json=False)
    if as_json:
        say_json({"migrations": [*map(asdict, entries)]})
        return 0
    if not entries:
        say(f"Nothing was applied to {settings.database} yet.\n")
    for entry in entries:
        _tell_entry(entry)
    return 0


def _tell_entry(entry: HistoryEntry) -> None:
    after = entry.hash_after[:12] if entry.hash_after else "incomplete"
    applied_at = re.sub(r"\.\d+", "", entry.applied_at)
    rows = f"{count(entry.rows, 'value')} backfilled"
    say(f"{entry.id:>4}  {applied_at}  {after:<12}  {entry.seconds:.1f} s  {rows}\n")
    say(f"      {' '.join(entry.summary.split())}\n")


def _tell_diff(
    changes: Sequence[SchemaChange], before: int | None, after: int, *, as_json: bool
) -> int:
    if as_json:
        say_json({"before": before, "after": after, "changes": [*map(asdict, changes)]})
        return 0
    start = f"migration {before}" if before is not None else "an empty schema"
    if not changes:
        say(f"The schemas of {start} and migration {after} are the same.\n")
    else:
        say(f"From {start} to migration {after}:\n")
    for change in changes:
        say(f"  {change.sign} {change.summary}\n")
    return 0


def undo(settings: Settings, *, yes: bool, name: str | None = None) -> int:
    """Put back the snapshot taken before the last apply; `name` as for `runs.apply`."""
    must_be_named(settings, "undo", name, asked=not yes)
    last = next(iter(pipeline.history(settings)), None)
    with interruptible() as cancelled:
        written = pipeline.written_since(settings, cancelled)
    if last is not None:
        say("Undo takes back this migration:\n")
        _tell_entry(last)
    say(_written_text(written))
    if not yes:
        must_ask(settings, "undo")
        question = f"Put {settings.database} back as it was before the last apply?"
        if not agreed(settings, question, name):
            complain("Nothing was undone.\n")
            return 1
    with interruptible() as cancelled:
        done = pipeline.undo(settings, cancelled, last.identity if last is not None else None)
    say(undone_text(done))
    return 0


def undone_text(done: UndoReport) -> str:
    """What was undone, and where what it replaced is kept."""
    return (
        f"Undid migration {done.history_id}: {done.label} is as it was before it.\n"
        f"What it held until now is kept in {done.kept_in}.\n"
    )


def _written_text(written: Sequence[TableWrites]) -> str:
    """What an undo would take back, before it is asked for."""
    counted = [writes for writes in written if writes.total]
    lines = [f"! {writes.not_told}" for writes in written if writes.untold]
    if counted:
        lines.append("Written since the last apply, and gone from the database after an undo:")
        lines += [f"  {writes.table}: {writes.told}" for writes in counted]
    else:
        lines.append(
            "No document of other tables was written" if lines else "No document was written"
        )
        lines[-1] += " since the last apply."
    return "\n".join([*lines, "What is replaced is kept in a file of its own."]) + "\n"


def reset_backfill(settings: Settings, name: str, confirm: str | None = None) -> int:
    """Re-arm the backfill of TABLE.COLUMN; either name may hold dots itself. `confirm` is the
    database's name, which one in production asks for."""
    parts = name.split(".")
    if len(parts) < 2:
        raise click.UsageError(
            f"{name} names no column: write TABLE.COLUMN, as in todos.priorityNum."
        )
    question = f"Let the backfill of {name} run again?"
    if not may_change(settings, f"backfill reset {name}", question, confirm):
        return 1
    splits = [(".".join(parts[:cut]), ".".join(parts[cut:])) for cut in range(1, len(parts))]
    if len(splits) > 1:
        _refuse_ambiguous(name, splits, pipeline.applied_backfills(settings))
    for table, column in splits:
        if pipeline.reset_backfill(settings, table, column):
            declared = pipeline.declares_backfill(settings, table, column)
            say(armed_text(table, column, declared=declared is not False))
            return 0
    raise StudioError(
        f"No backfill of {name} has run on {settings.database}, so there is nothing to reset.",
        "`valet-studio plan` lists the backfills that the next push will run.",
    )


def _refuse_ambiguous(
    name: str, splits: Sequence[tuple[str, str]], applied: Collection[tuple[str, str]]
) -> None:
    """Raises `StudioError` where a dotted name may mean several backfills."""
    meant = [split for split in splits if split in applied]
    if len(meant) > 1:
        told = " and ".join(f'column "{column}" of table "{table}"' for table, column in meant)
        keys = " or ".join(f"'{backfill_key(*each)}'" for each in meant)
        raise StudioError(
            f"{name} names more than one backfill: of {told}. Nothing was changed.",
            f"Delete the row of the one that you mean from _valet_meta: its key is {keys}.",
        )


def armed_text(table: str, column: str, *, declared: bool = True) -> str:
    """What a reset leads to; `declared` is whether the schema has that backfill."""
    armed = f"The backfill of {table}.{column} is armed again"
    if not declared:
        return f"{armed}, but the schema declares none now: it runs once it is written there.\n"
    return f"{armed}: the next push runs it for every document.\n"
