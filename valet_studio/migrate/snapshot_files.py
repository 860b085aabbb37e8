"""Snapshots of a local database, kept before each apply: where they stand, and their files.

They stand in `.valet/snapshots` beside the database, named for the migration that they precede
(`dev.before-0003.db`). What an undo replaces is kept there too (`dev.undone-0003.db`), and so are
the snapshots of another database that had the same name before (`dev.earlier-0003.db`).
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

import apsw

from valet_studio.database.target import FileTarget
from valet_studio.errors import DatabaseError, reason_of
from valet_studio.paths import why_not_written
from valet_studio.scratch import sweep

KEPT_SNAPSHOTS = 5
LARGE = 256 * 1024 * 1024
"""Bytes of a database in rollback mode whose copy takes long enough for readers to notice."""
_PAGE, _PAGES = 4096, 1024
"""Bytes of a page, and how many of them at least tell a large snapshot from others."""
_NAMED = re.compile(r"-([0-9]{4,})(?:-[0-9]+)?\.db$")


def snapshot_folder(target: FileTarget) -> Path:
    """Where the snapshots of a database stand: beside the file itself, not beside a link to it."""
    beside = _own_path(target).parent
    return (beside if beside.name == ".valet" else beside / ".valet") / "snapshots"


def make_snapshot_folder(target: FileTarget) -> None:
    """Make the directory of a database's snapshots, where it is missing.

    Raises:
        DatabaseError: it cannot be made, or nothing can be written into it.
    """
    folder = snapshot_folder(target)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = why_not_written(folder)
    except OSError as error:
        reason = reason_of(error)
    if reason:
        raise DatabaseError(
            f"No snapshot of {target.label} can be kept in {folder}: {reason}.",
            "Let it be a directory that you may write in, since an undo needs the snapshot.",
        )


def snapshot_path(target: FileTarget, kind: str, migration: int) -> Path:
    """The file of a snapshot; `kind` is `before`, `undone` or `earlier`."""
    return snapshot_folder(target) / f"{_called(target)}.{kind}-{migration:04d}.db"


def _own_path(target: FileTarget) -> Path:
    return target.path.resolve() if target.path.is_symlink() else target.path


def _called(target: FileTarget) -> str:
    """What a database's snapshots begin with: another name for each one that shares a folder."""
    path = _own_path(target)
    name = path.stem if path.suffix == ".db" else f"{path.name}{'' if path.suffix else '.'}"
    return name if path.parent.name == ".valet" else f"beside-{name}"


def snapshots(target: FileTarget, kind: str, of: str = "*") -> list[Path]:
    """The snapshots of a kind, oldest first."""
    found = snapshot_folder(target).glob(f"{glob.escape(_called(target))}.{kind}-{of}.db")
    found = (path for path in found if _NAMED.search(path.name))
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def free(path: Path) -> Path:
    """The path, or one with a number where something stands there."""
    tried, number = path, 2
    while tried.exists():
        tried, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    return tried


def remove_unfinished(target: FileTarget, newest: int) -> None:
    """Delete what a killed apply or undo has left. The caller holds the write lock, so that no
    other is at work.

    Args:
        newest: the last migration in the database; 0 where there is none.
    """
    for kind in ("before", "undone"):
        named = f"{glob.escape(_called(target))}.{kind}-[0-9]*.partial*"
        for left in snapshot_folder(target).glob(named):
            whole = left.with_name(f"{left.name.rsplit('.', 2)[0]}.db")
            applied = number_of(whole) <= newest
            with suppress(OSError):
                if whole.samefile(left) and applied != (kind == "before"):
                    whole.unlink()
            with suppress(OSError):
                left.unlink(missing_ok=True)
    sweep(snapshot_folder(target))


def unfinished(path: Path) -> Path:
    """A name of its own for a file that is not whole yet: who has rolled back tidies up without
    the lock, and must not delete the file of the next one."""
    return path.with_suffix(f".{uuid4().hex[:8]}.partial")


def give_name(partial: Path, path: Path) -> None:
    """Give a file its name, once it is whole.

    Where the file system has hard links, the partial name stays until the work is committed: by
    it `remove_unfinished` finds, after a kill, what never was.

    Raises:
        OSError: it cannot be.
    """
    try:
        os.link(partial, path)
    except OSError:
        partial.replace(path)


def create_like(path: Path, database: Path) -> None:
    """Make an empty file that nobody may read who may not read the database.

    Raises:
        OSError: it cannot be made.
    """
    path.unlink(missing_ok=True)
    mode = stat.S_IMODE(database.stat().st_mode)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def make_durable(path: Path) -> None:
    """Let a file survive a power cut, under its name; where the system cannot, so be it."""
    for place in (path, path.parent) if os.name == "posix" else ():
        with suppress(OSError):
            opened = os.open(place, os.O_RDONLY)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)


def number_of(snapshot: Path) -> int:
    """The migration that it precedes."""
    found = _NAMED.search(snapshot.name)
    return int(found[1]) if found else 0


def digest_of(snapshot: Path) -> str:
    """What tells a snapshot from those of other databases: all of a small file, and of a large one
    its size and pages from all over it.

    Raises:
        OSError: it cannot be read.
    """
    size = snapshot.stat().st_size
    digest = blake2b(str(size).encode(), digest_size=16)
    step = max(_PAGE, size // _PAGES // _PAGE * _PAGE)
    with snapshot.open("rb") as file:
        for place in range(0, size, step):
            file.seek(place)
            digest.update(file.read(_PAGE))
    return digest.hexdigest()


def journal_mode(connection: apsw.Connection) -> str:
    """Of the database itself, in lower case."""
    return str(connection.execute("PRAGMA main.journal_mode").get)


def file_is_all(connection: apsw.Connection) -> bool:
    """Whether the database's file alone holds its last committed state, and will while
    `connection` holds the write lock: in rollback mode, before anything is written."""
    locked = connection.txn_state("main") == apsw.mapping_txn_state["SQLITE_TXN_WRITE"]
    return locked and journal_mode(connection) in ("delete", "truncate", "persist")


def reflink(source: Path, destination: Path) -> bool:
    """Share the file's blocks with a new one (FICLONE), where the file system can.

    In a process of its own: closing the file in this one would drop SQLite's locks on it
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    program = shutil.which("cp") if sys.platform == "linux" else None
    if program is None:
        return False
    command = [program, "--reflink=always", "--", str(source), str(destination)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
