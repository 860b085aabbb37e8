"""The structure before and after a plan, as SQLite itself tells it."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import Project, schema_of, seed_blocks

from valet_studio import pipeline
from valet_studio.database.structure import Structures, one_column_a_line, structure

FIELDS = (
    "title: v.string()",
    "n: v.optional(v.number())",
    "done: v.boolean()",
    "of: v.id('a')",
    "more: v.any()",
    "old: v.string().deprecated()",
)
MORE = (
    "",
    ".index('by_title', ['title'])",
    ".searchIndex('words', { searchField: 'title' })",
    ".sync({ mode: 'full' })",
)


def table(name: str, fields: frozenset[str], more: str) -> str:
    return f"{name}: defineTable({{ title: v.string(), {', '.join(sorted(fields))} }}){more},"


SCHEMAS = st.builds(
    lambda *tables: schema_of("\n".join(tables)),
    *(
        st.builds(
            table, st.just(name), st.frozensets(st.sampled_from(FIELDS[1:])), st.sampled_from(MORE)
        )
        for name in "ab"
    ),
)


def told(project: Project) -> Structures:
    found = pipeline.structures(project.look())
    assert found is not None
    return found


def held(project: Project) -> str:
    connection = apsw.Connection(str(project.database))
    try:
        return structure(connection)
    finally:
        connection.close()


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(schemas=st.lists(SCHEMAS, min_size=1, max_size=3))
def test_what_is_told_is_what_an_apply_leaves(
    tmp_path_factory: pytest.TempPathFactory, schemas: list[str]
) -> None:
    project = Project(tmp_path_factory.mktemp("project"))
    for text in schemas:
        project.write(text)
        found = told(project)
        if project.plan().status == "blocked":
            continue
        assert found.before == (held(project) if project.database.exists() else "")
        report = project.apply()
        assert report.status in ("ok", "noop")
        assert found.after == held(project)
        again = told(project)
        assert again.before == again.after == found.after


def test_the_seeds_new_field_adds_one_line(project: Project) -> None:
    project.push(seed_blocks()[0])
    project.write(seed_blocks()[1])
    found = told(project)
    before, after = found.before.splitlines(), found.after.splitlines()
    assert [line for line in before if line not in after] == ['  "userId" TEXT']
    assert [line for line in after if line not in before] == [
        '  "userId" TEXT,',
        '  "priority" INTEGER',
    ]


@pytest.mark.parametrize(
    ("sql", "lines"),
    [
        ("CREATE TABLE t (a, b)", ["CREATE TABLE t (", "  a,", "  b", ")"]),
        (
            "CREATE TABLE 'a,(b' (x DEFAULT ',)''(', \"y)\" CHECK (y IN (1, 2))) WITHOUT ROWID",
            [
                "CREATE TABLE 'a,(b' (",
                "  x DEFAULT ',)''(',",
                '  "y)" CHECK (y IN (1, 2))',
                ") WITHOUT ROWID",
            ],
        ),
        ("CREATE TABLE t (a /* ,( */, [b,])", ["CREATE TABLE t (", "  a /* ,( */,", "  [b,]", ")"]),
        ("CREATE TABLE t (a -- ,(\n, b)", ["CREATE TABLE t (", "  a -- ,(,", "  b", ")"]),
    ],
)
def test_columns_stand_on_lines_of_their_own(sql: str, lines: list[str]) -> None:
    assert one_column_a_line(sql).split("\n") == lines


def test_a_structure_that_cannot_be_made_again_is_not_told(project: Project) -> None:
    project.push(seed_blocks()[0])
    project.sql("CREATE TABLE theirs (a)")
    project.sql("CREATE INDEX i ON theirs (a)")
    project.sql("PRAGMA writable_schema = on")
    connection = apsw.Connection(str(project.database))
    connection.execute("PRAGMA writable_schema = on")
    connection.execute(
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON theirs (nowhere(a))' WHERE name = 'i'"
    )
    connection.close()
    before = project.database.read_bytes()
    project.write(seed_blocks()[2])
    assert pipeline.structures(pipeline.look(project.settings)) is None
    assert project.database.read_bytes() == before
