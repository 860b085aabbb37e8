"""Rehearse a plan on a few documents only: those that failed before, after schema.ts was mended.

The database is only read. A small one of the same structure is made, which holds just these
documents, and the plan is rehearsed on it: the same code, rules and reports as in a dry run, in
the time of a few documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import apsw

from valet_studio.database.errors import database_errors
from valet_studio.database.layout import PLANNED_BY
from valet_studio.database.target import FileTarget
from valet_studio.errors import IsCancelled
from valet_studio.migrate.dry_run import dry_run
from valet_studio.migrate.events import Event, Report
from valet_studio.migrate.order import Order
from valet_studio.schema.names import quote
from valet_studio.scratch import scratch


def failed_documents(report: Report) -> dict[str, tuple[str, ...]]:
    """`_id`s of the documents that a run could not fill, by table, as far as it names them."""
    found: dict[str, dict[str, None]] = {}
    for backfill in report.backfills:
        for failure in backfill.errors:
            if failure.id is not None:
                found.setdefault(backfill.table, {})[failure.id] = None
    return {table: tuple(ids) for table, ids in found.items()}


def rehearse_documents(
    target: FileTarget,
    order: Order,
    documents: Mapping[str, Sequence[str]],
    cancelled: IsCancelled,
) -> Iterator[Event]:
    """Rehearse a plan on these documents alone, which are `_id`s by table; the last event is
    the report.

    A document that is no longer there is left out.

    Raises:
        PlanIsStale: the database is not in the state for which the plan was made.
        Cancelled: stopped; nothing is left behind.
        DatabaseError: the database cannot be read.
    """
    with scratch() as folder:
        path = folder / "few.db"
        with target.reading(cancelled) as source, database_errors(str(path)):
            few = apsw.Connection(str(path))
            try:
                _copy_some(source, few, documents)
            finally:
                few.close()
        small = FileTarget(target.label, path)
        yield from dry_run(small, order, cancelled)


def _copy_some(
    source: apsw.Connection, few: apsw.Connection, documents: Mapping[str, Sequence[str]]
) -> None:
    """The structure of one database with some documents of it, in another.

    Triggers come last: none of them is to hear of the copying.
    """
    shadows = {name for (name,) in source.execute(_SHADOWS)}
    made = [
        (kind, name, sql)
        for kind, name, sql in source.execute(
            "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"
        )
        if name not in shadows and not name.startswith("sqlite_")
    ]
    few.execute("BEGIN")
    for kind, _, sql in made:
        if kind == "table":
            few.execute(sql)
    for kind, name, _ in made:
        if kind == "table" and name in PLANNED_BY:
            _insert(few, name, source.execute(f"SELECT * FROM {quote(name)}").fetchall())
    for table, ids in documents.items():
        columns = _columns(source, table)
        if not columns:
            continue  # The table is gone since, so the plan is stale; whoever rehearses it says so.
        picked = ", ".join(quote(column) for column in columns)
        find = f'SELECT {picked} FROM {quote(table)} WHERE "_id" = ?'
        rows = [row for who in ids for row in source.execute(find, (who,))]
        _insert(few, table, rows, columns)
    for kind, _, sql in made:
        if kind != "table":
            few.execute(sql)
    few.execute("COMMIT")


_SHADOWS = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"


def _columns(connection: apsw.Connection, table: str) -> list[str]:
    """The columns that can be written: generated ones are not."""
    found = connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", (table,))
    return [name for (name,) in found]


def _insert(
    few: apsw.Connection,
    table: str,
    rows: Sequence[tuple[apsw.SQLiteValue, ...]],
    columns: Sequence[str] = (),
) -> None:
    names = f" ({', '.join(quote(column) for column in columns)})" if columns else ""
    for row in rows:
        marks = ", ".join("?" * len(row))
        few.execute(f"INSERT INTO {quote(table)}{names} VALUES ({marks})", row)
