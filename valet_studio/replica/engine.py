"""A client's side of a server: its file follows the server's schema.

The engine speaks the part of Valet's sync protocol that concerns schemas: on connecting, the
server says which schema holds, and says it again at each change. Documents are synced by the
client's own means.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast
from urllib.parse import urlsplit

from valet_studio.database.target import FileTarget
from valet_studio.errors import (
    Cancelled,
    IsCancelled,
    ServerError,
    StudioError,
    Unsupported,
    never,
    reason_of,
)
from valet_studio.migrate.events import Event, Report
from valet_studio.migrate.history import MigrationId
from valet_studio.remote.target import ServerTarget
from valet_studio.replica.catch_up import catch_up, check_known, missing, where
from valet_studio.schema.received import ReceivedSchemas
from valet_studio.typescript.limits import Limits

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

PROTOCOL_VERSION = 4
"""Of Valet's sync messages."""
CONNECT_SECONDS = 10.0
RETRY_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
"""How long a following replica waits before it connects again, the longer the more it failed."""
_POLL_SECONDS = 0.04

_DEFAULT_LIMITS = Limits()

ConnectedStatus: TypeAlias = Literal["in_sync", "migrated", "failed", "rejected"]


@dataclass(frozen=True, slots=True)
class Connected:
    """What a connection to the server brought."""

    status: ConnectedStatus
    schema_hash: str | None
    """What the replica holds now."""
    reports: tuple[Report, ...] = ()
    """One for each version that was applied, in order."""


def _ignore(_event: Event) -> None:
    pass


class SyncEngine:
    """A replica in a SQLite file, and the server that it follows."""

    def __init__(self, db_path: str | Path, url: str, *, limits: Limits = _DEFAULT_LIMITS):
        """Nothing is opened yet.

        Raises:
            ServerError: the URL cannot be used.
        """
        self._file = FileTarget(str(db_path), Path(db_path))
        self._server = ServerTarget.at(url, None)
        self._limits = limits
        self._schemas = ReceivedSchemas(limits)

    def connect(
        self, cancelled: IsCancelled = never, told: Callable[[Event], object] = _ignore
    ) -> Connected:
        """Learn which schema the server holds, and migrate the file to it. Once.

        Args:
            told: called with each event of the migrations, as it happens.

        Raises:
            ReplicaAhead: the server does not know the replica's schema; nothing was changed.
            ServerError: the server cannot be reached, or speaks another protocol.
            StudioError: a migration could not be carried out; it was rolled back.
        """
        with closing(self._hellos(cancelled)) as hellos:
            return self._follow_to(next(hellos), cancelled, told)

    def follow(
        self,
        cancelled: IsCancelled,
        told: Callable[[Event], object] = _ignore,
        lost: Callable[[StudioError], object] = lambda _error: None,
    ) -> Iterator[Connected]:
        """Stay connected and migrate at each change, until cancelled.

        Args:
            lost: called with what went wrong each time; it is tried again.
        """
        failures = 0
        while not cancelled():
            try:
                with closing(self._hellos(cancelled)) as hellos:
                    for hello in hellos:
                        yield self._follow_to(hello, cancelled, told)
                        failures = 0
            except Cancelled:
                return
            except StudioError as error:
                lost(error)
            wait = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
            failures += 1
            ends = time.monotonic() + wait
            while time.monotonic() < ends and not cancelled():
                time.sleep(_POLL_SECONDS)

    def _follow_to(
        self, hello: _Hello, cancelled: IsCancelled, told: Callable[[Event], object]
    ) -> Connected:
        position = where(self._file)
        same = hello.migration is None or hello.migration == position.migration
        if hello.schema_hash == position.hash and same:
            return Connected("in_sync", position.hash)
        label = self._server.label
        versions = self._server.versions(position)
        check_known(self._file, label, versions)
        if not missing(label, position, versions):
            return Connected("in_sync", position.hash)
        reports = []
        for event in catch_up(
            self._file, versions.after, self._schemas, cancelled, limits=self._limits
        ):
            told(event)
            if isinstance(event, Report) and event.status != "noop":
                reports.append(event)
        if not reports:
            return Connected("in_sync", where(self._file).hash)
        status: ConnectedStatus = "migrated"
        if reports[-1].status in ("failed", "rejected"):
            status = cast("ConnectedStatus", reports[-1].status)
        return Connected(status, where(self._file).hash, tuple(reports))

    def _hellos(self, cancelled: IsCancelled) -> Generator[_Hello]:
        """What the server says, as it comes."""
        with self._connection() as connection:
            while True:
                yield _hello(self._server.label, self._received(connection, cancelled))

    def _received(self, connection: ClientConnection, cancelled: IsCancelled) -> str | bytes:
        while True:
            if cancelled():
                raise Cancelled
            try:
                return connection.recv(timeout=_POLL_SECONDS)
            except TimeoutError:
                continue

    @contextmanager
    def _connection(self) -> Iterator[ClientConnection]:
        try:
            from websockets.exceptions import ConnectionClosed, WebSocketException
            from websockets.sync.client import connect
        except ModuleNotFoundError as error:
            raise Unsupported(
                "A replica needs the package websockets, which is not installed.",
                "Run `pip install 'valet-studio[server]'`.",
            ) from error
        url = self._server.label
        parts = urlsplit(url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        address = parts._replace(scheme=scheme, path=f"{parts.path}/api/sync")
        try:
            with connect(
                address.geturl(), open_timeout=CONNECT_SECONDS, close_timeout=1, proxy=None
            ) as connection:
                yield connection
        except (OSError, WebSocketException) as error:
            closed = isinstance(error, ConnectionClosed)
            why = "it closed the connection" if closed else reason_of(error)
            raise ServerError(
                f"{url} cannot be followed: {why}.",
                "Check the URL, and that `valet-studio serve` is running there.",
            ) from error


@dataclass(frozen=True, slots=True)
class _Hello:
    """What a server says of the schema that it holds."""

    schema_hash: str | None
    migration: MigrationId | None
    """The last one that completed; None where there is none, or the server does not say."""


def _hello(url: str, message: str | bytes) -> _Hello:
    """What a `Hello` says.

    Raises:
        ServerError: it is none, or one of another protocol.
    """
    try:
        hello = json.loads(message)
    except (ValueError, RecursionError):
        hello = None
    if not isinstance(hello, dict) or hello.get("type") != "Hello":
        raise ServerError(f"{url} did not say Hello: it is no server that replicas can follow.")
    version, schema_hash = hello.get("protocolVersion"), hello.get("schemaHash")
    if version != PROTOCOL_VERSION or not isinstance(schema_hash, str | None):
        raise ServerError(
            f"{url} speaks version {version} of the sync protocol, and this program "
            f"{PROTOCOL_VERSION}.",
            "Use versions of server and client that belong together.",
        )
    last = hello.get("migration")
    number, at = (last.get("id"), last.get("appliedAt")) if isinstance(last, dict) else (None, None)
    if not (isinstance(number, int) and isinstance(at, str)):
        return _Hello(schema_hash, None)
    return _Hello(schema_hash, MigrationId(number, at))
