"""Packed values land as they are: whatever the table's rowids, encoding and values are like."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valet_studio.database.inspect import inspect
from valet_studio.errors import MigrationFailed
from valet_studio.migrate.column_writer import ColumnWriter
from valet_studio.migrate.documents import Documents, Key
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Sources
from valet_studio.typescript.cells import Value
from valet_studio.typescript.child import Child

TYPES = {"string": "TEXT", "number": "INTEGER"}
SCHEMAS = {
    kind: evaluate(
        Sources(
            "schema.ts",
            {
                "schema.ts": "import { defineSchema, defineTable, v } from 'valet-dev/server'\n"
                f"export default defineSchema({{ t: defineTable({{ given: v.{kind}(), "
                f"out: v.optional(v.{kind}()) }}).backfill('out', (row) => row.given) }})"
            },
        )
    )
    for kind in TYPES
}


def written(
    kind: str, given: Sequence[Value], rowids: Sequence[int], encoding: str = "UTF-8"
) -> list[Value]:
    """What a backfill that copies a column leaves in the other, packed by the real sandbox."""
    connection = apsw.Connection(":memory:")
    connection.execute(f"PRAGMA encoding = '{encoding}'")
    connection.execute(
        f'CREATE TABLE t ("_id" TEXT PRIMARY KEY, given {TYPES[kind]}, out {TYPES[kind]})'
    )
    connection.executemany(
        "INSERT INTO t (rowid, _id, given) VALUES (?, ?, ?)",
        [(rowid, f"d{rowid}", value) for rowid, value in zip(rowids, given, strict=True)],
    )
    schema = SCHEMAS[kind]
    documents = Documents(connection, schema.tables[0], inspect(connection).tables[0])
    documents = documents.reading(frozenset({"given"}))
    with Child(schema.sources) as child:
        child.start_backfill("t", "out")
        for batch in documents.batches():
            child.send(batch.payload)
            cells = child.receive().cells
            assert ColumnWriter(documents, "out").write(batch.keys, cells) == len(batch.keys)
    found = connection.execute("SELECT out FROM t ORDER BY rowid").fetchall()
    return [value for (value,) in found]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["", " ", "a ", " a", "a\0", "\0", "\n", "ü", "😀", "x'00'"]
)
NUMBERS = st.integers(-(2**53), 2**53) | st.sampled_from([0, -1, 1.5, 1e300, None])
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1) | st.integers(-9, 9)
PLAIN = st.text(st.characters(codec="ascii"), max_size=8) | st.sampled_from(["", " ", "a ", "\0"])
DISTINCT: dict[str, list[Value]] = {
    "string": [f"{n} is plain" for n in range(300)],
    "number": list(range(1000, 1300)),
}
"""More values than one byte each tells apart: they are packed by their width, or not at all."""


@settings(max_examples=80)
@given(
    case=st.one_of(
        st.tuples(st.just("string"), st.lists(TEXTS | st.none(), min_size=1, max_size=40)),
        st.tuples(st.just("string"), st.lists(TEXTS, min_size=1, max_size=40)),
        st.tuples(st.just("string"), st.lists(PLAIN, min_size=1, max_size=40)),
        st.tuples(st.just("string"), st.lists(st.text("ab", max_size=3), min_size=1, max_size=40)),
        st.tuples(st.just("number"), st.lists(NUMBERS, min_size=1, max_size=40)),
        st.tuples(st.just("number"), st.lists(WHOLE, min_size=1, max_size=40)),
    ),
    before=st.sampled_from([0, 0, 7, 300]),
    after=st.sampled_from([0, 0, 7, 300]),
    step=st.sampled_from([1, 2, 7]),
    first=st.sampled_from([1, -3, 2**40]),
    encoding=st.sampled_from(["UTF-8", "UTF-16le"]),
)
def test_a_copied_column_holds_the_same(
    case: tuple[str, list[Value]],
    before: int,
    after: int,
    step: int,
    first: int,
    encoding: str,
) -> None:
    kind, values = case
    given_values = DISTINCT[kind][:before] + values + DISTINCT[kind][:after]
    rowids = range(first, first + step * len(given_values), step)
    assert written(kind, given_values, rowids, encoding) == given_values


@pytest.mark.parametrize("empty", [[0], [299], [305], [599], [0, 1, 300, 301], range(0, 600, 3)])
def test_an_empty_text_among_many_stands_where_it_belongs(empty: Sequence[int]) -> None:
    values: list[Value] = ["" if n in empty else f"v{n}" for n in range(600)]
    assert written("string", values, range(1, 601)) == values


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
@pytest.mark.parametrize("distinct", [3, 40, 300])
@pytest.mark.parametrize("rowids", [range(1, 401), range(0, 1600, 4), range(0, 40_000, 100)])
@pytest.mark.parametrize(
    ("kind", "prefix"), [("string", "plain "), ("string", "zwölf "), ("number", "")]
)
def test_many_and_few_values_over_dense_and_sparse_rowids(
    kind: str, prefix: str, rowids: range, distinct: int, encoding: str
) -> None:
    numbers = [number % distinct - 5 for number in range(len(rowids))]
    values: list[Value] = [f"{prefix}{n}" if kind == "string" else n for n in numbers]
    assert written(kind, values, rowids, encoding) == values


def test_documents_without_a_value_end_the_migration() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute('CREATE TABLE t ("_id" TEXT PRIMARY KEY, given TEXT, out TEXT)')
    connection.execute("INSERT INTO t (_id, given) VALUES ('a', 'x'), ('b', 'x'), ('c', 'x')")
    schema = SCHEMAS["string"]
    documents = Documents(connection, schema.tables[0], inspect(connection).tables[0])
    keys: list[Key] = [1, 3]
    with Child(schema.sources) as child:
        child.start_backfill("t", "out")
        child.send(b'{"columns":{"given":["x","x"]},"count":2}')
        cells = child.receive().cells
    with pytest.raises(MigrationFailed, match="got documents"):
        ColumnWriter(documents, "out").write(keys, cells)
