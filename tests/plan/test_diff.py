"""Two schemas side by side: every difference is a sentence with its sign."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from schema_strategies import schemas

from valet_studio.plan.diff import schema_changes
from valet_studio.schema.document import schema_hash
from valet_studio.schema.model import (
    Backfill,
    Field,
    Index,
    Schema,
    SearchIndex,
    Sync,
    Table,
    Validator,
)

TEXT, NUMBER = Validator("string"), Validator("number")
TITLE = Field("title", TEXT)
BASE = Table("t", (TITLE,))


def said(before: Table | None, after: Table | None) -> list[str]:
    old = Schema((before,)) if before is not None else None
    changes = schema_changes(old, Schema((after,) if after is not None else ()))
    return [f"{change.sign} {change.summary}" for change in changes]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, BASE, "+ Table t with 1 field."),
        (BASE, None, "- Table t is no longer declared."),
        (BASE, Table("t", (TITLE, Field("n", NUMBER, optional=True))), "+ Field t.n (v.optional(v.number()))."),
        (BASE, Table("t", (TITLE, Field("n", NUMBER, deprecated=True))), "+ Field t.n (v.number(), deprecated)."),
        (Table("t", (TITLE, Field("n", NUMBER))), BASE, "- Field t.n is no longer declared."),
        (BASE, Table("t", (Field("title", TEXT, deprecated=True),)), "- Field t.title is deprecated."),
        (Table("t", (Field("title", TEXT, deprecated=True),)), BASE, "+ Field t.title is no longer deprecated."),
        (BASE, Table("t", (Field("title", TEXT, optional=True),)), "~ Field t.title allows more: v.string() → v.optional(v.string())."),
        (BASE, Table("t", (Field("title", NUMBER),)), "~ Field t.title changes its type: v.string() → v.number()."),
        (BASE, Table("t", (TITLE,), (Index("i", ("title", "_id")),)), "+ Index t.i over title, _id."),
        (Table("t", (TITLE,), (Index("i", ("_id",)),)), Table("t", (TITLE,), (Index("i", ("title",)),)), "~ Index t.i over title, before _id."),
        (Table("t", (TITLE,), (), (SearchIndex("s", "title"),)), BASE, "- Search index t.s is no longer declared."),
        (BASE, Table("t", (TITLE,), sync=Sync("full")), "~ Sync of t: mode none → full."),
        (Table("t", sync=Sync("full", {"op": "eq"})), Table("t", sync=Sync("full")), "~ Sync of t: its filter changes."),
        (BASE, Table("t", (TITLE,), backfills=(Backfill("title", "a"),)), "+ Backfill of t.title."),
        (Table("t", backfills=(Backfill("x", "a"),)), Table("t", backfills=(Backfill("x", "b"),)), "~ Backfill of t.x computes something else."),
        (Table("t", backfills=(Backfill("x", "a"),)), Table("t"), "- Backfill of t.x is no longer there."),
    ],
)  # fmt: skip
def test_each_kind_of_difference(before: Table | None, after: Table | None, expected: str) -> None:
    assert said(before, after) == [expected]


def test_a_new_table_tells_its_indexes_and_sync_too() -> None:
    table = Table("t", (TITLE,), (Index("i", ("title",)),), sync=Sync("windowed"))
    assert said(None, table) == [
        "+ Table t with 1 field.",
        "+ Index t.i over title.",
        "~ Sync of t: mode none → windowed.",
    ]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schemas(), schemas())
def test_a_difference_is_found_where_the_hashes_differ(before: Schema, after: Schema) -> None:
    assert schema_changes(before, before) == ()
    if schema_hash(before) != schema_hash(after):
        assert schema_changes(before, after)
    assert bool(schema_changes(before, after)) == bool(schema_changes(after, before))
