"""The batches give every document the value that a plain loop over the documents gives it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from plain_loop import COLUMNS, Bad, contents, database, in_batches, one_by_one, schema_of

from valet_studio.database.inspect import inspect
from valet_studio.errors import DatabaseError, MigrationFailed
from valet_studio.migrate import documents as documents_module
from valet_studio.migrate.documents import Documents
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.schema.reads import fields_read
from valet_studio.typescript.cells import Cells
from valet_studio.typescript.child import Child
from valet_studio.typescript.limits import Limits

ALL = frozenset({*COLUMNS, "out"})

FUNCTIONS: dict[str, frozenset[str]] = {
    "(row) => row.s": frozenset({"s"}),
    "(row) => [typeof row.n, Object.is(row.n, -0), row.n]": frozenset({"n"}),
    "(row: any) => [typeof row.raw, Object.is(row.raw, -0)]": frozenset({"raw"}),
    "({ flag, j: other = 1 }) => [flag, other]": frozenset({"flag", "j"}),
    "(row: any) => row['raw'] instanceof ArrayBuffer"
    " ? [...new Uint8Array((row as any).raw)] : row.raw": frozenset({"raw"}),
    "(row) => row.data && new Uint8Array(row.data).length + row._id": frozenset({"data", "_id"}),
    "() => 7": frozenset(),
    "(row) => row.flag ? row.s : row.n": frozenset({"flag", "s", "n"}),
    "(row) => { row.s = 'mine'; return row.s }": frozenset({"s"}),
    "(row) => Object.keys(row)": ALL,
    "(row) => { const { data, raw, ...rest } = row as any; return rest }": ALL,
    "(row) => { const f = (x: any) => x.s; return f(row) }": ALL,
    "function (row) { return arguments[0].s }": ALL,
    "(row: any) => row[row.flag ? 's' : 'j']": ALL,
}
"""Each with the fields that a document has to show it."""

CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**62, 0, 1]),
    st.floats(),
    st.sampled_from([-0.0, 1e300, 5e-324, 0.1 + 0.2, 2.0**63, float("inf")]),
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(["\0", "a\0b", "\u2028", '"\\', "\U0001f600", "[1, 2]", "{}", "1e5", "nul"]),
    st.binary(max_size=12),
)


BAD = st.sampled_from([Bad(b"\xff"), Bad(b"a\xed\xa0\x80"), Bad(b"\xc3")])


SCHEMAS = {function: schema_of(function) for function in FUNCTIONS}


@pytest.mark.parametrize("layout", ["rowids", "without rowids", "column named rowid"])
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.dictionaries(
        st.integers(-(2**63), 2**63 - 1) | st.integers(1, 40),
        st.lists(CELLS, min_size=6, max_size=6),
        max_size=12,
    ),
    function=st.sampled_from(sorted(FUNCTIONS)),
    size=st.integers(1, 5),
)
def test_batches_agree_with_a_plain_loop(
    monkeypatch: pytest.MonkeyPatch,
    layout: str,
    rows: dict[int, list[Any]],
    function: str,
    size: int,
) -> None:
    monkeypatch.setattr(documents_module, "BATCH_ROWS", size)
    schema = SCHEMAS[function]
    fast, plain = database(rows, layout), database(rows, layout)
    report = in_batches(fast, schema)
    failed = one_by_one(plain, schema)
    assert report.failed == len(failed)
    assert {failure.id for failure in report.errors} == failed
    if failed:
        assert {out for _, _, out in contents(fast)} == {None}
    else:
        assert contents(fast) == contents(plain)


@settings(max_examples=15)
@given(column=st.sampled_from(COLUMNS[1:]), bad=BAD, function=st.sampled_from(sorted(FUNCTIONS)))
@example(column="s", bad=Bad(b"\xff"), function="(row) => row.s")
@example(column="raw", bad=Bad(b"\xff"), function="(row) => row.s")
def test_text_that_is_not_utf8_matters_only_to_who_reads_it(
    column: str, bad: Bad, function: str
) -> None:
    cells: list[Any] = [bad if name == column else None for name in COLUMNS[1:]]
    connection = database({1: [None] * 6, 2: cells}, "rowids")
    if column in FUNCTIONS[function]:
        with pytest.raises(DatabaseError, match=f'Document "d2" .* text in "{column}"'):
            in_batches(connection, SCHEMAS[function])
    else:
        assert in_batches(connection, SCHEMAS[function]).updated == 2


def test_ten_megabytes_of_text_come_through() -> None:
    text = "\U0001f600é\0x" * 1_250_000
    rows = {number: [text, 1, None, None, None, None] for number in (1, 2, 9)}
    connection = database(rows, "rowids")
    assert in_batches(connection, SCHEMAS["(row) => row.s"]).updated == 3
    stored = json.dumps(text, ensure_ascii=False)
    assert connection.execute("SELECT DISTINCT out FROM t").fetchall() == [(stored,)]


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_only_the_fields_that_are_read_are_sent(function: str) -> None:
    with Child(SCHEMAS[function].sources) as child:
        read = fields_read(child.start_backfill("t", "out"))
    assert (ALL if read is None else read) == FUNCTIONS[function]


@pytest.mark.parametrize(
    "code",
    [
        "(row) => row",
        "(row) => ({ ...row })",
        "(row) => help(row)",
        "(row) => { const other = row; return other.s }",
        "(row) => { for (const k in row) return k }",
        "(row) => row[k]",
        "(row) => row?.[k]",
        "(row) => 's' in row",
        "({ s, ...rest }) => s",
        "({ [k]: s }) => s",
        "(row = {}) => row.s",
        "(...rows) => rows[0].s",
        "(row) => row.s()",
        "(row) => row.s`x`",
        "(row) => ({ row })",
        "(row) => eval('row.n')",
        "function (row) { return arguments[0].n + row.s }",
        "(row) => ((x = row) => x.n)()",
        "(row) => row.\\u0073",
        "function () { [native code] }",
        "class { constructor(row) {} }",
        "help",
        "(row) => rows.map((row) => row.s)",
    ],
)
def test_where_a_document_may_go_elsewhere_all_is_read(code: str) -> None:
    assert fields_read(code) is None


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("row => row.s", {"s"}),
        ("(row) => row?.s?.n", {"s"}),
        ('(row) => row["a b"] + row.t', {"a b", "t"}),
        ("(row) => { row.s = 1; delete row.t; return row.n }", {"s", "t", "n"}),
        ("(row) => (() => row.s)()", {"s"}),
        ("(row, more) => `${row.s}`", {"s"}),
        ("({ s: { deep }, 'n': m = 2 }) => deep", {"s", "n"}),
        ("async function named(row) { return row.s }", {"s"}),
        ("/* why */ (row /* what */) => row.s", {"s"}),
        ("(/* what */ row) => row.s", {"s"}),
        ("({ s = 'none', /* and */ n }) => s + n", {"s", "n"}),
        ("() => 1", set()),
    ],
)
def test_fields_that_a_function_takes_of_its_document(code: str, fields: set[str]) -> None:
    assert fields_read(code) == frozenset(fields)


def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers lose their last byte."""
    unpack = Cells.unpack

    def short(told: dict[str, Any], body: bytes, large: bool) -> Cells:
        return unpack(told, body[:-1], large)

    monkeypatch.setattr(Cells, "unpack", staticmethod(short))


@pytest.mark.parametrize("count", [3, 900])
def test_an_answer_that_lacks_a_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    cut(monkeypatch)
    schema = SCHEMAS["(row) => row.s"]
    rows = {number: [f"v{number}", 1, None, None, None, None] for number in range(1, count + 1)}
    connection = database(rows, "rowids")
    documents = Documents(connection, schema.tables[0], inspect(connection).tables[0])
    batch = documents.batch(None, None, count)
    assert batch is not None
    with Evaluators(schema.sources, Limits(), twice=False) as evaluators:
        evaluators.choose("t", "out")
        with pytest.raises(MigrationFailed, match="the values that were computed for them do not"):
            evaluators.answer(batch, lambda: False)


def test_values_that_do_not_match_the_documents_are_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut(monkeypatch)
    connection = database({n: [f"v{n}", 1, None, None, None, None] for n in (1, 2, 3)}, "rowids")
    before = contents(connection)
    with pytest.raises(MigrationFailed, match="the values that were computed for them do not"):
        in_batches(connection, SCHEMAS["(row) => row.s"])
    connection.execute("ROLLBACK")
    assert contents(connection) == before
