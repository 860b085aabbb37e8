"""plan, dry-run, apply."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from valet_studio import pipeline, report
from valet_studio.commands.console import (
    OutputLost,
    complain,
    failing,
    interruptible,
    run_to_report,
    say,
    say_json,
)
from valet_studio.commands.question import agreed, must_ask, must_be_named
from valet_studio.config import Settings
from valet_studio.errors import Problem
from valet_studio.paths import is_there
from valet_studio.pipeline import StudioState
from valet_studio.plan.changes import Drift, Plan, RemoveField, RemoveTable
from valet_studio.plan.sentences import count
from valet_studio.report_json import plan_json, report_json
from valet_studio.schema.model import Json

if TYPE_CHECKING:
    from valet_studio.fixes.offer import Rename
    from valet_studio.fixes.tables import TableRename
    from valet_studio.migrate.events import Report
    from valet_studio.migrate.history import Earlier

REJECTED = 4
EXIT_CODES = {"ok": 0, "noop": 0, "failed": REJECTED, "rejected": REJECTED}


def planned(settings: Settings) -> tuple[StudioState, Plan]:
    """The state with a measured plan.

    Raises:
        StudioError: schema or database could not be read; carries every problem.
    """
    state = pipeline.look(settings)
    if state.plan is not None:
        with interruptible() as cancelled:
            state = pipeline.measure(state, cancelled)
    if state.plan is None:
        raise failing(state.problems or (Problem("The schema could not be compared."),))
    return state, state.plan


def plan(settings: Settings, form: str) -> int:
    """Print the plan as `text`, `json`, `sql` or `markdown`; a likely rename is noted."""
    state, found = planned(settings)
    notes = [_of_the_past(state.earlier)] if state.earlier is not None else []
    notes += [_renamed(rename) for rename in _renames(state)]
    notes += [_table_renamed(rename) for rename in _table_renames(state)]
    match form:
        case "json":
            say_json(plan_with_renames(found, state))
        case "sql":
            say(report.plan_sql(found))
        case "markdown":
            from valet_studio.report_markdown import plan_markdown

            say(plan_markdown(found, notes))
        case _:
            tell_missing(state)
            say(report.plan_text(found, notes))
    return 0


def tell_missing(state: StudioState) -> None:
    """Say that the database is not there yet, where it is not."""
    label = state.database.label
    if state.database.exists:
        return
    folder = Path(label).parent
    if "://" in label:
        say(f"The database of {label} is not made yet; the first apply makes it.\n")
    elif folder.name == ".valet" or is_there(folder):
        say(f"There is no {label} yet; the first apply makes it.\n")
    else:
        say(f"There is no {label}, and no directory {folder} to make it in.\n")


def _renames(state: StudioState) -> tuple[Rename, ...]:
    if state.schema is None or state.plan is None:
        return ()
    if not any(isinstance(change, RemoveField) for change in state.plan.changes):
        return ()
    from valet_studio.fixes.offer import likely_renames

    return likely_renames(state.schema, state.plan)


def _table_renames(state: StudioState) -> tuple[TableRename, ...]:
    if state.plan is None or not any(isinstance(c, RemoveTable) for c in state.plan.changes):
        return ()
    from valet_studio.fixes.tables import likely_table_renames

    return likely_table_renames(state.plan)


def plan_with_renames(found: Plan, state: StudioState) -> dict[str, Json]:
    """A plan with what looks like a rename in it."""
    told: list[Json] = [{"table": r.table, "from": r.gone, "to": r.came} for r in _renames(state)]
    tables: list[Json] = [{"from": r.gone, "to": r.came} for r in _table_renames(state)]
    return {**plan_json(found), "renames": told, "table_renames": tables}


def report_with_renames(done: Report, state: StudioState) -> dict[str, Json]:
    """A report whose plan tells of likely renames too."""
    return {**report_json(done), "plan": plan_with_renames(done.plan, state)}


def _of_the_past(earlier: Earlier) -> Problem:
    return Problem(
        earlier.sentence,
        "Applying the plan keeps the columns that these added and what they hold; "
        "`valet-studio undo` takes the newest of them back.",
    )


def _renamed(rename: Rename) -> Problem:
    read = f"row.{rename.gone}" if rename.gone.isidentifier() else f"row[{rename.gone!r}]"
    return Problem(
        f"{rename.table}.{rename.came} looks like a rename of {rename.gone}, "
        "whose values would not come along.",
        f"Keep {rename.gone} with .deprecated() and add "
        f".backfill({rename.came!r}, (row) => {read}); the studio writes it as a quick fix.",
    )


def _table_renamed(rename: TableRename) -> Problem:
    documents = "documents" if rename.documents is None else count(rename.documents)
    return Problem(
        f"{rename.came} looks like a rename of {rename.gone}, whose {documents} would not come "
        "along.",
        f"A table cannot be renamed. Keep the name {rename.gone}, which the studio writes as a "
        "quick fix; or declare both, and let your app copy the documents.",
    )


def dry_run(settings: Settings, *, as_json: bool, replica: Path | None = None) -> int:
    """Rehearse on a copy, and on a copy of a client's replica where one is named."""
    state, _ = planned(settings)
    done = rehearse(state, progress=not as_json)
    if replica is None or state.schema is None:
        return tell(done, state, as_json)
    from valet_studio.replica.rehearse import rehearse_replica
    from valet_studio.replica.report import replica_json, replica_text

    target = pipeline.target_of(settings)
    with interruptible() as cancelled:
        client = rehearse_replica(replica, target, state.schema, cancelled, limits=settings.limits)
    if as_json:
        say_json({**report_with_renames(done, state), "replica": replica_json(client)})
    else:
        say(_rehearsed(done, state) + "\n")
        say(replica_text(client))
    return max(EXIT_CODES[done.status], EXIT_CODES.get(client.status, REJECTED))


def apply(settings: Settings, *, yes: bool, as_json: bool, name: str | None = None) -> int:
    """Apply the plan, after the user has seen it and agreed.

    Args:
        settings: what to work on.
        yes: whether not to ask.
        as_json: whether to print the report as JSON.
        name: the database's name, which one in production asks for.
    """
    if not yes:
        must_ask(settings, "apply", as_json=as_json)
    must_be_named(settings, "apply", name, asked=not yes)
    state, found = planned(settings)
    told: tuple[Problem, ...] = ()
    if found.status == "pending" and not as_json:
        told = found.warnings
        say(report.plan_text(found) + "\n")
        if not yes and not agreed(settings, f"Apply this to {state.database.label}?", name):
            complain("Nothing was applied.\n")
            return 1
    # Once it is applied it is told, whenever Ctrl-C comes.
    with interruptible():
        done = run_to_report(
            lambda cancelled: pipeline.apply(state, cancelled), progress=not as_json
        )
        try:
            return _applied(done, state, as_json, told)
        except OutputLost:
            _tell_landed(done, state, "but its report could not be printed")
            raise
        except KeyboardInterrupt:  # A second one, which waits for nothing.
            _tell_landed(done, state, "and the rest of its report was not waited for")
            return EXIT_CODES[done.status]


def _tell_landed(done: Report, state: StudioState, told: str) -> None:
    """Say in one sentence that a migration landed."""
    if done.history_id is not None:
        what = "applied" if done.status == "ok" else "applied in part"
        complain(f"Migration {done.history_id} was {what} to {state.database.label}, {told}.\n")


def _applied(done: Report, state: StudioState, as_json: bool, told: tuple[Problem, ...]) -> int:
    if as_json:
        say_json(report_with_renames(done, state))
    else:
        label = state.database.label
        say(report.report_text(done, rehearsal=False, database=label, told=told))
    if done.status == "ok" and not as_json:
        after = pipeline.look(state.settings)
        if after.plan is not None:
            fresh = report.untold(after.plan.warnings, (*told, *done.plan.warnings))
            # What no schema explains was listed with the plan; all else would be news.
            listed = [change.summary for change in done.plan.changes if isinstance(change, Drift)]
            news = tuple(c for c in after.plan.changes if c.summary not in listed)
            again = replace(after.plan, warnings=fresh, changes=news)
            say(f"\nPlanned again: {report.plan_text(again)}")
        stale = [file for file in pipeline.generated(after) if file.stale]
        if stale:
            missing = all(file.before is None for file in stale)
            what = "were not generated yet" if missing else "are out of date"
            say(f"The types {what}; `valet-studio codegen` writes them.\n")
    return EXIT_CODES[done.status]


def rehearse(state: StudioState, *, progress: bool) -> Report:
    """Run the plan on a copy, telling how far it is where `progress` is wanted."""
    return run_to_report(lambda cancelled: pipeline.dry_run(state, cancelled), progress=progress)


def _rehearsed(done: Report, state: StudioState) -> str:
    """What was rehearsed, warnings included, and what came of it."""
    if done.status == "rejected":
        return f"{report.plan_text(done.plan)}\nNothing was rehearsed, and nothing was changed.\n"
    told = done.plan.warnings if done.plan.pending else ()
    text = report.report_text(done, rehearsal=True, database=state.database.label, told=told)
    return f"{report.plan_text(done.plan)}\n{text}" if done.plan.pending else text


def tell(done: Report, state: StudioState, as_json: bool) -> int:
    """Print what a rehearsal found; its exit code."""
    if as_json:
        say_json(report_with_renames(done, state))
    else:
        say(_rehearsed(done, state))
    return EXIT_CODES[done.status]
