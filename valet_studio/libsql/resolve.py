"""What became of a push whose answer was lost: asked, and settled, never sent again."""

from __future__ import annotations

import time

from valet_studio.errors import AnswerLost, DatabaseError, ServerError
from valet_studio.libsql import side
from valet_studio.libsql.hrana import LibsqlServer, StepFailed
from valet_studio.libsql.mirror import Moment
from valet_studio.libsql.session import as_connection, reading
from valet_studio.migrate.pushed import push_noted

RESOLVE_SECONDS = 30.0
"""How long a server is asked."""
_ASK_AGAIN_SECONDS = 0.25


def become(server: LibsqlServer, push: str, moment: Moment, lost: AnswerLost) -> None:
    """Wait until it is certain that a push was applied.

    The batch may still be on its way, so it is outdated first: then it has run, or never will.

    Raises:
        ServerError: it was not applied and will not be, or the server cannot be asked.
    """
    ends = time.monotonic() + RESOLVE_SECONDS
    while time.monotonic() < ends:
        try:
            settled(server, moment)
            with reading(server) as session:
                applied = push_noted(as_connection(session), push) is not None
        except (ServerError, DatabaseError):
            time.sleep(_ASK_AGAIN_SECONDS)
            continue
        if applied:
            return
        raise ServerError(
            f"The connection to {server.url} was lost, and the server applied nothing.",
            "Look at the plan, then apply again.",
        ) from lost
    raise ServerError(
        f"The connection to {server.url} was lost during a push, and it cannot be asked how that "
        "ended. It was applied whole or not at all.",
        f"`valet-studio history --db {server.url}` tells once it answers again.",
    ) from lost


def settled(server: LibsqlServer, moment: Moment) -> None:
    """Make sure that a batch resting on that moment has run, or never will."""
    try:
        server.atomic(side.outdate(moment))
    except StepFailed as failed:
        if failed.step:
            raise ServerError(f"{server.url} refused: {failed}.") from failed
