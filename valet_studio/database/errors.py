"""SQLite's errors as sentences: what happened to which database, and the way out."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from valet_studio.database.opening import is_full
from valet_studio.errors import Cancelled, DatabaseBusy, DatabaseError, reason_of
from valet_studio.paths import is_there, why_not_written

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The disk, a user's share of it, or a limit on the size of files is used up."""


@contextmanager
def database_errors(label: str) -> Iterator[None]:
    """Translate what SQLite raises inside the block; other exceptions pass.

    Args:
        label: The database as the user named it.

    Raises:
        DatabaseBusy: another process holds a lock that outlasted the busy timeout.
        Cancelled: a progress handler or `interrupt` stopped the statement.
        DatabaseError: everything else that SQLite reports.
    """
    try:
        yield
    except apsw.Error as error:
        raise explain(error, label) from error
    except UnicodeDecodeError as error:
        raise not_text(label, None) from error
    except UnicodeEncodeError as error:
        raise DatabaseError(
            f"The path of the database {label!a} is not UTF-8, and SQLite takes no other.",
            "Rename the file or its directory.",
        ) from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DatabaseError(
                f"The disk is full, so the work on {label} could not be finished.",
                "Free some space there and in the temporary directory (TMPDIR), then try again; "
                "nothing was changed.",
            ) from error
        raise DatabaseError(
            f"The database {label} cannot be used: {reason_of(error)}.",
            "Check the path and its permissions, or name another database with --db.",
        ) from error


def not_text(label: str, where: str | None) -> DatabaseError:
    """The sentence for a text that is not UTF-8, and where it stands, if that is known."""
    at = f" in {where}" if where is not None else ""
    return DatabaseError(
        f"The database {label} holds text that is not UTF-8{at}, so it cannot be read.",
        "Rewrite the cell that holds it, or restore the documents from a backup.",
    )


def explain(error: apsw.Error, label: str) -> DatabaseError | Cancelled:
    """The sentence for one SQLite error (https://www.sqlite.org/rescode.html)."""
    match error:
        case apsw.InterruptError():
            return Cancelled()
        case apsw.BusyError() | apsw.LockedError():
            return DatabaseBusy(
                f"The database {label} is locked by another process.",
                "Let the other process finish or stop it, then try again.",
            )
        case apsw.NotADBError():
            return DatabaseError(
                f"{label} is not a SQLite database (or it is encrypted).",
                "Name another file with --db, or move this one away to start afresh.",
            )
        case apsw.CorruptError():
            return DatabaseError(
                f"The database {label} is damaged: {_detail(error)}.",
                "Restore it from a backup, or try `sqlite3 FILE .recover` on a copy of it.",
            )
        case apsw.ReadOnlyError() if _extended(error) == apsw.SQLITE_READONLY_DBMOVED:
            return DatabaseError(
                f"The database {label} was moved, replaced or deleted while it was in use.",
                "Put it back, then try again; nothing was changed.",
            )
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            return _read_only(label)
        case apsw.FullError() | apsw.IOError() if _is_full(error, label):
            return DatabaseError(
                f"The disk is full, so {label} could not be written.",
                "Free some space and try again; nothing was changed.",
            )
        case apsw.CantOpenError():
            return _cannot_open(label)
        case apsw.SQLError() if "no such module" in str(error):
            return DatabaseError(
                f"The database {label} uses a SQLite extension that is not here: {_detail(error)}.",
                "Drop the virtual table or trigger that needs it, or leave it to its own tool.",
            )
        case apsw.IOError():
            return DatabaseError(
                f"Reading or writing {label} failed: {_detail(error)}.",
                "Check the disk and its free space, then try again.",
            )
        case apsw.ConstraintError():
            return DatabaseError(
                f"SQLite refused to work on {label}: {_detail(error)}.",
                "A constraint, index or trigger forbids it: change that, or the documents. "
                "Nothing was changed.",
            )
        case apsw.TooBigError() | apsw.NoMemError():
            return DatabaseError(
                f"A value in {label} is too big to be worked on: {_detail(error)}.",
                "Look for documents of many megabytes. Nothing was changed.",
            )
        case _:
            return DatabaseError(
                f"SQLite refused to work on {label}: {_detail(error)}.",
                "Nothing was changed. `PRAGMA integrity_check` in sqlite3 tells whether the "
                "database is sound.",
            )


def _extended(error: apsw.Error) -> int:
    """SQLite's extended code; 0 for what apsw itself raises."""
    return int(getattr(error, "extendedresult", 0))


def _is_full(error: apsw.Error, label: str) -> bool:
    """Whether an error comes of a full disk: of the index of a log SQLite says only that it could
    not be made."""
    return isinstance(error, apsw.FullError) or is_full(Path(label).parent)


def _detail(error: apsw.Error) -> str:
    if isinstance(error, apsw.IOError) and str(error).endswith("not an error"):
        return "disk I/O error"  # A backup names its failure by its code alone.
    return str(error).strip().rstrip(".") or type(error).__name__


def _read_only(label: str) -> DatabaseError:
    path = Path(label)
    reason = why_not_written(path.absolute().parent) if is_there(path) else ""
    return DatabaseError(
        f"The database {label} cannot be written: {reason or 'it is read-only'}.",
        "Give yourself write permission on the file and on its directory, or work on a copy with "
        "--db.",
    )


def _cannot_open(label: str) -> DatabaseError:
    path = Path(label)
    if path.is_dir():
        return DatabaseError(
            f"{label} is a directory, not a database file.",
            "Name a file in it with --db.",
        )
    effective = os.access in os.supports_effective_ids
    if path.exists() and not os.access(path, os.R_OK, effective_ids=effective):
        return DatabaseError(
            f"The database {label} cannot be read: permission denied.",
            "Give yourself read permission on the file.",
        )
    if path.exists() and why_not_written(path.absolute().parent):
        return _read_only(label)
    return DatabaseError(
        f"The database {label} cannot be opened.",
        "Check that its directory exists and that you may read and write in it.",
    )
