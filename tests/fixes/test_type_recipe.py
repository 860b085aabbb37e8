"""The fix of a refused type change is the seed's recipe, and what it writes works at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from support import Project, never, schema_of

from valet_studio import pipeline
from valet_studio.fixes.offer import fixes_for
from valet_studio.plan.changes import ChangeType, Risk
from valet_studio.schema.model import Sources

TYPES = {
    "string": ("v.string()", "7"),
    "number": ("v.number()", 7),
    "int": ("v.int()", 7),
    "boolean": ("v.boolean()", 1),
    "bytes": ("v.bytes()", b"7"),
    "array": ("v.array(v.string())", '["7"]'),
    "object": ("v.object({ n: v.number(), s: v.string() })", '{"n":7,"s":"7"}'),
    "record": ("v.record(v.string(), v.number())", '{"n":7}'),
    "any": ("v.any()", "7"),
    "literal": ("v.literal('7')", "7"),
    "words": ("v.union(v.literal('high'), v.literal('low'))", "high"),
    "numbers": ("v.union(v.literal(7), v.literal(8))", 7),
    "mixed": ("v.union(v.number(), v.string())", "7"),
    "optional_string": ("v.optional(v.string())", None),
    "optional_number": ("v.optional(v.number())", None),
    "optional_boolean": ("v.optional(v.boolean())", None),
    "optional_array": ("v.optional(v.array(v.number()))", None),
    "keyed": ("v.record(v.union(v.literal('a'), v.literal('b')), v.boolean())", "{}"),
    "id": ("v.id('string')", "7"),
}


def tables(changed: set[tuple[str, str]] | None = None) -> str:
    """A table for each type, a column for each type that it may change to; those named in
    `changed` have their new type already."""
    text = ""
    for a in TYPES:
        fields = (
            f"        to_{b}: {TYPES[b if changed and (a, b) in changed else a][0]},\n"
            for b in TYPES
            if b != a
        )
        text += f"    {a}: defineTable({{\n{''.join(fields)}    }}),\n"
    return schema_of(text)


def test_every_pair_of_types_gets_a_recipe_that_checks_and_runs(project: Project) -> None:
    project.push(tables())
    for a in TYPES:
        others = [b for b in TYPES if b != a]
        names = ", ".join(f'"to_{b}"' for b in others)
        values = [TYPES[a][1]] * len(others)
        marks = ", ".join("?" for _ in others)
        project.sql(f'INSERT INTO "{a}" ("_id", {names}) VALUES (?, {marks})', ["k1", *values])
        project.sql(f'INSERT INTO "{a}" ("_id") VALUES (\'empty\')')

    project.write(tables({(a, b) for a in TYPES for b in TYPES}))
    refused = [c for c in project.plan().changes if isinstance(c, ChangeType)]
    project.write(tables({(c.table, str(c.column).removeprefix("to_")) for c in refused}))
    assert len(refused) > 200

    assert mend_all(project).count(".deprecated()") == len(refused)
    state = project.look()
    assert state.plan is not None
    assert [p.message for p in pipeline.check_types(state, never)] == []
    assert [c.summary for c in state.plan.changes if c.risk is Risk.BREAKING] == []
    report = project.apply()
    assert len(report.backfills) == len(refused)
    # An object stands for no number, and so its document is named.
    failed = [(b.table, b.column, e.reason(b.column)) for b in report.backfills for e in b.errors]
    assert {table for table, _, _ in failed} == {"object", "record", "keyed"}
    assert all(c.endswith("_num") and "} is not a" in reason for _, c, reason in failed)
    for table, column, _ in failed:
        project.sql(f'UPDATE "{table}" SET "{column.removesuffix("_num")}" = 7')
    assert project.apply().status == "ok"
    assert project.plan().status == "in_sync"

    def value(table: str, column: str, document: str = "k1") -> Any:
        [[found]] = project.sql(f'SELECT "{column}" FROM "{table}" WHERE _id = ?', (document,))
        return found

    assert value("string", "to_number_num") == 7
    assert value("number", "to_string_text") == "7"
    assert value("boolean", "to_number_num") == 1
    assert value("number", "to_boolean_flag") == 1
    assert value("string", "to_array_list") == '["7"]'
    assert value("number", "to_object_object") == '{"n":7,"s":""}'
    assert value("words", "to_number_num") == 1
    assert value("bytes", "to_number_num") == 7
    assert value("array", "to_number_num") == 7
    assert value("bytes", "to_string_text") == "7"
    assert value("string", "to_bytes_bytes") == b"7"
    assert value("object", "to_string_text") == '{"n":7,"s":"7"}'
    assert value("number", "to_string_text", "empty") == ""
    assert value("string", "to_optional_number_num") == 7
    assert value("string", "to_optional_number_num", "empty") is None
    assert value("number", "to_boolean_flag", "empty") == 0


def test_a_text_that_holds_json_is_parsed_and_not_wrapped(project: Project) -> None:
    types = {
        "list": "v.array(v.string())",
        "thing": "v.object({ n: v.number() })",
        "map": "v.optional(v.record(v.string(), v.number()))",
    }
    texts = "".join(f"{name}: v.optional(v.string()), " for name in types)
    project.push(schema_of(f"    t: defineTable({{ {texts}}}),"))
    project.sql("""INSERT INTO t (_id, list, thing, map) VALUES
        ('json', '["a"]', '{"n":1}', '{"k":2}'), ('plain', 'a', '3', '4'), ('null', null, null, null)
    """)
    others = "".join(f"{name}: {kind}, " for name, kind in types.items())
    project.write(schema_of(f"    t: defineTable({{ {others}}}),"))
    mend_all(project)
    assert pipeline.check_types(project.look(), never) == ()
    assert project.apply().status == "ok"
    held = project.sql("SELECT _id, listList, thingObject, mapMap FROM t ORDER BY rowid")
    assert held == [
        ("json", '["a"]', '{"n":1}', '{"k":2}'),
        ("plain", '["a"]', '{"n":3}', '{"value":4}'),
        ("null", "[]", '{"n":0}', None),
    ]


def mend_all(project: Project) -> str:
    """Apply the recipes of all type changes, each on the text that the one before left.

    Evaluating again after each of hundreds would only be slow: the fixes are pure.
    """
    state = project.look()
    assert state.plan is not None
    assert state.schema is not None
    text = state.schema.sources.files["schema.ts"]
    schema = state.schema
    # From the last table to the first: an edit moves what stands below it.
    order = [t.name for t in schema.tables]
    changes = [c for c in state.plan.changes if isinstance(c, ChangeType)]
    for change in sorted(changes, key=lambda c: order.index(c.table), reverse=True):
        sources = Sources("schema.ts", {"schema.ts": text})
        [fix, _former] = fixes_for(change, replace(schema, sources=sources), state.plan)
        text = fix.after
    project.write(text)
    return text


def test_what_is_no_number_is_named_and_not_made_one(project: Project) -> None:
    before = (
        "    t: defineTable({ price: v.string(), due: v.optional(v.string()), n: v.string() }),"
    )
    project.push(schema_of(before))
    project.sql("""INSERT INTO t (_id, price, due, n) VALUES
        ('good', '12.5', null, ' 3 '), ('comma', '12,50', '7', '4'),
        ('part', '1', '2026-01-02', '2.5'), ('empty', '', ' ', '')
    """)
    after = "    t: defineTable({ price: v.number(), due: v.optional(v.number()), n: v.int() }),"
    project.write(schema_of(after))
    mend_all(project)
    assert pipeline.check_types(project.look(), never) == ()
    told = {
        b.column: [(e.id, e.reason(b.column)) for e in b.errors] for b in project.apply().backfills
    }
    assert told == {
        "priceNum": [("comma", '"12,50" is not a number'), ("empty", '"" is not a number')],
        "dueNum": [("part", '"2026-01-02" is not a number'), ("empty", '" " is not a number')],
        "nNum": [("part", '"2.5" is not an integer'), ("empty", '"" is not an integer')],
    }
    project.sql("DELETE FROM t WHERE _id != 'good'")
    assert project.apply().status == "ok"
    assert project.sql("SELECT priceNum, dueNum, nNum FROM t") == [(12.5, None, 3)]
