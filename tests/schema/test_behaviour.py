"""The digest of a backfill: what it can reach counts, and nothing else does."""

from __future__ import annotations

import pytest

from valet_studio.errors import Location
from valet_studio.schema.behaviour import Behaviour, Behaviours
from valet_studio.schema.model import Sources

MAIN = """\
import { defineSchema, defineTable, v } from 'valet-dev/server'
import { toNumber as convert } from './helpers'
import * as tools from './tools/index'

const levels: Record<string, number> = { high: 3, medium: 2 }
levels.low = 1
const unreached = 5
enum Rank { Low, High }

function fallback(value: string) {
    const local = value.length
    return local > 3 ? Rank.High : missing
}
let missing = 0

function withBackfill(label: string, offset: number) {
    const shift = offset * 2
    return defineTable({ x: v.number(), y: v.string() })
        .backfill('x', (row) => {
            const unreached = row.y
            return (levels[row.y] ?? fallback(unreached)) + convert(row.y) + shift + tools.one()
        })
}

export default defineSchema({ t: withBackfill('a', 7), u: defineTable({ z: v.string() }) })
"""
HELPERS = """\
import { base } from './tools'
export const toNumber = (text: string) => text.length + base
export const other = 1
"""
TOOLS = """\
export const base = 10
export function one() { return 1 }
export function two() { return 2 }
"""


def behaviour(main: str = MAIN, helpers: str = HELPERS, tools: str = TOOLS) -> Behaviour:
    files = {"schema.ts": main, "helpers.ts": helpers, "tools/index.ts": tools}
    for number, line in enumerate(main.split("\n"), 1):
        if ".backfill(" in line:
            place = Location("valet/schema.ts", number, line.index("backfill(") + 1)
            return Behaviours(Sources("schema.ts", files)).of(place, "")
    raise AssertionError("no backfill")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("high: 3", "high: 4", id="constant"),
        pytest.param("levels.low = 1", "levels.low = 2", id="changed beside"),
        pytest.param("levels.low = 1\n", "", id="no longer changed beside"),
        pytest.param("local > 3", "local > 4", id="helper"),
        pytest.param("let missing = 0", "let missing = 1", id="helper of a helper"),
        pytest.param("enum Rank { Low", "enum Rank { Zero, Low", id="enum"),
        pytest.param("offset * 2", "offset * 3", id="local of the enclosing function"),
        pytest.param("withBackfill('a', 7)", "withBackfill('a', 8)", id="argument"),
        pytest.param("tools.one()", "tools.two()", id="another member of a namespace"),
        pytest.param("convert(row.y)", "convert(row._id)", id="the function itself"),
        pytest.param("{ toNumber as convert }", "{ other as convert }", id="another import"),
    ],
)
def test_what_it_can_reach_counts(before: str, after: str) -> None:
    assert before in MAIN
    assert behaviour(MAIN.replace(before, after)).digest != behaviour().digest


@pytest.mark.parametrize(
    ("helpers", "tools"),
    [
        pytest.param(HELPERS.replace("text.length + base", "text.length"), TOOLS, id="imported"),
        pytest.param(HELPERS, TOOLS.replace("base = 10", "base = 11"), id="imported by imported"),
        pytest.param(HELPERS, TOOLS.replace("return 1", "return 1.5"), id="namespace member"),
    ],
)
def test_what_it_reaches_in_other_modules_counts(helpers: str, tools: str) -> None:
    assert behaviour(helpers=helpers, tools=tools).digest != behaviour().digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("const unreached = 5", "const unreached = 6", id="shadowed constant"),
        pytest.param("withBackfill('a', 7)", "withBackfill('b', 7)", id="argument not used"),
        pytest.param("z: v.string()", "z: v.number()", id="another table"),
        pytest.param("Record<string, number>", "{ [key: string]: number }", id="types"),
        pytest.param("(row) =>", "row =>", id="parentheses of a parameter"),
        pytest.param("medium: 2 }", "'medium': 2, }", id="quoted key and trailing comma"),
        pytest.param("levels.low = 1", "levels.low = 1;;", id="semicolons"),
        pytest.param("'./helpers'", '"./helpers.js"', id="quotes and extension of an import"),
        pytest.param("let missing = 0", "/* none */ let missing = (0) // zero", id="comments"),
        pytest.param("    ", "\t", id="indentation"),
        pytest.param("\n", "\r\n", id="line ends"),
    ],
)
def test_what_it_cannot_reach_and_layout_do_not_count(before: str, after: str) -> None:
    assert before in MAIN
    assert behaviour(MAIN.replace(before, after)).digest == behaviour().digest


def digest(fn: str, before: str = "") -> str:
    return behaviour(f"{before}\nt.backfill('x', {fn})\n").digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(row) => String(row.a)", "(row) => Number(row.a)"),
        ("(row) => [/* a hole */,]", "(row) => []"),
        ("(row) => { const a = 1, b = 2; return a }", "(row) => { const a = 1, b = 2; return b }"),
        ("(row) => (row.a?.b).c", "(row) => row.a?.b.c"),
        ("(row) => (row.a?.b)!.c", "(row) => row.a?.b!.c"),
        ("(row) => ((row.a?.b.d) as any).c", "(row) => row.a?.b.d.c"),
        ("(row) => (row.a?.b)()", "(row) => row.a?.b()"),
        ("(row) => (row.a?.(0))[1]", "(row) => row.a?.(0)[1]"),
        ('(row) => "a\\\u2028"', '(row) => "a\u2028"'),
        ('(row) => "a\\\r"', r'(row) => "a\r"'),
    ],
)
def test_functions_that_compute_other_values_have_other_digests(one: str, other: str) -> None:
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(row) => (row.a?.b)?.c", "(row) => row.a?.b?.c"),
        ("(row) => (row.a.b).c", "(row) => row.a.b.c"),
        ("(row) => f((row.a?.b))", "(row) => f(row.a?.b as string)"),
        ("(row) => ((row.a?.b)).c", "(row) => (row.a?.b as any)!.c"),
        ("(row) => [row.a /* last */,]", "(row) => [row.a]"),
        ("(row) => f(row.a, // last\n)", "(row) => f(row.a)"),
    ],
)
def test_parentheses_that_end_no_chain_and_last_commas_do_not_count(one: str, other: str) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("class A { constructor(public x: any) {} }", "class A { constructor(x: any) {} }"),
        ("class A { constructor(readonly x = 1) {} }", "class A { constructor(x = 1) {} }"),
        ("class A { constructor(override x?: any) {} }", "class A { constructor(x?: any) {} }"),
        ("class A { declare x: any }", "class A { x: any }"),
        ("enum A { B } enum A { C = 5 }", "enum A { B } enum A { C = 6 }"),
        ("export enum A { B } export enum A { C = 5 }", "export enum A { B }"),
        ("namespace A.B { export const c = 1 }", "namespace A.B { export const c = 2 }"),
        ("module A { export const b = 1 }", "module A { export const b = 2 }"),
        (
            "export namespace A { export let b = 1 } export namespace A { b = 2 }",
            "export namespace A { export let b = 1 } export namespace A { b = 3 }",
        ),
    ],
)
def test_declarations_that_differ_at_run_time_have_other_digests(one: str, other: str) -> None:
    use = "(row) => JSON.stringify(A)"
    assert digest(use, one) != digest(use, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("class A { constructor(public x: any) {} }", "class A { constructor(private x) {} }"),
        ("class A { declare x: any }", "class A { }"),
        ("class A { private readonly x = 1 }", "class A { x = 1 }"),
        ("enum A { B } enum C { B = A.B }", "enum A { B } enum C { B = 7 }"),
    ],
)
def test_declarations_that_differ_in_types_alone_have_one_digest(one: str, other: str) -> None:
    use = "(row) => JSON.stringify(A)"
    assert digest(use, one) == digest(use, other)


_LIST = "const list: any[] = []\n"
_ADD = "function add(value: any) { list.push(value) }\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{_LIST}{_ADD}add(1)", f"{_LIST}{_ADD}add(2)"),
        (f"{_LIST}{_ADD}add(1)", f"{_LIST}{_ADD.replace('(value)', '(value + 1)')}add(1)"),
        (f"{_LIST}{_ADD}[1].forEach(add)", f"{_LIST}{_ADD}[2].forEach(add)"),
        (f"{_LIST}{_ADD}const it = add(1)", f"{_LIST}{_ADD}const it = add(2)"),
        (
            f"{_LIST}{_ADD}const twice = (n: any) => {{ add(n); add(n) }}\ntwice(1)",
            f"{_LIST}{_ADD}const twice = (n: any) => {{ add(n); add(n) }}\ntwice(2)",
        ),
        (f"{_LIST}export const size = list.push(1)", f"{_LIST}export const size = list.push(2)"),
        (f"{_LIST}const [first] = [list[0] = 1]", f"{_LIST}const [first] = [list[0] = 2]"),
        (f"{_LIST}class A {{ static {{ list.push(1) }} }}", f"{_LIST}class A {{ }}"),
        (f"{_LIST}const it = Object.assign(list, [1])", f"{_LIST}const it = Object.assign(list)"),
        (f"{_LIST}const it = delete list[0]", _LIST),
        (
            "let list = 0\nconst set = (n: number) => { list = n }\nset(1)",
            "let list = 0\nconst set = (n: number) => { list = n }\nset(2)",
        ),
        (
            "let list = 0\nconst set = (n: number) => { [list] = [n] }\nset(1)",
            "let list = 0\nconst set = (n: number) => { [list] = [n] }\nset(2)",
        ),
    ],
)
def test_changes_made_while_modules_load_count(before: str, after: str) -> None:
    assert digest("() => list", before) != digest("() => list", after)


def test_each_of_the_changes_that_one_call_makes_counts() -> None:
    before = (
        "const list: any[] = [], other: any[] = []\n"
        "function both(value: any) { list.push(0); other.push(value) }\n"
    )
    one, two = (digest("() => other", f"{before}both({value})") for value in (1, 2))
    assert one != two


def test_a_name_that_stands_for_another_piece_counts() -> None:
    one, two = (
        digest(
            "() => [one(), two(), it()]",
            f"import {{ one, two, {what} as it }} from './tools/index'",
        )
        for what in ("one", "two")
    )
    assert one != two


@pytest.mark.parametrize("call", ["make", "tools.make"])
def test_what_another_module_passes_to_the_function_around_it_counts(call: str) -> None:
    tools = "export const make = (n: number) => table().backfill('x', () => n)\n"
    place = Location("valet/tools/index.ts", 1, tools.index("backfill(") + 1)
    one, two = (
        Behaviours(
            Sources(
                "schema.ts",
                {
                    "schema.ts": "import { make } from './tools/index'\n"
                    f"import * as tools from './tools/index'\n{call}({value})\n",
                    "tools/index.ts": tools,
                },
            )
        )
        .of(place, "")
        .digest
        for value in (1, 2)
    )
    assert one != two


def test_changes_that_another_module_makes_while_it_loads_count() -> None:
    use = (
        "import './tools/index'\nimport { list } from './helpers'\nt.backfill('x', () => list[0])\n"
    )
    lists = "export const list: any[] = []\nexport const add = (n: any) => { list.push(n) }\n"
    one, two, called, otherwise = (
        behaviour(use, lists, f"import * as helpers from '../helpers'\n{change}\n").digest
        for change in (
            "helpers.list.push(1)",
            "helpers.list.push(2)",
            "helpers.add(1)",
            "helpers.add(2)",
        )
    )
    assert len({one, two, called, otherwise}) == 4


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param(f"{_ADD}const u = table(1)", id="a change that is not made"),
        pytest.param(f"{_ADD}const u = table(1).sync(add)", id="made by what is handed on"),
        pytest.param("const u = table(1).sync(() => list.push(1))", id="made in a function"),
        pytest.param(f"{_ADD}const u = () => add(1)", id="made by what nobody calls"),
        pytest.param("const u = (list: any[]) => list.push(1)", id="a parameter of that name"),
        pytest.param("const u = list.map(() => 1)", id="a method that changes nothing"),
    ],
)
def test_what_changes_nothing_while_modules_load_does_not_count(beside: str) -> None:
    one = digest("() => list", _LIST + beside)
    assert (
        one == digest("() => list", _LIST + beside.replace("1", "2")) == digest("() => list", _LIST)
    )


def test_modules_that_are_imported_where_it_runs_are_followed() -> None:
    main = "const m = await import('./helpers.ts')\nt.backfill('x', () => m.n)\n"
    one, two = (behaviour(main, f"export const n = {n}\n").digest for n in (1, 2))
    assert one != two


def test_the_order_of_a_json_modules_keys_counts() -> None:
    main = "import rules from './rules.json'\nt.backfill('x', () => Object.keys(rules)[0])\n"
    place = Location("valet/schema.ts", 2, len("t.") + 1)
    one, other, spaced = (
        Behaviours(Sources("schema.ts", {"schema.ts": main, "rules.json": rules})).of(place, "")
        for rules in ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', '{"a":1,\n"b":2}')
    )
    assert one.digest == spaced.digest != other.digest


def test_unused_exports_of_other_modules_do_not_count() -> None:
    helpers = HELPERS.replace("other = 1", "other = 2")
    tools = TOOLS.replace("return 2", "return 3")
    assert behaviour(helpers=helpers, tools=tools).digest == behaviour().digest


def test_the_order_of_declarations_does_not_count() -> None:
    declaration = "let missing = 0\n"
    first = "const unreached = 5"
    moved = MAIN.replace(declaration, "").replace(first, declaration + first)
    assert behaviour(moved).digest == behaviour().digest


def test_two_imports_that_change_places_count() -> None:
    main = """\
import { n as a } from './helpers'
import { n as b } from './tools/index'
t.backfill('x', () => a - b)
"""
    files = {"helpers": "export const n = 1\n", "tools": "export const n = 2\n"}
    swapped = main.replace("./helpers", "#").replace("./tools/index", "./helpers")
    swapped = swapped.replace("#", "./tools/index")
    assert behaviour(main, **files).digest != behaviour(swapped, **files).digest


@pytest.mark.parametrize(
    "argument",
    ["convert", "(row) => convert(row)", "makeConvert(3)", "{ ...tools }.convert"],
)
def test_the_function_may_be_named_or_made(argument: str) -> None:
    main = f"""\
const tools = {{ convert }}
function convert(row: number) {{ return row + 1 }}
function makeConvert(n: number) {{ return (row: number) => convert(row) * n }}
t.backfill('x', {argument})
"""
    changed = main.replace("row + 1", "row + 2")
    assert behaviour(main).digest != behaviour(changed).digest
    assert behaviour(main + "const z = 1\n").digest == behaviour(main).digest


def test_a_loop_around_the_table_counts() -> None:
    main = """\
const tables = {}
for (const [name, factor] of [['a', 1], ['b', 2]]) {
    tables[name] = defineTable({}).backfill('x', () => factor)
}
"""
    assert behaviour(main).digest != behaviour(main.replace("['b', 2]", "['b', 3]")).digest
    assert behaviour(main).digest == behaviour(main + "const z = 1\n").digest


def test_a_callback_around_the_table_counts() -> None:
    main = """\
const names = ['a', 'b']
const tables = names.map((name) => defineTable({}).backfill('x', () => name))
"""
    assert behaviour(main).digest != behaviour(main.replace("'b'", "'c'")).digest


def test_re_exports_are_followed() -> None:
    main = "import { n } from './helpers'\nt.backfill('x', () => n)\n"
    helpers = "export * from './tools/index'\n"
    one = behaviour(main, helpers, "export const n = 1\nexport const m = 1\n")
    two = behaviour(main, helpers, "export const n = 2\nexport const m = 1\n")
    other = behaviour(main, helpers, "export const n = 1\nexport const m = 2\n")
    assert one.digest == other.digest != two.digest


def test_default_imports_are_followed() -> None:
    main = "import n from './helpers'\nt.backfill('x', () => n)\n"
    one, two = (behaviour(main, f"export default {n}\n") for n in (1, 2))
    assert one.digest != two.digest


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("Date.now()", ["Date.now"]),
        ("new Date().getTime()", ["new Date()"]),
        ("new Date(0).getTime()", []),
        ("Date().length", ["Date()"]),
        ("Math.random() + Math.max(1)", ["Math.random"]),
        ("globalThis.crypto.randomUUID().length", ["crypto.randomUUID"]),
        ("performance.now()", ["performance.now"]),
        ("helper()", ["Math.random"]),
    ],
)
def test_sources_of_chance_are_named(expression: str, names: list[str]) -> None:
    main = f"const helper = () => Math.random()\nt.backfill('x', () => {expression})\n"
    found = behaviour(main).impurities
    assert [impurity.name for impurity in found] == names
    if names and expression != "helper()":
        column = main.splitlines()[1].index(expression) + 1
        assert found[0].location == Location("valet/schema.ts", 2, column)


def test_a_name_of_the_users_own_is_no_source_of_chance() -> None:
    main = "const Math = { random: () => 4 }\nt.backfill('x', () => Math.random())\n"
    assert behaviour(main).impurities == ()


def test_the_code_is_shown_as_written() -> None:
    main = "    t.backfill('x', (row) => {\n        return 1\n    })\n"
    assert behaviour(main).code == "(row) => {\n    return 1\n}"
    assert behaviour("t.backfill('x', () => '\f')\n").code == "() => '\f'"
