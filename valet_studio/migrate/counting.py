"""Counting a backfill's inputs beside the writing of its values."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing, suppress

import apsw

from valet_studio.errors import IsCancelled
from valet_studio.migrate.by_input import ByInput
from valet_studio.migrate.snapshot_files import journal_mode
from valet_studio.typescript.cells import Value

ROOM_KIB = 128 * 1024
"""Memory for the writer's pages meanwhile: in rollback mode what no longer finds room waits until
nobody reads the file (https://www.sqlite.org/lockingv3.html)."""
_BETWEEN_LOOKS = 0.01
"""Seconds between two looks at whether it is still wanted, while it waits for its turn."""


class Counting:
    """Counts a table's inputs on a connection and a thread of its own. A context manager.

    For a transaction that holds the write lock and has not written the input's column: the other
    connection sees the state before it, in which the column is the same
    (https://www.sqlite.org/isolation.html). What keeps it from reading, such as a cache that was
    written out early in rollback mode, is no harm: then the count is made afterwards.

    Args:
        by_input: what is counted.
        writer: the connection of the transaction.
        cancelled: polled.
        quiet: set once nothing else reads beside the transaction; it counts from then on. With two
            readers beside it the transaction, for which others wait, has no processor of its own
            where there are two.
    """

    def __init__(
        self,
        by_input: ByInput,
        writer: apsw.Connection,
        cancelled: IsCancelled,
        quiet: threading.Event | None = None,
    ) -> None:
        self._by_input = by_input
        self._writer = writer
        self._room: int | None = None
        self._cancelled = cancelled
        self._quiet = quiet
        self._is_over = False
        self._found: Counter[Value] | None = None
        self._failed = False
        self._reads = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Counting:
        self._thread.start()
        self._reads.wait()
        if journal_mode(self._writer) != "wal":
            self._room = int(self._writer.execute("PRAGMA cache_size").get)
            self._writer.execute(f"PRAGMA cache_size = -{ROOM_KIB}")
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()
        with suppress(apsw.Error):
            self._give_room_back()

    def sees_others(self) -> bool:
        """Whether it is known already that there are other inputs."""
        if self._thread.is_alive():
            return False
        self._give_room_back()
        return not self._failed and self._found is None

    def result(self) -> Counter[Value] | None:
        """How many documents get each value; None where there are other inputs."""
        self._thread.join()
        return self._by_input.counted() if self._failed else self._found

    def _give_room_back(self) -> None:
        if self._room is not None:
            self._writer.execute(f"PRAGMA cache_size = {self._room}")
            self._room = None

    def _run(self) -> None:
        try:
            flags = apsw.SQLITE_OPEN_READONLY
            with closing(apsw.Connection(self._by_input.path, flags=flags)) as connection:
                connection.set_progress_handler(self._unwanted, 20_000)
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
                self._reads.set()  # From here on nobody can keep it from reading on.
                while self._quiet is not None and not self._quiet.wait(_BETWEEN_LOOKS):
                    if self._unwanted():
                        self._failed = True
                        return
                self._found = self._by_input.count_on(connection)
        except apsw.Error:
            self._failed = True
        finally:
            self._reads.set()

    def _unwanted(self) -> bool:
        return self._is_over or self._cancelled()
