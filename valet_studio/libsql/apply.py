"""Carry out a reviewed plan on a libSQL server.

The migration runs on a copy here first, by the very code that migrates a file; what it did is
then sent. Values travel in batches into side tables. One last batch, a single transaction of the
server, holds all that a reader can see: structure, the swap of every backfill, bookkeeping,
history. It begins with what it rests on, and changes nothing where that moved: SQLite's schema
version, all of `_valet_meta`, and every cell that a value was computed from. Documents written
meanwhile are computed again.

Nothing is sent twice. Where the answer to the last batch is lost, the note of this push in
`_valet_meta` tells; see `resolve`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

from valet_studio.errors import DatabaseBusy, IsCancelled, MigrationFailed, Unsupported
from valet_studio.libsql.hrana import LibsqlServer
from valet_studio.libsql.rehearse import Rehearsal, copies
from valet_studio.libsql.sending import DocumentsChanged, Sending
from valet_studio.migrate.ahead import Ahead, ByColumn
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import BackfillProgress, Event, PhaseStarted
from valet_studio.migrate.order import Order
from valet_studio.migrate.rehearsal import close

_TRIES = 20
"""How often documents that were written meanwhile are computed again."""


def apply(
    server: LibsqlServer, order: Order, cancelled: IsCancelled, *, rehearsed: ByColumn
) -> Iterator[Event]:
    """Migrate the server's database by exactly this plan; the last event is the report.

    Args:
        rehearsed: what a dry run of the same plan computed; documents that changed since are
            computed again.

    Raises:
        PlanIsStale: the database is not in the state for which the plan was made, or a document
            fails that did not in the dry run.
        Unsupported: the server is a replica.
        Cancelled: stopped; nothing was changed.
        DatabaseBusy: another client holds the write lock, or writes all the time.
        DatabaseError, MigrationFailed, ServerError: nothing was changed, unless it says so.
    """
    refuse_replica(server)
    with (
        copies(server) as made,
        ExitStack() as kept,
        ExitStack() as cleaning,
        Evaluators(order.schema.sources, order.limits, twice=False) as evaluators,
    ):
        yield from made.make(cancelled)
        sending, push = Sending(made, cancelled), uuid4().hex
        cleaning.callback(sending.clean)
        known = rehearsed
        for attempt in range(_TRIES):
            rehearsal = Rehearsal(made, order, push)
            kept.callback(close, rehearsal.values)
            ahead = Ahead(tuple(rehearsed), values=known, intact=True)
            for event in rehearsal.run(evaluators, cancelled, ahead):
                if not attempt or isinstance(event, BackfillProgress):
                    yield event
            report = rehearsal.report
            if report is None:
                raise MigrationFailed("The migration of the copy ended without a report.")
            if report.status in ("rejected", "noop"):
                yield report
                return
            known = rehearsal.values
            sending.values(rehearsal)
            if not attempt:
                yield PhaseStarted("commit")
            try:
                done = sending.commit(rehearsal, report)
            except DocumentsChanged:
                sending.renew()
                continue
            cleaning.pop_all()
            yield done
            return
        raise DatabaseBusy(
            f"Documents of {server.url} were written again and again while their values were "
            "computed. Nothing was changed.",
            "Try again at a quieter time.",
        )


def refuse_replica(server: LibsqlServer) -> None:
    """Make sure that what is written is written where it belongs.

    Raises:
        Unsupported: it is a replica, or does not say that it is the primary.
        ServerError: it cannot be asked.
    """
    role = server.role()
    if role == "primary":
        return
    if role == "replica":
        where = server.primary()
        told = (
            where.replace("https://", "libsql://").replace("http://", "http+libsql://")
            if where
            else None
        )
        raise Unsupported(
            f"{server.url} is a replica, which hands writes on to its primary. "
            "Nothing was changed.",
            f"Name the primary: --db {told}."
            if told
            else "Name the primary with --db; this replica does not tell its address.",
        )
    raise Unsupported(
        f"{server.url} does not say whether it is the primary. Nothing was changed.",
        "Name a libSQL server whose /dump answers: only a primary's does.",
    )
