"""Taking back what a backfill wrote of its column, where one document failed."""

from __future__ import annotations

from typing import Protocol

import apsw

from valet_studio.migrate.by_input import writes_no_document
from valet_studio.migrate.column_writer import ColumnWriter


class WayBack(Protocol):
    """Begun before the first value is written."""

    def take_back(self) -> None:
        """Leave the column as it was; it may be written anew."""

    def end(self) -> None:
        """Nothing will have to be taken back any more."""


def way_to_take_back(writer: ColumnWriter) -> WayBack:
    """The way that costs less while all goes well.

    With a savepoint open, SQLite copies every page that is changed once more in WAL mode. A column
    that holds no values yet can be emptied again instead, where no trigger hears of it.
    """
    documents = writer.documents
    unheard = all(
        writes_no_document(t.name, documents.state.name) for t in documents.state.triggers
    )
    if writer.in_wal and unheard and not writer.holds_values():
        return _Emptying(writer)
    return Savepoint(documents.connection)


class Savepoint:
    """SQLite's own."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        connection.execute("SAVEPOINT valet_backfill")

    def take_back(self) -> None:
        """Undo all since."""
        self._connection.execute("ROLLBACK TO valet_backfill")

    def end(self) -> None:
        """Forget it."""
        self._connection.execute("RELEASE valet_backfill")


class _Emptying:
    def __init__(self, writer: ColumnWriter) -> None:
        self._writer = writer

    def take_back(self) -> None:
        self._writer.empty()

    def end(self) -> None:
        pass
