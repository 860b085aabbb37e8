"""Database files to look at, and eyes for what changes around them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import apsw

Mode: TypeAlias = Literal["delete", "wal"]


def make(path: Path, *statements: str, mode: Mode = "delete") -> Path:
    """A database made by these statements, closed again."""
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA journal_mode = {mode}").fetchall()
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path


def contents(directory: Path, but: Iterable[str] = ()) -> dict[str, bytes]:
    """Every file of a directory with its bytes."""
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.name not in but}


KILLED_WRITER = """
import apsw, os, signal, sys
c = apsw.Connection(sys.argv[1])
c.execute("PRAGMA journal_mode = " + sys.argv[2]).fetchall()
c.execute("PRAGMA cache_size = 5")
c.execute("CREATE TABLE t (a, b)")
c.executemany("INSERT INTO t VALUES (?, zeroblob(500))", [(i,) for i in range(1, 201)])
c.execute("BEGIN IMMEDIATE")
c.execute("UPDATE t SET a = -1, b = randomblob(500)")
c.execute("INSERT INTO t SELECT 0, u.b FROM t, t AS u LIMIT 2000")
if sys.argv[2] == "delete":
    c.cache_flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_writer(path: Path, mode: Mode) -> None:
    """A database of 200 committed rows, left by a process killed within a transaction."""
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path), mode], check=False)
    beside = path.with_name(path.name + ("-wal" if mode == "wal" else "-journal"))
    assert beside.stat().st_size > 0, "the writer left nothing to recover from"


@contextmanager
def open_writer(path: Path) -> Iterator[apsw.Connection]:
    """Another connection that stays open beside."""
    connection = apsw.Connection(str(path))
    try:
        yield connection
    finally:
        connection.close()
