"""A table, and a backfill run on it: by the product, and by a plain loop to compare it with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isinf
from typing import Any

import apsw

from valet_studio.database.inspect import inspect
from valet_studio.migrate.backfill import BackfillRun
from valet_studio.migrate.documents import Documents
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import BackfillReport
from valet_studio.migrate.work import Work
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Schema, Sources
from valet_studio.typescript.child import Child
from valet_studio.typescript.limits import Limits

COLUMNS = ("_id", "s", "n", "flag", "data", "j", "raw")
FIELDS = (
    "s: v.string(), n: v.number(), flag: v.boolean(), data: v.bytes(), j: v.any(), out: v.any()"
)


@dataclass(frozen=True)
class Bad:
    """Text that is not UTF-8."""

    data: bytes


def schema_of(function: str) -> Schema:
    """One table `t` of these fields, and a backfill of `out`."""
    text = (
        "import { defineSchema, defineTable, v } from 'valet-dev/server'\n"
        f"export default defineSchema({{ t: defineTable({{ {FIELDS} }}).backfill('out', {function}) }})"
    )
    return evaluate(Sources("schema.ts", {"schema.ts": text}))


def database(rows: dict[int, list[Any]], layout: str) -> apsw.Connection:
    """The table, with documents by rowid: the cells of every column but `_id`."""
    connection = apsw.Connection(":memory:")
    more = ', "rowid" TEXT' if layout == "column named rowid" else ""
    text = "TEXT COLLATE NOCASE" if layout == "case ignored" else "TEXT"
    connection.execute(
        f'CREATE TABLE t ("_id" TEXT PRIMARY KEY NOT NULL, s {text}, n INTEGER, flag INTEGER, data BLOB,'
        f" j TEXT, raw, out TEXT{more})" + (" WITHOUT ROWID" if layout == "without rowids" else "")
    )
    key = {"without rowids": "", "column named rowid": "_rowid_, "}.get(layout, "rowid, ")
    for number, cells in rows.items():
        values = [f"d{number}", *cells]
        marks = ["CAST(? AS TEXT)" if isinstance(v, Bad) else "?" for v in values]
        bound = [v.data if isinstance(v, Bad) else v for v in values]
        connection.execute(
            f"INSERT INTO t ({key}{', '.join(COLUMNS)}) VALUES ({'?, ' if key else ''}{', '.join(marks)})",
            [number, *bound] if key else bound,
        )
    return connection


def _as_json(cell: object) -> object:
    if isinstance(cell, bytes):
        return {"$b": cell.hex()}
    if isinstance(cell, float) and isinf(cell):
        return {"$inf": "-" if cell < 0 else ""}
    if isinstance(cell, int) and int(float(cell)) != cell:
        return {"$i": str(cell)}
    return cell


def one_by_one(connection: apsw.Connection, schema: Schema) -> set[str]:
    """The reference: read a document, run the function on it, write its value. Who failed."""
    failed = set()
    names = [column.name for column in inspect(connection).tables[0].columns]
    ids = [str(i) for (i,) in connection.execute("SELECT _id FROM t").fetchall()]
    with Child(schema.sources) as child:
        child.start_backfill("t", "out")
        for _id in ids:
            row = connection.execute("SELECT * FROM t WHERE _id = ?", (_id,)).fetchall()[0]
            columns = {n: [_as_json(cell)] for n, cell in zip(names, row, strict=True)}
            text = json.dumps({"columns": columns})
            for sign in ("", "-"):
                text = text.replace(f'{{"$inf": "{sign}"}}', f"{sign}1e999")
            child.send(text.encode())
            answer = child.receive()
            if answer.failures:
                failed.add(_id)
            connection.execute("UPDATE t SET out = ? WHERE _id = ?", (answer.values[0], _id))
    return failed


def in_batches(connection: apsw.Connection, schema: Schema) -> BackfillReport:
    """Run the backfill as the product does."""
    table = schema.tables[0]
    documents = Documents(connection, table, inspect(connection).tables[0])
    with Evaluators(schema.sources, Limits(), twice=False) as evaluators:
        work = Work(documents, table.backfills[0], evaluators, lambda: False)
        connection.execute("BEGIN")
        *_, report = BackfillRun(work).write()
        connection.execute("COMMIT")
    assert isinstance(report, BackfillReport)
    return report


def contents(connection: apsw.Connection) -> list[Any]:
    """What `out` holds, with its type."""
    return connection.execute("SELECT _id, typeof(out), out FROM t ORDER BY _id").fetchall()
