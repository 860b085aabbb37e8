"""A schema begins with what the database holds, so that nothing of it is refused or lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import HEADER, Project, schema_of

from valet_studio import scaffold

SHOP = (
    "CREATE TABLE people (_id TEXT PRIMARY KEY, name TEXT NOT NULL, mail TEXT, age INT, photo BLOB,"
    " active BOOLEAN, any_thing, twice INT AS (age * 2))",
    'CREATE TABLE "order lines" (_id VARCHAR(9) PRIMARY KEY, person TEXT REFERENCES people,'
    ' "unit price" REAL, odd TEXT REFERENCES log (what)) WITHOUT ROWID',
    "CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT UNIQUE)",
    "CREATE INDEX by_age ON people (age, name)",
    "CREATE INDEX grown ON people (age) WHERE age > 17",
    "CREATE VIEW seen AS SELECT 1",
    "INSERT INTO people VALUES ('a', 'A', NULL, 3, x'00', 1, NULL)",
    "INSERT INTO people VALUES ('b', 'B', 'b@c', 4, x'01', 0, '[1]')",
)
ADOPTED = """\
export default defineSchema({
    people: defineTable({
        // twice is left out: SQLite computes it.
        // Index grown stays, undeclared: it holds a part of the rows.
        name: v.string(),
        mail: v.optional(v.string()),
        age: v.number(),
        photo: v.bytes(),
        active: v.boolean(),
        any_thing: v.any(),
    })
        .index('by_age', ['age', 'name']),
    'order lines': defineTable({
        person: v.optional(v.id('people')),
        'unit price': v.optional(v.number()),
        odd: v.optional(v.string()),
    }),
})
"""


def test_tables_made_by_other_means_are_declared_as_they_stand(project: Project) -> None:
    for statement in SHOP:
        project.sql(statement)
    scaffold.init(project.settings)
    text = project.schema_path.read_text(encoding="utf-8")
    assert text.endswith(f"\n{ADOPTED}")
    assert "//   'log'\n" in text
    plan = project.plan()
    assert {(c.kind, c.column) for c in plan.pending} == {("add_column", "_version")}
    assert project.apply().status == "ok"
    assert project.plan().status == "in_sync"


def test_a_column_that_holds_other_values_than_its_type_takes_is_left_out_and_named(
    project: Project,
) -> None:
    project.sql(
        "CREATE TABLE t (_id TEXT PRIMARY KEY, meta JSON, made DATETIME, stamped DATETIME, raw INT)"
    )
    project.sql("CREATE INDEX by_made ON t (made)")
    project.sql("INSERT INTO t VALUES ('a', '{}', '2026-01-01', 17, x'00')")
    scaffold.init(project.settings)
    text = project.schema_path.read_text(encoding="utf-8")
    assert "        // meta is left out: a column of type JSON is for numbers" in text
    assert "// To use a column that is left out for its type, declare the field as you" in text
    assert "        // made is left out: a column of type DATETIME is" in text
    assert "        // raw is left out" in text
    assert "        stamped: v.number(),\n    }),\n" in text
    plan = project.plan()
    assert {(c.kind, c.column) for c in plan.pending} == {("add_column", "_version")}
    assert project.apply().status == "ok"


def test_an_index_that_no_schema_can_declare_is_named_with_the_reason(project: Project) -> None:
    project.sql("CREATE TABLE t (_id TEXT PRIMARY KEY, a TEXT, made DATETIME, twice AS (a || a))")
    project.sql("INSERT INTO t VALUES ('a', 'b', '2026-01-01')")
    for name, what in (
        ("plain", "INDEX {} ON t (a)"),
        ("one of a kind", "UNIQUE INDEX {} ON t (a)"),
        ("lowered", "INDEX {} ON t (lower(a))"),
        ("newest", "INDEX {} ON t (a DESC)"),
        ("alike", "INDEX {} ON t (a COLLATE NOCASE)"),
        ("by_made", "INDEX {} ON t (a, made)"),
    ):
        project.sql("CREATE " + what.format(f'"{name}"'))
    scaffold.init(project.settings)
    text = project.schema_path.read_text(encoding="utf-8")
    assert (
        "        // Index 'one of a kind' stays, undeclared: it is UNIQUE, which a schema cannot say.\n"
        "        // Index lowered stays, undeclared: it is over an expression.\n"
        "        // Index newest stays, undeclared: it goes backwards (DESC).\n"
        "        // Index alike stays, undeclared: it compares by a COLLATE of its own.\n"
        "        // Index by_made stays, undeclared: it is over made, which is left out.\n"
        "        a: v.string(),\n"
    ) in text
    assert text.count(".index(") == 1
    assert project.apply().status == "ok"


def test_an_untyped_column_is_declared_by_what_it_holds(project: Project) -> None:
    project.sql("CREATE TABLE t (_id TEXT PRIMARY KEY, words, numbers ANY, raw, json, mixed, none)")
    project.sql("""INSERT INTO t VALUES
        ('a', 'one', 1, x'00', '{"n":1}', 'one', NULL), ('b', '2', 1.5, x'01', '2', 1, NULL)
    """)
    scaffold.init(project.settings)
    text = project.schema_path.read_text(encoding="utf-8")
    assert (
        "        // mixed is left out: no type fits all the values that it holds.\n"
        "        words: v.string(),\n"
        "        numbers: v.number(),\n"
        "        raw: v.bytes(),\n"
        "        json: v.any(),\n"
        "        none: v.any(),\n"
    ) in text
    plan = project.plan()
    assert {(c.kind, c.column) for c in plan.pending} == {("add_column", "_version")}
    assert project.apply().status == "ok"


def test_a_database_without_a_table_that_fits_gets_no_example(project: Project) -> None:
    project.sql("CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT)")
    scaffold.init(project.settings)
    assert "todos" not in project.schema_path.read_text(encoding="utf-8")
    (drift,) = project.plan().changes
    assert "no _id TEXT PRIMARY KEY" in drift.rule


def test_the_schema_that_was_applied_last_is_made_again(project: Project) -> None:
    helper = project.schema_path.parent / "helper.ts"
    helper.parent.mkdir(exist_ok=True)
    helper.write_text("export const first = (s: string) => s[0] ?? ''\n", encoding="utf-8")
    text = f"import {{ first }} from './helper'\n{HEADER}" + schema_of(
        "a: defineTable({ x: v.string(), y: v.string() }).backfill('y', (row) => first(row.x)),"
    ).removeprefix(HEADER)
    project.push(text)
    written = helper.read_text(encoding="utf-8")
    helper.unlink()
    project.schema_path.unlink()
    assert set(scaffold.init(project.settings)) >= {helper, project.schema_path}
    assert project.schema_path.read_text(encoding="utf-8") == text
    assert helper.read_text(encoding="utf-8") == written
    assert project.plan().status == "in_sync"


@pytest.mark.parametrize("database", ["http://127.0.0.1:1", "libsql://127.0.0.1", "missing.db"])
def test_where_nothing_can_be_read_a_schema_begins_with_an_example(
    project: Project, database: str
) -> None:
    scaffold.init(replace(project.settings, database=database))
    assert project.schema_path.read_text(encoding="utf-8") == scaffold.STARTER


def test_a_recorded_module_outside_the_directory_is_not_written(project: Project) -> None:
    project.push(schema_of("a: defineTable({ x: v.string() }),"))
    project.sql(
        "UPDATE _valet_meta SET value = replace(value, '\"files\": {', "
        '\'"files": {"../evil.ts": "", \') WHERE key = \'schema_json\''
    )
    assert project.sql("SELECT 1 FROM _valet_meta WHERE value LIKE '%evil.ts%'") == [(1,)]
    project.schema_path.unlink()
    scaffold.init(project.settings)
    assert project.schema_path.exists()
    assert not list(project.root.rglob("evil.ts"))
