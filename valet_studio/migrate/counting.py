"""Counting a backfill's inputs beside the writing of its values."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing
from types import TracebackType

import apsw

from valet_studio.migrate.by_input import ByInput
from valet_studio.migrate.events import IsCancelled
from valet_studio.typescript.cells import Value


class Counting:
    """Counts a table's inputs on a connection and a thread of its own. A context manager.

    For a transaction that holds the write lock and has not written the input's column: the other
    connection sees the state before it, in which the column is the same
    (https://www.sqlite.org/isolation.html). What keeps it from reading, such as a cache that was
    written out early in rollback mode, is no harm: then the count is made afterwards.
    """

    def __init__(self, by_input: ByInput, cancelled: IsCancelled) -> None:
        self._by_input = by_input
        self._cancelled = cancelled
        self._is_over = False
        self._found: Counter[Value] | None = None
        self._failed = False
        self._reads = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Counting:
        self._thread.start()
        self._reads.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over = True
        self._thread.join()

    @property
    def sees_others(self) -> bool:
        """Whether it is known already that there are other inputs."""
        return not self._thread.is_alive() and not self._failed and self._found is None

    def result(self) -> Counter[Value] | None:
        """How many documents get each value; None where there are other inputs."""
        self._thread.join()
        return self._by_input.counted() if self._failed else self._found

    def _run(self) -> None:
        try:
            flags = apsw.SQLITE_OPEN_READONLY
            with closing(apsw.Connection(self._by_input.path, flags=flags)) as connection:
                connection.set_progress_handler(self._unwanted, 20_000)
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
                self._reads.set()  # From here on nobody can keep it from reading on.
                self._found = self._by_input.count_on(connection)
        except apsw.Error:
            self._failed = True
        finally:
            self._reads.set()

    def _unwanted(self) -> bool:
        return self._is_over or self._cancelled()
