"""Reading a libSQL server as if it were a connection: what `inspect` and `ask` use of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, cast

import apsw

from valet_studio.errors import Cancelled, IsCancelled, never
from valet_studio.libsql.cells import Row
from valet_studio.libsql.hrana import (
    Connection,
    LibsqlServer,
    Result,
    Statement,
    Unreadable,
    result_of,
)


class Cursor:
    """The rows of one statement, as apsw's cursors give them."""

    def __init__(self, result: Result):
        self._rows = result.rows
        self._next = 0

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows[self._next :])

    def fetchall(self) -> list[Row]:
        """All rows."""
        return list(self)

    def fetchone(self) -> Row | None:
        """The next row; None after the last."""
        row = next(iter(self), None)
        self._next += row is not None
        return row

    @property
    def get(self) -> Any:
        """The only value of the only row, as `apsw.Cursor.get` tells it."""
        if not self._rows:
            return None
        first = self._rows[0]
        return first[0] if len(first) == 1 else first


class Session:
    """A connection that only reads. Within `with` everything is of one moment."""

    def __init__(self, connection: Connection, cancelled: IsCancelled):
        self._connection = connection
        self._cancelled = cancelled
        self._depth = 0

    def __enter__(self) -> Session:
        if not self._depth:
            self._run(Statement("BEGIN"))
        self._depth += 1
        return self

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        self._depth -= 1
        if not self._depth and error is None:
            self._run(Statement("ROLLBACK"))

    def execute(self, sql: str, bindings: Sequence[apsw.SQLiteValue] = ()) -> Cursor:
        """Run a statement that reads.

        Raises:
            Cancelled: nothing was asked.
            apsw.SQLError: SQLite refused it.
            apsw.TooBigError: the server does not send so much at once.
            Unreadable: an answer cannot be carried.
            ServerError: there is no answer.
        """
        return Cursor(self._run(Statement(sql, tuple(bindings))))

    @property
    def received(self) -> int:
        """How many bytes the last answer had."""
        return self._connection.received

    def _run(self, statement: Statement) -> Result:
        if self._cancelled():
            raise Cancelled
        server = self._connection.server
        (told,) = self._connection.pipeline(
            [{"type": "execute", "stmt": statement.to_json()}], stay=True
        )
        try:
            if told["type"] == "error":
                raise _refused(server, told["error"])
            return result_of(told["response"]["result"])
        except ValueError as error:
            raise Unreadable(server.url) from error
        except (KeyError, TypeError) as error:
            raise server.not_libsql() from error


def _refused(server: LibsqlServer, error: Any) -> Exception:
    code = str(error.get("code"))
    if code == "RESPONSE_TOO_LARGE":
        return apsw.TooBigError("the answer is too large")
    if "SQLITE_BUSY" in code:
        return server.refused({"message": "the database is busy"})
    reason = server.refused(error).problems[0].message
    return apsw.SQLError(reason.removeprefix(f"{server.url} refused: ").rstrip("."))


@contextmanager
def reading(server: LibsqlServer, cancelled: IsCancelled = never) -> Iterator[Session]:
    """A session on a connection of its own.

    Raises:
        ServerError: the server cannot be reached.
    """
    with closing(server.connect()) as connection:
        yield Session(connection, cancelled)


def as_connection(session: Session) -> apsw.Connection:
    """The session for functions that only read; it does what they use of a connection."""
    return cast("apsw.Connection", session)
