"""Questions about the data of one table, and their answers.

`plan.measure` asks them without knowing a connection; `database.ask` runs them without knowing
a plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from valet_studio.schema.model import Validator
from valet_studio.schema.values import StoredValue

CONFORMS = "valet_conforms"
"""The SQL function that a condition calls where only Python can check a stored value:
`valet_conforms("column")` is 1 where the value satisfies the question's `check`, else 0."""

MAX_EXAMPLES = 5
"""How many `_id`s an answer names."""

MAX_VALUES = 12
"""How many different values an answer names."""


@dataclass(frozen=True, slots=True)
class Question:
    """How many documents of a table meet a condition, and which."""

    name: str
    """The key of its answer; unique within one plan."""
    table: str
    condition: str | None = None
    """An SQL expression; None counts every document."""
    check: Validator | None = None
    """What `CONFORMS` checks within `condition`."""
    examples: bool = False
    """Whether the `_id`s of some of the documents are wanted."""
    column: str | None = None
    """The column of which it is told what those documents hold; None where that is not wanted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the data said."""

    count: int
    examples: tuple[str, ...] = ()
    values: tuple[tuple[StoredValue, int], ...] = ()
    """What the documents hold and how many of them, most frequent first; one value more than
    `MAX_VALUES` where there are others."""
