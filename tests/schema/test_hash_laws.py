"""Laws of evaluation and of the hash: what matters changes it, nothing else does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_strategies import schemas, to_typescript, without_behaviour
from support import schema_of

from valet_studio.schema.document import from_document, schema_hash, to_document
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Field, Index, Schema, Sources, Sync, Table, Validator

PROCESS_EACH = settings(max_examples=20)


def run(text: str) -> Schema:
    return evaluate(Sources("schema.ts", {"schema.ts": text}))


@PROCESS_EACH
@given(schemas())
def test_a_schema_evaluates_to_what_its_text_declares(schema: Schema) -> None:
    found = {table.name: table for table in without_behaviour(run(to_typescript(schema))).tables}
    assert found == {
        table.name: _as_javascript_orders(table) for table in without_behaviour(schema).tables
    }


@PROCESS_EACH
@given(schemas(), st.integers())
def test_order_layout_and_comments_leave_the_hash(schema: Schema, seed: int) -> None:
    plain, scrambled = run(to_typescript(schema)), run(to_typescript(schema, random.Random(seed)))
    assert schema_hash(plain) == schema_hash(scrambled)


@pytest.mark.parametrize(
    "within",
    [
        "UNION",
        "v.array(UNION)",
        "v.optional(v.record(v.string(), UNION))",
        "v.object({ a: UNION })",
        "v.object({ a: v.optional(v.array(v.object({ b: UNION }))) })",
    ],
)
def test_the_order_of_a_union_leaves_the_hash_wherever_it_stands(within: str) -> None:
    one, two = (
        run(schema_of(f"t: defineTable({{ f: {within.replace('UNION', union)} }})"))
        for union in (
            "v.union(v.literal('a'), v.literal(1.0), v.null())",
            "v.union(v.null(), v.literal(1), v.literal('a'))",
        )
    )
    assert schema_hash(one) == schema_hash(two)


@PROCESS_EACH
@given(schemas(), st.randoms(use_true_random=False))
def test_what_matters_changes_the_hash(schema: Schema, choice: random.Random) -> None:
    mutations = list(_mutations(schema))
    changed = mutations[choice.randrange(len(mutations))]
    assert schema_hash(run(to_typescript(schema))) != schema_hash(run(to_typescript(changed)))


@settings(max_examples=100)
@given(schemas())
def test_every_mutation_has_a_hash_of_its_own(schema: Schema) -> None:
    own = schema_hash(schema)
    assert all(schema_hash(changed) != own for changed in _mutations(schema))


@settings(max_examples=100)
@given(schemas())
def test_a_document_reads_back_as_its_schema(schema: Schema) -> None:
    again = from_document(to_document(schema))
    assert again == schema
    assert schema_hash(again) == schema_hash(schema)


def _as_javascript_orders(table: Table) -> Table:
    """JavaScript puts properties that are whole numbers first."""

    def key(item: Field) -> bool:
        return not item.name.isdigit()

    return replace(
        table,
        fields=tuple(
            replace(f, validator=_reordered(f.validator)) for f in sorted(table.fields, key=key)
        ),
    )


def _reordered(validator: Validator) -> Validator:
    return replace(
        validator,
        items=tuple(_reordered(item) for item in validator.items),
        fields=tuple(
            replace(f, validator=_reordered(f.validator))
            for f in sorted(validator.fields, key=lambda f: not f.name.isdigit())
        ),
    )


def _mutations(schema: Schema) -> Iterator[Schema]:
    """The schema with one thing changed that a database, client or type would notice."""
    for number, table in enumerate(schema.tables):
        for changed in _table_mutations(table):
            tables = [*schema.tables[:number], changed, *schema.tables[number + 1 :]]
            yield Schema(tuple(tables))
    yield Schema((*schema.tables, Table("another_table")))


def _table_mutations(table: Table) -> Iterator[Table]:
    yield replace(table, fields=(*table.fields, Field("another_field", Validator("string"))))
    yield replace(table, indexes=(*table.indexes, Index("another_index", ("_id",))))
    for mode in {"full", "windowed", "none"} - {table.sync.mode}:
        yield replace(table, sync=Sync(mode, table.sync.filter))  # type: ignore[arg-type]
    condition = {"op": "eq", "field": "_id", "value": {"ctx": "auth.userId"}}
    if table.sync.filter != condition:
        yield replace(table, sync=Sync(table.sync.mode, condition))  # type: ignore[arg-type]
    for number, item in enumerate(table.fields):
        others = [
            replace(item, optional=not item.optional),
            replace(item, deprecated=not item.deprecated),
        ]
        if item.validator.kind not in ("array", "bytes") and not _searched(table, item.name):
            others.append(replace(item, validator=Validator("array", items=(item.validator,))))
        for other in others:
            fields = (*table.fields[:number], other, *table.fields[number + 1 :])
            yield replace(table, fields=fields)
    for number, index in enumerate(table.indexes):
        if len(index.fields) > 1:
            turned = replace(index, fields=index.fields[::-1])
            indexes = (*table.indexes[:number], turned, *table.indexes[number + 1 :])
            yield replace(table, indexes=indexes)
    for number, backfill in enumerate(table.backfills):
        backfills = (*table.backfills[:number], *table.backfills[number + 1 :])
        yield replace(table, backfills=backfills)
        edited = replace(backfill, digest="edited", code="() => 10")
        yield replace(
            table,
            backfills=(*table.backfills[:number], edited, *table.backfills[number + 1 :]),
        )


def _searched(table: Table, name: str) -> bool:
    return any(index.search_field == name for index in table.search_indexes)
