"""What the studio knows at one moment, and what that allows.

Pure: the app holds one `Facts`, replaces it as things happen, and every pane, key and line of
text is drawn from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from valet_studio.config import Settings
from valet_studio.errors import Problem
from valet_studio.fixes.fix import Fix
from valet_studio.pipeline import GeneratedFile, StudioState
from valet_studio.plan.changes import Plan, RunBackfill
from valet_studio.tui.key_names import key_shown

if TYPE_CHECKING:
    from valet_studio.tour import Step

READ_ONLY = "{} is off: the studio was opened read-only."

RunKind: TypeAlias = Literal["dry run", "apply"]
"""The two ways to carry out a plan."""
Task: TypeAlias = RunKind | Literal["retry", "undo"]
"""What the studio does one at a time. `retry`: the documents that a dry run could not fill are
tried again."""


@dataclass(frozen=True, slots=True)
class TourPlace:
    """Where the demo's tour is."""

    step: Step
    number: int
    """Counted from 1."""
    left: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the screen shows, but for what a running or finished run reports."""

    settings: Settings
    state: StudioState | None = None
    """The newest look; None until the first one ends."""
    good: StudioState | None = None
    """The newest look that has a plan: what stays on screen while schema.ts is broken."""
    reading: bool = False
    """Whether a save is being read, and has been for so long that one should know."""
    missing: bool = False
    """Whether there is no schema file at all."""
    files: tuple[GeneratedFile, ...] = ()
    """What is generated of the newest schema of which it is known; a look tells the plan first."""
    watching: bool = True
    running: Task | None = None
    carried_out: str | None = None
    """Fingerprint of the plan that the newest run is of."""
    rehearsed: str | None = None
    """Fingerprint of the plan whose dry run succeeded last."""
    failed: str | None = None
    """Fingerprint of the plan whose dry run failed last."""
    failing: frozenset[tuple[str, str]] = frozenset()
    """Table and column of the backfills that could not fill a document in the newest dry run."""
    live: bool = False
    """Whether each save is dry-run by itself."""
    type_errors: tuple[Problem, ...] = ()
    """What the type checker says of the schema on screen."""

    fixes: tuple[Fix, ...] = ()
    """Quick fixes of the selected change, the best first."""
    fixed: int = 0
    """Quick fixes that were written, and can be taken back."""
    tour: TourPlace | None = None
    """None where no tour is given."""
    keys: Mapping[str, tuple[str, ...]] = field(kw_only=True)
    """The keys of every action by its id, as textual names them: the user's own where some were
    chosen."""
    replica: Path | None = None
    """A client's file that is rehearsed on too; None where none is named."""
    in_browser: bool = False
    """Whether the studio is shown by a browser, perhaps to someone else."""

    def key(self, action: str) -> str:
        """The key of an action as a person would name it; the first, where it has several."""
        return key_shown(self.keys[action][0])

    @property
    def plan(self) -> Plan | None:
        """The plan on screen: of the newest look, or the last good one."""
        return self.good.plan if self.good is not None else None

    def shows(self, plan: Plan) -> bool:
        """Whether this is the plan that holds now."""
        now = self.plan
        return not self.broken and now is not None and now.fingerprint == plan.fingerprint

    @property
    def broken(self) -> bool:
        """Whether the newest look has no plan, so that the one on screen is an old one."""
        return self.state is not None and self.state.plan is None

    @property
    def unreadable(self) -> bool:
        """Whether it is the database that the newest look could not read."""
        return self.broken and self.state is not None and self.state.schema is not None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What the newest look found wrong."""
        return self.state.problems if self.state is not None else ()

    @property
    def stale_files(self) -> tuple[GeneratedFile, ...]:
        """Generated files that no longer say what the schema says."""
        if self.state is None or self.state.schema is None:
            return ()
        return tuple(file for file in self.files if file.stale)

    @property
    def rehearsal_holds(self) -> bool:
        """Whether a dry run of the very plan on screen succeeded."""
        return self.plan is not None and self.plan.fingerprint == self.rehearsed


def why_busy(facts: Facts) -> str | None:
    """Why `o` and `R` do nothing now; None where they work."""
    if facts.running is None:
        return None
    return f"The {facts.running} is still running; {facts.key('cancel')} cancels it."


def why_no_dry_run(facts: Facts) -> str | None:
    """Why `d` does nothing now; None where it works."""
    if facts.running is not None:
        return why_busy(facts)
    if facts.state is None:
        return "Still reading the schema and the database."
    if facts.missing:
        return f"There is no {facts.settings.schema_path} yet; {facts.key('init')} makes one."
    if facts.broken or facts.plan is None:
        return "There is no plan to rehearse until the problem in pane 1 is mended."
    if facts.plan.status == "blocked":
        return "This plan is rejected: mend what is marked ✗ first, in schema.ts or in the data."
    if facts.plan.status == "in_sync" and facts.replica is None:
        return "Nothing to rehearse: schema and database agree."
    return None


def why_no_apply(facts: Facts) -> str | None:
    """Why `a` does nothing now; None where it works."""
    if facts.plan is not None and not facts.broken and facts.plan.status == "in_sync":
        return "Nothing to apply: schema and database agree."
    reason = why_no_dry_run(facts)
    if reason is not None:
        return reason.replace("rehearse", "apply")
    if facts.reading:
        return "Apply is off while a newer save is read: this is the plan of the one before."
    if facts.settings.read_only:
        return READ_ONLY.format("Apply")
    if facts.good is not None and facts.good.database.read_only:
        return f"Apply is off: {facts.good.database.label} is read-only for you."
    key = facts.key("dry_run")
    if facts.plan is not None and facts.plan.fingerprint == facts.failed:
        return f"Apply is off: the dry run of this plan failed. Mend the schema, then press {key}."
    if facts.rehearsed is not None and not facts.rehearsal_holds:
        return (
            f"Apply is off: the plan changed since its dry run. Press {key} to rehearse it again."
        )
    if not facts.rehearsal_holds:
        return f"Apply is off until a dry run of this plan succeeds. Press {key}."
    return None


def why_no_cancel(facts: Facts) -> str | None:
    """Why `x` does nothing now; None where it works."""
    return None if facts.running is not None else "Nothing is running."


def why_no_retry(facts: Facts) -> str | None:
    """Why `D` does nothing now; None where it works."""
    if not facts.failing:
        return "No document failed in a dry run."
    reason = why_no_dry_run(facts)
    pending = facts.plan.pending if facts.plan is not None else ()
    runs = {(c.table, c.column) for c in pending if isinstance(c, RunBackfill)}
    if reason is None and not facts.failing & runs:
        key = facts.key("dry_run")
        return f"The backfill that failed is not in this plan; {key} rehearses what is."
    return reason


def why_no_files(facts: Facts) -> str | None:
    """Why `g` does nothing now; None where it works."""
    if facts.running is not None:
        return f"The {facts.running} is still running."
    if facts.broken or facts.state is None:
        return "There is no schema to generate types from."
    if facts.plan is not None and facts.plan.status == "blocked":
        return "This plan is rejected: types are written for a schema that can be applied."
    if facts.settings.read_only:
        return READ_ONLY.format("Writing types")
    return None if facts.stale_files else "The generated files are up to date."


def why_no_init(facts: Facts) -> str | None:
    """Why `i` does nothing now; None where it works."""
    if facts.settings.read_only:
        return READ_ONLY.format("Making a schema")
    return None if facts.missing else f"{facts.settings.schema_path} is already there."


def why_no_undo(facts: Facts) -> str | None:
    """Why `u` does nothing now; None where it works."""
    if facts.running is not None:
        return why_busy(facts)
    if facts.settings.read_only:
        return READ_ONLY.format("Undo")
    if facts.state is not None and facts.state.database.read_only:
        return f"Undo is off: {facts.state.database.label} is read-only for you."
    if facts.state is not None and not facts.state.database.exists:
        return "There is no database yet, so there is nothing to undo."
    if facts.state is not None and not facts.state.database.keeps_snapshots:
        return "Undo is off: no snapshot is kept of a libSQL server's database."
    return None


def why_no_history(facts: Facts) -> str | None:
    """Why `h` does nothing now; None where it works."""
    if facts.state is not None and not facts.state.database.exists:
        return "There is no database yet, so nothing was applied."
    return None


def why_no_fix(facts: Facts) -> str | None:
    """Why `f` does nothing now; None where it works. Which fixes there are, is asked later."""
    if facts.settings.read_only:
        return READ_ONLY.format("Writing into schema.ts")
    if facts.broken or facts.plan is None:
        return "There is no plan to fix until the problem in pane 1 is mended."
    return None


def why_no_unfix(facts: Facts) -> str | None:
    """Why a quick fix cannot be taken back; None where it can."""
    if facts.settings.read_only:
        return READ_ONLY.format("Writing into schema.ts")
    return None if facts.fixed else "No quick fix was written that could be taken back."


def why_no_step(facts: Facts) -> str | None:
    """Why `n` does nothing now; None where it works."""
    if facts.tour is None:
        return "There is no tour here: `valet-studio demo --tour` gives one."
    if facts.settings.read_only:
        return READ_ONLY.format("Writing into schema.ts")
    return why_busy(facts)


def why_no_step_back(facts: Facts) -> str | None:
    """Why `p` does nothing now; None where it works."""
    reason = why_no_step(facts)
    if reason is None and facts.tour is not None and facts.tour.number == 1:
        return "This is the tour's first step."
    return reason


def why_no_suspend(facts: Facts) -> str | None:
    """Why `ctrl+z` does nothing now; None where it works. The terminal is asked later."""
    if facts.in_browser:
        return "There is no shell in a browser to go back to."
    return why_busy(facts)


def why_no_edit(facts: Facts) -> str | None:
    """Why `e` does nothing now; None where it works."""
    if facts.settings.read_only:
        return READ_ONLY.format("Editing schema.ts")
    if facts.in_browser:
        return "Editing is off in a browser: the editor would open where the studio is served."
    return None
