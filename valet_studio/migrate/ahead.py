"""What an apply does before it takes the write lock, so that other writers wait a short time.

Values are computed from what was committed so far, batch by batch, each batch in a read
transaction of its own. Under the lock SQLite's `data_version` tells whether anybody committed
since; only then every batch is compared with what it was, and computed again where it differs.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import apsw

from valet_studio.database.ask import ask
from valet_studio.errors import IsCancelled, MigrationFailed
from valet_studio.migrate.backfill import BackfillRun
from valet_studio.migrate.computed import Computed
from valet_studio.migrate.documents import Documents
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import Event, PhaseStarted
from valet_studio.migrate.order import Order
from valet_studio.migrate.work import Work
from valet_studio.plan.changes import AddColumn, Plan, RunBackfill
from valet_studio.plan.measure import answered, questions
from valet_studio.schema.model import Schema
from valet_studio.schema.names import quote
from valet_studio.schema.questions import Answer
from valet_studio.schema.state import DatabaseState

ByColumn: TypeAlias = dict[tuple[str, str], Computed]
"""Table and column of a backfill → its values."""


@dataclass(slots=True)
class Ahead:
    """What is known before the lock is taken. Use it as a context manager: it holds files."""

    rehearsed: Collection[tuple[str, str]] = ()
    """Table and column of each backfill that succeeded in a dry run of the same plan."""
    version: int | None = None
    """`data_version` of the connection when the first document was read."""
    values: ByColumn = field(default_factory=dict)
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    """Table and column → how long it took to compute."""
    answers: dict[str, Answer] = field(default_factory=dict)
    """What the data said to the plan's questions."""
    intact: bool = False
    """Whether the tables were checked for damage."""

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        for computed in self.values.values():
            computed.close()

    def settled(self, connection: apsw.Connection) -> bool:
        """Whether nobody else committed since."""
        return self.version is not None and self.version == data_version(connection)


def data_version(connection: apsw.Connection) -> int:
    """Changes when another connection commits
    (https://www.sqlite.org/pragma.html#pragma_data_version)."""
    return int(connection.execute("PRAGMA data_version").get)


def look_ahead(
    ahead: Ahead,
    connection: apsw.Connection,
    order: Order,
    evaluators: Evaluators,
    cancelled: IsCancelled,
    rehearsed: Mapping[tuple[str, str], Computed],
) -> Iterator[Event]:
    """Fill `ahead` for a plan: compute its backfills, check its tables. Writes nothing.

    Values that a dry run computed are taken over where the documents are what they were then.

    Args:
        rehearsed: table and column of a backfill → what a dry run computed.

    Raises:
        Cancelled, DatabaseError: the database cannot be read.
        MigrationFailed: a table is damaged.
    """
    version = data_version(connection)
    schema = order.schema
    state, fresh = order.planned_anew(connection)
    if order.is_stale(fresh) or fresh.status != "pending":
        return  # The migration itself says so.
    ahead.version = version
    connection.set_progress_handler(cancelled, 50_000)
    try:
        ahead.answers = ask(connection, questions(fresh, schema, state))
        check_intact(connection, schema, state)
        ahead.intact = True
        counted = answered(fresh, ahead.answers)
        pending = [change for change in counted.pending if isinstance(change, RunBackfill)]
        if pending:
            yield PhaseStarted("backfill")
        for change in pending:
            key = (change.table, change.declared.column)
            known = rehearsed.get(key)
            documents = _documents(connection, schema, state, fresh, change)
            if documents is None:
                continue
            work = Work(documents, change.declared, evaluators, cancelled, known, total=change.rows)
            kept = Computed(change.declared)
            ahead.values[key] = kept
            began = time.perf_counter()
            yield from BackfillRun(work).compute(kept)
            ahead.seconds[key] = time.perf_counter() - began
    finally:
        connection.set_progress_handler(None)


def check_intact(connection: apsw.Connection, schema: Schema, state: DatabaseState) -> None:
    """Find damage in the tables of the schema.

    Raises:
        MigrationFailed: there is some.
    """
    for table in schema.tables:
        if state.table_named(table.name) is not None:
            damage = _damage(connection, table.name)
            if damage:
                more = f", and {len(damage) - 1:,} more" if len(damage) > 1 else ""
                raise MigrationFailed(
                    f'Table "{table.name}" is damaged: {damage[0]}{more}. Nothing was changed.',
                    "Restore the database from a backup, or try `sqlite3 FILE .recover` on a copy.",
                )


def _damage(connection: apsw.Connection, table: str) -> list[str]:
    """Sentences of SQLite, each about one place; none where the table is sound."""
    told = connection.execute(f"PRAGMA quick_check({quote(table)})").fetchall()
    lines = [line for (text,) in told for line in str(text).splitlines()]
    return [line for line in lines if line != "ok" and not line.startswith("***")]


def _documents(
    connection: apsw.Connection,
    schema: Schema,
    state: DatabaseState,
    plan: Plan,
    change: RunBackfill,
) -> Documents | None:
    """The table as its backfill will see it, with the columns that are still to be added."""
    table, held = schema.table_named(change.table), state.table_named(change.table)
    if table is None or held is None:
        return None
    absent = tuple(
        added.field.name
        for added in plan.pending
        if isinstance(added, AddColumn) and added.table == change.table
    )
    return Documents(connection, table, held, absent)
