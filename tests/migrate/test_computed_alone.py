"""A dry run computes some documents once more, alone, and compares them with what was stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from plain_loop import database, schema_of
from support import EVERYWHERE, Project
from support import schema_of as schema_text

from valet_studio.database.inspect import inspect
from valet_studio.errors import MigrationFailed
from valet_studio.migrate import alone, column_writer, work
from valet_studio.migrate.by_input import ByInput
from valet_studio.migrate.documents import Documents, Key
from valet_studio.typescript.cells import Cells

FIELDS = "t: defineTable({ n: v.number(), few: v.number(), out: v.optional(v.any()) })"
SCHEMA = schema_of("(row) => row.n")


@pytest.fixture
def numbers(project: Project) -> Project:
    """Forty documents, each with its own number, and one of three others."""
    project.push(schema_text(f"{FIELDS},"))
    for number in range(1, 41):
        project.sql(
            "INSERT INTO t (_id, n, few) VALUES (?, ?, ?)", (f"d{number}", number, number % 3)
        )
    return project


def shift_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQLite takes apart stands one place too far."""
    by_place = column_writer._by_place

    def shifted(keys: Sequence[Key], cells: Cells) -> bytes | None:
        body = by_place(keys, cells)
        return body and body[cells.width :] + body[: cells.width]

    monkeypatch.setattr(column_writer, "_by_place", shifted)


def shift_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values come in another order than their documents."""
    unpack = Cells.unpack

    def shifted(form: dict[str, Any], body: bytes, large: bool) -> Cells:
        values = unpack(form, body, large).listed
        return Cells.of([*values[1:], *values[:1]])

    monkeypatch.setattr(Cells, "unpack", staticmethod(shifted))


def swap_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQL is told another value for each input."""
    monkeypatch.setattr(work, "WORTHWHILE", 1)
    decided = ByInput._decided
    monkeypatch.setattr(
        ByInput, "_decided", lambda self: f"CASE {decided(self)} WHEN 'a' THEN 'b' ELSE 'a' END"
    )


@pytest.mark.parametrize(
    ("fault", "function"),
    [
        (shift_bytes, "row => row.n % 7"),
        (shift_bytes, "row => 'text ' + row.n"),
        (shift_bytes, "row => row.n * 1000003"),
        (shift_answers, "row => [row.n]"),
        (swap_outcomes, "row => row.few > 1 ? 'a' : 'b'"),
    ],
)
def test_a_value_that_went_to_another_document_stops_it(
    numbers: Project,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[pytest.MonkeyPatch], None],
    function: str,
) -> None:
    numbers.write(schema_text(f"{FIELDS}.backfill('out', {function}),"))
    fault(monkeypatch)
    with pytest.raises(MigrationFailed, match=r'Document "d\d+" of "t" was given another value'):
        numbers.dry_run()


@EVERYWHERE
@pytest.mark.parametrize("function", ["row => row.n % 7", "row => ({ ...row })", "() => null"])
def test_right_values_pass(numbers: Project, function: str) -> None:
    numbers.write(schema_text(f"{FIELDS}.backfill('out', {function}),"))
    (backfill,) = numbers.dry_run().backfills
    assert backfill.deterministic is True


def test_a_function_that_notes_for_whom_it_ran_is_found_to_vary(numbers: Project) -> None:
    text = schema_text(
        f"{FIELDS}.backfill('out', row => (calls[row._id] ??= 0, ++calls[row._id])),"
    )
    numbers.write(
        text.replace("export default", "const calls: Record<string, number> = {}\nexport default")
    )
    (backfill,) = numbers.dry_run().backfills
    assert backfill.deterministic is False


ROWIDS = st.integers(-(2**63), 2**63 - 1) | st.integers(1, 60)


@pytest.mark.parametrize("layout", ["rowids", "without rowids", "column named rowid"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rowids=st.sets(ROWIDS, max_size=50))
@example(rowids={-(2**63), 2**63 - 1})
@example(rowids=set(range(-(2**63), -(2**63) + 40)))
@example(rowids=set(range(2**63 - 40, 2**63)))
def test_documents_from_the_whole_table_are_looked_at(layout: str, rowids: set[int]) -> None:
    connection = database({rowid: [None] * 6 for rowid in rowids}, layout)
    documents = Documents(connection, SCHEMA.tables[0], inspect(connection).tables[0])
    keys = [batch.keys for batch in alone.spread(documents)]
    there: list[Any] = [
        key for (key,) in connection.execute(f"SELECT {documents.key} FROM t").fetchall()
    ]
    assert all(len(found) == 1 and found[0] in there for found in keys)
    assert len(keys) == len({found[0] for found in keys}) <= alone.CHECKED
    assert bool(keys) == bool(there)
    if layout == "rowids" and there:
        assert {min(there), max(there)} <= {found[0] for found in keys}


def test_a_large_document_or_one_that_cannot_be_read_is_passed_over() -> None:
    connection = database({1: ["x" * (1 << 19), *[None] * 5], 2: [None] * 6}, "rowids")
    connection.execute("INSERT INTO t (rowid, _id, s) VALUES (3, 'd3', CAST(x'ff' AS TEXT))")
    documents = Documents(connection, SCHEMA.tables[0], inspect(connection).tables[0])
    assert [batch.keys[0] for batch in alone.spread(documents)] == [2]
