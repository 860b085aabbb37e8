"""Values reach the server and come back exactly, whatever they are."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libsql_servers import Sqld, sqld

from valet_studio.libsql.cells import batches, packed, unpacked
from valet_studio.libsql.hrana import server_at
from valet_studio.libsql.session import reading

CELLS = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.binary(max_size=20)
)


@pytest.fixture(scope="module")
def libsql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqld]:
    with sqld(tmp_path_factory.mktemp("cells")) as server:
        yield server


def exactly(value: object) -> object:
    """What tells 1 from 1.0, and 0.0 from -0.0."""
    return struct.pack("<d", value) if isinstance(value, float) else (type(value), value)


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=30))
def test_what_is_sent_is_what_comes_back(
    libsql: Sqld, rows: list[tuple[str | bytes | float | int | None, ...]]
) -> None:
    with reading(server_at(libsql.url, None)) as session:
        found = session.execute(
            f"SELECT {unpacked(0)}, {unpacked(1)} FROM json_each(?)", (packed(rows),)
        ).fetchall()
    assert [tuple(map(exactly, row)) for row in found] == [tuple(map(exactly, r)) for r in rows]


ENDS = (5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -0.0, 2.0**63)
MISREAD = (736689.416790149, 33928198909.18083, 1.632456539469175e308, -1.114648772330667e-10)
"""Reals that a server reads one place off where they come as decimals."""


@pytest.mark.parametrize("value", [*ENDS, *MISREAD])
def test_reals_are_exact_where_decimals_are_not(libsql: Sqld, value: float) -> None:
    with reading(server_at(libsql.url, None)) as session:
        found = session.execute(f"SELECT {unpacked(0)} FROM json_each(?)", (packed([(value,)]),))
        assert exactly(found.get) == exactly(value)


@pytest.mark.parametrize(("value", "number"), [(math.inf, "9e999"), (-math.inf, "-9e999")])
def test_infinite_reals_arrive(libsql: Sqld, value: float, number: str) -> None:
    # An answer cannot carry one, so the server compares.
    same = f"SELECT typeof(x) = 'real' AND x = {number} FROM (SELECT {unpacked(0)} AS x FROM json_each(?))"
    with reading(server_at(libsql.url, None)) as session:
        assert session.execute(same, (packed([(value,)]),)).get == 1


def test_batches_hold_all_rows_in_order_and_stay_small() -> None:
    rows = [(number, "x" * (number % 50)) for number in range(1_000)]
    made = [text for text in batches(rows, 2_000) if isinstance(text, str)]
    assert max(map(len, made)) <= 2_100
    assert "[" + ",".join(text[1:-1] for text in made) + "]" == packed(rows)
    assert list(batches([], 2_000)) == []


def test_a_row_that_is_too_large_for_a_batch_comes_alone() -> None:
    rows = [(1, "a"), (2, "b" * 3_000), (3, "c")]
    assert list(batches(rows, 2_000)) == [(2, "b" * 3_000), packed([rows[0], rows[2]])]
