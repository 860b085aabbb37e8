"""What a backfill's text proves, and what it does not."""

from __future__ import annotations

import pytest

from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Sources
from valet_studio.schema.purity import is_pure


def proved(function: str, before: str = "", **files: str) -> bool:
    text = (
        "import { defineSchema, defineTable, v } from 'valet-dev/server'\n"
        f"{before}\n"
        "export default defineSchema({ t: defineTable({ s: v.string(), n: v.number(),"
        f" out: v.optional(v.any()) }}).backfill('out', {function}) }})\n"
    )
    modules = {name.replace("_", "."): content for name, content in files.items()}
    schema = evaluate(Sources("schema.ts", {"schema.ts": text, **modules}))
    (backfill,) = schema.tables[0].backfills
    return is_pure(schema.sources, backfill)


@pytest.mark.parametrize(
    ("function", "before"),
    [
        ("(row) => row.s", ""),
        ("() => 1", ""),
        ("({ s }) => s.trim().toLowerCase().replace(/\\s+/g, '-')", ""),
        (
            "(row) => { const mapping: Record<string, number> = { low: 1, high: 3 };"
            " return mapping[row.s] ?? 0 }",
            "",
        ),
        ("(row) => ranks[row.s as keyof typeof ranks]", "const ranks = { low: 1, high: 3 }"),
        ("rank", "function rank(row: any) { return row.n > 1 ? 'many' : 'few' }"),
        ("(row) => half(row.n)", "const half = (n: number) => Math.floor(n / 2)"),
        (
            "(row) => { let sum = 0; for (let i = 0; i < 3; i++) { sum += row.n } return sum }",
            "",
        ),
        ("(row) => { if (!row.s) { throw 'empty' } return row.s }", ""),
        ("(row) => { switch (row.s) { case 'a': return 1; default: return 2 } }", ""),
        ("(row) => row.s.split(',').map((part) => part.trim()).filter(Boolean).join(' ')", ""),
        ("(row) => new Date(row.n).toISOString()", ""),
        ("(row) => JSON.stringify({ ...row, at: Number(row.s) })", ""),
        ("(row) => /^a/.test(row.s)", ""),
        ("(row) => short.test(row.s)", "const short = /^.{3}$/"),
        ("function (row) { return String(row.n) }", ""),
        ("(row) => `${row.s}!` as string", ""),
    ],
)
def test_the_value_depends_on_the_document_alone(function: str, before: str) -> None:
    assert proved(function, before)


def test_what_is_imported_is_looked_at_too() -> None:
    use = "import { rank } from './help'"
    assert proved(
        "(row) => rank(row.s)", use, help_ts="export const rank = (s: string) => s.length"
    )
    counting = "let n = 0; export const rank = (s: string) => s.length + n++"
    assert not proved("(row) => rank(row.s)", use, help_ts=counting)
    ranks = "import ranks from './ranks.json'"
    assert proved("(row) => (ranks as any)[row.s]", ranks, ranks_json='{"low": 1}')


@pytest.mark.parametrize(
    ("function", "before"),
    [
        ("(row) => ++n", "let n = 0"),
        ("(row) => { n = n + row.n; return n }", "let n = 0"),
        ("(row) => n", "let n = 0"),
        ("(row) => n", "var n = 0"),
        ("(row) => next()", "let n = 0; const next = () => n++"),
        ("(row) => { seen.push(row.s); return seen.length }", "const seen: string[] = []"),
        ("(row) => seen.add(row.s).size", "const seen = new Set<string>()"),
        ("(row) => { seen[row.s] = 1; return Object.keys(seen).length }", "const seen: any = {}"),
        ("(row) => delete seen.a", "const seen: any = { a: 1 }"),
        ("(row) => queue.shift()", "const queue = [1, 2, 3]"),
        ("(row) => given.next().value", "const given = [1, 2, 3].values()"),
        ("(row) => box.value", "const box = { n: 0, get value() { return this.n++ } }"),
        ("(row) => (n => () => n++)(0)()", ""),
        ("((n) => (row: any) => n++)(0)", ""),
        ("(() => { let n = 0; return () => n++ })()", ""),
        ("(row) => Math.random()", ""),
        ("(row) => Date.now()", ""),
        ("(row) => new Date().getTime()", ""),
        ("(row) => Date()", ""),
        ("(row) => crypto.randomUUID()", ""),
        ("(row) => performance.now()", ""),
        ("(row) => { const m = Math; return m.random() }", ""),
        ("(row) => Math['random']()", ""),
        ("(row) => (Math as any).random()", ""),
        ("(row) => { const { random } = Math; return random() }", ""),
        ("(row) => once.test(row.s)", "const once = /a/g"),
        (
            "(row) => new Counter().next()",
            "class Counter { static n = 0; next() { return Counter.n++ } }",
        ),
        ("function (this: any, row) { return this.n }", ""),
        ("(row) => eval('row.s')", ""),
        ("(row) => [].constructor.constructor('return Math.random()')()", ""),
        ("(row) => row.s.length", "String.prototype.trim = function () { return 'x' }"),
        ("(row) => Object.assign(row, { s: 1 }).s", ""),
        ("(row) => Symbol()", ""),
        ("(row) => tagged`${row.s}`", "const tagged = (t: any) => t"),
        ("(row, extra = Math.random()) => extra", ""),
        ("pick", "let pick = (row: any) => row.s"),
        ("(row) => [3, 1, 2].sort(() => Math.random() - 0.5)", ""),
    ],
)
def test_whatever_may_differ_is_not_proved(function: str, before: str) -> None:
    assert not proved(function, before)


def test_the_seeds_own_backfill_is_proved() -> None:
    assert proved(
        "(row) => {\n"
        "  const mapping: Record<string, number> = { high: 3, medium: 2, low: 1 }\n"
        "  return mapping[row.s] ?? 1\n}"
    )
