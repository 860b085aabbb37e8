"""The demo's tour: the seed document, section by section, as saves of one schema.ts.

The seed tells several histories (its `priority` is a number in one place and a string in
another); here they are one: each step is a legal next save on the demo's database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from valet_studio.config import Settings
from valet_studio.paths import write_atomically
from valet_studio.plan.changes import Status
from valet_studio.scaffold import DEMO_AFTER, DEMO_BEFORE


@dataclass(frozen=True, slots=True)
class Step:
    """One save of schema.ts, and what there is to say of it."""

    title: str
    caption: str
    """What the audience sees, and what the speaker does next."""
    section: str
    """The seed's heading that it follows."""
    schema_text: str
    status: Status
    """The plan's, where the steps before were applied."""
    changes: tuple[str, ...] = ()
    """The plan's changes, each as sign, kind and place (`+ add_column todos.dueDate`)."""
    then: Literal["look", "apply"] = "look"
    """Whether the tour goes on from the applied plan or from the mere look."""


_PRIORITY = "        priority: v.string(),\n"
_DUE_DATE = "        dueDate: v.optional(v.string()),\n"

_ADDED = DEMO_BEFORE.replace(
    _PRIORITY,
    _PRIORITY + "        dueDate: v.optional(v.string()), // new optional field\n",
)
_DEPRECATED = DEMO_BEFORE.replace(
    _PRIORITY,
    "        priority: v.string().deprecated(), // kept in DB, excluded from types\n"
    "        priorityNum: v.number(),           // new replacement field\n" + _DUE_DATE,
)
_BACKFILLED = DEMO_AFTER.replace(
    "        priorityNum: v.number(),\n", "        priorityNum: v.number(),\n" + _DUE_DATE
)
_REFUSED = _BACKFILLED.replace("completed: v.number(),", "completed: v.boolean(),")
_MENDED = _BACKFILLED.replace(
    "completed: v.number(),\n",
    "completed: v.number().deprecated(),\n        completedFlag: v.boolean(),\n",
).replace(
    "?? 1\n        }),\n",
    "?? 1\n        })\n"
    "        .backfill('completedFlag', (row) => "
    "row.completed === null ? false : row.completed !== 0),\n",
)
_OLD_BACKFILL = DEMO_AFTER[
    DEMO_AFTER.index("        .backfill('priorityNum'") : DEMO_AFTER.index("        }),\n})")
]
_REMOVED = _MENDED.replace("        priority: v.string().deprecated(),\n", "").replace(
    _OLD_BACKFILL + "        })\n", ""
)

STEPS: tuple[Step, ...] = (
    Step(
        "Before",
        "142 todos, and a schema that says what they hold. Schema and database agree.",
        "Schema Migrations",
        DEMO_BEFORE,
        "in_sync",
    ),
    Step(
        "Add a field",
        "dueDate is new and optional: one ALTER TABLE ADD COLUMN, and no todo breaks a promise. "
        "Apply it.",
        "Adding fields",
        _ADDED,
        "pending",
        ("+ add_column todos.dueDate",),
        "apply",
    ),
    Step(
        "Replace a field",
        "priority leaves the generated types and stays in the database; priorityNum takes over. "
        "The plan warns: 142 documents will hold null. So do not apply it yet.",
        "Removing fields with .deprecated()",
        _DEPRECATED,
        "pending",
        ("+ add_column todos.priorityNum", "- deprecate_field todos.priority"),
    ),
    Step(
        "Backfill it",
        "A function computes priorityNum from the old word. Rehearse it on a copy, see the new "
        "values, then apply it: 142 rows are updated, once and never again.",
        "Backfills with .backfill()",
        _BACKFILLED,
        "pending",
        (
            "+ add_column todos.priorityNum",
            "- deprecate_field todos.priority",
            "~ run_backfill todos.priorityNum",
        ),
        "apply",
    ),
    Step(
        "Change a type",
        "completed becomes a boolean. SQLite cannot alter a column's type, so the push is "
        "refused whole: nothing can be applied.",
        "Type changes are not allowed",
        _REFUSED,
        "blocked",
        ("✗ change_type todos.completed",),
    ),
    Step(
        "Mend it by the recipe",
        "The quick fix writes the recipe: the old field deprecated, a new one, and a backfill "
        "that converts. Apply it.",
        "Type changes are not allowed",
        _MENDED,
        "pending",
        (
            "+ add_column todos.completedFlag",
            "- deprecate_field todos.completed",
            "~ run_backfill todos.completedFlag",
        ),
        "apply",
    ),
    Step(
        "Remove the old field",
        "No reader needs priority any more, so it leaves the schema. Its column and its 142 "
        "values are kept: nothing is ever dropped.",
        "Removing fields with .deprecated()",
        _REMOVED,
        "pending",
        ("- remove_field todos.priority",),
        "apply",
    ),
)


@dataclass(slots=True)
class Tour:
    """A walk through `STEPS` that saves the schema of its settings, as an editor would."""

    settings: Settings
    _taken: int = field(default=0, init=False)

    @property
    def step(self) -> Step | None:
        """The step that was saved last."""
        return STEPS[self._taken - 1] if self._taken else None

    @property
    def left(self) -> int:
        """How many steps are still to come."""
        return len(STEPS) - self._taken

    @property
    def edits(self) -> str | None:
        """What schema.ts holds where neither the tour nor the demo wrote it: somebody's work."""
        try:
            held = self.settings.schema_path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        ours = {DEMO_BEFORE, DEMO_AFTER, *(step.schema_text for step in STEPS)}
        return None if held in ours else held

    def back(self) -> Step | None:
        """Save the schema of the step before; None where there is none. The database stays.

        Raises:
            StudioError: schema.ts cannot be written; the tour stays where it is.
        """
        if self._taken < 2:
            return None
        step = STEPS[self._taken - 2]
        write_atomically(self.settings.schema_path, step.schema_text)
        self._taken -= 1
        return step

    def next(self) -> Step | None:
        """Save the next step's schema; None where the tour is over.

        Raises:
            StudioError: schema.ts cannot be written; the tour stays where it is.
        """
        if not self.left:
            return None
        step = STEPS[self._taken]
        write_atomically(self.settings.schema_path, step.schema_text)
        self._taken += 1
        return step
