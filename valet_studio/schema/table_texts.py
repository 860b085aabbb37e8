"""Texts of tables that need not be made anew for each schema: a save changes a few of hundreds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from valet_studio.schema.model import Table


class TableTexts:
    """A text of each table, made again only where the table is another one than the last time.

    Args:
        make: the text of a table. It may depend on nothing but the table.
    """

    def __init__(self, make: Callable[[Table], str]):
        self._make = make
        self._last: dict[str, tuple[Table, tuple[str, ...], str]] = {}

    def texts(self, tables: Iterable[Table]) -> list[str]:
        """The text of each table."""
        made: dict[str, tuple[Table, tuple[str, ...], str]] = {}
        for table in tables:
            # Equality leaves out the text of functions, which schema.json shows.
            codes = tuple(backfill.code for backfill in table.backfills)
            known = self._last.get(table.name)
            if known is None or known[0] != table or known[1] != codes:
                known = (table, codes, self._make(table))
            made[table.name] = known
        self._last = made
        return [text for _, _, text in made.values()]
