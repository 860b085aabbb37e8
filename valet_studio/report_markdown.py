"""A plan as Markdown, for a pull request. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from valet_studio.errors import Problem
from valet_studio.plan.changes import AnyChange, NarrowField, Plan, Risk
from valet_studio.report import headline, held_values, plan_sql, written
from valet_studio.schema.telling import one_line


def plan_markdown(plan: Plan, notes: Sequence[Problem] = ()) -> str:
    """The plan for a pull request: a table of changes, notes, and the SQL folded away."""
    lines = ["### Migration plan", "", _escaped(headline(plan)), ""]
    if plan.changes:
        lines += ["| | Table | Change | Risk | Where |", "|---|---|---|---|---|"]
        for change in plan.changes:
            place = _code(str(change.location)) if change.location else ""
            lines.append(
                f"| {change.shown_sign} | {_code(change.table)} | "
                f"{_escaped(change.summary)} | {change.risk.value} | {place} |"
            )
        lines.append("")
    for change in plan.changes:
        if change.risk is not Risk.SAFE:
            lines += [f"- **{_escaped(change.summary)}** {_escaped(change.rule)}"]
            lines += _breaking(change)
    for warning in plan.warnings:
        hint = f" {_escaped(warning.hint)}" if warning.hint else ""
        lines += [f"- **{_escaped(warning.message)}**{hint}"]
    for note in notes:
        lines += [f"- {_escaped(note.message)} {_escaped(note.hint or '')}".rstrip()]
    if lines[-1]:
        lines.append("")
    if any(change.sql for change in plan.pending):
        text = plan_sql(plan)
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        lines += ["<details><summary>SQL</summary>", "", f"{fence}sql"]
        lines += [text.rstrip("\n"), fence, "", "</details>", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _breaking(change: AnyChange) -> list[str]:
    """Which documents break a promise, and what they hold."""
    if not (isinstance(change, NarrowField) and change.examples):
        return []
    more = (change.rows or 0) - len(change.examples)
    named = ", ".join(_code(who, in_table=False) for who in change.examples)
    rest = f" and {more:,} more" if more > 0 else ""
    held = held_values(change, lambda value: _code(written(value), in_table=False))
    return [f"  - Documents: {named}{rest}", *([f"  - They hold: {held}"] if held else [])]


def _escaped(text: str) -> str:
    """Text that means itself in a table's cell."""
    escaped = html.escape(one_line(text), quote=False)
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", escaped)


def _code(text: str, *, in_table: bool = True) -> str:
    text = one_line(text)
    if in_table:
        text = text.replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"
