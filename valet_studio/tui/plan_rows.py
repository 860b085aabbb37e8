"""The plan as rows of a tree. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from valet_studio.errors import Location, Problem
from valet_studio.pipeline import StudioState
from valet_studio.plan.changes import AnyChange, Change, Plan
from valet_studio.tui.text import count

RowKey: TypeAlias = tuple[str, str, str]
"""Table, kind, column or index: what a row is called from one plan to the next."""

WARNINGS = "Warnings"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree: a table, a change, or a warning."""

    key: RowKey
    text: str
    sign: str = ""
    counted: str = ""
    """What stands at the right edge."""
    change: AnyChange | None = None
    problem: Problem | None = None

    @property
    def heading(self) -> bool:
        """Whether other rows stand below it."""
        return self.change is None and self.problem is None

    @property
    def location(self) -> Location | None:
        """Where schema.ts says it."""
        if self.change is not None:
            return self.change.location
        return self.problem.location if self.problem is not None else None


def plan_rows(state: StudioState) -> tuple[Row, ...]:
    """Tables in the order of their first change, each with its changes; warnings at the end."""
    plan = state.plan
    if plan is None:
        return ()
    order = {name: at for at, name in reversed(list(enumerate(c.table for c in plan.changes)))}
    changes = sorted(plan.changes, key=lambda change: order[change.table])
    rows: list[Row] = []
    for table, group in groupby(changes, key=lambda change: change.table):
        members = list(group)
        rows.append(Row((table, "", ""), table, counted=count(len(members), "change")))
        seen: dict[RowKey, int] = {}
        for change in members:
            name = change.column or change.index or ""
            key = (table, change.kind, name)
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > 1:
                key = (table, change.kind, f"{name} {seen[key]}")
            text = change.summary
            if change.column is not None:
                text = text.replace(f"{table}.{change.column}", change.column, 1)
            rows.append(Row(key, text, change.shown_sign, rows_counted(change), change))
    warnings = list(dict.fromkeys((*plan.warnings, *state.problems)))
    if warnings:
        rows.append(Row((WARNINGS, "", ""), WARNINGS, counted=count(len(warnings), "warning")))
    for at, item in enumerate(warnings):
        rows.append(Row((WARNINGS, str(at), item.message), item.message, "!", problem=item))
    return tuple(rows)


def row_to_select(
    rows: tuple[Row, ...], before: RowKey | None, order_before: list[RowKey]
) -> RowKey:
    """Where the cursor goes in new rows: it stays, or moves as little as possible.

    The same row; else the nearest that is still there of the same table, changes first; else the
    first rejected change, else the first change.
    """
    keys = {row.key for row in rows}
    if before in keys and before is not None:
        return before
    changes = [row for row in rows if not row.heading]
    if before is not None and before in order_before:
        at = order_before.index(before)
        near = [*order_before[at + 1 :], *reversed(order_before[:at])]
        left = [key for key in near if key in keys and key[1]]
        for key in (*left, *(row.key for row in changes)):
            if key[0] == before[0]:
                return key
    return next((row.key for row in changes if row.sign == "✗"), changes[0].key)


def signs_counted(plan: Plan) -> str:
    """ "+1 ~2": how many changes of each sign, in the order of the signs' meaning."""
    signs: Counter[str] = Counter(change.shown_sign for change in plan.changes)
    return " ".join(f"{sign}{signs[sign]}" for sign in "+-~!✗" if signs[sign])


def rows_counted(change: Change) -> str:
    """ "142 rows" for a change that touches documents, "3 break it" for a broken promise."""
    if change.offending:
        return f"{change.offending:,} break it"
    return count(change.rows, "row") if change.rows else ""
