"""The way back to the snapshot that was taken before the last migration."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import apsw

from valet_studio.database.errors import database_errors, explain
from valet_studio.database.layout import SNAPSHOT, read_meta
from valet_studio.database.target import FileTarget
from valet_studio.errors import Cancelled, IsCancelled, PlanIsStale, StudioError
from valet_studio.migrate.history import HistoryEntry, MigrationId, entries
from valet_studio.migrate.snapshot_files import (
    KEPT_SNAPSHOTS,
    create_like,
    digest_of,
    free,
    give_name,
    make_durable,
    make_snapshot_folder,
    remove_unfinished,
    snapshot_folder,
    snapshot_path,
    snapshots,
    unfinished,
)

_PAGES_A_STEP = 4096


class NothingToUndo(StudioError):
    """Nothing was applied, or the snapshot from before it is gone."""


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What an undo did."""

    label: str
    """The database, as the user named it."""
    history_id: int
    """The migration that was undone."""
    restored_from: Path
    kept: Path
    """Where the state that was replaced is kept."""
    on_server: bool = False
    """Whether these files are on the machine of a push server."""

    @property
    def kept_in(self) -> str:
        """`kept`, to be told."""
        return f"{self.kept} on the server" if self.on_server else str(self.kept)


def last_snapshot(target: FileTarget) -> tuple[HistoryEntry, Path]:
    """The last migration and the snapshot that was taken before it.

    Raises:
        NothingToUndo: nothing was applied, or its snapshot is gone or is another database's.
    """
    with target.reading() as reader:
        history, known = entries(reader), read_meta(reader)
    if not history:
        raise NothingToUndo(
            f"Nothing was applied to {target.label} yet, so there is nothing to undo.",
            "`valet-studio history` lists what was applied.",
        )
    last = history[0]
    snapshot = snapshot_path(target, "before", last.id)
    if not snapshot.exists():
        raise NothingToUndo(
            f"The snapshot from before migration {last.id} is gone: {snapshot} does not exist.",
            f"The newest {KEPT_SNAPSHOTS} snapshots are kept in {snapshot_folder(target)}.",
        )
    with FileTarget(str(snapshot), snapshot).reading() as reader:
        before = entries(reader)
    if before != history[1:]:
        raise _not_its_own(target, snapshot, "it holds another history")
    _check_content(target, snapshot, known)
    return last, snapshot


def undo(
    target: FileTarget, cancelled: IsCancelled, migration: MigrationId | None = None
) -> UndoReport:
    """Put back the database as it was before the last migration.

    Documents written since are lost to the live database; the file that holds them is kept.

    Args:
        migration: the one that is meant, so that no other is undone; None takes the last.

    Raises:
        NothingToUndo: nothing was applied, or its snapshot is gone.
        PlanIsStale: another migration is the last one.
        Cancelled: stopped; nothing was replaced.
        DatabaseBusy: another process holds the write lock.
        DatabaseError: the database or its snapshot cannot be read, or the former not written.
    """
    last, snapshot = last_snapshot(target)
    if migration is not None and not last.is_it(migration):
        raise _not_the_last(target, migration)
    make_snapshot_folder(target)
    with database_errors(target.label), target.writing(cancelled) as connection:
        # Exclusive mode keeps the lock after COMMIT: nobody writes between the two copies.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
        if entries(connection)[:1] != (last,):
            raise _not_the_last(target, last.identity)
        _check_content(target, snapshot, read_meta(connection))
        remove_unfinished(target, last.id)
        kept = free(snapshot_path(target, "undone", last.id))
        partial = unfinished(kept)
        try:
            _keep(target, connection, partial, cancelled)
            give_name(partial, kept)
            make_durable(kept)
            if cancelled():
                raise Cancelled
            _restore(snapshot, connection, target.label)
        except BaseException:
            # Ctrl-C is raised once SQLite returns, which may be after it committed: then all is
            # undone, and `kept` alone holds what was written since.
            if entries(connection)[:1] == (last,):
                kept.unlink(missing_ok=True)
                raise
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        # Still under the lock: the next apply of that number makes one of the same name.
        with suppress(OSError):  # One that stays is set aside by it.
            snapshot.unlink()
    return UndoReport(target.label, last.id, snapshot, kept)


def undone(target: FileTarget, migration: MigrationId) -> UndoReport | None:
    """What is known of the undo of a migration that stands in the history no longer; None where
    it still does, or no file holds what its undo replaced."""
    with target.reading() as reader:
        if any(entry.is_it(migration) for entry in entries(reader)):
            return None
    kept = snapshots(target, "undone", f"{migration.id:04d}*")
    if not kept:
        return None
    snapshot = snapshot_path(target, "before", migration.id)
    return UndoReport(target.label, migration.id, snapshot, kept[-1])


def _not_the_last(target: FileTarget, migration: MigrationId) -> PlanIsStale:
    return PlanIsStale(
        f"Migration {migration.id} is no longer the last one of {target.label}. "
        "Nothing was undone.",
        "Look at `valet-studio history`, then undo what you mean to.",
    )


def _check_content(target: FileTarget, snapshot: Path, known: Mapping[str, str]) -> None:
    """See that a snapshot holds what the database says of it, where it says anything.

    Two databases may share their history: copies of one that went apart since, or two to which
    nothing but the first schema was applied.

    Raises:
        NothingToUndo: it is another's.
    """
    with database_errors(str(snapshot)), suppress(FileNotFoundError):
        if known.get(SNAPSHOT, "") not in ("", digest_of(snapshot)):
            raise _not_its_own(target, snapshot, "it is not what was kept before that migration")


def _not_its_own(target: FileTarget, snapshot: Path, why: str) -> NothingToUndo:
    return NothingToUndo(
        f"{snapshot} is no snapshot of this {target.label}: {why}. Nothing was undone.",
        f"{target.label} was replaced or moved since; put a backup of it back by hand.",
    )


def _restore(snapshot: Path, connection: apsw.Connection, label: str) -> None:
    """Overwrite the live database with a snapshot, in one transaction of SQLite's backup."""
    if not snapshot.exists():  # An absent database reads as an empty one.
        raise NothingToUndo(
            f"The snapshot {snapshot} was deleted meanwhile. Nothing was undone.",
            "Put it back from a backup, if there is one.",
        )
    with (
        FileTarget(str(snapshot), snapshot).reading() as source,
        connection.backup("main", source, "main") as backup,
    ):
        try:
            backup.step(-1)
        except apsw.FullError as error:  # Not the snapshot, which is only read.
            raise explain(error, label) from error


def _keep(
    target: FileTarget, connection: apsw.Connection, path: Path, cancelled: IsCancelled
) -> None:
    """Copy what `connection` sees; it must not be writing (SQLite's backup refuses that)."""
    create_like(path, target.path)
    with closing(apsw.Connection(str(path))) as destination:
        # What does not become whole is deleted: it needs no journal, which would stay behind.
        destination.execute("PRAGMA journal_mode = OFF")
        with destination.backup("main", connection, "main") as backup:
            while not backup.done:
                if cancelled():
                    raise Cancelled
                backup.step(_PAGES_A_STEP)
