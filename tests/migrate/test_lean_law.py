"""A rehearsal on a lean copy reports what one on a full copy does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_strategies import schemas, to_typescript
from support import Project, last, never, schema_of

from valet_studio.database.target import open_target
from valet_studio.errors import MigrationFailed
from valet_studio.migrate.ahead import ByColumn
from valet_studio.migrate.dry_run import dry_run
from valet_studio.migrate.events import Report
from valet_studio.migrate.order import Order
from valet_studio.schema.model import Field, Schema, Storage, Sync, Table
from valet_studio.typescript.limits import Limits

AROUND = (
    'CREATE VIEW "a view" AS SELECT * FROM {table}',
    "CREATE TABLE more (_id TEXT PRIMARY KEY, of TEXT REFERENCES {table} (_id))",
    "CREATE TABLE bare (a); INSERT INTO bare VALUES (1), (2)",
    "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO counted VALUES (7)",
    "CREATE TABLE keyed (a TEXT, b, PRIMARY KEY (b, a)) WITHOUT ROWID;"
    "INSERT INTO keyed VALUES ('x', 1)",
    "CREATE TABLE derived (a, b AS (a + 1)); INSERT INTO derived VALUES (1)",
    "CREATE TABLE log (n); CREATE TRIGGER noted AFTER UPDATE ON {table} BEGIN"
    " INSERT INTO log VALUES (1); END",
    "CREATE VIRTUAL TABLE words USING fts5(body); INSERT INTO words VALUES ('red apple')",
    "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)",
    "CREATE INDEX by_hand ON {table} (_version, _id)",
    "ANALYZE",
)
"""What other programs may have put into a database, around the tables of a schema."""


def everything(size: int) -> int:
    """Of however much, make a lean copy."""
    return size


def nothing(_size: int) -> int:
    """Make no lean copy."""
    return 0


def rehearsed(
    project: Project, limit: Callable[[int], int]
) -> tuple[Report, dict[tuple[str, str], list[bytes]]]:
    """The report of a dry run, and what its backfills read, batch by batch."""
    state = project.look()
    assert state.schema is not None
    assert state.plan is not None
    kept: ByColumn = {}
    target = open_target(str(project.database))
    order = Order(state.schema, state.plan, Limits())
    report = last(dry_run(target, order, never, kept=kept, lean=limit))
    return report, {key: [p.digest for p in found.pieces] for key, found in kept.items()}


def timeless(report: Report) -> Report:
    """The report without what differs from one run to the next."""
    backfills = tuple(replace(backfill, seconds=0.0) for backfill in report.backfills)
    return replace(report, seconds=0.0, copied=None, backfills=backfills)


def test_tables_that_the_plan_does_not_touch_are_only_counted(project: Project) -> None:
    project.push(schema_of("a: defineTable({ x: v.string() }), b: defineTable({ y: v.string() }),"))
    project.sql("INSERT INTO a (_id, x) VALUES ('1', 'x'), ('2', 'x')")
    project.sql("INSERT INTO b (_id, y) VALUES ('1', 'y'), ('2', 'y'), ('3', 'y')")
    project.write(
        schema_of(
            "a: defineTable({ x: v.string(), n: v.number() }).backfill('n', () => 1),"
            "b: defineTable({ y: v.string() }),"
        )
    )
    full, read = rehearsed(project, nothing)
    lean, read_lean = rehearsed(project, everything)
    assert full.copied is not None
    assert lean.copied is not None
    assert (full.copied.kind, lean.copied.kind) == ("full", "lean")
    assert lean.copied.tables == ("a",)
    assert [(t.table, t.rows_before, t.rows_after) for t in lean.tables] == [
        ("a", 2, 2),
        ("b", 3, 3),
    ]
    assert timeless(lean) == timeless(full)
    assert read_lean == read


@pytest.mark.parametrize(
    ("around", "kind"),
    [
        ("CREATE VIEW w AS SELECT * FROM a JOIN b", "lean"),
        ("CREATE TABLE c (of TEXT REFERENCES a (_id))", "lean"),
        ("CREATE VIRTUAL TABLE words USING fts5(body)", "lean"),
        ("CREATE TRIGGER noted AFTER UPDATE ON b BEGIN UPDATE a SET x = 'z'; END", "lean"),
        ("CREATE TRIGGER noted AFTER UPDATE ON a BEGIN UPDATE b SET y = 'z'; END", "full"),
        (
            "CREATE TRIGGER noted AFTER UPDATE ON _valet_meta BEGIN UPDATE b SET y = 'z'; END",
            "full",
        ),
        ("ALTER TABLE a ADD COLUMN up AS (upper(x))", "full"),
        ("CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)", "full"),
        # By its name it belongs to a search index, and only the wire tells.
        (
            "CREATE TRIGGER a_valet_search_z AFTER UPDATE ON a BEGIN UPDATE b SET y = 'z'; END",
            "full",
        ),
    ],
)
def test_what_could_differ_on_a_lean_copy_gets_a_full_one(
    project: Project, around: str, kind: str
) -> None:
    project.push(schema_of("a: defineTable({ x: v.string() }), b: defineTable({ y: v.string() }),"))
    project.sql("INSERT INTO a (_id, x) VALUES ('1', 'x'), ('2', 'x')")
    project.sql("INSERT INTO b (_id, y) VALUES ('1', 'y')")
    project.sql(around)
    project.write(
        schema_of(
            "a: defineTable({ x: v.string(), n: v.number() }).backfill('n', () => 1),"
            "b: defineTable({ y: v.string() }),"
        )
    )
    full, _ = rehearsed(project, nothing)
    lean, _ = rehearsed(project, everything)
    assert lean.copied is not None
    assert lean.copied.kind == kind
    assert timeless(lean) == timeless(full)


def test_an_id_is_looked_for_in_the_table_that_it_names(project: Project) -> None:
    tables = "a: defineTable({{ x: v.string() }}), b: defineTable({{ of: {} }}),"
    project.push(schema_of(tables.format("v.optional(v.string())")))
    project.sql("INSERT INTO a (_id, x) VALUES ('1', 'x')")
    project.sql("INSERT INTO b (_id, of) VALUES ('1', '1'), ('2', 'nobody')")
    project.write(schema_of(tables.format("v.id('a')")))
    full, _ = rehearsed(project, nothing)
    lean, _ = rehearsed(project, everything)
    assert lean.status == "rejected"
    assert lean.plan.changes[0].examples == ("2",)
    assert lean.copied is not None
    assert (lean.copied.kind, lean.copied.tables) == ("lean", ("a", "b"))
    assert timeless(lean) == timeless(full)


@pytest.mark.parametrize("limit", [nothing, everything])
def test_a_foreign_key_that_a_backfill_breaks_is_found(
    project: Project, limit: Callable[[int], int]
) -> None:
    project.push(schema_of("a: defineTable({ x: v.string() }),"))
    project.sql("CREATE UNIQUE INDEX by_x ON a (x)")
    project.sql("INSERT INTO a (_id, x) VALUES ('1', 'x')")
    project.sql("CREATE TABLE c (of TEXT REFERENCES a (x)); INSERT INTO c VALUES ('x')")
    project.write(schema_of("a: defineTable({ x: v.string() }).backfill('x', (r) => r._id),"))
    with pytest.raises(MigrationFailed, match="foreign key"):
        rehearsed(project, limit)


def earlier(table: Table, fields: int) -> Table:
    """The table as an earlier schema may have declared it: fewer fields, none of them required."""
    kept = tuple(replace(field, optional=True) for field in table.fields[:fields])
    return Table(table.name, kept, sync=Sync(table.sync.mode))


def value_for(field: Field) -> st.SearchStrategy[apsw.SQLiteValue]:
    """Cells that a column may hold, whether they keep its promise or not."""
    match field.validator.storage:
        case Storage.TEXT:
            return st.sampled_from([None, "0", "1", "red apple", "é"])
        case Storage.BYTES:
            return st.sampled_from([None, b"", b"\x00\xff"])
        case Storage.JSON:
            return st.sampled_from([None, "null", "[]", '{"a":1}', "0"])
    return st.sampled_from([None, 0, 1, 2.5, 2**53 + 1])


@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(schema=schemas(), data=st.data())
def test_the_report_is_that_of_a_full_copy(
    tmp_path_factory: pytest.TempPathFactory, schema: Schema, data: st.DataObject
) -> None:
    project = Project(tmp_path_factory.mktemp("lean"))
    draw = data.draw
    before = Schema(
        tuple(
            earlier(table, draw(st.integers(0, len(table.fields))))
            if draw(st.booleans())
            else table
            for table in schema.tables
        )
    )
    assert project.push(to_typescript(before)).status == "ok"
    for table in before.tables:
        for number in draw(st.lists(st.integers(-3, 9), max_size=6, unique=True)):
            cells = [draw(value_for(field)) for field in table.fields]
            names = ", ".join(
                f'"{name}"' for name in ["rowid", "_id", *(f.name for f in table.fields)]
            )
            project.sql(
                f'INSERT INTO "{table.name}" ({names}) VALUES (?, ?{", ?" * len(cells)})',
                (number, str(number), *cells),
            )
    for statement in draw(st.lists(st.sampled_from(AROUND), max_size=3, unique=True)):
        project.sql(statement.format(table=f'"{before.tables[0].name}"'))
    project.sql(f"PRAGMA journal_mode = {draw(st.sampled_from(['delete', 'wal']))}")
    project.write(to_typescript(schema))
    full, read = rehearsed(project, nothing)
    lean, read_lean = rehearsed(project, everything)
    assert timeless(lean) == timeless(full)
    assert read_lean == read
