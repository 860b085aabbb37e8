"""What a server says first: a replica goes by it, or says what is wrong with it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from support import TRACKED_TODOS, Project
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from valet_studio.errors import ServerError
from valet_studio.replica import SyncEngine


@contextmanager
def answering(how: Callable[[ServerConnection], None]) -> Iterator[str]:
    """The address of a server that does this with each connection."""
    with serve(how, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}/base/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def saying(message: str, paths: list[str]) -> Iterator[str]:
    """The address of a server that says this to all who connect, and knows nothing else."""

    def say(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        connection.send(message)
        with suppress(ConnectionClosed):
            connection.recv()

    with answering(say) as url:
        yield url


def test_a_server_that_closes_the_connection_is_a_sentence(project: Project) -> None:
    with (
        answering(lambda connection: connection.close(1012)) as url,
        pytest.raises(ServerError, match=r"/base cannot be followed: it closed the connection\.$"),
    ):
        SyncEngine(project.root / "client.db", url).connect()


def hello(**changes: Any) -> str:
    return json.dumps({"type": "Hello", "protocolVersion": 4, "schemaHash": None} | changes)


@pytest.mark.parametrize(
    "migration", [{}, {"migration": None}, {"migration": {"id": 1}}, {"migration": {"id": "1"}}]
)
def test_one_that_tells_the_hash_alone_is_followed_by_that(
    project: Project, migration: dict[str, Any]
) -> None:
    project.push(TRACKED_TODOS)
    client = project.root / "client.db"
    shutil.copy(project.database, client)
    held = project.meta()["schema_hash"]
    paths: list[str] = []
    with saying(hello(schemaHash=held, **migration), paths) as url:
        done = SyncEngine(client, url).connect()
    assert (done.status, done.schema_hash) == ("in_sync", held)
    assert paths == ["/base/api/sync"]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("hello", "did not say Hello"),
        ("[" * 100_000, "did not say Hello"),
        ("[]", "did not say Hello"),
        (hello(type="Goodbye"), "did not say Hello"),
        (hello(protocolVersion=3), "speaks version 3 of the sync protocol"),
        (hello(schemaHash=5), "sync protocol"),
    ],
)
def test_one_that_says_something_else_is_not_followed(
    project: Project, message: str, why: str
) -> None:
    client = project.root / "client.db"
    with saying(message, []) as url, pytest.raises(ServerError, match=why):
        SyncEngine(client, url).connect()
    assert not client.exists()
