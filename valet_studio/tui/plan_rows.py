"""The plan as rows of a tree. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias

from valet_studio.errors import Location, Problem
from valet_studio.pipeline import StudioState
from valet_studio.plan.changes import AnyChange, Change, Drift, Plan, Risk, RunBackfill, by_table
from valet_studio.tui.text import count

RowKey: TypeAlias = tuple[str, str, str]
"""Table, kind, column or index: what a row is called from one plan to the next."""

WARNINGS = "Warnings"
TYPE_ERRORS = "Type errors"


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One line of the tree: a table, a change, or a warning."""

    key: RowKey
    text: str
    sign: str = ""
    counted: str = ""
    """What stands at the right edge."""
    change: AnyChange | None = None
    problem: Problem | None = None
    warns: bool = False
    """Whether it needs a look before it is applied."""

    @property
    def parent(self) -> RowKey:
        """The key of the heading above it; a heading's is its own."""
        return (self.key[0], "", "")

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


def plan_rows(state: StudioState, type_errors: tuple[Problem, ...] = ()) -> tuple[PlanRow, ...]:
    """Tables in the order of their first change, each with its changes; then what the type
    checker says, and the warnings."""
    plan = state.plan
    if plan is None:
        return ()
    rows: list[PlanRow] = []
    for table, members in by_table(plan.changes):
        worst = "  ✗" if any(c.risk is Risk.BREAKING for c in members) else ""
        worst = worst or ("  !" if any(c.risk is Risk.WARNING for c in members) else "")
        counted = _counted(members) + worst
        rows.append(PlanRow((table, "", ""), table, counted=counted))
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
            warns = change.risk is not Risk.SAFE
            told = rows_counted(change)
            text = text.replace(f" for {count(change.rows or 0, 'document')}", "", 1)
            rows.append(PlanRow(key, text, change.shown_sign, told, change, warns=warns))
    rows += _problems(TYPE_ERRORS, "✗", "error", type_errors)
    rows += _problems(
        WARNINGS, "!", "warning", tuple(dict.fromkeys((*plan.warnings, *state.problems)))
    )
    return tuple(rows)


def _counted(members: Sequence[AnyChange]) -> str:
    """ "2 changes · 1 unexplained": what an apply changes, and what it leaves as it is."""
    unexplained = sum(isinstance(change, Drift) for change in members)
    pending = len(members) - unexplained
    said = [count(pending, "change")] if pending else []
    return " · ".join([*said, f"{unexplained:,} unexplained"] if unexplained else said)


def _problems(title: str, sign: str, noun: str, items: tuple[Problem, ...]) -> list[PlanRow]:
    """A heading and a row for each problem; none where there is none."""
    if not items:
        return []
    rows = [PlanRow((title, "", ""), title, counted=count(len(items), noun))]
    seen: Counter[str] = Counter()
    for item in items:
        seen[item.message] += 1
        name = f"{item.message} {seen[item.message]}"
        place = f"line {item.location.line}" if item.location is not None else ""
        rows.append(PlanRow((title, "problem", name), item.message, sign, place, problem=item))
    return rows


def matching(rows: tuple[PlanRow, ...], words: str) -> list[PlanRow]:
    """The rows that hold every one of the words, in whatever case, with their headings.

    Words are looked for in table, kind, column, index, sentence, risk and sign.
    """
    wanted = words.casefold().split()
    shown: list[PlanRow] = []
    for _, group in groupby(rows, key=lambda row: row.parent):
        heading, *members = group
        found = [row for row in members if all(word in _searched(row) for word in wanted)]
        if found:
            if len(found) < len(members):
                heading = replace(heading, counted=f"{len(found):,} of {len(members):,} shown")
            shown += [heading, *found]
    return shown


def _searched(row: PlanRow) -> str:
    parts = [*row.key, row.text, row.sign]
    if row.change is not None:
        kind = row.change.kind
        parts += [kind.replace("_", " "), row.change.risk, row.change.column or ""]
    return " ".join(parts).casefold()


def row_to_select(
    rows: tuple[PlanRow, ...], before: RowKey | None, order_before: list[RowKey]
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
    return rejected(rows) or changes[0].key


def rejected(rows: tuple[PlanRow, ...]) -> RowKey | None:
    """The first change that rejects the plan; None where none does."""
    return next((row.key for row in rows if row.sign == "✗" and row.change is not None), None)


def marked_rows(rows: Sequence[PlanRow]) -> frozenset[RowKey]:
    """The rows that stand in the way of an apply; where none does, those that need a look."""
    found = {row.key for row in rows if row.sign == "✗"}
    return frozenset(found or (row.key for row in rows if row.warns or row.sign == "!"))


def signs_counted(plan: Plan) -> str:
    """ "+1 ~2": how many changes of each sign, in the order of the signs' meaning."""
    signs: Counter[str] = Counter(change.shown_sign for change in plan.changes)
    return " ".join(f"{sign}{signs[sign]}" for sign in "+-~!✗" if signs[sign])


def rows_counted(change: Change) -> str:
    """ "142 rows" for a change that writes documents, "3 break it" for a broken promise."""
    if change.offending:
        return f"{change.offending:,} break it"
    writes = isinstance(change, RunBackfill) and change.rows
    return count(change.rows, "row") if writes and change.rows is not None else ""
