"""Quick fixes keep a file as its author writes it, and offer nothing where that cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import HEADER, Project, fill_todos, never, schema_of, seed_blocks

from valet_studio import pipeline
from valet_studio.errors import StudioError
from valet_studio.fixes.fix import Fix
from valet_studio.fixes.offer import fixes_for, likely_renames, why_none

BEFORE = seed_blocks()[0].replace(
    "userId: v.string(),\n", "userId: v.string(),\n        priority: v.string(),\n"
)
NUMBER = BEFORE.replace("priority: v.string()", "priority: v.number()")


def offered(project: Project, kind: str, column: str) -> tuple[Fix, ...]:
    state = project.look()
    assert state.plan is not None
    assert state.schema is not None
    change = next(c for c in state.plan.changes if (c.kind, c.column) == (kind, column))
    return fixes_for(change, state.schema, state.plan)


def refused(project: Project, kind: str, column: str) -> str:
    state = project.look()
    assert state.plan is not None
    assert state.schema is not None
    change = next(c for c in state.plan.changes if (c.kind, c.column) == (kind, column))
    assert fixes_for(change, state.schema, state.plan) == ()
    reason = why_none(change, state.schema, state.plan)
    assert reason is not None
    return reason


def mended(project: Project, before: str, after: str, kind: str = "change_type") -> str:
    """The schema once the first fix of the change of column `x` is made; it plans and checks."""
    project.push(before)
    project.write(after)
    fix = offered(project, kind, "x")[0]
    pipeline.apply_fix(project.settings, fix)
    state = project.look()
    assert state.plan is not None
    assert state.plan.status == "pending"
    assert pipeline.check_types(state, never) == ()
    return fix.after


def test_the_seeds_type_change_becomes_the_seeds_recipe(project: Project) -> None:
    project.push(BEFORE)
    fill_todos(project, 8)
    project.write(NUMBER)
    fix, former = offered(project, "change_type", "priority")
    assert former.after == BEFORE
    assert fix.title == "Deprecate priority, add priorityNum and backfill it"
    pipeline.apply_fix(project.settings, fix)
    text = project.schema_path.read_text(encoding="utf-8")
    assert "        priority: v.string().deprecated(),\n        priorityNum: v.number(),\n" in text
    sync = (
        "    })\n"
        "        .sync({\n"
        "            filter: (q, ctx) => q.eq('userId', ctx.auth.userId),\n"
        "            mode: 'full',\n"
        "        })\n"
    )
    assert any(sync in block for block in seed_blocks())
    begin = f"{sync}        .backfill('priorityNum', (row) => {{\n            const value = String("
    assert begin in text
    (backfill,) = project.dry_run().backfills
    assert backfill.failed == 8
    assert backfill.reasons[0].reason == '"high" is not a number'


def test_a_diff_counts_lines_as_editors_do() -> None:
    before = "a\f\nb\nc\n"
    fix = Fix("Title", "Why.", "schema.ts", before, before.replace("c", "d"))
    assert fix.diff().split("\n")[2:] == ["@@ -1,3 +1,3 @@", " a\f", " b", "-c", "+d", ""]


def test_a_fix_is_shown_as_a_diff_and_can_be_taken_back(project: Project) -> None:
    project.push(BEFORE)
    project.write(NUMBER)
    fix = offered(project, "change_type", "priority")[0]
    lines = fix.diff().splitlines()
    assert lines[:2] == ["--- valet/schema.ts", "+++ valet/schema.ts"]
    assert "-        priority: v.number()," in lines
    assert "+        priorityNum: v.number()," in lines
    assert pipeline.apply_fix(project.settings, fix) == project.schema_path
    pipeline.apply_fix(project.settings, fix.inverse())
    assert project.schema_path.read_text(encoding="utf-8") == NUMBER


def test_an_edited_file_is_not_overwritten(project: Project) -> None:
    project.push(BEFORE)
    project.write(NUMBER)
    fix = offered(project, "change_type", "priority")[0]
    project.write(NUMBER + "// one more line\n")
    with pytest.raises(StudioError, match="was edited since"):
        pipeline.apply_fix(project.settings, fix)
    assert project.schema_path.read_text(encoding="utf-8") == NUMBER + "// one more line\n"


def test_only_files_of_the_valet_directory_are_written(project: Project) -> None:
    other = project.root / "other.ts"
    other.write_text("a")
    with pytest.raises(StudioError, match="not in the directory"):
        pipeline.apply_fix(project.settings, Fix("", "", "other.ts", "a", "b"))
    assert other.read_text() == "a"


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_line_ends_mark_and_mode_stay(project: Project, end: str) -> None:
    project.push(BEFORE)
    text = "\ufeff" + NUMBER.replace("\n", end)
    project.schema_path.write_bytes(text.encode())
    project.schema_path.chmod(0o640)
    fix = offered(project, "change_type", "priority")[0]
    pipeline.apply_fix(project.settings, fix)
    written = project.schema_path.read_bytes().decode()
    assert written == "\ufeff" + fix.after.replace("\n", end)
    assert project.schema_path.stat().st_mode & 0o777 == 0o640


def test_each_line_keeps_its_own_end_where_they_are_mixed() -> None:
    fix = Fix("", "", "a.ts", "a\nb\nc\n", "a\nnew\nb\nc\n")
    assert fix.made_in("a\r\nb\nc\r\n") == "a\r\nnew\r\nb\nc\r\n"
    assert fix.made_in("a\r\nb\n") is None


def test_a_style_of_tabs_double_quotes_and_semicolons_is_kept(project: Project) -> None:
    style = HEADER.replace("'", '"').replace("\n", ";\n") + (
        "export default defineSchema({\n"
        "\tt: defineTable({\n"
        "\t\t// how much\n"
        "\t\tx: v.%s(), // a word\n"
        "\t\ty: v.string()\n"
        "\t})\n"
        '\t\t.index("by_x", ["x"])\n'
        "});\n"
    )
    text = mended(project, style % "string", style % "number")
    assert text == HEADER.replace("'", '"').replace("\n", ";\n") + (
        "export default defineSchema({\n"
        "\tt: defineTable({\n"
        "\t\t// how much\n"
        "\t\tx: v.string().deprecated(), // a word\n"
        "\t\txNum: v.number(),\n"
        "\t\ty: v.string()\n"
        "\t})\n"
        '\t\t.index("by_x", ["x"])\n'
        '\t\t.backfill("xNum", (row) => {\n'
        '\t\t\tconst value = String(row.x).trim() === "" ? NaN : Number(row.x);\n'
        "\t\t\tif (!Number.isFinite(value)) throw new Error(`${JSON.stringify(row.x)} is not a number`);\n"
        "\t\t\treturn value;\n"
        "\t\t})\n"
        "});\n"
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            "{\n        x: v.number()\n    }",
            "{\n        x: v.string().deprecated(),\n        xNum: v.number()\n    }",
        ),
        (
            "{\n        x: v.number() // no comma\n    }",
            "{\n        x: v.string().deprecated(), // no comma\n        xNum: v.number()\n    }",
        ),
        ("{ x: v.number() }", "{ x: v.string().deprecated(), xNum: v.number() }"),
        ("{ x: v.number(), }", "{ x: v.string().deprecated(), xNum: v.number(), }"),
        (
            "{ 'x': v.number(), y: v.any() }",
            "{ 'x': v.string().deprecated(), xNum: v.number(), y: v.any() }",
        ),
        (
            "{ y: v.any(),\n        x: v.number(), /* one\n        two */ z: v.any() }",
            "{ y: v.any(),\n        x: v.string().deprecated(), /* one\n        two */\n        xNum: v.number(), z: v.any() }",
        ),
    ],
)
def test_commas_and_comments_of_the_fields(project: Project, fields: str, expected: str) -> None:
    after = schema_of(f"    t: defineTable({fields}),")
    text = mended(
        project,
        after.replace("x': v.number()", "x': v.string()").replace("x: v.number()", "x: v.string()"),
        after,
    )
    assert f"defineTable({expected}).backfill('xNum', (row) => {{" in text


@pytest.mark.parametrize(
    "after",
    [
        # a table in a const, chained there or where it is used
        f"{HEADER}const t = defineTable({{ x: v.number() }}).sync({{ mode: 'full' }})\n"
        "export default defineSchema({ t })\n",
        f"{HEADER}const t = defineTable({{ x: v.number() }})\n"
        "export default defineSchema({ t: t.sync({ mode: 'full' }) })\n",
        # a validator in a const
        f"{HEADER}const x = v.number()\nexport default defineSchema({{ t: defineTable({{ x }}) }})\n",
        f"{HEADER}const n = v.number()\nexport default defineSchema({{ t: defineTable({{ x: n }}) }})\n",
        # other names for what is imported
        "import { defineSchema as s, defineTable as table, v as val } from 'valet-dev/server'\n"
        "export default s({ t: table({ x: val.number() }) })\n",
        "import * as valet from 'valet-dev/server'\n"
        "export default valet.defineSchema({ t: valet.defineTable({ x: valet.v.number() }) })\n",
        # other fields from a spread
        f"{HEADER}const shared = {{ y: v.string() }}\n"
        "export default defineSchema({ t: defineTable({ ...shared, x: v.number() }) })\n",
        # a name that is taken
        schema_of("    t: defineTable({ x: v.number(), xnum: v.string() }),"),
    ],
)  # fmt: skip
def test_declarations_of_all_kinds_are_edited_in_place(project: Project, after: str) -> None:
    text = mended(project, after.replace(".number()", ".string()"), after)
    assert ".deprecated()" in text
    assert text.count(".backfill('xNum") == 1


def test_a_table_of_another_module_is_edited_there(project: Project) -> None:
    table = f"{HEADER}export const t = defineTable({{ x: v.%s() }})\n"
    project.write(table % "string", "tables/t.ts")
    project.push(
        f"{HEADER}import {{ t }} from './tables/t'\nexport default defineSchema({{ t }})\n"
    )
    project.write(table % "number", "tables/t.ts")
    fix = offered(project, "change_type", "x")[0]
    assert fix.file == "valet/tables/t.ts"
    pipeline.apply_fix(project.settings, fix)
    assert project.plan().status == "pending"


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (
            f"{HEADER}const shared = {{ x: v.number() }}\n"
            "export default defineSchema({ t: defineTable({ ...shared }) })\n",
            "comes from a spread",
        ),
        (
            f"{HEADER}const shared = {{ x: v.number() }}\n"
            "export default defineSchema({ t: defineTable({ x: v.any(), ...shared }) })\n",
            "A spread after x",
        ),
        (
            f"{HEADER}const shared = {{ x: v.number() }}\n"
            "export default defineSchema({ t: defineTable(shared) })\n",
            "not written in its defineTable",
        ),
        (
            f"{HEADER}const make = () => defineTable({{ x: v.number() }})\n"
            "export default defineSchema({ t: make(), u: make() })\n",
            "declared by the same lines",
        ),
    ],
)
def test_what_cannot_be_edited_safely_says_why(project: Project, after: str, reason: str) -> None:
    project.push(after.replace("x: v.number()", "x: v.string()"))
    project.write(after)
    assert reason in refused(project, "change_type", "x")


def test_a_backfill_written_for_the_new_type_fills_the_new_column(project: Project) -> None:
    after = schema_of(
        "    t: defineTable({ x: v.number() }).backfill('x', (row) => String(row.x).length),"
    )
    text = mended(project, schema_of("    t: defineTable({ x: v.string() }),"), after)
    assert text.count(".backfill(") == 1
    assert ".backfill('xNum', (row) => String(row.x).length)" in text


def test_a_backfill_that_ran_for_the_old_type_stays(project: Project) -> None:
    before = schema_of("    t: defineTable({ x: v.string() }).backfill('x', () => 'a'),")
    text = mended(project, before, before.replace("v.string()", "v.number()"))
    assert "\n        .backfill('x', () => 'a')\n        .backfill('xNum', (row) => {\n" in text


def test_of_a_chain_that_is_broken_texts_stay_as_they_are(project: Project) -> None:
    before = schema_of(
        "    t: defineTable({\n        x: v.string(),\n        y: v.string(),\n"
        "    }).index('by_y', ['y']).backfill('y', () => {\n"
        "        // ends\n\n        return `a\n      b`\n    }),"
    )
    text = mended(project, before, before.replace("x: v.string()", "x: v.number()"))
    assert (
        "    })\n"
        "        .index('by_y', ['y'])\n"
        "        .backfill('y', () => {\n"
        "            // ends\n\n"
        "            return `a\n      b`\n"
        "        })\n"
        "        .backfill('xNum', (row) => {\n"
    ) in text


def test_a_short_call_stays_on_the_line_of_its_table(project: Project) -> None:
    before = schema_of("    t: defineTable({ x: v.string() }).index('i', ['x']),")
    after = before.replace("v.string() })", "v.string(), y: v.boolean() })")
    project.push(before)
    project.sql("INSERT INTO t (_id, x) VALUES ('a', 'b')")
    project.write(after)
    filled = offered(project, "add_column", "y")[1]
    assert " }).index('i', ['x']).backfill('y', () => false),\n" in filled.after


def test_a_search_index_follows_the_text(project: Project) -> None:
    after = schema_of(
        "    t: defineTable({ x: v.string() }).searchIndex('find', { searchField: 'x' }),"
    )
    text = mended(project, schema_of("    t: defineTable({ x: v.number() }),"), after)
    assert "{ searchField: 'xText' }" in text


def test_a_deprecated_field_just_gets_its_type_back(project: Project) -> None:
    after = schema_of("    t: defineTable({ x: v.number().deprecated() }),")
    text = mended(project, schema_of("    t: defineTable({ x: v.string() }),"), after)
    assert text == after.replace("v.number()", "v.string()")


def test_a_column_of_a_database_without_a_recorded_schema(project: Project) -> None:
    project.sql("CREATE TABLE t (_id TEXT PRIMARY KEY NOT NULL, _version INTEGER, x BLOB)")
    project.write(schema_of("    t: defineTable({ x: v.string() }),"))
    fix = offered(project, "change_type", "x")[0]
    assert "x: v.bytes().deprecated(), xText: v.string()" in fix.after


def test_a_json_column_that_no_schema_declared_is_parsed(project: Project) -> None:
    project.sql("CREATE TABLE t (_id TEXT PRIMARY KEY, tags JSON, meta JSON)")
    project.sql("""INSERT INTO t VALUES ('a', '["x","y"]', '{"n":1}'), ('b', NULL, '[2]')""")
    project.write(schema_of("    t: defineTable({ tags: v.array(v.string()), meta: v.any() }),"))
    for column in ("tags", "meta"):
        [fix] = offered(project, "change_type", column)
        assert f"{column}: v.number().deprecated()" in fix.after
        pipeline.apply_fix(project.settings, fix)
    assert pipeline.check_types(project.look(), never) == ()
    assert project.apply().status == "ok"
    assert project.sql("SELECT tagsList, metaValue FROM t ORDER BY _id") == [
        ('["x","y"]', '{"n":1}'),
        ("[]", "[2]"),
    ]


RENAMES = [
    ("size: v.number()", "sizes: v.number()", "(row) => row.size"),
    ("a: v.number()", "sizes: v.number()", "(row) => row.a"),
    ("size: v.optional(v.number())", "sizes: v.number()", "(row) => row.size ?? 0"),
    ("size: v.number()", "sizes: v.string()", "(row) => String(row.size ?? '')"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "function"), RENAMES)
@pytest.mark.parametrize("kind", ["add_column", "remove_field"])
def test_a_rename_keeps_the_data(
    project: Project, old: str, new: str, function: str, kind: str
) -> None:
    project.push(schema_of(f"    t: defineTable({{ k: v.any(), {old} }}),"))
    name = old.partition(":")[0]
    project.sql(f"INSERT INTO t (_id, {name}) VALUES ('1', 7)")
    project.write(schema_of(f"    t: defineTable({{ k: v.any(), {new} }}),"))
    fix = offered(project, kind, "sizes" if kind == "add_column" else name)[0]
    assert fix.title == f"Rename {name} to sizes"
    assert f"{old}.deprecated(), {new} }})" in fix.after
    assert f".backfill('sizes', {function})" in fix.after
    pipeline.apply_fix(project.settings, fix)
    assert pipeline.check_types(project.look(), never) == ()
    assert project.apply().status == "ok"
    assert [str(value) for (value,) in project.sql("SELECT sizes FROM t")] == ["7"]


def test_an_unlike_name_of_the_same_type_comes_last(project: Project) -> None:
    project.push(schema_of("    t: defineTable({ k: v.any(), colour: v.string(), w: v.any() }),"))
    project.write(schema_of("    t: defineTable({ k: v.any(), length: v.string() }),"))
    keep, rename = offered(project, "remove_field", "colour")
    assert (keep.title, rename.title) == ("Keep colour as deprecated", "Rename colour to length")
    assert "length: v.string(), colour: v.string().deprecated() }" in keep.after
    assert [fix.title for fix in offered(project, "add_column", "length")] == [rename.title]
    state = project.look()
    assert state.schema is not None
    assert state.plan is not None
    assert likely_renames(state.schema, state.plan) == ()


@pytest.mark.parametrize("order", [("label", "name"), ("name", "label"), ("name", "subtitle")])
def test_every_field_that_a_removed_one_may_be_now_is_offered(
    project: Project, order: tuple[str, str]
) -> None:
    project.push(schema_of("    t: defineTable({ k: v.any(), title: v.string() }),"))
    project.sql("INSERT INTO t (_id, title) VALUES ('1', 'x')")
    first, second = order
    fields = f"k: v.any(), {first}: v.string(), {second}: v.string()"
    project.write(schema_of(f"    t: defineTable({{ {fields} }}),"))
    titles = [fix.title for fix in offered(project, "remove_field", "title")]
    assert {f"Rename title to {name}" for name in order} < set(titles)
    for name in order:
        assert f"Rename title to {name}" in [f.title for f in offered(project, "add_column", name)]
    fix = next(f for f in offered(project, "remove_field", "title") if f.title.endswith(second))
    pipeline.apply_fix(project.settings, fix)
    assert pipeline.check_types(project.look(), never) == ()
    assert project.apply().status == "ok"
    assert project.sql(f"SELECT {second} FROM t") == [("x",)]


def test_a_required_column_on_documents_becomes_optional_or_backfilled(project: Project) -> None:
    project.push(schema_of("    t: defineTable({ k: v.any() }),"))
    project.sql("INSERT INTO t (_id) VALUES ('1')")
    project.write(schema_of("    t: defineTable({ k: v.any(), at: v.array(v.string()) }),"))
    optional, filled = offered(project, "add_column", "at")
    assert "at: v.optional(v.array(v.string())) }" in optional.after
    assert ".backfill('at', () => [])" in filled.after
    pipeline.apply_fix(project.settings, filled)
    assert pipeline.check_types(project.look(), never) == ()
    assert project.apply().status == "ok"
    assert project.sql("SELECT at FROM t") == [("[]",)]


def test_an_id_has_no_value_to_begin_with(project: Project) -> None:
    project.push(schema_of("    t: defineTable({ k: v.any() }),"))
    project.sql("INSERT INTO t (_id) VALUES ('1')")
    project.write(schema_of("    t: defineTable({ k: v.any(), owner: v.id('t') }),"))
    [optional] = offered(project, "add_column", "owner")
    assert "owner: v.optional(v.id('t'))" in optional.after


def test_a_narrowing_that_nulls_break_becomes_optional_again(project: Project) -> None:
    project.push(schema_of("    t: defineTable({ x: v.optional(v.string()) }),"))
    project.sql("INSERT INTO t (_id) VALUES ('1')")
    project.write(schema_of("    t: defineTable({ x: v.string() }),"))
    assert project.plan().status == "blocked"
    optional, in_place = offered(project, "narrow_field", "x")
    assert in_place.title == "Backfill x in its place"
    pipeline.apply_fix(project.settings, optional)
    assert project.plan().status == "in_sync"


@pytest.mark.parametrize("before", ["v.string()", "v.optional(v.string())"])
def test_a_narrowing_that_values_break_gets_its_former_type_back(
    project: Project, before: str
) -> None:
    project.push(schema_of(f"    t: defineTable({{ x: {before} }}),"))
    project.sql("INSERT INTO t (_id, x) VALUES ('1', 'PAID ')")
    project.write(
        schema_of("    t: defineTable({ x: v.union(v.literal('new'), v.literal('paid')) }),")
    )
    assert project.plan().status == "blocked"
    fix = offered(project, "narrow_field", "x")[-1]
    assert fix.title == "Give x its former type back"
    pipeline.apply_fix(project.settings, fix)
    assert project.plan().status == "in_sync"


def test_a_narrowing_that_holds_needs_no_fix(project: Project) -> None:
    project.push(schema_of("    t: defineTable({ x: v.optional(v.string()) }),"))
    project.write(schema_of("    t: defineTable({ x: v.string() }),"))
    assert offered(project, "narrow_field", "x") == ()


def test_a_schema_outside_of_the_working_directory(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.push(BEFORE)
    project.write(NUMBER)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    fix = offered(project, "change_type", "priority")[0]
    assert pipeline.apply_fix(project.settings, fix) == project.schema_path
    assert Path(fix.file) == project.schema_path


def test_an_adopted_column_that_holds_null_may_become_optional(project: Project) -> None:
    project.sql("CREATE TABLE t (_id TEXT PRIMARY KEY, x TEXT, n INTEGER)")
    project.sql("INSERT INTO t VALUES ('a', NULL, 1), ('b', 'y', 'two'), ('c', NULL, 3)")
    project.write(schema_of("t: defineTable({ x: v.string(), n: v.number() }),"))
    (fix,) = offered(project, "narrow_field", "x")
    assert "x: v.optional(v.string())" in fix.after
    assert offered(project, "narrow_field", "n") == ()
    assert any("do not fit: all hold null" in c.summary for c in project.plan().changes)
    pipeline.apply_fix(project.settings, fix)
    assert [c.column for c in project.plan().changes if c.kind == "narrow_field"] == ["n"]
