"""Places that are read off the text are those that JavaScript tells."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_strategies import schemas, to_typescript

from valet_studio.errors import Location
from valet_studio.schema import evaluate as evaluating
from valet_studio.schema.document import to_document, to_text
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.literal import literal_tables
from valet_studio.schema.model import Schema, Sources

HEADER = "import { defineSchema, defineTable, v } from 'valet-dev/server'\n"


def sources(text: str) -> Sources:
    return Sources("schema.ts", {"schema.ts": text}, "valet")


def places(schema: Schema) -> Iterator[tuple[str, Location | None]]:
    for table in schema.tables:
        yield table.name, table.location
        yield f"{table.name} sync", table.sync.location
        for field in table.fields:
            yield f"{table.name}.{field.name}", field.location
        for index in table.indexes:
            yield f"{table.name} index {index.name}", index.location
        for search in table.search_indexes:
            yield f"{table.name} search index {search.name}", search.location
        for backfill in table.backfills:
            yield f"{table.name} backfill {backfill.column}", backfill.location


def agree(text: str) -> bool:
    """Whether both ways name the same places; and that the short way was gone."""
    given = sources(text)
    by_text = dict(places(evaluate(given)))
    assert dict(places(evaluate(given))) == by_text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluating, "literal_tables", lambda _sources: {})
        patch.setattr(evaluating, "_asks_places", True)
        by_javascript = dict(places(evaluate(given)))
    assert by_text == by_javascript
    return bool(literal_tables(given))


@settings(max_examples=25)
@given(schema=schemas(), seed=st.integers())
def test_random_schemas(schema: Schema, seed: int) -> None:
    assert agree(to_typescript(schema, random.Random(seed))) or not schema.tables


@pytest.mark.parametrize(
    ("text", "is_literal"),
    [
        ("export default defineSchema({ a: defineTable({ x: v.string() }) })", True),
        (
            "export default defineSchema({\n  'a b': defineTable({ 'x y': v.optional(v.int()) })\n"
            "    .index('i', ['x y']).sync({ mode: 'full' }).backfill('x y', () => 1),\n})",
            True,
        ),
        (
            "export default defineSchema({ a: defineTable({ é: v.string(), x: v.string()"
            ".deprecated(), y: v.union(v.literal('é'), v.literal('b')) }) })",
            True,
        ),
        (
            "const text = v.string()\nexport default defineSchema({ a: defineTable({ x: text, "
            "y: v.optional(text), z: v.array(text) }).sync({}) })",
            True,
        ),
        (
            "const common = { x: v.string() }\nexport default defineSchema({ "
            "a: defineTable({ x: v.int(), ...common }), b: defineTable(common) })",
            True,
        ),
        (
            "const a = defineTable({ x: v.string() })\nexport default defineSchema({ a, b: a, "
            "c: defineTable({ x: v.int() }) })",
            False,
        ),
        (
            "const name = 'x'\nexport default defineSchema({ a: defineTable({ [name]: v.int(), "
            "y: v.int() }) })",
            True,
        ),
        ("const s = defineSchema({ a: defineTable({ x: v.string() }) })\nexport default s", False),
        (
            "function defineAll() { return defineTable({ x: v.string() }) }\n"
            "export default defineSchema({ a: defineAll().sync({ mode: 'none' }) })",
            False,
        ),
        (
            "export default defineSchema({ a: defineTable({ x: v.object({ x: v.string() }), "
            "y: v.record(v.string(), v.object({ y: v.optional(v.int()) })) }) })",
            True,
        ),
    ],
)
def test_what_is_written_out_and_what_is_not(text: str, is_literal: bool) -> None:
    assert agree(HEADER + text) is is_literal


@pytest.mark.parametrize(
    "before",
    ["", "\n\n  ", "'é😀': defineTable({}), ", "/* é😀 */ ", "b: defineTable({ y: v.int() }), "],
)
def test_a_table_that_moved_is_found_where_it_is_now(before: str) -> None:
    table = "defineTable({ é: v.string(), x: v.int(),\n y: v.int() }) // é\n  .index('i', ['x'])"
    text = f"export default defineSchema({{ {before}a: {table}.sync({{}}) }})"
    assert agree(HEADER + text)


def test_a_name_that_means_something_else_is_not_taken_at_its_word() -> None:
    text = (
        "import { defineSchema, defineTable, v as real } from 'valet-dev/server'\n"
        "const v = { string: () => real.string() }\n"
        "export default defineSchema({ a: defineTable({ x: v.string() }) })"
    )
    assert agree(text)
    (field,) = evaluate(sources(text)).tables[0].fields
    assert field.location == Location("valet/schema.ts", 2, 32)


@settings(max_examples=100)
@given(schema=schemas(), seed=st.integers())
def test_the_file_is_the_document_indented(schema: Schema, seed: int) -> None:
    assert to_text(schema) == json.dumps(to_document(schema), indent=2, ensure_ascii=False)
    shuffled = list(schema.tables)
    random.Random(seed).shuffle(shuffled)
    other = Schema(tuple(shuffled[1:]), schema.sources)
    assert to_text(other) == json.dumps(to_document(other), indent=2, ensure_ascii=False)
