"""check: whether schema, database and generated files agree, for CI."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from valet_studio import pipeline, report
from valet_studio.commands.console import interruptible, say, say_json
from valet_studio.commands.runs import (
    EXIT_CODES,
    REJECTED,
    plan_with_renames,
    planned,
    rehearse,
    report_with_renames,
    tell,
    tell_missing,
)
from valet_studio.config import Settings
from valet_studio.errors import Problem
from valet_studio.pipeline import GeneratedFile, StudioState
from valet_studio.plan.changes import Plan
from valet_studio.report_json import problems_json
from valet_studio.schema.model import Json

if TYPE_CHECKING:
    from valet_studio.migrate.events import Report

PENDING = 3


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found. What is None was not asked for, or not reached."""

    plan: Plan
    type_errors: tuple[Problem, ...] | None
    rehearsal: Report | None
    files: tuple[GeneratedFile, ...] | None

    @property
    def status(self) -> Literal["in_sync", "pending", "stale", "blocked"]:
        """The most that is wrong; `stale` where it is generated files alone."""
        failed = self.rehearsal is not None and EXIT_CODES[self.rehearsal.status]
        if self.type_errors or self.plan.status == "blocked" or failed:
            return "blocked"
        if self.plan.status == "pending":
            return "pending"
        return "stale" if any(file.stale for file in self.files or ()) else "in_sync"

    @property
    def exit_code(self) -> int:
        """What CI goes by."""
        return {"in_sync": 0, "pending": PENDING, "stale": PENDING, "blocked": REJECTED}[
            self.status
        ]


def check(settings: Settings, *, rehearsing: bool, types: bool = False, as_json: bool) -> int:
    """Say for CI whether database, schema and generated files agree."""
    state, found = planned(settings)
    checked = _checked(state, found, rehearsing=rehearsing, types=types, progress=not as_json)
    if as_json:
        say_json(_json(checked, state))
    else:
        _say(checked, state)
    return checked.exit_code


def _checked(
    state: StudioState, found: Plan, *, rehearsing: bool, types: bool, progress: bool
) -> Checked:
    """Look at one after the other; what is blocked ends it."""
    checked = Checked(found, None, None, None)
    if types:
        with interruptible() as cancelled:
            checked = replace(checked, type_errors=pipeline.check_types(state, cancelled))
    if checked.status == "blocked":
        return checked
    if rehearsing and found.status == "pending":
        checked = replace(checked, rehearsal=rehearse(state, progress=progress))
    if checked.status == "blocked":
        return checked
    return replace(checked, files=pipeline.generated(state))


def _say(checked: Checked, state: StudioState) -> None:
    if checked.type_errors:
        say(report.problems_text(checked.type_errors))
        return
    if checked.plan.status == "pending":
        tell_missing(state)
    if checked.rehearsal is not None:
        tell(checked.rehearsal, state, as_json=False)
    elif checked.status != "stale":
        say(report.plan_text(checked.plan))
    for file in checked.files or ():
        if file.stale:
            what = "is out of date" if file.before is not None else "does not exist"
            say(f"! Generated file {file.path} {what}; `valet-studio codegen` writes it.\n")
    if checked.status == "in_sync":
        say("The generated files are up to date.\n")


def _json(checked: Checked, state: StudioState) -> dict[str, Json]:
    errors, done = checked.type_errors, checked.rehearsal
    return {
        "status": checked.status,
        "plan": plan_with_renames(checked.plan, state),
        "type_errors": None if errors is None else problems_json(errors)["errors"],
        "dry_run": None if done is None else report_with_renames(done, state),
        "files": None if checked.files is None else list(map(_file_json, checked.files)),
    }


def _file_json(file: GeneratedFile) -> Json:
    known = "stale" if file.stale else "current"
    return {"path": str(file.path), "status": "missing" if file.before is None else known}
