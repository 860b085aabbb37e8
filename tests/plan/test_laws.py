"""Laws of planning, over random schemas: a push leaves nothing to plan and no cell touched."""

from __future__ import annotations

from collections import Counter
from typing import Any

import apsw
from hypothesis import given, settings
from hypothesis import strategies as st
from pushing import (
    ANY,
    BOOLEAN,
    BYTES,
    INT,
    NUMBER,
    STRING,
    array,
    database,
    literal,
    look,
    push,
    reference,
    union,
)

from valet_studio.plan.types import covers, relation
from valet_studio.schema.model import (
    Backfill,
    Field,
    Index,
    ObjectField,
    Schema,
    SearchIndex,
    Sync,
    SyncMode,
    Table,
    Validator,
)
from valet_studio.schema.names import fold, quote

NAMES = ["todos", "users", "select", 'a"b', "with space", "ünï", "📦", "it's", "rowid", "rank"]
names = st.sampled_from(NAMES)
simple = st.sampled_from(
    [
        STRING,
        NUMBER,
        INT,
        BOOLEAN,
        BYTES,
        ANY,
        Validator("null"),
        reference("todos"),
        reference("users"),
        literal("a"),
        literal("b"),
        literal(1),
        literal(2.5),
        literal(True),
    ]
)
objects = st.builds(
    lambda fields: Validator("object", fields=tuple(fields)),
    st.lists(
        st.builds(ObjectField, st.sampled_from("xyz"), simple, st.booleans()),
        max_size=3,
        unique_by=lambda f: f.name,
    ),
)
validators = st.recursive(
    simple | objects,
    lambda inner: (
        st.builds(array, inner)
        | st.builds(lambda v: Validator("record", items=(STRING, v)), inner)
        | st.builds(lambda ms: union(*ms), st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=4,
)


@st.composite
def tables(draw: st.DrawFn, name: str) -> Table:
    columns = draw(st.lists(names, max_size=4, unique_by=fold))
    fields = tuple(
        Field(column, draw(validators), draw(st.booleans()), draw(st.booleans()))
        for column in columns
    )
    chosen = st.sampled_from(columns or [""])
    some = st.booleans() if columns else st.just(False)
    indexes = tuple(Index(index, (draw(chosen),)) for index in ("i", 'j"', "k") if draw(some))
    searches = tuple(SearchIndex(index, draw(chosen)) for index in ("i", "s") if draw(some))
    mode: SyncMode = draw(st.sampled_from(["full", "windowed", "none"]))
    backfills = tuple(
        Backfill(column, draw(st.sampled_from(["d1", "d2"]))) for column in columns if draw(some)
    )
    return Table(name, fields, indexes, searches, Sync(mode), backfills)


schemas = st.lists(names, max_size=3, unique_by=fold).flatmap(
    lambda chosen: st.tuples(*(tables(name) for name in chosen)).map(Schema)
)


def cells(connection: apsw.Connection) -> Counter[Any]:
    """Every cell of every user table, by table and column."""
    found: Counter[Any] = Counter()
    for (table,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%valet\\_%' ESCAPE '\\'"
    ).fetchall():
        cursor = connection.execute(f"SELECT * FROM {quote(str(table))}")
        rows = cursor.fetchall()
        if rows:
            described = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
            heads = [name for (name,) in described]
            for row in rows:
                found.update(
                    (table, head, repr(cell)) for head, cell in zip(heads, row, strict=True)
                )
    return found


@settings(max_examples=150)
@given(schemas, schemas)
def test_after_a_push_nothing_is_left_to_plan_and_no_cell_was_touched(
    first: Schema, second: Schema
) -> None:
    with database() as connection:
        push(connection, first)
        assert look(connection, first).changes == ()
        for table in first.tables:
            connection.execute(f"INSERT INTO {quote(table.name)} (\"_id\") VALUES ('a'), ('b')")
        before = cells(connection)
        plan = push(connection, second)
        assert before <= cells(connection)
        after = look(connection, second)
        if plan.status == "blocked":
            assert cells(connection) == before
            assert after == plan
        else:
            assert after.changes == ()
            assert after.status == "in_sync"
            for table in second.tables:
                connection.execute(f"DELETE FROM {quote(table.name)} WHERE \"_id\" = 'a'")
                connection.execute(f"INSERT INTO {quote(table.name)} (\"_id\") VALUES ('c')")
        # And back: what was removed in between is still there and is found again.
        if push(connection, first).status != "blocked":
            assert look(connection, first).changes == ()


@given(validators, validators, validators)
def test_covering_is_an_order(a: Validator, b: Validator, c: Validator) -> None:
    assert covers(a, a)
    if covers(a, b) and covers(b, c):
        assert covers(a, c)


@given(validators, validators)
def test_widening_one_way_is_narrowing_the_other(a: Validator, b: Validator) -> None:
    there, back = relation(Field("f", a), Field("f", b)), relation(Field("f", b), Field("f", a))
    assert (there == "same") == (back == "same")
    if there == "widen":
        assert back == "narrow"
