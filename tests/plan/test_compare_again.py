"""What one comparison has learned never shows in the next: same plan as in a fresh process."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_strategies import schemas
from support import Project, schema_of

from valet_studio.database import inspect as inspecting
from valet_studio.database.inspect import inspect
from valet_studio.plan import compare as comparing
from valet_studio.plan.changes import Plan
from valet_studio.plan.compare import compare
from valet_studio.schema.model import Schema


def forgetful(schema: Schema, connection: apsw.Connection) -> Plan:
    """The plan of a process that never looked before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "_last", (None, {}))
        patch.setattr(inspecting, "_last", ([], {}, None))
        return compare(schema, inspect(connection))


@settings(max_examples=60)
@given(st.lists(schemas(), min_size=2, max_size=4), st.data())
def test_a_series_of_saves_plans_as_each_of_them_alone(
    saves: list[Schema], data: st.DataObject
) -> None:
    connection = apsw.Connection(":memory:")
    for schema in saves:
        for _ in range(2):
            assert compare(schema, inspect(connection)) == forgetful(schema, connection)
        if data.draw(st.booleans()):
            for change in compare(schema, inspect(connection)).changes:
                for statement in change.sql:
                    connection.execute(statement)


ONE = "a: defineTable({ x: v.string() }), b: defineTable({ x: v.string() }),"


@pytest.mark.parametrize(
    ("by_hand", "told"),
    [
        ("ALTER TABLE a ADD COLUMN y TEXT", "Column a.y is in the database"),
        ("ALTER TABLE a DROP COLUMN x", "Column a.x was applied before"),
        ("DROP TABLE a", "Table a was applied before"),
        ("CREATE INDEX mine ON a (x)", "Index mine on a is in no schema."),
        ("CREATE VIEW seen AS SELECT * FROM a", "seen is a view"),
        (
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END",
            "Trigger t on a is in no schema; it runs on every insert.",
        ),
        (
            'CREATE TRIGGER "delete on" BEFORE UPDATE OF x, b ON a BEGIN DELETE FROM b; END',
            "Trigger delete on on a is in no schema; it runs on every update, backfills included.",
        ),
    ],
)
def test_what_is_done_by_hand_between_two_looks_is_seen(
    project: Project, by_hand: str, told: str
) -> None:
    project.push(schema_of(ONE))
    assert project.plan().status == "in_sync"
    project.sql(by_hand)
    assert any(told in change.summary for change in project.plan().changes)


def test_a_change_of_the_schema_alone_is_seen(project: Project) -> None:
    project.push(schema_of(ONE))
    assert project.plan().status == "in_sync"
    project.write(schema_of(ONE.replace("x: v.string() }), b", "x: v.string(), y: v.int() }), b")))
    assert [(c.kind, c.table, c.column) for c in project.plan().pending] == [
        ("add_column", "a", "y")
    ]


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (
            "a: defineTable({ x: v.literal(1) }),",
            "a: defineTable({ x: v.literal(true) }),",
            "a.x changes its type: v.literal(1) → v.literal(true).",
        ),
        (
            "a: defineTable({ x: v.any() }).sync({ mode: 'full', filter: (q) => q.eq('x', 1) }),",
            "a: defineTable({ x: v.any() }).sync({ mode: 'full', filter: (q) => q.eq('x', true) }),",
            "its filter changes",
        ),
    ],
    ids=["literal", "filter"],
)
def test_true_in_place_of_one_is_seen(project: Project, one: str, other: str, told: str) -> None:
    project.push(schema_of(one))
    before = project.plan()
    assert before.status == "in_sync"
    project.write(schema_of(other))
    after = project.plan()
    assert told in after.changes[0].summary
    assert after.schema_hash != before.schema_hash
