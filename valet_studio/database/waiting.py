"""Waiting for the locks of other processes, for so long and no longer than anybody wants it."""

from __future__ import annotations

import time

import apsw

from valet_studio.errors import IsCancelled

READ_TIMEOUT_MS = 1_000
"""How long reading waits for another process's lock."""
WRITE_TIMEOUT_MS = 5_000
"""How long writing waits for another process's lock."""

_BETWEEN_TRIES = 0.005
"""Seconds; SQLite's own `busy_timeout` waits up to 0.1 and cannot be told to stop."""


def wait_for_locks(
    connection: apsw.Connection, timeout_ms: int, cancelled: IsCancelled | None = None
) -> None:
    """Let a connection wait for locks (https://www.sqlite.org/c3ref/busy_handler.html).

    A statement that needs a lock then raises `apsw.BusyError` once the time is over, and
    `apsw.InterruptError` as soon as `cancelled` answers True.
    """
    began = 0.0

    def once_more(tries: int) -> bool:
        nonlocal began
        now = time.monotonic()
        if tries == 0:
            began = now
        if cancelled is not None and cancelled():
            raise apsw.InterruptError("no longer wanted while it waited for a lock")
        if now - began > timeout_ms / 1000:
            return False
        time.sleep(_BETWEEN_TRIES)
        return True

    connection.set_busy_handler(once_more)
