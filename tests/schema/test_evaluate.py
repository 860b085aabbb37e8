"""What schema.ts may be, and what it is told when it is wrong: place, sentence, hint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import schema_of, seed_blocks

from valet_studio.errors import Location, Problem, SchemaError
from valet_studio.schema.document import schema_hash
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Backfill, Schema, Sources, Storage, Validator
from valet_studio.typescript.limits import Limits

DEFAULT = Limits()
TIGHT = Limits(evaluate_seconds=0.5, heap_mb=48)


def run(text: str, limits: Limits = DEFAULT, **modules: str) -> Schema:
    files = {"schema.ts": text} | {f"{name}.ts": body for name, body in modules.items()}
    return evaluate(Sources("schema.ts", files), limits)


def problems(text: str, limits: Limits = DEFAULT, **modules: str) -> tuple[Problem, ...]:
    with pytest.raises(SchemaError) as caught:
        run(text, limits, **modules)
    return caught.value.problems


@pytest.mark.parametrize("number", range(6))
def test_the_blocks_of_the_seed_document_evaluate(number: int) -> None:
    schema = run(seed_blocks()[number])
    (table,) = schema.tables
    assert table.name == "todos"
    assert table.sync.mode == "full"
    assert table.sync.filter == {"op": "eq", "field": "userId", "value": {"ctx": "auth.userId"}}
    assert [field.name for field in table.fields][:3] == ["title", "completed", "userId"]
    assert [b.column for b in table.backfills] == (["priorityNum"] if number >= 4 else [])
    assert [f.name for f in table.fields if f.deprecated] == (["priority"] if number >= 3 else [])


def test_places_are_those_of_the_file() -> None:
    block = seed_blocks()[4]
    (table,) = run(block).tables
    lines = block.splitlines()

    def word(name: str) -> Location:
        number = next(i for i, line in enumerate(lines) if name in line)
        return Location("valet/schema.ts", number + 1, lines[number].index(name) + 1)

    assert table.location == word("todos")
    assert [field.location for field in table.fields] == [
        word("title"), word("completed"), word("userId"), word("priority:"), word("priorityNum"),
    ]  # fmt: skip
    assert table.backfills[0].location == word("backfill(")
    assert table.backfills[0].code.startswith("(row) => {\n    const mapping")


def test_every_validator() -> None:
    schema = run(
        schema_of(
            """t: defineTable({
            a: v.string(), b: v.number(), c: v.float64(), d: v.int(), e: v.int64(),
            f: v.boolean(), g: v.bytes(), h: v.null(), i: v.id('t'), j: v.any(),
            k: v.literal('x'), l: v.array(v.number()), m: v.object({ x: v.optional(v.null()) }),
            n: v.record(v.string(), v.any()), o: v.union(v.literal(1), v.null()),
            p: v.optional(v.string()), q: v.optional(v.string().deprecated()),
            r: v.optional(v.string()).deprecated(),
        })"""
        )
    )
    fields = {field.name: field for field in schema.tables[0].fields}
    assert [fields[name].validator.kind for name in "abcdefghij"] == [
        "string", "number", "number", "int", "int", "boolean", "bytes", "null", "id", "any",
    ]  # fmt: skip
    assert fields["i"].validator.table == "t"
    assert fields["k"].validator.value == "x"
    assert fields["m"].validator.fields[0].optional
    assert fields["o"].validator.storage is Storage.NUMBER
    assert fields["p"].optional
    assert not fields["p"].deprecated
    assert fields["q"].validator == fields["r"].validator == Validator("string")
    for name in "qr":
        assert fields[name].optional
        assert fields[name].deprecated


def test_the_chain_of_a_table_in_any_order() -> None:
    (table,) = run(
        schema_of(
            """t: defineTable({ a: v.string(), n: v.number() })
            .backfill('n', () => 1).searchIndex('s', { searchField: 'a' }).sync({})
            .index('i', ['n', '_id'])"""
        )
    ).tables
    assert [(index.name, index.fields) for index in table.indexes] == [("i", ("n", "_id"))]
    assert [(index.name, index.search_field) for index in table.search_indexes] == [("s", "a")]
    assert table.sync.mode == "full"
    assert table.sync.filter is None
    assert [backfill.column for backfill in table.backfills] == ["n"]


def test_no_sync_is_none() -> None:
    assert run(schema_of("t: defineTable({})")).tables[0].sync.mode == "none"


def test_the_language_may_be_used() -> None:
    schema = run(
        """// all kinds of sharing
import { defineSchema, defineTable, v } from 'valet-dev/server'
import { stamps } from './groups'
import type { Level } from './groups'
enum Kind { Draft = 'draft', Live = 'live' }
const shape = { title: v.string() } satisfies Record<string, unknown>
const roles = ['admin', 'user'] as const
function owned<F extends Record<string, ReturnType<typeof v.string>>>(fields: F) {
    return { ...fields, owner: v.id('users') }
}
const level: Level = 1
const logs = Object.fromEntries(
    ['a', 'b'].map((name) => [`log_${name}`, defineTable({ ...stamps, level: v.literal(level) })]),
)
export default defineSchema({
    users: defineTable({ role: v.union(...roles.map((role) => v.literal(role))) }),
    posts: defineTable({ ...owned(shape), kind: v.literal(Kind.Live) }),
    ...logs,
})
""",
        groups="""import { v } from 'valet-dev/server'
export type Level = 1 | 2
export const stamps = { created: v.number() }
""",
    )
    assert [table.name for table in schema.tables] == ["users", "posts", "log_a", "log_b"]
    assert [f.name for f in schema.tables[1].fields] == ["title", "owner", "kind"]
    assert schema.tables[1].fields[2].validator.value == "live"
    assert schema.tables[2].fields[0].location == Location("valet/groups.ts", 3, 25)
    assert [item.value for item in schema.tables[0].fields[0].validator.items] == ["admin", "user"]


def test_nothing_but_comments() -> None:
    assert run(schema_of("// t: defineTable({}),")).tables == ()


def test_two_hundred_tables() -> None:
    fields = ", ".join(f"f{i}: v.optional(v.union(v.string(), v.null()))" for i in range(10))
    text = schema_of(",\n".join(f"t{i}: defineTable({{ {fields} }})" for i in range(200)))
    schema = run(text)
    assert len(schema.tables) == 200
    assert schema.tables[199].location == Location("valet/schema.ts", 202, 1)


@pytest.mark.parametrize(
    ("filter_text", "data"),
    [
        ("q.neq('a', null)", {"op": "neq", "field": "a", "value": None}),
        ("q.gte('n', 1.5)", {"op": "gte", "field": "n", "value": 1.5}),
        (
            "q.and(q.lt('n', 1), q.not(q.eq('_id', ctx.a.b.c)))",
            {
                "op": "and",
                "args": [
                    {"op": "lt", "field": "n", "value": 1},
                    {"op": "not", "arg": {"op": "eq", "field": "_id", "value": {"ctx": "a.b.c"}}},
                ],
            },
        ),
        ("q.or(q.gt('n', 1))", {"op": "or", "args": [{"op": "gt", "field": "n", "value": 1}]}),
        ("q.in('a', ['x', ctx.y])", {"op": "in", "field": "a", "value": ["x", {"ctx": "y"}]}),
        (
            "q.arrayContains('list', ctx.auth.userId)",
            {"op": "arrayContains", "field": "list", "value": {"ctx": "auth.userId"}},
        ),
        (
            "q.in('a', q.select('_id').from('u').where(q.lte('z', 3)))",
            {
                "op": "in",
                "field": "a",
                "value": {
                    "op": "select",
                    "field": "_id",
                    "from": "u",
                    "where": {"op": "lte", "field": "z", "value": 3},
                },
            },
        ),
    ],
)
def test_filters_are_recorded(filter_text: str, data: dict[str, object]) -> None:
    schema = run(
        schema_of(
            "t: defineTable({ a: v.string(), n: v.number(), list: v.array(v.string()) })"
            f".sync({{ filter: (q, ctx) => {filter_text} }}), u: defineTable({{ z: v.int() }})"
        )
    )
    assert schema.tables[0].sync.filter == data


TABLE = "t: defineTable({ a: v.string(), n: v.number() })"

# In each text, `@` stands before the word that the problem points to; it is taken out.
WRONG = [
    ("reserved field", "t: defineTable({ @_a: v.string() })", 'Field "_a" of table "t" begins'),
    ("built-in field", "t: defineTable({ @_id: v.string() })", '"_id" of table "t" is built in'),
    ("reserved table", "@_t: defineTable({})", 'Table "_t" begins with "_"'),
    ("fields alike", "t: defineTable({ a: v.any(), @A: v.any() })", "one name to SQLite"),
    ("tables alike", "t: defineTable({}), @T: defineTable({})", "one name to SQLite"),
    ("version alike", "t: defineTable({ @_VERSION: v.any() })", "is built in"),
    ("empty name", "t: defineTable({ @'': v.any() })", "has an empty name"),
    ("no validator", "t: defineTable({ @a: 'x' })", "is not a validator but"),
    ("no table", "@t: { a: v.any() }", "is not a defineTable"),
    ("fields missing", "t: @defineTable()", "takes an object of fields"),
    ("sync option", TABLE + ".sync({ @moed: 'full' })", 'Unknown option "moed"'),
    ("sync mode", TABLE + ".sync({ @mode: 'ful' })", 'cannot be "ful"'),
    ("search option", TABLE + ".searchIndex('s', { searchField: 'a', @x: 1 })", "Unknown option"),
    ("index", TABLE + ".@index('i', ['b'])", 'names the field "b"'),
    ("index twice", TABLE + ".index('i', ['a']).@index('i', ['n'])", "two indexes"),
    ("index empty", TABLE + ".@index('i', [])", "takes a list of field names"),
    ("search", TABLE + ".@searchIndex('s', { searchField: 'b' })", 'names the field "b"'),
    (
        "search shadow",
        TABLE
        + ".searchIndex('s', { searchField: 'a' }).@searchIndex('S_data', { searchField: 'a' })",
        'is called as a table that search index "s" keeps',
    ),
    ("search number", TABLE + ".@searchIndex('s', { searchField: 'n' })", "needs a string field"),
    ("backfill", TABLE + ".@backfill('b', () => 1)", 'names the field "b"'),
    ("backfill twice", TABLE + ".backfill('n', () => 1).@backfill('n', () => 2)", "two backfills"),
    ("backfill value", TABLE + ".@backfill('n', 3)", "takes a function"),
    ("async backfill", TABLE + ".@backfill('n', async (row) => 3)", 'Backfill "n" is async'),
    ("filter", TABLE + ".sync({ filter: (q, ctx) => q.@eq('b', 1) })", 'names the field "b"'),
    (
        "filter select",
        TABLE + ".sync({ filter: (q) => q.in('a', q.select('a').from('t').where(q.@eq('b', 1))) })",
        'names the field "b"',
    ),
    (
        "filter table",
        TABLE + ".sync({ filter: (q) => q.in('a', q.@select('_id').from('x')) })",
        "x",
    ),
    ("filter throws", TABLE + ".sync({ filter: () => { throw @new Error('no') } })", "failed: no"),
    ("filter result", TABLE + ".@sync({ filter: () => true })", "returned true"),
    ("id", "t: defineTable({ a: v.@id('u') })", 'v.id("u") points to a table'),
    ("optional inside", "t: defineTable({ a: v.array(v.optional(v.@any())) })", "inside v.array"),
    (
        "deprecated inside",
        "t: defineTable({ a: v.union(v.@any().deprecated()) })",
        "inside v.union",
    ),
    ("bytes inside", "t: defineTable({ a: v.array(v.@bytes()) })", "JSON cannot hold bytes"),
    (
        "bytes in union",
        "t: defineTable({ a: v.@union(v.bytes(), v.string()) })",
        "cannot hold bytes",
    ),
    ("record key", "t: defineTable({ a: v.@record(v.number(), v.any()) })", "must be strings"),
    ("literal", "t: defineTable({ a: v.@literal(NaN) })", "not NaN"),
    ("empty union", "t: defineTable({ a: v.@union() })", "has no members"),
    ("nested nothing", "t: defineTable({ a: v.@array() })", "takes validators, not undefined"),
    ("unknown validator", "t: defineTable({ a: v.@strin() })", "There is no validator v.strin."),
]


@pytest.mark.parametrize(
    ("tables", "message"),
    [pytest.param(tables, message, id=name) for name, tables, message in WRONG],
)
def test_a_wrong_declaration(tables: str, message: str) -> None:
    text = schema_of(tables)
    line = next(i for i, content in enumerate(text.splitlines()) if "@" in content)
    column = text.splitlines()[line].index("@")
    text = text.replace("@", "")
    (problem,) = problems(text)
    assert message in problem.message
    assert problem.message.endswith((".", "no"))
    assert problem.hint
    assert problem.location == Location("valet/schema.ts", line + 1, column + 1)
    assert problem.source_line == text.splitlines()[line]


def test_all_problems_of_one_run_are_told() -> None:
    found = problems(
        schema_of("t: defineTable({\n_a: v.id('x'),\nb: v.union(),\n}).index('i', ['c'])")
    )
    assert [problem.location and problem.location.line for problem in found] == [4, 4, 5, 6]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("const a = {\n  b: 1\n  c: 2,\n}\n", 3, 3, "Syntax error: Expected ',', got 'c'."),
        ("const a = 1\nthrow new Error('boom')\n", 2, 7, "schema.ts failed: boom."),
        ("\nnope()\n", 2, 1, "schema.ts failed: ReferenceError: nope is not defined."),
        ("export const a = 1\n", 1, 1, "schema.ts has no default export."),
        ("export default { a: 1 }\n", 1, 1, 'The default export of schema.ts is {"a":1} and not'),
        ("for (;;) {}\n", 1, 1, "schema.ts did not finish within 0.5 s and was stopped."),
        ("\nwhile (true) {}\n", 2, 1, "schema.ts did not finish within 0.5 s and was stopped."),
        (
            "const a: number[][] = []\nfor (;;) a.push(new Array(1000).fill(1.5))\n",
            2,
            1,
            "schema.ts used more than 48 MB of memory and was stopped.",
        ),
        ("await new Promise(() => {})\n", 1, 1, "schema.ts awaits a promise that never settles"),
        ("\nDeno.readTextFileSync('/etc/passwd')\n", 2, 6, "Deno.readTextFileSync is not"),
        ("Deno.env.get('HOME')\n", 1, 6, "Deno.env is not available"),
        ("new Deno.Command('ls').outputSync()\n", 1, 10, "Deno.Command is not available"),
        ("await fetch('https://example.com')\n", 1, 7, "fetch is not available"),
        ("process.exit(0)\n", 1, 9, "process.exit is not available"),
        ("const p = 'node:fs'\nconst fs = await import(p)\n", 2, 25, "is not available"),
        ("const p = 'file:///etc/passwd'\nawait import(p)\n", 2, 1, "Requires read access"),
    ],
)
def test_a_program_that_fails(text: str, line: int, column: int, message: str) -> None:
    (problem,) = problems(text, TIGHT)
    assert message in problem.message
    assert problem.hint
    assert problem.location == Location("valet/schema.ts", line, column)
    assert problem.source_line == text.splitlines()[line - 1]


def test_an_error_in_another_module_names_that_module() -> None:
    (problem,) = problems("import './other'\n", other="\nthrow new Error('there')\n")
    assert problem.location == Location("valet/other.ts", 2, 7)


def test_an_import_of_what_is_not_exported() -> None:
    (problem,) = problems("import { b } from './other'\nb()\n", other="export const a = 1\n")
    assert problem.message == '"other" has no export named "b".'
    assert problem.location is not None
    assert problem.location.line == 1


def test_output_and_patched_globals_change_nothing() -> None:
    tables = "t: defineTable({ a: v.string(), n: v.number() }).backfill('n', () => 1)"
    vandal = """
console.log('x'); console.error('y'); console.table([1])
JSON.stringify = () => 'x'; JSON.parse = () => 1
Array.prototype.push = () => 1; (Object.prototype as any).toJSON = () => 1
;(Array.prototype as any)[Symbol.iterator] = null; Object.keys = () => []
Uint8Array.prototype.set = null as any; Uint8Array.prototype.subarray = null as any
TextEncoder.prototype.encode = null as any; String.prototype.slice = null as any
Function.prototype.call = null as any; Function.prototype.bind = null as any
Error.prepareStackTrace = () => 1
Promise.reject(new Error('not awaited'))
"""
    plain, patched = run(schema_of(tables)), run(schema_of(tables) + vandal)
    assert schema_hash(plain) == schema_hash(patched)
    assert patched.tables[0].location == plain.tables[0].location


@pytest.mark.parametrize("text", ["for (;;) {}\n", schema_of("t: defineTable({})")])
def test_a_run_leaves_no_directory(tmp_path: Path, text: str) -> None:
    project, scratch = tmp_path / "project", tmp_path / "scratch"
    scratch.mkdir()
    (project / "valet").mkdir(parents=True)
    (project / "valet" / "schema.ts").write_text(text)
    subprocess.run(
        [sys.executable, "-m", "valet_studio", "plan"],
        cwd=project,
        env={**os.environ, "TMPDIR": str(scratch), "VALET_STUDIO_EVALUATE_SECONDS": "1"},
        capture_output=True,
        check=False,
    )
    assert list(scratch.iterdir()) == []


def test_a_helper_of_a_backfill_counts_in_the_hash() -> None:
    main = schema_of("t: defineTable({ n: v.number() }).backfill('n', () => one())")
    main = "import { one } from './other'\n" + main
    first, second, same = (
        schema_hash(run(main, other=f"export const one = () => {n}\nexport const two = {m}\n"))
        for n, m in ((1, 1), (2, 1), (1, 2))
    )
    assert first == same != second


def test_what_makes_a_backfill_differ_is_named() -> None:
    (table,) = run(
        schema_of("t: defineTable({ n: v.number() }).backfill('n', () => Date.now())")
    ).tables
    (backfill,) = table.backfills
    assert isinstance(backfill, Backfill)
    assert [impurity.name for impurity in backfill.impurities] == ["Date.now"]


def test_a_table_that_is_not_there_is_told_with_those_that_are() -> None:
    tables = "".join(f"t{at}: defineTable({{ a: v.string() }}),\n" for at in range(6))
    (problem,) = problems(schema_of(f"{tables}u: defineTable({{ a: v.id('products') }}),"))
    assert problem.hint == "Declare the table, or name another: t0, t1, t2, t3, t4, …."
