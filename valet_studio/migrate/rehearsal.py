"""The values that the last dry run of this process computed, for the apply that may follow.

What was reviewed is then what is written, byte for byte, and no JavaScript runs again. In a server
this holds for the client that reviewed it: `who` is None for a person at this program.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from valet_studio.migrate.ahead import ByColumn


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    """What one dry run left for the apply after it."""

    database: Path | str
    fingerprint: str
    values: ByColumn
    who: str | None


_lock = threading.Lock()
_last: _Rehearsal | None = None


def keep(database: Path | str, fingerprint: str, values: ByColumn, who: str | None = None) -> None:
    """Keep the values of a finished dry run, in place of any others.

    Args:
        database: a file, or the address of a database.
    """
    _put(_Rehearsal(_named(database), fingerprint, values, who) if values else None)


def take(database: Path | str, fingerprint: str, who: str | None = None) -> ByColumn:
    """The values of the last dry run, where it was of this very plan, by the same; none otherwise.

    The caller closes them; whoever asks next gets none.
    """
    global _last
    with _lock:
        found = _last
        if found is None or (found.database, found.fingerprint, found.who) != (
            _named(database),
            fingerprint,
            who,
        ):
            return {}
        _last = None
        return found.values


def close(values: ByColumn) -> None:
    """Delete the files that hold values."""
    for computed in values.values():
        computed.close()


def _named(database: Path | str) -> Path | str:
    return database.absolute() if isinstance(database, Path) else database


def _put(rehearsal: _Rehearsal | None) -> None:
    global _last
    with _lock:
        before, _last = _last, rehearsal
    if before is not None:
        close(before.values)
