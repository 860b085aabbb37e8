"""Taking back what a backfill wrote of its column, where one document failed."""

from __future__ import annotations

from contextlib import closing
from typing import Protocol

import apsw

from valet_studio.migrate.column_writer import ColumnWriter
from valet_studio.plan.sql import is_own_trigger
from valet_studio.schema.names import quote


class WayBack(Protocol):
    """Begun before the first value is written."""

    def take_back(self) -> None:
        """Leave the column as it was; it may be written anew."""

    def end(self) -> None:
        """The way back is no longer needed."""


def way_to_take_back(writer: ColumnWriter) -> WayBack:
    """The way that costs less while all goes well.

    With a savepoint open, SQLite copies every page that is changed once more in WAL mode. There
    another connection can still read the column as it was, where no trigger hears of what is
    written; it must not have been written in this transaction before.
    """
    documents = writer.documents
    unheard = all(is_own_trigger(t.name, documents.state.name) for t in documents.state.triggers)
    named = documents.connection.filename and documents.key != quote("_id")
    if writer.in_wal and unheard and named:
        return _FromBefore(writer)
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


class _FromBefore:
    """The column as it was committed, which others see until the transaction ends
    (https://www.sqlite.org/isolation.html)."""

    def __init__(self, writer: ColumnWriter) -> None:
        self._writer = writer

    def take_back(self) -> None:
        self._writer.empty()
        path, flags = self._writer.documents.connection.filename, apsw.SQLITE_OPEN_READONLY
        with closing(apsw.Connection(path, flags=flags)) as before:
            self._writer.restore(before)

    def end(self) -> None:
        pass
