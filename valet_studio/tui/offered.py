"""The quick fixes of a row of the plan. Pure."""

from __future__ import annotations

from valet_studio.fixes.fix import Fix
from valet_studio.fixes.offer import fixes_for
from valet_studio.tui.facts import Facts
from valet_studio.tui.plan_rows import PlanRow


def offered(facts: Facts, row: PlanRow | None) -> tuple[Fix, ...]:
    """The quick fixes of a row; none while the plan on screen is an old one."""
    state = facts.good
    if row is None or row.change is None or facts.broken or state is None:
        return ()
    if state.schema is None or state.plan is None:
        return ()
    return fixes_for(row.change, state.schema, state.plan)
