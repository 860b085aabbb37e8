"""Backfills that are armed again, and the record of which migration ran which.

A backfill runs once a column. `reset_backfill` takes its mark away, so that the next push runs it
for every document. Neither the log of changes nor the schema hash tells clients of that: backfills
log nothing, and the schema may be the same. So `_valet_meta` keeps a list of all runs, and a
replica that takes over a migration runs what that one ran, also what it ran itself before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import apsw

from valet_studio.database.inspect import inspect
from valet_studio.database.layout import delete_meta, read_list, read_meta, write_meta
from valet_studio.database.target import FileTarget
from valet_studio.schema.state import DatabaseState, backfill_key

RUNS = "backfill_runs"
"""The key in `_valet_meta`: `[{"backfill": key, "history_id"}, …]`, in the order of the runs."""


@dataclass(frozen=True, slots=True)
class BackfillReset:
    """What a reset did."""

    table: str
    column: str
    armed: bool
    """Whether the backfill is armed again; False where it never ran."""


def reset_backfill(
    file: FileTarget,
    table: str,
    column: str,
    note: Callable[[apsw.Connection], None] = lambda _connection: None,
) -> BackfillReset:
    """Forget that a backfill ran, so that the next push runs it for every document.

    Args:
        note: called in the same transaction, where there is something to forget.

    Raises:
        DatabaseError: the database cannot be read or written.
    """
    key = backfill_key(table, column)
    with file.reading() as reader:
        ran = key in inspect(reader).backfills
    if ran:
        with file.transaction() as connection:
            delete_meta(connection, key)
            note(connection)
    return BackfillReset(table, column, ran)


def armed_again(state: DatabaseState, keys: Collection[str]) -> DatabaseState:
    """The state as it is where these backfills have not run."""
    if not keys:
        return state
    left = {key: digest for key, digest in state.backfills.items() if key not in keys}
    return replace(state, backfills=left)


def note_runs(connection: apsw.Connection, keys: Collection[str], history_id: int) -> None:
    """Record that a migration ran these backfills, within its transaction."""
    if keys:
        listed = [*_listed(connection), *((key, history_id) for key in sorted(keys))]
        text = json.dumps([{"backfill": key, "history_id": at} for key, at in listed])
        write_meta(connection, RUNS, text)


def runs_between(connection: apsw.Connection, before: int, last: int) -> tuple[str, ...]:
    """Keys of the backfills that ran after migration `before`, up to and with `last`."""
    ran = (key for key, at in _listed(connection) if before < at <= last)
    return tuple(dict.fromkeys(ran))


def _listed(connection: apsw.Connection) -> list[tuple[str, int]]:
    return [
        (each["backfill"], each["history_id"])
        for each in read_list(read_meta(connection), RUNS)
        if isinstance(each, dict)
        and isinstance(each.get("backfill"), str)
        and isinstance(each.get("history_id"), int)
    ]
