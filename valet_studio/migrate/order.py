"""What is to be carried out: on the live database, on a copy of it, or on a server's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import apsw

from valet_studio.database.inspect import inspect
from valet_studio.errors import PlanIsStale
from valet_studio.migrate.reruns import armed_again
from valet_studio.plan.changes import Plan
from valet_studio.plan.compare import compare
from valet_studio.schema.model import Schema
from valet_studio.schema.state import DatabaseState
from valet_studio.typescript.limits import Limits


@dataclass(frozen=True, slots=True)
class Order:
    """A plan, and the schema of which it is one."""

    schema: Schema
    plan: Plan
    limits: Limits
    """What its backfills may use."""
    strict: bool = False
    """Whether a backfill that varies is refused."""
    again: Collection[str] = ()
    """Keys of backfills that are run although they ran before."""

    def planned_anew(self, connection: apsw.Connection) -> tuple[DatabaseState, Plan]:
        """The database as it is now, and the plan of the same schema for it."""
        state = armed_again(inspect(connection), self.again)
        return state, compare(self.schema, state, strict=self.strict)

    def is_stale(self, now: Plan) -> bool:
        """Whether the database or the schema changed since the plan was made."""
        return now.fingerprint != self.plan.fingerprint


def stale_plan() -> PlanIsStale:
    """The refusal of a plan that was made for another state."""
    return PlanIsStale(
        "The database or the schema changed after this plan was made. Nothing was applied.",
        "Look at the new plan, then apply that.",
    )
