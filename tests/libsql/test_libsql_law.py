"""What a push does to a libSQL server is what it does to a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from libsql_servers import Sqld, sqld
from support import Project, last, never, schema_of

from valet_studio import pipeline
from valet_studio.errors import StudioError
from valet_studio.migrate.events import Report

FIELDS = "s: v.string(), n: v.number(), data: v.bytes(), j: v.any()"
BEFORE = schema_of(f"t: defineTable({{ {FIELDS} }}).sync({{ mode: 'full' }}),")

FUNCTIONS = (
    "(row) => [row.s, typeof row.n, Object.is(row.n, -0), row.j]",
    "(row) => row.n",
    "(row) => row.data && new Uint8Array(row.data).length + row._id",
    "(row) => { if (row.n > 1) throw new Error('large'); return row.s }",
    "(row) => (row.n ?? 0) / 3 || null",
    "() => 7",
)

CELLS = st.sampled_from(
    [
        *("NULL", "0", "1", "-0.0", "2.5", "1e300", "9e999", "-9e999", "9007199254740993"),
        *("-9223372036854775808", "''", "'a'", "'é'", "'a' || char(0) || 'b'", "'[1, 2.5]'", "'1'"),
        *("'{'", "x''", "x'00ff'", "CAST(x'ff61' AS TEXT)", "CAST(x'eda080' AS TEXT)"),
    ]
)

HELD = (
    "SELECT _id, {} FROM t ORDER BY _id".format(
        ", ".join(f"typeof({c}), hex(CAST({c} AS BLOB))" for c in ("s", "n", "data", "j", "out"))
    ),
    "SELECT count(*) FROM _valet_changes",
    "SELECT name, sql FROM sqlite_master ORDER BY name",
    "SELECT key, value FROM _valet_meta WHERE key NOT IN ('pushes', 'snapshot') ORDER BY key",
    "SELECT id, hash_before, hash_after, schema_json, summary, rows FROM _valet_history ORDER BY id",
)
"""What both must hold in the end; only a libSQL server notes its pushes, and only a file its snapshot."""


@pytest.fixture(scope="module")
def libsql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqld]:
    with sqld(tmp_path_factory.mktemp("law")) as server:
        yield server


def outcome(project: Project, documents: list[list[str]], after: str) -> list[Any]:
    """What the steps tell, and what is held after them."""
    project.push(BEFORE)
    for number, cells in enumerate(documents):
        project.sql(f"INSERT INTO t (_id, s, n, data, j) VALUES ('d{number}', {', '.join(cells)})")
    project.write(after)
    state = project.look()
    told = [told_of(project, state, work) for work in (pipeline.dry_run, pipeline.apply)]
    if isinstance(told[-1], str):
        return told
    return [*told, *(project.sql(query) for query in HELD)]


def told_of(project: Project, state: pipeline.StudioState, work: Any) -> Report | str:
    try:
        report = last(work(state, never))
    except StudioError as error:
        place = project.server or str(project.database)
        return f"{type(error).__name__}: {error}".replace(place, "the database")
    backfills = tuple(replace(each, seconds=0.0) for each in report.backfills)
    return replace(report, backfills=backfills, seconds=0.0, snapshot=None, copied=None)


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    documents=st.lists(st.lists(CELLS, min_size=4, max_size=4), max_size=8),
    function=st.sampled_from(FUNCTIONS),
)
@example(documents=[["'a'", "9e999", "NULL", "NULL"]], function=FUNCTIONS[0])
@example(documents=[["CAST(x'ff61' AS TEXT)", "1", "NULL", "NULL"]], function=FUNCTIONS[1])
def test_the_outcome_is_that_of_a_file(
    tmp_path_factory: pytest.TempPathFactory,
    libsql: Sqld,
    documents: list[list[str]],
    function: str,
) -> None:
    file = Project(tmp_path_factory.mktemp("file"))
    for (name,) in libsql.sql("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE TABLE%'"):
        if not name.startswith("sqlite_"):
            libsql.sql(f'DROP TABLE "{name}"')
    after = schema_of(
        f"t: defineTable({{ {FIELDS}, out: v.any() }}).sync({{ mode: 'full' }})"
        f".backfill('out', {function}),"
    )
    there = outcome(file.with_(server=libsql.url, libsql=libsql), documents, after)
    assert there == outcome(file, documents, after)
