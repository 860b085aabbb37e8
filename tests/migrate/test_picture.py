"""Histograms of what backfills compute: laws of their spans, and what is no spread."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Project, schema_of

from valet_studio.migrate.picture import BINS, LEAST, Picture
from valet_studio.typescript.cells import Cells, Value

NUMBERS = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6)


@given(st.lists(NUMBERS, min_size=LEAST, max_size=200))
def test_spans_meet_and_hold_every_number(values: list[float]) -> None:
    picture = Picture()
    picture.add(Cells.of(values), 0)
    bins = picture.histogram()
    if len(set(map(float, values))) == 1:
        assert bins == ()
        return
    if not bins:  # so close together that floats cannot tell spans apart
        assert max(values) - min(values) < 1e-300
        return
    assert len(bins) <= BINS
    assert sum(item.part for item in bins) == pytest.approx(1)
    assert bins[0].low == min(values)
    assert bins[-1].high >= max(values) or bins[-1].high == pytest.approx(max(values))
    for one, following in pairwise(bins):
        assert one.high == following.low


def test_counted_numbers_have_their_exact_shares() -> None:
    bins = Picture.of({0: 2_999_999, 70.0: 1, None: 5, "x": 9}).histogram()
    assert [item.part * 3_000_000 for item in bins] == pytest.approx([2_999_999, *[0] * 6, 1])


@pytest.mark.parametrize("values", [[], [1.0] * 100, list(range(5)), ["a"] * 100, [True] * 100])
def test_few_equal_or_other_values_are_no_spread(values: list[Value]) -> None:
    picture = Picture()
    picture.add(Cells.of(values), 0)
    assert picture.histogram() == ()


def test_nulls_are_counted_without_the_documents_that_failed() -> None:
    picture = Picture()
    picture.add(Cells.of([None, 1, None, None]), failed=1)
    assert picture.nulls == 2
    picture.forget(Cells.of([None, 1]))
    assert picture.nulls == 1


def test_a_dry_run_tells_nulls_and_how_numbers_spread(project: Project) -> None:
    project.push(schema_of("items: defineTable({ n: v.number() }),"))
    project.sql(
        "WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 799) "
        "INSERT INTO items (_id, n) SELECT 'i' || i, i FROM c"
    )
    fields = "items: defineTable({ n: v.number(), half: v.optional(v.number()) })"
    code = "(row) => (row.n as number) % 4 === 0 ? null : (row.n as number) / 2"
    project.write(schema_of(f"{fields}.backfill('half', {code}),"))
    (backfill,) = project.dry_run().backfills
    assert (backfill.updated, backfill.nulls) == (800, 200)
    assert [round(item.part, 2) for item in backfill.histogram] == pytest.approx(
        [1 / 8] * 8, abs=0.02
    )


def test_every_document_counts_the_same_whatever_batch_it_was_in() -> None:
    picture = Picture()
    picture.add(Cells.of([1.0] * 10), 0)
    picture.add(Cells.of([9.0] * 9_990), 0)
    assert picture.histogram()[0].part == pytest.approx(0.001, rel=0.1)


@pytest.mark.parametrize("batch", [10, 790, 3_000, 3_001, 4_999, 20_000])
@pytest.mark.parametrize("period", [2, 3, 4, 5, 8, 10])
def test_values_that_repeat_every_few_documents_have_their_shares(batch: int, period: int) -> None:
    values: list[Value] = [0.0 if at % period else 80.0 for at in range(20_000)]
    picture = Picture()
    for start in range(0, len(values), batch):
        picture.add(Cells.of(values[start : start + batch]), 0)
    assert picture.histogram()[-1].part == pytest.approx(1 / period, rel=0.1)
