"""Rehearse a migration on a copy of the database; the database itself is only read."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from valet_studio.database.copy import copy_to
from valet_studio.database.errors import database_errors
from valet_studio.database.lean import copy_lean, lean_limit, most_of
from valet_studio.database.target import FileTarget
from valet_studio.errors import DatabaseError, IsCancelled, SandboxError, StudioError, reason_of
from valet_studio.migrate.ahead import ByColumn
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import Copied, CopyProgress, Event, PhaseStarted, Report, TableRows
from valet_studio.migrate.migration import migrate
from valet_studio.migrate.needed import Tripwire, rows_needed
from valet_studio.migrate.order import Order
from valet_studio.scratch import make_scratch

T = TypeVar("T")


def dry_run(
    target: FileTarget,
    order: Order,
    cancelled: IsCancelled,
    *,
    kept: ByColumn | None = None,
    lean: Callable[[int], int] = lean_limit,
) -> Iterator[Event]:
    """Copy the database, run the very same migration on the copy, report, delete the copy.

    Every backfill is computed by two processes, and their answers are compared. Its values go to
    `kept`, for an apply of the same plan.

    A large database is copied in part, where the plan touches a small part of it; the report says
    so. It is the report that a full copy would give, but that tables outside of the plan are not
    looked through for damage.

    Args:
        lean: for the size of a database, the most bytes of tables of which a lean copy is made.

    Raises:
        PlanIsStale: the database is not in the state for which the plan was made.
        Cancelled: stopped; the copy is deleted.
        DatabaseError: the database cannot be read, or the copy cannot be written.
    """
    began = time.perf_counter()
    with _temporary_folder(target.label) as folder:
        copy = folder / "copy.db"
        size = target.size() or 0
        rehearsal = partial(
            _rehearsal,
            copy,
            f"{target.label} (its copy in {folder})",
            order,
            cancelled,
            kept=kept,
            began=began,
        )
        yield PhaseStarted("copy")
        part = None
        if most := most_of(size, copy, lean):
            with target.reading(cancelled) as connection:
                scope = rows_needed(connection, order)
            if scope is not None:
                part = yield from _told(copy_lean(target, copy, scope, most, cancelled))
        if part is not None:
            wire = Tripwire(part.absent)
            copied = Copied("lean", copy.stat().st_size, size, part.tables)
            yield from _until_tripped(rehearsal(wire), wire, copied, part.counts)
            if not wire.tripped:
                return
            _forget(kept)
            copy.unlink()
            yield PhaseStarted("copy")
        yield from _told(copy_to(target, copy, cancelled))
        copied = Copied("full", copy.stat().st_size, size)
        for event in rehearsal(None):
            yield replace(event, copied=copied) if isinstance(event, Report) else event


@contextmanager
def _temporary_folder(label: str) -> Iterator[Path]:
    """A directory for the copy.

    Raises:
        DatabaseError: it cannot be made, or was deleted while it was needed.
    """
    try:
        folder = make_scratch()
    except OSError as error:
        raise DatabaseError(
            f"There is no temporary directory for a copy of {label}: {reason_of(error)}.",
            "Let TMPDIR name a directory that you may write to, on a disk with free space.",
        ) from error
    try:
        yield folder
    except (DatabaseError, SandboxError, OSError) as error:
        if folder.exists():
            raise
        raise DatabaseError(
            f"The temporary directory {folder} was deleted while the dry run worked in it. "
            f"{label} was not touched.",
            "Run it again; TMPDIR can name a directory that nothing clears.",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rehearsal(
    copy: Path,
    label: str,
    order: Order,
    cancelled: IsCancelled,
    wire: Tripwire | None,
    *,
    kept: ByColumn | None,
    began: float,
) -> Iterator[Event]:
    with database_errors(label):
        connection = apsw.Connection(str(copy))
        try:
            connection.authorizer = wire
            # Nobody needs the copy after a crash, so it need not survive one.
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA synchronous = OFF")
            with Evaluators(order.schema.sources, order.limits, twice=True) as evaluators:
                yield from migrate(connection, order, evaluators, cancelled, kept=kept, began=began)
        finally:
            connection.close()


def _until_tripped(
    events: Iterator[Event], wire: Tripwire, copied: Copied, counts: Mapping[str, int]
) -> Iterator[Event]:
    """The events of a rehearsal on a lean copy, up to where it needs what is not there."""
    try:
        for event in events:
            if wire.tripped:
                return
            if isinstance(event, Report):
                event = replace(event, copied=copied, tables=_counted(event.tables, counts))
            yield event
    except StudioError:
        if not wire.tripped:
            raise


def _told(copying: Generator[tuple[int, int], None, T]) -> Generator[Event, None, T]:
    """Progress as events; what the copying returns."""
    with closing(copying):
        while True:
            try:
                done, total = next(copying)
            except StopIteration as ended:
                found: T = ended.value
                return found
            yield CopyProgress(done, total)


def _counted(tables: tuple[TableRows, ...], counts: Mapping[str, int]) -> tuple[TableRows, ...]:
    """Row counts, those of the database for the tables that stand empty in the copy."""
    return tuple(
        replace(rows, rows_before=counts[rows.table], rows_after=counts[rows.table])
        if rows.table in counts
        else rows
        for rows in tables
    )


def _forget(kept: ByColumn | None) -> None:
    for computed in (kept or {}).values():
        computed.close()
    if kept is not None:
        kept.clear()
