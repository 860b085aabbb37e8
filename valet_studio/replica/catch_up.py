"""Bring a replica's file from the schema that it holds to its server's, version by version."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from valet_studio.database.inspect import inspect
from valet_studio.database.target import FileTarget
from valet_studio.errors import IsCancelled, ServerError, StudioError
from valet_studio.migrate.apply import apply
from valet_studio.migrate.events import Event, Report
from valet_studio.migrate.order import Order
from valet_studio.migrate.reruns import armed_again
from valet_studio.migrate.versions import Position, Version, Versions, note_position, position_of
from valet_studio.plan.compare import compare
from valet_studio.schema.model import Schema
from valet_studio.schema.received import ReceivedSchemas
from valet_studio.schema.state import backfill_key
from valet_studio.typescript.limits import Limits


class ReplicaAhead(StudioError):
    """The replica holds a schema that its server does not know."""


def where(file: FileTarget) -> Position:
    """Where a replica stands. Reads only."""
    with file.reading() as connection:
        return position_of(connection)


def check_known(file: FileTarget, server: str, versions: Versions) -> None:
    """Refuse to go on where the server cannot lead the replica on.

    Raises:
        ReplicaAhead: the server does not know the replica's schema.
        ServerError: the server does not know its own.
    """
    if not versions.known:
        raise ReplicaAhead(
            f"{file.label} is ahead of {server}: it holds what the server does not know. "
            "Nothing was changed.",
            "The server was put back to an earlier state, or it is another one. Bring it forward, "
            "or begin with a fresh replica.",
        )
    last = versions.after[-1].hash if versions.after else None
    if versions.after and last != versions.hash:
        raise _unrecorded(server)


def missing(server: str, position: Position, versions: Versions) -> bool:
    """Whether the server holds what the replica lacks.

    Raises:
        ServerError: it is, and does not say at which.
    """
    if versions.hash == position.hash:
        return bool(versions.after)
    if not versions.after:
        raise _unrecorded(server)
    return True


def _unrecorded(server: str) -> ServerError:
    return ServerError(
        f"{server} does not record the schema that it holds, so no client can follow it.",
        "Push the schema once more through valet-studio.",
    )


def catch_up(
    file: FileTarget,
    versions: tuple[Version, ...],
    schemas: ReceivedSchemas,
    cancelled: IsCancelled,
    *,
    limits: Limits,
) -> Iterator[Event]:
    """Apply each version in order, each in a transaction of its own.

    There is one `Report` a version that had something to do; after one that is not `ok` nothing
    further is applied. Stopped anywhere, the next call goes on from there.

    Raises:
        Cancelled, StudioError: the version under way was rolled back.
    """
    for version in versions:
        schema = schemas.judge(dict(version.document))
        note = partial(note_position, version=version)
        again = _again(schema, version)
        with file.reading() as connection:
            plan = compare(schema, armed_again(inspect(connection), again))
        order = Order(schema, plan, limits, again=again)
        outcome = None
        for event in apply(file, order, cancelled, snapshot=False, completed=note):
            yield event
            outcome = event.status if isinstance(event, Report) else outcome
        if outcome in ("failed", "rejected"):
            return
        if outcome == "noop":  # Noted here, since `apply` gave its lock back only now.
            with file.transaction() as connection:
                note(connection)


def _again(schema: Schema, version: Version) -> tuple[str, ...]:
    """Keys of the backfills that the server ran with a version and that its schema still has.

    The replica runs them too, also those that it ran before: they were reset on the server.
    """
    declared = {
        backfill_key(table.name, backfill.column)
        for table in schema.tables
        for backfill in table.backfills
    }
    return tuple(key for key in version.backfills if key in declared)
