"""One declared table beside what the database holds of it: what its comparison looks at."""

from __future__ import annotations

from valet_studio.plan.before import Before, TableBefore
from valet_studio.schema.model import Backfill, Table
from valet_studio.schema.names import fold
from valet_studio.schema.state import ColumnState, TableState


class TableView:
    """A table of the schema, found in the database or not."""

    def __init__(self, table: Table, before: Before, strict: bool) -> None:
        self.table = table
        self.name = table.name
        self.strict = strict
        """Whether a backfill that is not deterministic is breaking."""
        self.before = before
        found = before.state_of(table.name)
        self.found: TableState | None = found if found and found.kind == "table" else None
        self.in_the_way = before.in_the_way(table.name) if self.found is None else None
        """Why the table cannot be created, where that is so."""
        self.past: TableBefore | None = before.table(table.name)
        self.columns: dict[str, ColumnState] = (
            {fold(c.name): c for c in self.found.columns} if self.found else {}
        )
        self.pending_backfills: list[Backfill] = [
            backfill for backfill in table.backfills if before.is_pending(table.name, backfill)
        ]
        self.filled = {fold(b.column) for b in self.pending_backfills}
        """Folded names of the columns that a backfill of this push fills."""

    @property
    def restored(self) -> bool:
        """Whether the table had been removed and is declared again."""
        return self.past is not None and self.past.removed
