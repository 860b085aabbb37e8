"""Which rows a rehearsal needs, so that a lean copy of the database shows what a full one would.

What is left out is only counted. A migration that reads or writes it after all trips a wire, and
is rehearsed again on a full copy: `Tripwire` is what makes a lean copy safe, `rows_needed` what
makes it hold enough.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from valet_studio.database.layout import HISTORY, META, VERSION, is_bookkeeping
from valet_studio.database.lean import CopyScope
from valet_studio.migrate.order import Order
from valet_studio.plan.changes import NarrowField, Plan
from valet_studio.plan.sql import is_own_trigger, is_search_name
from valet_studio.schema.names import fold
from valet_studio.schema.state import DatabaseState

_FOREIGN_KEYS = """
    SELECT m.name, k."table"
    FROM main.sqlite_master AS m JOIN pragma_foreign_key_list(m.name, 'main') AS k
    WHERE m.type = 'table' AND m.rootpage > 0"""

_TRIGGERS = "SELECT name, tbl_name FROM main.sqlite_master WHERE type = 'trigger'"

_READS_ROWS = {
    apsw.SQLITE_READ: 0,
    apsw.SQLITE_INSERT: 0,
    apsw.SQLITE_UPDATE: 0,
    apsw.SQLITE_DELETE: 0,
    apsw.SQLITE_CREATE_INDEX: 1,
    apsw.SQLITE_ALTER_TABLE: 1,
}
"""What SQLite asks an authorizer, and which of its arguments names the table
(https://www.sqlite.org/c3ref/c_alter_table.html)."""


def rows_needed(connection: apsw.Connection, order: Order) -> CopyScope | None:
    """What a copy has to hold for a rehearsal of a plan; None where only a full one will do.

    Tables with pending changes; those whose `_id`s a narrowed field must name; those that foreign
    keys bind to them, either way; Valet's own, but for the log of changes. A plan whose tables
    have triggers that no schema explains needs a full copy, for they may write anywhere.
    """
    with connection:
        state, fresh = order.planned_anew(connection)
        if order.is_stale(fresh):
            return None  # The rehearsal itself says so.
        keys = [(fold(child), fold(parent)) for child, parent in connection.execute(_FOREIGN_KEYS)]
        triggers: list[tuple[str, str]] = [
            (str(name), str(table)) for name, table in connection.execute(_TRIGGERS)
        ]
    changed = {fold(change.table) for change in fresh.pending}
    rows = changed | {fold(name) for name in _named(fresh)}
    rows |= {parent for child, parent in keys if child in changed}
    rows |= {child for child, parent in keys if parent in changed}
    heard = [(name, on) for name, on in triggers if fold(on) in changed or _is_ours(on)]
    if not all(is_own_trigger(name, on) for name, on in heard):
        return None
    tables = [table for table in state.tables if table.kind == "table"]
    return CopyScope(
        rows=frozenset(rows | {META, VERSION, HISTORY}),
        searches=frozenset(_searches(state, changed)),
        counts=tuple(table.name for table in tables if fold(table.name) not in rows),
    )


def _named(plan: Plan) -> Iterator[str]:
    """Tables whose `_id`s a narrowed field has to name."""
    for change in plan.pending:
        if isinstance(change, NarrowField) and change.field.validator.table is not None:
            yield change.field.validator.table


def _is_ours(table: str) -> bool:
    return is_bookkeeping(table) and fold(table).startswith("_valet_")


def _searches(state: DatabaseState, changed: set[str]) -> Iterator[str]:
    for table in state.tables:
        if table.kind == "virtual" and any(is_search_name(table.name, name) for name in changed):
            yield fold(table.name)


class Tripwire:
    """Forbids a connection to touch rows that a lean copy does not hold, and remembers.

    Set it as the connection's authorizer. Counting the rows of a whole table is allowed: SQLite
    then asks for a column without a name.
    """

    def __init__(self, absent: frozenset[str]):
        self.tripped = False
        self._absent = absent

    def __call__(
        self,
        operation: int,
        first: str | None,
        second: str | None,
        *_where: str | None,
    ) -> int:
        """SQLite's question whether a statement may do what it is about to
        (https://www.sqlite.org/c3ref/set_authorizer.html)."""
        place = _READS_ROWS.get(operation)
        counts = operation == apsw.SQLITE_READ and not second
        if place is None or counts or fold((first, second)[place] or "") not in self._absent:
            return apsw.SQLITE_OK
        self.tripped = True
        return apsw.SQLITE_DENY
