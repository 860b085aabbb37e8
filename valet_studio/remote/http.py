"""Requests to a push server: JSON answers, and streams of JSON lines, all of them cancellable.

The standard library's client does: no redirect is followed, so that the deploy key goes to no
other server, and nothing is ever sent a second time.
"""

from __future__ import annotations

import http.client
import json
import queue
import socket
import ssl
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from valet_studio.errors import (
    AnswerLost,
    Cancelled,
    IsCancelled,
    ServerError,
    StudioError,
    reason_of,
)
from valet_studio.migrate.wire import NDJSON, decode_error
from valet_studio.schema.model import Json

ANSWER_SECONDS = 60.0
"""How long a server may be silent. While it works it sends an empty line every few seconds."""
_POLL_SECONDS = 0.04
_LONGEST_LINE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Server:
    """A push server as a client knows it."""

    url: str
    key: str | None = field(default=None, repr=False)

    def get(self, path: str, cancelled: IsCancelled, **query: str) -> Json:
        """The JSON answer to a GET.

        Raises:
            Cancelled: `cancelled` answered True.
            StudioError: what the server says went wrong, or that it cannot be reached.
        """
        return self._one(_Call(self, "GET", path, query), cancelled)

    def post(self, path: str, body: bytes, cancelled: IsCancelled, **query: str) -> Json:
        """The JSON answer to a POST of JSON; raises as `get` does."""
        return self._one(_Call(self, "POST", path, query, body), cancelled)

    def stream(
        self, path: str, body: bytes | None, cancelled: IsCancelled, **query: str
    ) -> Generator[Json]:
        """The JSON lines that answer a POST, or without a body a GET, as they come; raises as
        `get` does."""
        method = "GET" if body is None else "POST"
        with _Call(self, method, path, query, body, accept=NDJSON) as call:
            for line in call.lines(cancelled):
                if line.strip():
                    yield _parsed(self.url, line)

    def _one(self, call: _Call, cancelled: IsCancelled) -> Json:
        with call:
            return _parsed(self.url, b"".join(call.lines(cancelled)))


class _Call:
    """One request on a connection and a thread of its own, so that the caller can stop it."""

    def __init__(
        self,
        server: Server,
        method: str,
        path: str,
        query: dict[str, str],
        body: bytes | None = None,
        accept: str = "application/json",
    ):
        self._server = server
        parts = urlsplit(server.url)
        secure = parts.scheme == "https"
        make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = make(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if server.key:
            headers["Authorization"] = f"Bearer {server.key}"
        target = parts.path.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        self._request = (method, target, body, headers)
        self._socket: socket.socket | None = None
        self._incoming: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()

    def __enter__(self) -> _Call:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def lines(self, cancelled: IsCancelled) -> Iterator[bytes]:
        """The lines of the answer's body."""
        while True:
            if cancelled():
                raise Cancelled
            try:
                item = self._incoming.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    def _run(self) -> None:
        try:
            self._talk()
            self._incoming.put(None)
        except StudioError as error:
            self._incoming.put(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._incoming.put(self._failure(error))
        finally:
            self._connection.close()

    def _talk(self) -> None:
        self._connection.connect()
        self._socket = self._connection.sock
        self._connection.request(*self._request)
        answer = self._connection.getresponse()
        kind = answer.headers.get_content_type()
        if not (answer.status < 300 or (answer.status == 409 and kind == NDJSON)):
            raise _refusal(self._server.url, answer.status, answer.read(_LONGEST_LINE))
        while line := answer.readline(_LONGEST_LINE):
            self._incoming.put(line)

    def _failure(self, error: Exception) -> ServerError:
        url = self._server.url
        if self._socket is not None and not isinstance(error, ssl.SSLError):
            message = f"The connection to {url} was lost."
            return AnswerLost(message, "Check the server and try again.")
        if isinstance(error, socket.gaierror):
            reason = "its name is not known"
        elif isinstance(error, TimeoutError):
            reason = "it does not answer"
        else:
            reason = reason_of(error)
        return ServerError(
            f"The server {url} cannot be reached: {reason}.",
            "Check the URL, and that `valet-studio serve` is running there.",
        )


def _refusal(url: str, status: int, body: bytes) -> StudioError:
    try:
        told = json.loads(body)
        return decode_error(told.get("error") if isinstance(told, dict) else None)
    except (ValueError, RecursionError):
        return ServerError(
            f"{url} answered with status {status}: no push server of valet-studio stands there.",
            "Check the URL. `valet-studio serve` starts such a server.",
        )


def _parsed(url: str, text: bytes) -> Json:
    """What an answer or a line of it tells.

    Raises:
        StudioError: what went wrong after the status was told.
    """
    try:
        document: Json = json.loads(text)
    except (ValueError, RecursionError):
        raise not_ours(url) from None
    if isinstance(document, dict) and "error" in document:
        raise _error_of(url, document["error"])
    return document


def _error_of(url: str, document: Json) -> StudioError:
    try:
        return decode_error(document)
    except ValueError:
        return not_ours(url)


def not_ours(url: str) -> ServerError:
    """The error for an answer that no push server of this program gives."""
    return ServerError(
        f"What {url} answered cannot be read: no push server of valet-studio, or one of another "
        "version, stands there.",
        "Check the URL. `valet-studio serve` starts such a server.",
    )
