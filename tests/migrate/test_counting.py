"""A backfill's inputs are counted beside the transaction that writes its values."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from support import never

from valet_studio.database.inspect import inspect
from valet_studio.migrate.by_input import ByInput
from valet_studio.migrate.counting import Counting
from valet_studio.migrate.documents import Documents
from valet_studio.schema.model import Table
from valet_studio.typescript.cells import Value


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(tmp_path / "a.db"))
    connection.execute(
        "PRAGMA journal_mode = wal; CREATE TABLE t (_id TEXT PRIMARY KEY NOT NULL, s TEXT, n);"
        "INSERT INTO t VALUES ('a', 'high', NULL), ('b', 'low', NULL), ('c', 'high', NULL)"
    ).fetchall()
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once counting begins."""
    begun, count_on = threading.Event(), ByInput.count_on

    def noted(self: ByInput, connection: apsw.Connection) -> Counter[Value] | None:
        begun.set()
        return count_on(self, connection)

    monkeypatch.setattr(ByInput, "count_on", noted)
    return begun


def inputs(writer: apsw.Connection) -> ByInput:
    (state,) = inspect(writer).tables
    documents = Documents(writer, Table("t"), state).reading(frozenset({"s"}))
    found = ByInput.of(documents, "n", {"high": 3, "low": 1})
    assert found is not None
    return found


def test_it_waits_for_its_turn(writer: apsw.Connection, counted: threading.Event) -> None:
    quiet = threading.Event()
    with Counting(inputs(writer), writer, never, quiet) as counting:
        assert not counted.wait(0.1)
        quiet.set()
        assert counting.result() == {3: 2, 1: 1}


@pytest.mark.parametrize("how", ["left", "cancelled"])
def test_its_turn_may_never_come(
    writer: apsw.Connection, counted: threading.Event, how: str
) -> None:
    before = threading.active_count()
    with Counting(inputs(writer), writer, lambda: how == "cancelled", threading.Event()):
        pass
    assert threading.active_count() == before
    assert not counted.is_set()


def test_one_that_was_cancelled_is_counted_by_the_writer_which_is_cancelled_too(
    writer: apsw.Connection,
) -> None:
    by_input = inputs(writer)
    with Counting(by_input, writer, lambda: True, threading.Event()) as counting:
        writer.set_progress_handler(lambda: True, 1)
        with pytest.raises(apsw.InterruptError):
            counting.result()
        writer.set_progress_handler(None)
