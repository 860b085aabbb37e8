"""A backfill that fails on a late document leaves its column, and all else, as it was."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from support import never, schema_of

from valet_studio.database.inspect import inspect
from valet_studio.migrate.backfill import BackfillRun
from valet_studio.migrate.documents import BATCH_ROWS, Documents
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import BackfillReport
from valet_studio.migrate.work import Work
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Sources
from valet_studio.typescript.limits import Limits

COUNT = 2 * BATCH_ROWS + 10
SCHEMA = evaluate(
    Sources(
        "schema.ts",
        {
            "schema.ts": schema_of(
                "t: defineTable({ n: v.number(), m: v.optional(v.number()) }).backfill('m', "
                f"(row) => {{ if (row.n === {COUNT}) throw new Error('late'); return row.n }}),"
            )
        },
    )
)


def contents(connection: apsw.Connection) -> list[object]:
    return [
        connection.execute("SELECT rowid, _id, n, typeof(m), hex(m) FROM t").fetchall(),
        connection.execute("SELECT rowid, * FROM seen").fetchall(),
    ]


@pytest.mark.parametrize("heard", [False, True], ids=["", "with a trigger"])
@pytest.mark.parametrize(
    "held", ["NULL", "-i", "nullif(i, 7)", "i + 0.5", "CAST(x'ff' || i AS TEXT)", "zeroblob(i % 5)"]
)
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_late_failure_takes_back_what_was_written(
    tmp_path: Path, mode: str, held: str, heard: bool
) -> None:
    connection = apsw.Connection(str(tmp_path / "a.db"))
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute(
        "CREATE TABLE t (_id TEXT PRIMARY KEY NOT NULL, n INTEGER, m INTEGER); CREATE TABLE seen (m)"
    )
    connection.execute(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?) "
        f"INSERT INTO t SELECT 'd' || i, i, {held} FROM c",
        (COUNT,),
    )
    if heard:
        connection.execute(
            "CREATE TRIGGER hears AFTER UPDATE ON t BEGIN INSERT INTO seen VALUES (new.m); END"
        )
    before = contents(connection)
    with Evaluators(SCHEMA.sources, Limits(), twice=False) as evaluators:
        connection.execute("BEGIN IMMEDIATE")
        state = inspect(connection).table_named("t")
        assert state is not None
        documents = Documents(connection, SCHEMA.tables[0], state)
        work = Work(documents, SCHEMA.tables[0].backfills[0], evaluators, never)
        *_, report = BackfillRun(work).write()
        connection.execute("COMMIT")
    assert isinstance(report, BackfillReport)
    assert [failure.id for failure in report.errors] == [f"d{COUNT}"]
    assert report.updated == 0
    assert contents(connection) == before
    connection.close()
