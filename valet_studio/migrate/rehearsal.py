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

    database: Path
    fingerprint: str
    values: ByColumn
    who: str | None


_lock = threading.Lock()
_last: _Rehearsal | None = None


def keep(database: Path, fingerprint: str, values: ByColumn, who: str | None = None) -> None:
    """Keep the values of a finished dry run, in place of any others."""
    _put(_Rehearsal(database.absolute(), fingerprint, values, who) if values else None)


def take(database: Path, fingerprint: str, who: str | None = None) -> ByColumn:
    """The values of the last dry run, where it was of this very plan, by the same; none otherwise.

    The caller closes them; whoever asks next gets none.
    """
    global _last
    with _lock:
        found = _last
        if found is None or (found.database, found.fingerprint, found.who) != (
            database.absolute(),
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


def _put(rehearsal: _Rehearsal | None) -> None:
    global _last
    with _lock:
        before, _last = _last, rehearsal
    if before is not None:
        close(before.values)
