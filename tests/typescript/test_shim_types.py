"""The types of `valet-dev/server`, as the user's editor and `deno check` see them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from support import HEADER, seed_blocks

from valet_studio.typescript.deno import SHIM, find_deno

GOOD = """
import { defineSchema, defineTable, v, type Infer, type Row } from 'valet-dev/server'
enum Level { Low, High }
const stamps = { created: v.number(), by: v.optional(v.id('users')) } as const
function owned<F extends Record<string, ReturnType<typeof v.string>>>(fields: F) {
    return { ...fields, owner: v.id('users') }
}
const users = defineTable({ name: v.string() })
    .index('by_name', ['name', '_id'])
    .searchIndex('s', { searchField: 'name' })
const posts = defineTable({
    ...stamps, title: v.string(), tags: v.array(v.string()), data: v.bytes(), any: v.any(),
    meta: v.object({ a: v.number(), b: v.optional(v.string()) }), flag: v.boolean(),
    counts: v.record(v.string(), v.number()), n: v.optional(v.int64()),
    old: v.string().deprecated(), role: v.union(v.literal('x'), v.null()),
})
    .sync({
        mode: 'windowed',
        filter: (q, ctx) => q.and(
            q.in('by', q.select('_id').from('users').where(q.eq('name', ctx.auth.userId))),
            q.or(q.not(q.gte('created', 3)), q.neq('title', ctx.auth.team.id)),
            q.arrayContains('tags', 'x'), q.in('title', ['a', 'b']),
        ),
    })
    .backfill('title', (row) => {
        const all: [string, number | null, string | undefined, ArrayBuffer, string[], 'x' | null] =
            [row.old, row.n, row.meta.b, row.data, row.tags, row.role]
        return row._id + all.length
    })
    .backfill('n', (row) => row.flag ? null : undefined)
    .backfill('role', (row) => row.flag ? 'x' : null)
    .backfill('tags', (row) => row.flag ? ['a', row.title] : row.tags)
    .backfill('meta', () => ({ a: 1 }))
    .backfill('counts', (row) => {
        const counts: Record<string, number> = {}
        counts[row.title] = 1
        return counts
    })
    .backfill('any', (row) => ({ deep: [row] }))
const row: Row<typeof stamps> = { _id: 'x', created: 1, by: null }
const level: Infer<ReturnType<typeof v.number>> = row.created
export default defineSchema({
    users, posts,
    p: defineTable({ l: v.literal(Level.Low), q: v.number(), ...owned({ z: v.string() }) })
        .backfill('q', (row) => row.l + row.owner.length + row.z.length + level),
})
"""

# Each of these is one line of a table, and a type error.
BAD = {
    "column": "defineTable({ a: v.string() }).backfill('b', () => '')",
    "result": "defineTable({ a: v.string() }).backfill('a', () => 1)",
    "literal": "defineTable({ a: v.literal('x') }).backfill('a', () => 'y')",
    "null": "defineTable({ a: v.string() }).backfill('a', () => null)",
    "async": "defineTable({ a: v.string() }).backfill('a', async () => '')",
    "row": "defineTable({ a: v.string() }).backfill('a', (row) => row.nope)",
    "optional": "defineTable({ a: v.optional(v.int()) }).backfill('a', (row) => row.a + 1)",
    "element": "defineTable({ a: v.array(v.string()) }).backfill('a', () => [1])",
    "property": "defineTable({ a: v.object({ b: v.int() }) }).backfill('a', () => ({ b: '' }))",
    "index": "defineTable({ a: v.string() }).index('i', ['b'])",
    "search": "defineTable({ a: v.string() }).searchIndex('s', { searchField: 'b' })",
    "mode": "defineTable({ a: v.string() }).sync({ mode: 'some' })",
    "option": "defineTable({ a: v.string() }).sync({ modee: 'full' })",
    "field": "defineTable({ a: 'x' })",
    "table": "{ a: v.string() }",
}


def check(folder: Path, **files: str) -> str:
    """What `deno check` says of these files; empty where nothing is wrong."""
    for name, text in files.items():
        (folder / f"{name}.ts").write_text(text, "utf-8")
    imports = {"imports": {"valet-dev/server": (SHIM / "server.ts").as_uri()}}
    (folder / "map.json").write_text(json.dumps(imports), "utf-8")
    done = subprocess.run(
        [find_deno(), "check", "--quiet", "--no-remote", "--no-npm", "--no-config", "--no-lock",
         "--import-map=map.json", *(f"{name}.ts" for name in files)],
        cwd=folder,
        env={**os.environ, "DENO_DIR": str(folder / "cache"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


def test_the_seed_document_and_a_rich_schema_pass(tmp_path: Path) -> None:
    blocks = {f"block{number}": text for number, text in enumerate(seed_blocks())}
    assert check(tmp_path, rich=GOOD, **blocks) == ""


def test_mistakes_are_type_errors(tmp_path: Path) -> None:
    files = {
        name: f"{HEADER}export default defineSchema({{\n  t: {table},\n}})\n"
        for name, table in BAD.items()
    }
    told = check(tmp_path, **files)
    found = {name for name, line in re.findall(r"/(\w+)\.ts:(\d+):\d+", told) if line == "3"}
    assert found == set(BAD)


def test_the_host_itself_passes(tmp_path: Path) -> None:
    assert check(tmp_path, host=f"import '{(SHIM / 'host.ts').as_uri()}'\n") == ""


@pytest.mark.parametrize("name", ["defineSchema", "defineTable", "v"])
def test_what_the_module_gives(name: str) -> None:
    text = (SHIM / "server.ts").read_text("utf-8")
    assert re.search(rf"^export (function|const) {name}\b", text, re.MULTILINE)
