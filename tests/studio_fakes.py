"""A stand-in for the pipeline, and hand-made states: every picture of the studio in milliseconds.

What a migration really does is told by the tests that drive the real pipeline.
"""

from __future__ import annotations

import asyncio
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from valet_studio.config import Settings
from valet_studio.database.structure import Structures
from valet_studio.errors import Cancelled, IsCancelled, Location, Problem, StudioError
from valet_studio.fixes.fix import Fix
from valet_studio.migrate.events import (
    BackfillProgress,
    BackfillReport,
    CopyProgress,
    Event,
    Failure,
    Outcome,
    PhaseStarted,
    Report,
    Sample,
    StatementRun,
    TableRows,
    ValueCount,
)
from valet_studio.migrate.history import HistoryEntry, MigrationId
from valet_studio.migrate.target import DatabaseInfo
from valet_studio.migrate.touched import Touched
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.written import TableWrites
from valet_studio.pipeline import GeneratedFile, StudioState
from valet_studio.plan.changes import (
    AddColumn,
    AnyChange,
    ChangeType,
    DeprecateField,
    Plan,
    Risk,
    RunBackfill,
)
from valet_studio.plan.diff import SchemaChange
from valet_studio.scaffold import DEMO_AFTER
from valet_studio.schema.model import (
    Backfill,
    Field,
    Json,
    Schema,
    Sources,
    Table,
    Validator,
)

FILE = "valet/schema.ts"
SOURCE = DEMO_AFTER
CODE = textwrap.dedent("        " + SOURCE[SOURCE.index("(row) =>") : SOURCE.index("),\n})")])
TYPES_BEFORE = """\
import type { Id } from "./ids";

export interface Todos {
  _id: Id<"todos">;
  title: string;
  completed: number;
  userId: string;
  priority: string;
}
"""
TYPES_AFTER = """\
import type { Id } from "./ids";

export interface Todos {
  _id: Id<"todos">;
  title: string;
  completed: number;
  userId: string;
  priorityNum: number;
  tags: string[];
}
"""


def changes(rows: int | None = None, table: str = "todos") -> tuple[AnyChange, ...]:
    """The seed's plan: a deprecated field, a new column, its backfill."""
    field = Field("priorityNum", Validator("number"), location=Location(FILE, 9, 22))
    backfill = Backfill("priorityNum", "d1", CODE, location=Location(FILE, 15, 10))
    return (
        DeprecateField(
            table=table,
            column="priority",
            summary=f"{table}.priority leaves the types; its column and data are kept.",
            rule="Removed columns are kept in the database (never dropped).",
            location=Location(FILE, 8, 19),
        ),
        AddColumn(
            table=table,
            column="priorityNum",
            summary=f"Add column priorityNum to {table}: number.",
            rule="New columns are added via ALTER TABLE ADD COLUMN.",
            sql=(f'ALTER TABLE "{table}" ADD COLUMN "priorityNum" INTEGER',),
            location=Location(FILE, 9, 22),
            rows=rows,
            field=field,
            backfilled=True,
        ),
        RunBackfill(
            table=table,
            column="priorityNum",
            summary=f"Backfill {table}.priorityNum for every document.",
            rule="Runs once a column, for all documents or none.",
            sql=(f'UPDATE "{table}" SET "priorityNum" = backfill(rowid)',),
            location=Location(FILE, 15, 10),
            rows=rows,
            declared=backfill,
        ),
    )


def breaking() -> ChangeType:
    """A change that rejects the whole push."""
    after = Field("completed", Validator("boolean"), location=Location(FILE, 6, 20))
    return ChangeType(
        table="todos",
        column="completed",
        risk=Risk.BREAKING,
        summary="todos.completed changes from number to boolean, which SQLite cannot do.",
        rule="Keep completed as v.number().deprecated(), add a new column, and fill it.",
        location=Location(FILE, 6, 20),
        before=Validator("number"),
        before_sql_type="INTEGER",
        after=after,
    )


def plan_of(
    *items: AnyChange,
    fingerprint: str = "3fa9c1d27e5b",
    warnings: tuple[Problem, ...] = (),
) -> Plan:
    """A plan of these changes; without any it is in sync."""
    applied = "hash-b" if items else "hash-a"
    return Plan("hash-a", applied, fingerprint, items, warnings)


@dataclass
class FakeEngine:
    """Answers what it was told to, and remembers what it was asked."""

    settings: Settings
    state: StudioState
    files: tuple[GeneratedFile, ...] | None = None
    """What is generated; where None, a file that is stale where there is something to do."""
    rows: int = 142
    failing: int = 0
    hold: threading.Event | None = None
    """Where set, a run waits in the middle of its backfill until this is, or it is cancelled."""
    applied: list[str] = field(default_factory=list)
    """Fingerprints that were applied."""
    rehearsed: list[str] = field(default_factory=list)
    closed: int = 0
    """Runs whose generator was left, in whatever way."""
    written: int = 0
    after_apply: StudioState | None = None
    type_errors: tuple[Problem, ...] = ()
    """What the type checker says of every schema."""
    checked: int = 0
    hold_check: threading.Event | None = None
    """Where set, a type check waits until this is, or it is cancelled."""
    checks_stopped: int = 0
    documents: dict[str, dict[str, Json]] = field(default_factory=dict)
    """Whole documents by `_id`."""
    touches: Touched | None = None
    applied_before: Schema | None = None
    """The schema that the database was migrated to last."""
    still_failing: int = 0
    """Documents that fail again when the failed ones are retried."""
    entries: tuple[HistoryEntry, ...] = ()
    """The history, newest first."""
    writes: tuple[TableWrites, ...] = ()
    told_structures: Structures | None = None
    undone: list[int] = field(default_factory=list)

    hold_look: threading.Event | None = None
    """Where set, a look waits until this is, or it is outdated."""

    def look(self, settings: Settings, cancelled: IsCancelled) -> StudioState:  # noqa: ARG002
        while self.hold_look is not None and not cancelled() and not self.hold_look.wait(0.01):
            pass
        return self.state

    def generated(self, state: StudioState) -> tuple[GeneratedFile, ...]:
        if state.plan is None:
            return ()
        return self.files if self.files is not None else files_of(state.plan)

    def structures(self, state: StudioState) -> Structures | None:
        return self.told_structures if state.plan is not None else None

    def measure(self, state: StudioState, cancelled: IsCancelled) -> StudioState:  # noqa: ARG002
        if state.plan is None or not state.plan.changes:
            return state
        counted = tuple(
            change if isinstance(change, ChangeType) else replace(change, rows=self.rows)
            for change in state.plan.changes
        )
        return replace(state, plan=replace(state.plan, changes=counted, measured=True))

    def dry_run(self, state: StudioState, cancelled: IsCancelled) -> Iterator[Event]:
        assert state.plan is not None
        self.rehearsed.append(state.plan.fingerprint)
        yield PhaseStarted("copy")
        yield CopyProgress(11, 11)
        yield from self._run(state.plan, cancelled)

    def apply(self, state: StudioState, cancelled: IsCancelled) -> Iterator[Event]:
        assert state.plan is not None
        for event in self._run(state.plan, cancelled):
            if isinstance(event, Report):
                kept = ".valet/snapshots/dev.before-0007.db"
                event = replace(event, history_id=7, snapshot=kept)
            yield event
        self.applied.append(state.plan.fingerprint)
        if self.after_apply is not None:
            self.state = self.after_apply

    def check_types(
        self,
        state: StudioState,  # noqa: ARG002
        cancelled: IsCancelled,
    ) -> tuple[Problem, ...]:
        self.checked += 1
        while self.hold_check is not None and not self.hold_check.wait(0.01):
            if cancelled():
                self.checks_stopped += 1
                raise Cancelled
        return self.type_errors

    def retry_failed(
        self,
        state: StudioState,
        report: Report,
        cancelled: IsCancelled,  # noqa: ARG002
    ) -> Report:
        assert state.plan is not None
        return report_of(state.plan, report.backfills[0].failed, self.still_failing)

    def touched(
        self,
        state: StudioState,  # noqa: ARG002
        change: AnyChange,  # noqa: ARG002
        cancelled: IsCancelled,  # noqa: ARG002
    ) -> Touched | None:
        return self.touches

    def document(
        self,
        state: StudioState,  # noqa: ARG002
        table: str,  # noqa: ARG002
        who: str,
        cancelled: IsCancelled,  # noqa: ARG002
    ) -> dict[str, Json] | None:
        return self.documents.get(who)

    def write_files(self, state: StudioState) -> tuple[Path, ...]:
        self.written += 1
        files = self.generated(state)
        self.files = tuple(replace(file, before=file.after) for file in files)
        return tuple(file.path for file in files if file.stale)

    def apply_fix(self, settings: Settings, fix: Fix) -> Path:
        path = settings.schema_path
        edited = fix.made_in(path.read_text(encoding="utf-8"))
        if edited is None:
            raise StudioError(f"{fix.file} was edited since this fix was made.")
        path.write_text(edited, encoding="utf-8")
        return Path(fix.file)

    def applied_schema(self, state: StudioState) -> Schema | None:  # noqa: ARG002
        return self.applied_before

    def history(self, settings: Settings) -> tuple[HistoryEntry, ...]:  # noqa: ARG002
        return self.entries

    def history_diff(
        self,
        settings: Settings,  # noqa: ARG002
        before: int | None,
        after: int,
    ) -> tuple[SchemaChange, ...]:
        return (
            SchemaChange("+", "todos", f"field{after}", f"Field todos.field{after} (string)."),
            SchemaChange("-", "todos", None, f"Compared with {before}: [/x]."),
        )

    def written_since(
        self,
        settings: Settings,  # noqa: ARG002
        cancelled: IsCancelled,  # noqa: ARG002
    ) -> tuple[TableWrites, ...]:
        if not self.entries:
            raise StudioError(
                "Nothing was applied to .valet/dev.db yet, so there is nothing to undo."
            )
        return self.writes

    def undo(
        self,
        settings: Settings,  # noqa: ARG002
        cancelled: IsCancelled,
        migration: MigrationId | None,
    ) -> UndoReport:
        assert migration == self.entries[0].identity
        while self.hold is not None and not self.hold.wait(0.01):
            if cancelled():
                raise Cancelled()
        last, self.entries = self.entries[0].id, self.entries[1:]
        self.undone.append(last)
        folder = Path(".valet/snapshots")
        kept = folder / f"dev.undone-{last:04d}.db"
        return UndoReport(".valet/dev.db", last, folder / f"dev.before-{last:04d}.db", kept)

    def _run(self, plan: Plan, cancelled: IsCancelled) -> Iterator[Event]:
        try:
            yield PhaseStarted("structure")
            statements = [sql for change in plan.changes for sql in change.sql]
            for sql in statements:
                yield StatementRun(sql, 0.001)
            yield PhaseStarted("backfill")
            half = self.rows // 2
            yield BackfillProgress("todos", "priorityNum", half, self.rows, 0, 0.4)
            while self.hold is not None and not self.hold.wait(0.01):
                if cancelled():
                    raise Cancelled()
            yield BackfillProgress("todos", "priorityNum", self.rows, self.rows, 0, 0.8)
            report = report_of(plan, self.rows, self.failing)
            yield from report.backfills
            if not self.failing:
                yield PhaseStarted("verify")
            yield report
        finally:
            self.closed += 1


def report_of(plan: Plan, rows: int = 142, failing: int = 0) -> Report:
    """What the seed's backfill reports."""
    names = ("high", "medium", "low", "[/x]")
    values = {"high": 3, "medium": 2, "low": 1, "[/x]": 1}
    samples = tuple(
        Sample(
            f"t{at:04d}",
            None,
            values[names[at % 4]],
            {"title": f"Todo {at}", "priority": names[at % 4]},
        )
        for at in range(20)
    )
    errors = tuple(
        Failure(
            f"t{at:04d}",
            "TypeError: Cannot read properties of null (reading '[/x]')",
            Location(FILE, 21, 28),
        )
        for at in range(failing)
    )
    distribution = (ValueCount(1, rows // 2), ValueCount(3, rows // 4), ValueCount(2, rows // 4))
    backfill = BackfillReport(
        "todos",
        "priorityNum",
        rows,
        0 if failing else rows,
        failing,
        0.02,
        () if failing else samples,
        errors,
        () if failing else distribution,
        deterministic=True,
    )
    tables = (TableRows("todos", rows, rows),)
    status: Outcome = "failed" if failing else "ok"
    return Report(status, plan, tables, (backfill,), 0.03, ("ALTER TABLE …",))


def settings_in(folder: Path) -> Settings:
    """Settings of a directory that holds the seed's schema.ts."""
    path = folder / "valet" / "schema.ts"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SOURCE, encoding="utf-8")
    return Settings(schema_path=path, database=str(folder / "dev.db"))


def state_of(settings: Settings, plan: Plan | None, *problems: Problem) -> StudioState:
    """A state around a plan."""
    schema = Schema((Table("todos"),), Sources("schema.ts", {"schema.ts": SOURCE}, "valet"))
    return StudioState(
        settings,
        DatabaseInfo(".valet/dev.db", True, 45_056),
        schema if plan is not None else None,
        plan,
        problems,
        0.04,
    )


def files_of(plan: Plan) -> tuple[GeneratedFile, ...]:
    """The types, stale where there is something to do."""
    before = TYPES_BEFORE if plan.changes else TYPES_AFTER
    return (GeneratedFile(Path("types.ts"), before, TYPES_AFTER),)


def broken_state(settings: Settings, message: str = "'}' expected.") -> StudioState:
    """What a look tells of a schema.ts that does not parse."""
    problem = Problem(
        message,
        "Close the object that begins in line 4.",
        Location(FILE, 8, 19),
        "        priority: v.string(.deprecated(),",
    )
    return state_of(settings, None, problem)


@dataclass
class Saves:
    """Saves that a test makes; in place of the watcher."""

    made: asyncio.Event = field(default_factory=asyncio.Event)

    def save(self) -> None:
        """One save."""
        self.made.set()

    async def __call__(self, folder: Path) -> AsyncIterator[None]:  # noqa: ARG002
        while True:
            await self.made.wait()
            self.made.clear()
            yield
