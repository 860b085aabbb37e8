"""One push on its way to a libSQL server: its values into side tables, then its last batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace

import apsw

from valet_studio.database.errors import database_errors
from valet_studio.database.inspect import inspect
from valet_studio.database.layout import CREATE_BOOKKEEPING, HISTORY, read_meta
from valet_studio.errors import AnswerLost, Cancelled, IsCancelled, MigrationFailed, StudioError
from valet_studio.libsql import side
from valet_studio.libsql.cells import Row, batches, packed, unpacked
from valet_studio.libsql.hrana import LibsqlServer, Result, Statement, StepFailed, Unreadable
from valet_studio.libsql.mirror import COOKIE, Moment, TooMuch, moment, renew
from valet_studio.libsql.rehearse import Copies, Rehearsal
from valet_studio.libsql.resolve import become
from valet_studio.libsql.session import reading
from valet_studio.libsql.side import Side
from valet_studio.migrate.documents import Documents, Key
from valet_studio.migrate.events import Report
from valet_studio.migrate.order import stale_plan
from valet_studio.plan.changes import RunBackfill
from valet_studio.schema.names import fold, quote

BATCH_BYTES = 500_000
"""Values that one batch carries: it stays under 1 MB and far under a second."""

_HISTORY_COLUMNS = "id, applied_at, hash_before, hash_after, schema_json, summary, rows, seconds"


class DocumentsChanged(Exception):
    """Documents are no longer what their values were computed from."""


@dataclass(slots=True)
class Sending:
    """One push on its way to the server."""

    made: Copies
    cancelled: IsCancelled
    sides: tuple[Side, ...] = ()
    claimed: frozenset[Side] = frozenset()
    """The side tables that are there."""
    changed: dict[str, set[Key]] | None = None
    """Keys of documents whose values are to be sent again, by table, since backfills of one table
    may read what the others fill; None for all."""

    @property
    def server(self) -> LibsqlServer:
        """The server of the copies, to which it goes."""
        return self.made.server

    @property
    def moment(self) -> Moment:
        """What the server's database was when the copy was made; our own side tables are in."""
        assert self.made.moment is not None
        return self.made.moment

    def values(self, rehearsal: Rehearsal) -> None:
        """Bring the values of every backfill into its side table.

        Raises:
            PlanIsStale: the structure moved on.
            Cancelled, DatabaseError, ServerError: the last batch was not sent.
        """
        with database_errors(self.server.url):
            with closing(apsw.Connection(str(self.made.standing))) as standing:
                self.sides = tuple(_sides(standing, rehearsal))
            if not self.claimed.issuperset(self.sides):
                self._claim()
            for one in self.sides:
                only = None if self.changed is None else self.changed[one.table]
                for rows in _batches(self.made, one, only):
                    if self.cancelled():
                        raise Cancelled
                    self._atomic([side.still(self.moment), one.take(rows)])

    def _claim(self) -> None:
        """Make the side tables, in place of those that a killed apply left."""
        made = [
            side.unmoved(self.moment),
            *side.drop(self.moment.side_tables),
            *(one.create for one in self.sides),
            Statement(COOKIE),
        ]
        cookie = self._atomic(made)[-1].rows[0][0]
        assert isinstance(cookie, int)
        names = tuple(one.name for one in self.sides)
        self.made.moment = replace(self.moment, cookie=cookie, side_tables=names)
        self.claimed = frozenset(self.sides)
        self.changed = None

    def _atomic(self, statements: list[Statement]) -> tuple[Result, ...]:
        try:
            return self.server.atomic(statements)
        except StepFailed as failed:
            raise _refused(self.server, failed) from failed
        except AnswerLost as lost:
            raise AnswerLost(
                f"The connection to {self.server.url} was lost while values were sent. "
                "Nothing was changed.",
                "Look at the plan, then apply again.",
            ) from lost

    def commit(self, rehearsal: Rehearsal, report: Report) -> Report:
        """Send the last batch.

        Raises:
            DocumentsChanged: documents are no longer what their values were computed from.
            PlanIsStale: structure or bookkeeping moved on.
            StudioError: nothing was changed, unless it says so.
        """
        checks = [side.unmoved(self.moment), *map(side.untouched, self.sides)]
        with database_errors(self.server.url):
            statements = [*checks, *self._work(rehearsal, report)]
        if self.cancelled():
            raise Cancelled
        try:
            done = self.server.atomic(statements)
        except StepFailed as failed:
            if 0 < failed.step < len(checks):
                raise DocumentsChanged from failed
            raise _refused(self.server, failed) from failed
        except AnswerLost as lost:
            become(self.server, rehearsal.push, self.moment, lost)
            return report
        swapped = {sent.sql: result.changes for sent, result in zip(statements, done, strict=True)}
        updated = {(one.table, one.column): swapped[one.swap.sql] for one in self.sides}
        backfills = (
            replace(told, updated=count, rows=count)
            if (count := updated.get((told.table, told.column))) is not None
            else told
            for told in report.backfills
        )
        return replace(report, backfills=tuple(backfills))

    def _work(self, rehearsal: Rehearsal, report: Report) -> Iterator[Statement]:
        """What the last batch does, and what must hold before it commits."""
        swaps = {(one.table, one.column): one.swap for one in self.sides}
        with (
            closing(apsw.Connection(str(self.made.standing))) as before,
            closing(apsw.Connection(str(self.made.migrated))) as after,
        ):
            counted = [table.name for table in inspect(before).tables if table.kind == "table"]
            yield from side.count_before(counted)
            yield from map(Statement, CREATE_BOOKKEEPING)
            for step in rehearsal.script:
                if isinstance(step, str):
                    yield Statement(step)
                elif step in swaps:
                    yield swaps[step]
            yield from _bookkeeping(before, after, report)
            yield from side.counts_hold(counted)
            yield from side.drop(self.moment.side_tables)
            ours = {fold(table.name) for table in rehearsal.order.schema.tables}
            yield from side.stands(
                packed(row for row in after.execute(side.COLUMNS) if fold(str(row[0])) in ours),
                packed(row for row in after.execute(side.PARTS) if fold(str(row[0])) in ours),
            )

    def renew(self) -> None:
        """Bring what was written meanwhile into the copy; or copy anew, where that is much.

        Raises:
            PlanIsStale: structure or bookkeeping moved on.
            Cancelled, DatabaseError, ServerError: the last batch was not carried out.
        """
        before = self.moment
        try:
            with (
                database_errors(self.server.url),
                reading(self.server, self.cancelled) as session,
                session,
            ):
                self.made.moment = moment(session)
                self.changed = {one.table: set() for one in self.sides}
                for one in self.sides:
                    keys = renew(session, self.made.standing, one.table, one.changed)
                    self.changed[one.table].update(keys)
        except (Unreadable, TooMuch):
            self.changed = None
            deque(self.made.make(self.cancelled), 0)
        if (self.moment.cookie, self.moment.meta) != (before.cookie, before.meta):
            raise stale_plan()

    def clean(self) -> None:
        """Take the side tables away, as far as that can be done; the next apply does it else."""
        if self.claimed:
            with suppress(StudioError, StepFailed):
                self.server.atomic(side.drop(one.name for one in self.claimed))


def _sides(standing: apsw.Connection, rehearsal: Rehearsal) -> Iterator[Side]:
    """A side table for each backfill that succeeded and whose table is there already."""
    order, state = rehearsal.order, inspect(standing)
    earlier: list[tuple[str, str]] = []
    planned = [
        (c.table, c.declared.column) for c in order.plan.pending if isinstance(c, RunBackfill)
    ]
    for number, step in enumerate(planned):
        table, column = step
        declared, held = order.schema.table_named(table), state.table_named(table)
        computed = rehearsal.values.get(step)
        if declared is not None and held is not None and computed is not None:
            documents = Documents(standing, declared, held)
            # What another backfill of this push fills is told by what that one reads.
            filled = {fold(c) for t, c in earlier if t == table}
            reads = tuple(
                name
                for shown, name in documents.names.items()
                if (computed.reads is None or shown in computed.reads) and fold(name) not in filled
            )
            yield Side(side.side_name(rehearsal.push, number), table, column, documents.key, reads)
        if step in rehearsal.script:
            earlier.append(step)


def _batches(made: Copies, one: Side, only: set[Key] | None) -> Iterator[str | Row]:
    """Key, value and what was read of each document, packed, in batches."""
    cells = "".join(f", o.{quote(column)}" for column in one.reads)
    table = quote(one.table)
    with closing(apsw.Connection(str(made.migrated))) as connection:
        connection.execute("ATTACH ? AS standing", (str(made.standing),))
        rows = connection.execute(
            f"SELECT n.{one.key}, n.{quote(one.column)}{cells} FROM main.{table} AS n "
            f"JOIN standing.{table} AS o ON o.{one.key} = n.{one.key}"
        )
        wanted = (row for row in rows if only is None or row[0] in only)
        yield from batches(wanted, BATCH_BYTES)


def _bookkeeping(
    before: apsw.Connection, after: apsw.Connection, report: Report
) -> Iterator[Statement]:
    """What the migration recorded."""
    old = read_meta(before)
    for key, value in read_meta(after).items():
        if old.get(key) != value:
            yield from side.set_meta(key, value)
    found = after.execute(
        f"SELECT {_HISTORY_COLUMNS} FROM {HISTORY} WHERE id = ?", (report.history_id,)
    )
    for row in found:
        # Each value within JSON: a real is no argument.
        values = ", ".join(unpacked(at) for at in range(len(row)))
        yield Statement(
            f"INSERT INTO {HISTORY} ({_HISTORY_COLUMNS}) SELECT {values} FROM json_each(?)",
            (packed([row]),),
        )


def _refused(server: LibsqlServer, failed: StepFailed) -> StudioError:
    if not failed.step:
        return stale_plan()
    return MigrationFailed(
        f"{server.url} refused a statement: {failed}. Everything was rolled back.",
        "Nothing was changed. `valet-studio dry-run` rehearses it on a copy.",
    )
