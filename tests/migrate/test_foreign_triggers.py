"""Triggers that no schema knows run with each write of a backfill: what they do is checked."""

from __future__ import annotations

import pytest
from support import ON_FILES, Project, schema_of

from valet_studio.errors import MigrationFailed

pytestmark = ON_FILES

ONE = schema_of("    t: defineTable({ a: v.string() }),")
FILLED = schema_of(
    "    t: defineTable({ a: v.string(), b: v.string() }).backfill('b', (row) => row.a + '!'),"
)
CHANGING = {
    "after": "AFTER UPDATE ON t BEGIN UPDATE t SET b = null WHERE _id = new._id; END",
    "another document": "AFTER UPDATE ON t BEGIN UPDATE t SET b = 'x' WHERE _id = 't1'; END",
    "ignored": "BEFORE UPDATE ON t WHEN new._id = 't2' BEGIN SELECT raise(ignore); END",
}


@pytest.fixture
def three(project: Project) -> Project:
    project.push(ONE)
    project.sql("INSERT INTO t (_id, a) VALUES ('t1', 'x'), ('t2', 'y'), ('t3', 'z')")
    return project


@pytest.mark.parametrize("trigger", CHANGING)
def test_a_trigger_that_changes_what_a_backfill_writes_rolls_it_back(
    three: Project, trigger: str
) -> None:
    three.sql(f"CREATE TRIGGER ut {CHANGING[trigger]}")
    three.write(FILLED)
    before = three.sql("SELECT * FROM t")
    for way in (three.dry_run, three.apply):
        with pytest.raises(MigrationFailed, match=r"Trigger ut on t changed what the backfill"):
            way()
    assert three.sql("SELECT * FROM t") == before
    three.sql("DROP TRIGGER ut")
    assert three.apply().status == "ok"
    assert three.sql("SELECT b FROM t ORDER BY _id") == [("x!",), ("y!",), ("z!",)]


def test_a_trigger_that_leaves_the_values_alone_runs(three: Project) -> None:
    three.sql("CREATE TABLE seen (n INTEGER); INSERT INTO seen VALUES (0)")
    three.sql("CREATE TRIGGER ut AFTER UPDATE ON t BEGIN UPDATE seen SET n = n + 1; END")
    three.write(FILLED)
    assert three.dry_run().status == "ok"
    assert three.apply().status == "ok"
    assert three.sql("SELECT n FROM seen") == [(3,)]


def test_a_trigger_that_adds_documents_is_named(three: Project) -> None:
    three.sql("CREATE TABLE log (n)")
    three.sql("CREATE TRIGGER ut AFTER UPDATE ON t BEGIN INSERT INTO log VALUES (new._id); END")
    three.write(FILLED)
    with pytest.raises(MigrationFailed, match='"log" held 0 documents, now 3') as failed:
        three.apply()
    hint = failed.value.problems[0].hint
    assert hint is not None
    assert "ut on t" in hint
    assert "SELECT sql FROM sqlite_master" in hint  # Nowhere else would it be kept.
    assert "report" not in hint
    assert three.sql("SELECT count(*) FROM log") == [(0,)]


@pytest.mark.parametrize("backfill", ["", ".backfill('b', (row) => row.a)"])
def test_a_tracking_trigger_that_was_extended_comes_back_as_it_was(
    project: Project, backfill: str
) -> None:
    declared = "    t: defineTable({{ {} }}){}.sync({{ mode: 'full' }}),"
    project.push(schema_of(declared.format("a: v.string()", "")))
    project.sql("CREATE TABLE audit (who)")
    ((made,),) = project.sql("SELECT sql FROM sqlite_master WHERE name = 't_valet_update'")
    extended = made.replace("BEGIN", "BEGIN INSERT INTO audit VALUES (NEW._id);")
    project.sql("DROP TRIGGER t_valet_update")
    project.sql(extended)
    project.sql("INSERT INTO t (_id, a) VALUES ('t1', 'x')")
    fields = "a: v.string(), b: v.optional(v.string())"
    report = project.push(schema_of(declared.format(fields, backfill)))
    assert report.status == "ok"
    found = project.sql("SELECT sql FROM sqlite_master WHERE name = 't_valet_update'")
    assert found == [(extended,)]
    assert project.sql("SELECT * FROM audit") == []
