"""Which pushes and resets a database has taken: each is noted in its very transaction.

The note is what a client asks for whose answer was lost, of a push server or of a libSQL server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import apsw

from valet_studio.database.layout import read_list, read_meta, write_meta

PUSHES = "pushes"
"""The key in `_valet_meta` under which the last ones stand: `[{"id", "history_id"}, …]`."""
KEPT_PUSHES = 100


@dataclass(frozen=True, slots=True)
class Noted:
    """What a database knows of a push or reset that it has taken."""

    history_id: int | None
    """The migration that it became; None for a reset."""


def note_push(connection: apsw.Connection, push: str, history_id: int | None) -> None:
    """Note a push that becomes a migration, or a reset, which becomes none."""
    listed = [*read_list(read_meta(connection), PUSHES), {"id": push, "history_id": history_id}]
    write_meta(connection, PUSHES, json.dumps(listed[-KEPT_PUSHES:]))


def push_noted(connection: apsw.Connection, push: str) -> Noted | None:
    """What is noted of a push; None where the database has not taken it."""
    for each in read_list(read_meta(connection), PUSHES):
        if isinstance(each, dict) and each.get("id") == push:
            number = each.get("history_id")
            return Noted(number if isinstance(number, int) else None)
    return None
