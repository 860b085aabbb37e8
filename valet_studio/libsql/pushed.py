"""Which pushes a database has taken: noted in the very transaction of each.

The note is what a client asks for whose answer was lost. Of the pushes to a push server the same
key tells.
"""

from __future__ import annotations

import json
from typing import Any

import apsw

from valet_studio.database.layout import CREATE_BOOKKEEPING, read_meta, write_meta
from valet_studio.migrate.history import next_id

PUSHES = "pushes"
"""The key in `_valet_meta` under which the last pushes stand: `[{"id", "history_id"}, …]`."""
KEPT_PUSHES = 100


def note(connection: apsw.Connection, push: str) -> None:
    """Note a push that is about to become the next migration."""
    for sql in CREATE_BOOKKEEPING:
        connection.execute(sql)
    noted = [*_noted(connection), {"id": push, "history_id": next_id(connection)}]
    write_meta(connection, PUSHES, json.dumps(noted[-KEPT_PUSHES:]))


def migration_of(connection: apsw.Connection, push: str) -> int | None:
    """The migration that a push became; None where the database has not taken it."""
    for noted in _noted(connection):
        if isinstance(noted, dict) and noted.get("id") == push:
            number = noted.get("history_id")
            return number if isinstance(number, int) else None
    return None


def _noted(connection: apsw.Connection) -> list[Any]:
    try:
        noted = json.loads(read_meta(connection).get(PUSHES, "[]"))
    except ValueError:
        return []
    return noted if isinstance(noted, list) else []
