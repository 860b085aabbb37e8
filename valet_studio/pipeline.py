"""One pass of the way of the data: schema + database → `StudioState`; then dry run and apply.

The studio, the commands and the watcher are faces of these functions. They are synchronous and
hold no state of their own; run them on a worker thread where an event loop must not wait.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from valet_studio.config import Settings
from valet_studio.config_file import CONFIG_FILE
from valet_studio.database.target import open_target
from valet_studio.errors import (
    Cancelled,
    IsCancelled,
    MigrationFailed,
    Problem,
    StudioError,
    Unsupported,
    never,
)
from valet_studio.migrate.target import DatabaseInfo, LocalTarget, Planner, Target
from valet_studio.paths import write_atomically
from valet_studio.plan.changes import AnyChange, Plan
from valet_studio.plan.measure import unanswered
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Json, Schema, Table
from valet_studio.schema.sources import read_sources

# A plan is shown before what only later steps need is loaded.
if TYPE_CHECKING:
    from valet_studio.database.structure import Structures
    from valet_studio.fixes.fix import Fix
    from valet_studio.migrate.events import Event, Report
    from valet_studio.migrate.history import Earlier, HistoryEntry, MigrationId
    from valet_studio.migrate.order import Order
    from valet_studio.migrate.touched import Touched
    from valet_studio.migrate.undo import UndoReport
    from valet_studio.migrate.written import TableWrites
    from valet_studio.plan.diff import SchemaChange


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """One generated file: what stands on disk and what the schema asks for."""

    path: Path
    before: str | None
    """Text on disk; None where the file does not exist."""
    after: str

    @property
    def stale(self) -> bool:
        """Whether writing it would change anything."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class StudioState:
    """One moment: what the schema says, what the database holds, and what lies between."""

    settings: Settings
    database: DatabaseInfo
    schema: Schema | None = None
    """None where schema.ts is missing or broken; `problems` says why."""
    plan: Plan | None = None
    """None where the schema or the database could not be read."""
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0
    """Wall time of the pass."""
    earlier: Earlier | None = None
    """Where the history has this schema, if the database has gone on from it; known with counts."""


def look(settings: Settings, cancelled: IsCancelled = never) -> StudioState:
    """Evaluate, inspect and compare. Reads only.

    Counts are left out, and the files to generate: see `measure` and `generated`.
    What went wrong is in `problems`.

    Raises:
        Cancelled: `cancelled` answered True; no other `StudioError` is raised.
    """
    began = time.perf_counter()
    state = StudioState(settings, DatabaseInfo(settings.database, exists=False))
    target: Target | None = None
    try:
        target = target_of(settings)
        info = target.info()
        info = replace(info, read_only=info.read_only or settings.read_only)
        state = replace(state, database=info)
    except StudioError as error:
        target, state = None, replace(state, problems=error.problems)
    plan_of: Planner | None = None
    unread: StudioError | None = None

    def read_database() -> None:
        nonlocal plan_of, unread
        try:
            plan_of = target.planner(strict=settings.strict) if target is not None else None
        except StudioError as error:
            unread = error

    try:
        sources = read_sources(settings.schema_path)
        schema = evaluate(sources, settings.limits, cancelled, read_database)
        state = replace(state, schema=schema)
        if unread is not None:
            raise unread
        if plan_of is not None:
            state = replace(state, plan=unanswered(plan_of(schema)))
    except Cancelled:
        raise
    except StudioError as error:
        state = replace(state, problems=(*state.problems, *error.problems))
    return replace(state, seconds=time.perf_counter() - began)


def measure(state: StudioState, cancelled: IsCancelled) -> StudioState:
    """The same state with counts and data checks filled into its plan. Reads only.

    A database that moved on meanwhile is measured by the plan that holds now.

    Raises:
        Cancelled: `cancelled` answered True.
        StudioError: the data could not be read.
    """
    if state.schema is None or state.plan is None:
        return state
    target = target_of(state.settings)
    plan = target.measure(state.schema, cancelled, strict=state.settings.strict)
    if plan.applied_hash in (None, plan.schema_hash):
        return replace(state, plan=plan)
    from valet_studio.migrate.history import earlier

    return replace(state, plan=plan, earlier=earlier(target.history(), plan))


def structures(state: StudioState) -> Structures | None:
    """The database's structure as SQL, before and after the state's plan; None where there is no
    plan, or where the structure cannot be made again here.

    Raises:
        StudioError: the database cannot be read.
    """
    if state.plan is None:
        return None
    return target_of(state.settings).structures(state.plan)


def dry_run(state: StudioState, cancelled: IsCancelled) -> Iterator[Event]:
    """Rehearse the state's plan on a copy of the database; the last event is a `Report`.

    Raises:
        PlanIsStale: the database's structure changed since the state was made.
        Cancelled, DatabaseError, ServerError: nothing is left behind.
        StudioError: the state has no plan.
    """
    order = _order(state)
    yield from target_of(state.settings).dry_run(order, cancelled)


def apply(state: StudioState, cancelled: IsCancelled) -> Iterator[Event]:
    """Carry out exactly the state's plan; the last event is a `Report`.

    Raises:
        StudioError: the settings say that nothing may be changed, or the state has no plan.
        PlanIsStale: the database's structure changed since the state was made.
        Cancelled, DatabaseError, MigrationFailed: everything was rolled back.
        ServerError: nothing was changed, unless it says so.
    """
    refuse_read_only(state.settings)
    order = _order(state)
    yield from target_of(state.settings).apply(order, cancelled)


def check_types(state: StudioState, cancelled: IsCancelled) -> tuple[Problem, ...]:
    """What the TypeScript compiler has to say of the state's schema, in the order of its lines.

    It checks the text that the state was made from, and takes about a second.

    Raises:
        Cancelled: `cancelled` answered True.
        SandboxError: the compiler could not be run.
    """
    from valet_studio.typescript.check import check

    return check(state.schema.sources, cancelled) if state.schema is not None else ()


def retry_failed(state: StudioState, report: Report, cancelled: IsCancelled) -> Report:
    """Rehearse the state's plan on the documents alone that failed in an earlier run.

    Only those that the report names are tried. Reads only, and makes no copy of the database.

    Raises:
        PlanIsStale: the database's structure changed since the state was made.
        Cancelled, DatabaseError, ServerError: nothing is left behind.
        StudioError: the state has no plan.
    """
    from valet_studio.migrate.events import Report
    from valet_studio.migrate.retry import failed_documents

    order, documents = _order(state), failed_documents(report)
    for event in target_of(state.settings).retry(order, documents, cancelled):
        if isinstance(event, Report):
            return event
    raise MigrationFailed("The rehearsal of the failed documents ended without a report.")


def touched(state: StudioState, change: AnyChange, cancelled: IsCancelled) -> Touched | None:
    """What the database holds where a change is; None where there is no such table yet.

    Raises:
        Cancelled: `cancelled` answered True.
        StudioError: the data could not be read.
    """
    from valet_studio.migrate.touched import wanted

    asked = wanted(change.table, _declared(state, change.table), change.examples, change.column)
    return target_of(state.settings).touched(asked, cancelled)


def document(
    state: StudioState, table: str, who: str, cancelled: IsCancelled
) -> dict[str, Json] | None:
    """The document of that `_id`, decoded to be shown; None where there is none.

    Raises:
        Cancelled: `cancelled` answered True.
        StudioError: the data could not be read.
    """
    from valet_studio.migrate.touched import wanted

    asked = wanted(table, _declared(state, table), (who,))
    found = target_of(state.settings).documents(asked, cancelled)
    return found[0] if found else None


def generated(state: StudioState) -> tuple[GeneratedFile, ...]:
    """The files of the state's schema, and what stands in them now; none without a schema."""
    if state.schema is None:
        return ()
    from valet_studio.codegen.files import render

    files = []
    for name, text in render(state.schema, state.settings.languages).items():
        path = state.settings.output_dir / name
        try:
            before = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            before = None
        files.append(GeneratedFile(path, before, text))
    return tuple(files)


def write_files(state: StudioState) -> tuple[Path, ...]:
    """Write the generated files that are stale, each atomically; returns what was written.

    Raises:
        StudioError: one of them cannot be written.
    """
    stale = [file for file in generated(state) if file.stale]
    for file in stale:
        write_atomically(file.path, file.after)
    return tuple(file.path for file in stale)


def apply_fix(settings: Settings, fix: Fix) -> Path:
    """Make a quick fix's edit on disk; returns the file. Give `fix.inverse()` to take it back.

    Line ends, a byte order mark and the file's mode stay as they are.

    Raises:
        StudioError: the file cannot be written, or does not hold the text that was reviewed.
    """
    path = Path(os.path.realpath(fix.file))
    if not path.is_relative_to(os.path.realpath(settings.schema_path.parent)):
        raise StudioError(f"{fix.file} is not in the directory of {settings.schema_path}.")
    try:
        text = path.read_bytes().decode("utf-8")
        mode = path.stat().st_mode & 0o777
    except (OSError, UnicodeDecodeError) as error:
        raise StudioError(
            f"{fix.file} cannot be read, so the fix was not made.", "Look at the new plan."
        ) from error
    edited = fix.made_in(text)
    if edited is None:
        raise StudioError(
            f"{fix.file} was edited since this fix was made. Nothing was changed.",
            "Look at the new plan, and take the fix that it offers.",
        )
    write_atomically(path, edited, mode)
    return path if settings.schema_path.is_absolute() else Path(fix.file)


def history(settings: Settings) -> tuple[HistoryEntry, ...]:
    """What was applied to the database, newest first.

    Raises:
        StudioError: the history cannot be read.
    """
    return target_of(settings).history()


def history_diff(settings: Settings, before: int | None, after: int) -> tuple[SchemaChange, ...]:
    """What differs between the schemas of two applied migrations; None stands for no schema.

    Raises:
        StudioError: the history does not hold one of them.
    """
    from valet_studio.plan.diff import schema_changes

    target = target_of(settings)
    first = target.schema_at(before) if before is not None else None
    return schema_changes(first, target.schema_at(after))


def applied_schema(state: StudioState) -> Schema | None:
    """The schema that the database was migrated to last; None where the history does not tell.

    Raises:
        StudioError: the history cannot be read.
    """
    applied = state.plan.applied_hash if state.plan is not None else None
    if applied is None:
        return None
    target = target_of(state.settings)
    found = next((entry.id for entry in target.history() if entry.hash_after == applied), None)
    return target.schema_at(found) if found is not None else None


def undo(
    settings: Settings,
    cancelled: IsCancelled = never,
    migration: MigrationId | None = None,
) -> UndoReport:
    """Put the database back as it was before the last migration, which has to be `migration`
    where one is given; see `migrate.undo`.

    Raises:
        StudioError: nothing may be changed, or there is nothing to undo.
        PlanIsStale: another migration is the last one.
        Cancelled, DatabaseError: nothing was replaced.
        ServerError: nothing was replaced, unless it says so.
    """
    refuse_read_only(settings)
    return target_of(settings).undo(cancelled, migration)


def written_since(settings: Settings, cancelled: IsCancelled = never) -> tuple[TableWrites, ...]:
    """The tables with documents written since the last apply, which an undo would take back.

    Raises:
        StudioError: there is nothing to undo.
        Cancelled: `cancelled` answered True.
    """
    return target_of(settings).written_since(cancelled)


def reset_backfill(settings: Settings, table: str, column: str) -> bool:
    """Forget that a backfill ran, so that the next push runs it; False where it never had.

    Raises:
        StudioError: nothing may be changed, or the database cannot be read or written.
    """
    refuse_read_only(settings)
    return target_of(settings).reset_backfill(table, column)


def applied_backfills(settings: Settings) -> frozenset[tuple[str, str]]:
    """Table and column of each backfill in the schemas of the history, where they can be read.

    Raises:
        StudioError: the history cannot be read.
    """
    target = target_of(settings)
    found: set[tuple[str, str]] = set()
    for entry in target.history():
        with suppress(StudioError):
            tables = target.schema_at(entry.id).tables
            found |= {(table.name, b.column) for table in tables for b in table.backfills}
    return frozenset(found)


def declares_backfill(settings: Settings, table: str, column: str) -> bool | None:
    """Whether schema.ts fills a column with a backfill; None where it cannot be read."""
    try:
        schema = evaluate(read_sources(settings.schema_path), settings.limits)
    except StudioError:
        return None
    found = schema.table_named(table)
    return found is not None and any(b.column == column for b in found.backfills)


def refuse_read_only(settings: Settings) -> None:
    """Refuse to change a database that is marked as read-only.

    Raises:
        StudioError: it is.
    """
    if settings.read_only:
        raise StudioError(
            f"{settings.database} is opened read-only, so nothing was changed.",
            "Leave out --read-only, or take the mark out of VALET_STUDIO_READ_ONLY and "
            f"{CONFIG_FILE}.",
        )


def target_of(settings: Settings) -> Target:
    """The database that the settings name: a file, or one behind a push server or a libSQL server.

    Raises:
        Unsupported: it is none of them.
        DatabaseError: no file can be there, or something else is.
        ServerError: the address, the key or the token cannot be used.
    """
    if "://" in settings.database:
        # A plan of a file is on the screen before these are loaded.
        from valet_studio.libsql.hrana import is_libsql
        from valet_studio.libsql.target import LibsqlTarget
        from valet_studio.remote.target import ServerTarget, is_server

        try:
            urlsplit(settings.database)
        except ValueError as error:
            raise Unsupported(
                f"{settings.database} is no address: {str(error).lower()}.",
                "Write it as in http://127.0.0.1:5555.",
            ) from error
        if is_server(settings.database):
            return ServerTarget.at(settings.database, settings.deploy_key)
        if is_libsql(settings.database):
            return LibsqlTarget.at(settings.database, settings.db_token)
    return LocalTarget(open_target(settings.database))


def _declared(state: StudioState, table: str) -> Table | None:
    return state.schema.table_named(table) if state.schema is not None else None


def _order(state: StudioState) -> Order:
    if state.schema is None or state.plan is None:
        first = state.problems[0] if state.problems else Problem("There is no plan yet.")
        raise StudioError(first.message, first.hint, first.location)
    from valet_studio.migrate.order import Order

    settings = state.settings
    return Order(state.schema, state.plan, settings.limits, settings.strict)
