"""A promise that documents break is mended by a backfill of the field itself, and told in full."""

from __future__ import annotations

import pytest
from support import Project, never, schema_of

from valet_studio import pipeline
from valet_studio.fixes.fix import Fix
from valet_studio.fixes.offer import fixes_for
from valet_studio.plan.changes import NarrowField
from valet_studio.report import plan_text
from valet_studio.report_markdown import plan_markdown


def narrowing(project: Project) -> tuple[NarrowField, tuple[Fix, ...]]:
    state = project.look()
    assert state.plan is not None
    assert state.schema is not None
    [change] = [c for c in state.plan.changes if isinstance(c, NarrowField)]
    return change, fixes_for(change, state.schema, state.plan)


def narrowed(project: Project, before: str, after: str, values: list[object]) -> None:
    project.push(schema_of(f"    t: defineTable({{ x: {before} }}),"))
    for number, value in enumerate(values):
        project.sql("INSERT INTO t (_id, x) VALUES (?, ?)", [f"d{number}", value])
    project.write(schema_of(f"    t: defineTable({{ x: {after} }}),"))


STAGES = "v.union(v.literal('lead'), v.literal('won'), v.literal('lost'))"


@pytest.mark.parametrize(
    ("before", "after", "held", "function", "becomes"),
    [
        (
            "v.string()",
            STAGES,
            ["Lead", "won", "", "Lead", " LOST", None],
            "(row) => {\n"
            "        const mapping: Record<string, typeof row.x> = {\n"
            "            Lead: 'lead',\n"
            "            null: 'lead',\n"
            "            '': 'lead',\n"
            "            ' LOST': 'lost',\n"
            "        }\n"
            "        return mapping[String(row.x)] ?? row.x\n"
            "    }",
            ["lead", "won", "lead", "lead", "lost", "lead"],
        ),
        (
            "v.number()",
            "v.union(v.literal(10), v.literal(20))",
            [10, 20.5, None],
            "(row) => {\n"
            "        const mapping: Record<string, typeof row.x> = {\n"
            "            null: 10,\n"
            "            '20.5': 20,\n"
            "        }\n"
            "        return mapping[String(row.x)] ?? row.x\n"
            "    }",
            [10, 20, 10],
        ),
        ("v.number()", "v.int()", [1, 2.5], "(row) => Math.round(row.x)", [1, 3]),
        (
            "v.number()",
            "v.optional(v.int())",
            [2.5, None],
            "(row) => row.x === null ? null : Math.round(row.x)",
            [3, None],
        ),
        ("v.optional(v.string())", "v.string()", ["a", None], "(row) => row.x ?? ''", ["a", ""]),
    ],
)
def test_what_breaks_a_promise_is_backfilled_in_its_place(
    project: Project,
    before: str,
    after: str,
    held: list[object],
    function: str,
    becomes: list[object],
) -> None:
    narrowed(project, before, after, held)
    _, fixes = narrowing(project)
    [fix] = [f for f in fixes if f.title == "Backfill x in its place"]
    assert f".backfill('x', {function})," in fix.after
    kind = "rounded" if "round" in function else "nearest" if "mapping" in function else "without"
    assert kind in fix.why
    pipeline.apply_fix(project.settings, fix)
    assert pipeline.check_types(project.look(), never) == ()
    change, left = narrowing(project)
    assert left == ()
    assert change.rule.startswith("The field's backfill writes every document first")
    assert project.apply().status == "ok"
    assert [x for (x,) in project.sql("SELECT x FROM t ORDER BY _id")] == becomes


def test_a_value_that_no_word_is_like_fails_until_somebody_says_what_it_is(
    project: Project,
) -> None:
    narrowed(project, "v.string()", STAGES, ["Lead", "on hold"])
    _, fixes = narrowing(project)
    [fix] = [f for f in fixes if f.title == "Backfill x in its place"]
    assert "'on hold': 'on hold'," in fix.after
    pipeline.apply_fix(project.settings, fix)
    [wrong] = pipeline.check_types(project.look(), never)
    assert "'on hold'" in (wrong.source_line or "")
    report = project.dry_run()
    assert report.status == "failed"
    assert [failure.id for failure in report.backfills[0].errors] == ["d1"]
    project.write(fix.after.replace("'on hold': 'on hold'", "'on hold': 'lost'"))
    assert project.apply().status == "ok"
    assert project.sql("SELECT x FROM t ORDER BY _id") == [("lead",), ("lost",)]


def test_a_backfill_that_is_there_is_not_written_a_second_time(project: Project) -> None:
    project.push(schema_of("    t: defineTable({ x: v.string() }).backfill('x', () => 'a'),"))
    project.sql("INSERT INTO t (_id, x) VALUES ('d', 'b')")
    project.write(schema_of(f"    t: defineTable({{ x: {STAGES} }}).backfill('x', () => 'a'),"))
    _, fixes = narrowing(project)
    assert [fix.title for fix in fixes] == ["Give x its former type back"]


def test_a_column_made_by_hand_gets_the_same_backfill(project: Project) -> None:
    project.push(schema_of("    t: defineTable({ y: v.string() }),"))
    project.sql("ALTER TABLE t ADD COLUMN x TEXT")
    project.sql("INSERT INTO t (_id, y, x) VALUES ('d', '', 'WON')")
    project.write(schema_of(f"    t: defineTable({{ y: v.string(), x: {STAGES} }}),"))
    _, [fix] = narrowing(project)
    assert "WON: 'won'," in fix.after


def test_what_the_documents_hold_is_told_with_how_many_hold_it(project: Project) -> None:
    narrowed(project, "v.string()", STAGES, ["Lead", "a|`b", "Lead", "x" * 300, "  ", "won"])
    plan = project.plan()
    held = f'They hold: 2 × "Lead", 1 × "  ", 1 × "a|`b", 1 × "{"x" * 46}…'
    assert held in plan_text(plan)
    assert '  - They hold: 2 × `"Lead"`, 1 × `"  "`, 1 × `` "a|`b" ``' in plan_markdown(plan)
    assert "  - Documents: `d0`, `d1`, `d2`, `d3`, `d4`" in plan_markdown(plan)


def test_of_many_values_the_most_frequent_are_told(project: Project) -> None:
    values = ["often"] * 3 + [f"v{n:02}" for n in range(20)]
    narrowed(project, "v.string()", STAGES, [*values])
    change, fixes = narrowing(project)
    assert (change.values[0].value, change.values[0].count) == ("often", 3)
    told = plan_text(project.plan())
    assert told.rstrip().endswith('1 × "v06", …')
    written = [value for value in {*values} if f"{value}: '{value}'," in fixes[0].after]
    assert len(written) == 12
