"""Slips that JavaScript would swallow or tell badly, and what is said of them."""

from __future__ import annotations

import pytest
from support import Project, schema_of

from valet_studio import pipeline


@pytest.mark.parametrize(
    ("tables", "place", "message", "hint"),
    [
        ("t: defineTable({ a: v.string(), a: v.number() }),", "3:33", "line 3 is lost", "rename"),
        ("t: defineTable({}), t: defineTable({}),", "3:21", '"t" stands twice', "Remove"),
        ("t: defineTable({ a: v.object({ b: v.any(), 'b': v.any() }) }),", "3:44", '"b"', "Remove"),
        ("t: defineTable({ a: v.strng() }),", "3:23", "v.strng", "Did you mean v.string?"),
        ("t: defineTable({ a: v.Id('t') }),", "3:23", "v.Id", "Did you mean v.id?"),
        ("t: defineTable({ a: v.date() }),", "3:23", "v.date", "v.string() or v.number()"),
        ("t: defineTable({ a: v.enum('x') }),", "3:27", "v.enum", "v.union() of v.literal()"),
        ("t: defineTable({ a: v.union('x') }),", "3:23", 'not "x"', 'Write v.literal("x").'),
        ("t: defineTable({ a: v.array('x') }),", "3:23", 'not "x"', "such as v.string()"),
        ("t: defineTable({ “a”: v.any() }),", "3:18", "character '“'.", "Mend the line"),
        ("t: defineTable({ a = v.any() }),", "3:18", "property initializer.", "Mend the line"),
        ("t: defineTable({ /* a: v.any() }),", "3:17", "ends too early.", "still open"),
        ("t: defineTabel({}).index('i', ['a']).sync({}),", "3:4", "defineTabel", "defineTable?"),
        ("t: V.string(),", "3:4", "V is not defined", "Did you mean v?"),
        ("t: require('x'),", "3:4", "require is not defined", "Write import"),
        ("t: defineTable({ a: v.string().optional() }),", "3:32", "optional", "v.optional("),
        ("t: defineTable({ a: v.string().default('x') }),", "3:39", ".default()", ".backfill()"),
        ("t: defineTable({ a: v.string().depricated() }),", "3:32", "validator", ".deprecated()?"),
        (
            "t: defineTable({}).sync({ mode: 'none' }).unique(['a']),",
            "3:43",
            ".unique()",
            ".index()",
        ),
        ("t: defineTable({}).serchIndex('s', {}),", "3:20", "table", ".searchIndex()?"),
        ("t: defineTable({ a: v.string }),", "3:18", "not a validator", "v.string()"),
        (
            "t: defineTable({ _id: v.string() }),",
            "3:18",
            "every document has an id",
            "Leave it out",
        ),
    ],
)
def test_a_slip_is_told_with_its_place_and_a_way_out(
    project: Project, tables: str, place: str, message: str, hint: str
) -> None:
    project.write(schema_of(tables))
    (problem,) = pipeline.look(project.settings).problems
    assert str(problem.location).endswith(f"schema.ts:{place}")
    assert message in problem.message
    assert hint in (problem.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "// defineTable({ a: v.any(), a: v.any() })",
        "/* é v.object({ a: v.any(), a: v.any() }) */",
        "const told = 'defineTable({ a: 1, a: 1 })'",
        "const v2 = { object: (given: unknown) => given }; v2.object({ a: 1, ...{ a: 2 }, })",
    ],
)
def test_what_only_looks_like_a_declaration_holds_no_keys(project: Project, text: str) -> None:
    project.write(f"{text}\n{schema_of('t: defineTable({ a: v.any() }),')}")
    assert pipeline.look(project.settings).problems == ()


def test_keys_stand_twice_whatever_stands_around_them(project: Project) -> None:
    project.write(
        "/* é */ import { defineSchema, defineTable, v } from 'valet-dev/server'\n"
        "const inner = v . object ( { a: v.any() } ), twin = v.object ( { é: v.any(),\n"
        "  é: v.any() } )\n"
        "export default defineSchema({ t: defineTable({ inner, twin }) })\n"
    )
    (problem,) = pipeline.look(project.settings).problems
    assert str(problem.location).endswith("schema.ts:3:3")


def test_a_missing_import_is_named(project: Project) -> None:
    project.write(
        "import { defineSchema } from 'valet-dev/server'\nexport default defineSchema({ t: defineTable({}) })\n"
    )
    (problem,) = pipeline.look(project.settings).problems
    assert "defineTable is not defined" in problem.message
    assert problem.hint == "Import it: import { defineTable } from 'valet-dev/server'."


def test_a_spread_may_be_overridden(project: Project) -> None:
    project.write(
        "import { defineSchema, defineTable, v } from 'valet-dev/server'\n"
        "const shared = { a: v.string(), b: v.string() }\n"
        "export default defineSchema({ t: defineTable({ ...shared, a: v.number() }) })\n"
    )
    assert pipeline.look(project.settings).problems == ()
