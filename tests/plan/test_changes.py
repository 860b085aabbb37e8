"""Changes as values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from valet_studio.plan.changes import (
    Change,
    DeprecateField,
    Drift,
    DropIndex,
    DropSearchIndex,
    RestoreTable,
    WidenField,
)

KINDS = (DeprecateField, Drift, DropIndex, DropSearchIndex, RestoreTable, WidenField)


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_equal_to_none_of_another_kind(kind: type[Change]) -> None:
    change = kind(table="todos", summary="It changes.", rule="Because.")
    others = [
        each(table="todos", summary="It changes.", rule="Because.")
        for each in KINDS
        if each is not kind
    ]

    assert change == kind(table="todos", summary="It changes.", rule="Because.")
    assert change not in others


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_filled_into_a_new_change_of_its_kind(kind: type[Change]) -> None:
    change = kind(table="todos", summary="It changes.", rule="Because.")

    counted = replace(change, rows=3)

    assert type(counted) is kind
    assert (change.rows, counted.rows) == (None, 3)
    with pytest.raises(AttributeError):
        change.rows = 3  # type: ignore[misc]
