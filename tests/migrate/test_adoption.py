"""A table that was made by hand: its values are held against what the schema says of them."""

from __future__ import annotations

from support import Project, schema_of

from valet_studio import report

TABLE = "CREATE TABLE notes (_id TEXT PRIMARY KEY, title TEXT, n INTEGER)"
SCHEMA = schema_of("notes: defineTable({ title: v.string(), n: v.optional(v.number()) }),")


def test_documents_that_do_not_fit_are_counted_and_named(project: Project) -> None:
    project.sql(TABLE)
    project.sql("INSERT INTO notes VALUES ('a', 'x', 1), ('b', NULL, 2), ('c', 'y', 'three')")
    project.write(SCHEMA)
    adopted = {c.column: c for c in project.plan().changes if c.kind == "narrow_field"}
    assert set(adopted) == {"title", "n"}
    for change, culprit in ((adopted["title"], "b"), (adopted["n"], "c")):
        assert (change.risk.value, change.rows, change.examples) == ("warning", 1, (culprit,))
        assert "1 document does not fit" in change.summary
    assert [adopted[name].summary.endswith(": it holds null.") for name in ("title", "n")] == [
        True,
        False,
    ]
    assert project.apply().status == "ok"
    assert project.plan().changes == ()
    assert project.sql("SELECT title, n FROM notes WHERE _id = 'c'") == [("y", "three")]


def test_documents_that_fit_are_not_spoken_of(project: Project) -> None:
    project.sql(TABLE)
    project.sql("INSERT INTO notes VALUES ('a', 'x', 1)")
    project.write(SCHEMA)
    assert [c.kind for c in project.plan().changes] == ["add_column"]


def test_documents_beyond_the_named_are_counted_and_the_advice_can_be_followed(
    project: Project,
) -> None:
    project.sql("CREATE TABLE t (_id TEXT PRIMARY KEY, mixed)")
    project.sql("INSERT INTO t VALUES " + ", ".join(f"('d{n}', {n})" for n in range(9)))
    project.write(schema_of("t: defineTable({ mixed: v.optional(v.any()) }),"))
    told = report.plan_text(project.plan())
    assert "9 documents do not fit." in told
    assert "and 4 more\n" in told
    assert "leave the field out of the schema" in told
    assert "v.any() more" not in told
