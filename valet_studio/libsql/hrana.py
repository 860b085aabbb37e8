"""Requests to a libSQL server: Hrana over HTTP, pipelines of statements and batches.

The protocol: https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_3_SPEC.md. The standard
library's client does; no redirect is followed, so that the token goes to no other server, and
nothing is ever sent a second time.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import apsw

from valet_studio.errors import (
    AnswerLost,
    DatabaseBusy,
    DatabaseError,
    ServerError,
    StudioError,
    reason_of,
)
from valet_studio.libsql.cells import Row, argument, cell
from valet_studio.schema.model import Json

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
"""How long a server may take for one request; none of ours is meant to take a second."""
CLOSE_SECONDS = 2.0
"""How long a server may take to end a stream, which it does by itself in the end."""

Role: TypeAlias = Literal["primary", "replica", "unknown"]

_PORTS = {"libsql": 443, "http+libsql": 8080}
_NOT_PRIMARY = "not a primary"


class Unreadable(DatabaseError):
    """A cell holds what the protocol cannot carry: text that is not UTF-8, or an infinite real."""

    def __init__(self, url: str):
        super().__init__(
            f"{url} holds text that is not UTF-8, or a number that is infinite.",
            "Mend that cell, then try again.",
        )


class StepFailed(Exception):
    """A statement of an atomic batch failed, and the batch was rolled back."""

    def __init__(self, step: int, message: str, code: str):
        super().__init__(message)
        self.step = step
        """Its place in the batch, from 0."""
        self.code = code


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and its arguments."""

    sql: str
    arguments: tuple[apsw.SQLiteValue, ...] = ()

    def to_json(self) -> Json:
        """As the protocol writes it."""
        return {
            "sql": self.sql,
            "args": [argument(value) for value in self.arguments],
            "want_rows": True,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement brought."""

    rows: tuple[Row, ...]
    changes: int
    """Rows that it inserted, updated or deleted itself."""


@dataclass(frozen=True, slots=True)
class LibsqlServer:
    """A libSQL server as a client knows it."""

    url: str
    """As the user named it."""
    host: str
    port: int
    secure: bool
    token: str | None = field(default=None, repr=False)

    def connect(self) -> Connection:
        """A connection of its own; nothing is sent yet.

        Raises:
            ServerError: the server cannot be reached.
        """
        if self.secure:
            context = ssl.create_default_context()
            wire: http.client.HTTPConnection = http.client.HTTPSConnection(
                self.host, self.port, timeout=CONNECT_SECONDS, context=context
            )
        else:
            wire = http.client.HTTPConnection(self.host, self.port, timeout=CONNECT_SECONDS)
        try:
            wire.connect()
        except (OSError, UnicodeError) as error:
            raise self._unreachable(error) from error
        wire.sock.settimeout(ANSWER_SECONDS)
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(self, wire)

    def role(self) -> Role:
        """Whether the server takes writes itself, or hands them on to another.

        Only a primary exports its database; a replica refuses by name. The export itself is not
        asked for: it breaks on text that is not UTF-8.

        Raises:
            ServerError: the server cannot be reached, or refuses the token.
        """
        with closing(self.connect()) as connection:
            try:
                if connection.request("HEAD", "/dump")[0] == 200:
                    return "primary"
                _, body = connection.request("GET", "/dump", read_success=False)
            except AnswerLost:
                return "unknown"
        return "replica" if _NOT_PRIMARY in _error_of(body) else "unknown"

    def primary(self) -> str | None:
        """Where a replica says that its primary is; None where it was not told.

        Raises:
            ServerError: the server cannot be reached, or refuses the token.
        """
        with closing(self.connect()) as connection:
            try:
                connection.request("GET", "/beta/listen?table=_valet_meta", read_success=False)
            except AnswerLost:
                return None
            parts = urlsplit(connection.location or "")
        return f"{parts.scheme}://{parts.netloc}" if parts.netloc else None

    def atomic(self, statements: Sequence[Statement]) -> tuple[Result, ...]:
        """Run statements as one write transaction: all of them, or none.

        Raises:
            StepFailed: one failed; nothing was changed.
            DatabaseBusy: somebody else holds the write lock.
            AnswerLost: it is not known what became of it.
            ServerError: nothing was changed.
        """
        steps: list[Json] = [{"stmt": Statement("BEGIN IMMEDIATE").to_json()}]
        for sent in (*statements, Statement("COMMIT")):
            before: Json = {"type": "ok", "step": len(steps) - 1}
            steps.append({"condition": before, "stmt": sent.to_json()})
        committed: Json = {"type": "ok", "step": len(steps) - 1}
        begun: Json = {"type": "ok", "step": 0}
        undone: Json = {"type": "and", "conds": [begun, {"type": "not", "cond": committed}]}
        steps.append({"condition": undone, "stmt": Statement("ROLLBACK").to_json()})
        with closing(self.connect()) as connection:
            (told,) = connection.pipeline([{"type": "batch", "batch": {"steps": steps}}])
        return self._steps(told, len(statements))

    def _steps(self, told: Any, count: int) -> tuple[Result, ...]:
        try:
            if told["type"] == "error":
                raise self.refused(told["error"])
            outcome = told["response"]["result"]
            for step, error in enumerate(outcome["step_errors"]):
                if error is not None and step <= count + 1:
                    message, code = str(error["message"]), str(error.get("code"))
                    if step == 0 or "SQLITE_BUSY" in code:
                        raise self._busy(message)
                    raise StepFailed(step - 1, _plain(message), code)
            return tuple(result_of(found) for found in outcome["step_results"][1 : count + 1])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise self.not_libsql() from error

    def refused(self, error: Any) -> DatabaseError:
        """What the server said of a request that it did not carry out."""
        message = _plain(str(error.get("message"))) if isinstance(error, dict) else "no reason"
        if "busy" in message.lower() or "locked" in message.lower():
            return self._busy(message)
        return DatabaseError(f"{self.url} refused: {message}.")

    def _busy(self, message: str) -> DatabaseBusy:
        return DatabaseBusy(
            f"{self.url} could not begin: {_plain(message)}. Nothing was changed.",
            "Another client is writing; try again when it is done.",
        )

    def not_libsql(self) -> ServerError:
        """The error for an answer that no libSQL server gives."""
        return ServerError(
            f"What {self.url} answered cannot be read: it is no libSQL server.",
            "Check the address; a push server of valet-studio is named http://HOST:PORT.",
        )

    def _unreachable(self, error: Exception) -> ServerError:
        if isinstance(error, ssl.SSLError):
            return ServerError(
                f"{self.url} cannot be trusted, or does not speak TLS: {_tls(error)}.",
                "Where it speaks plain HTTP, name it http+libsql://HOST:PORT.",
            )
        if isinstance(error, (socket.gaierror, UnicodeError)):
            reason = "its name is not known"
        elif isinstance(error, TimeoutError):
            reason = "it does not answer"
        else:
            reason = reason_of(error)
        return ServerError(
            f"The libSQL server {self.url} cannot be reached: {reason}.",
            "Check the address, and that the server is running there.",
        )


class Connection:
    """One HTTP connection. After an error it is of no more use."""

    def __init__(self, server: LibsqlServer, wire: http.client.HTTPConnection):
        self.server = server
        self.location: str | None = None
        """Where the last answer pointed to."""
        self.received = 0
        """How many bytes it had."""
        self._wire = wire
        self._baton: str | None = None

    def close(self) -> None:
        """Hang up, and end a stream that is still open.

        A server goes on with a stream whose connection is gone, for ten seconds, and has room for
        few: readers would shut all others out.
        """
        if self._baton is not None and self._wire.sock is not None:
            self._wire.sock.settimeout(CLOSE_SECONDS)
            with suppress(StudioError):
                self.pipeline([])
        self._wire.close()

    def pipeline(self, requests: Sequence[Json], *, stay: bool = False) -> list[Any]:
        """The answer to each request of a stream, in order.

        Args:
            stay: whether the stream goes on, with its transaction, in the next pipeline.

        Raises:
            AnswerLost: it is not known what became of the requests.
            ServerError: the server refused them, or is no libSQL server.
        """
        sent = [*requests] if stay else [*requests, {"type": "close"}]
        body = json.dumps({"baton": self._baton, "requests": sent}).encode()
        status, text = self.request("POST", "/v3/pipeline", body)
        if status != 200:
            message = _error_of(text)
            if not message:
                raise self.server.not_libsql()
            if "utf-8" in message:
                raise Unreadable(self.server.url)
            raise self.server.refused({"message": message})
        try:
            answer = json.loads(text)
            self._baton = answer["baton"]
            results: list[Any] = answer["results"][: len(requests)]
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise self.server.not_libsql() from error
        if len(results) != len(requests):
            raise self.server.not_libsql()
        return results

    def request(
        self, method: str, path: str, body: bytes | None = None, *, read_success: bool = True
    ) -> tuple[int, bytes]:
        """Status and body of an answer; no body where it succeeded and is not to be read.

        Raises:
            AnswerLost: the connection broke.
            ServerError: the token is refused, or no libSQL server stands there.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.server.token:
            headers["Authorization"] = f"Bearer {self.server.token}"
        try:
            self._wire.request(method, path, body, headers)
            answer = self._wire.getresponse()
            self.location = answer.headers.get("Location")
            text = b"" if answer.status < 400 and not read_success else answer.read()
            self.received = len(text)
        except (OSError, http.client.HTTPException) as error:
            raise AnswerLost(
                f"The connection to {self.server.url} was lost.",
                "Check the server and try again.",
            ) from error
        self._refuse(answer.status, text, told=method != "HEAD")
        return answer.status, text

    def _refuse(self, status: int, text: bytes, *, told: bool) -> None:
        url = self.server.url
        if status in (401, 403):
            had = "refuses the token in" if self.server.token else "asks for a token: set"
            raise ServerError(
                f"{url} {had} VALET_DB_TOKEN.",
                "Put a token of this database into VALET_DB_TOKEN or into .env.",
            )
        if status == 404 or (status >= 400 and told and not _error_of(text)):
            raise ServerError(
                f"{url} answered with status {status}: no libSQL server stands there.",
                "Check the address; a push server of valet-studio is named http://HOST:PORT.",
            )


def is_libsql(database: str) -> bool:
    """Whether `--db` names a libSQL server."""
    return urlsplit(database).scheme.lower() in _PORTS


def server_at(url: str, token: str | None) -> LibsqlServer:
    """The server that a user named.

    Raises:
        ServerError: the address or the token cannot be used.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        more = parts.path.rstrip("/") or parts.query or parts.fragment or parts.username
    except ValueError:
        host, port, more = None, None, ""
    if not host or port == 0 or more or not url.isprintable() or " " in url:
        raise ServerError(
            "That is no address of a libSQL server.",
            "Write it as libsql://HOST:PORT, or http+libsql://HOST:PORT for plain HTTP; "
            "a token goes into VALET_DB_TOKEN.",
        )
    if token is not None and not (token.isascii() and token.isprintable()):
        raise ServerError(
            "VALET_DB_TOKEN holds characters that no HTTP header can.",
            "Copy the token again, without line breaks.",
        )
    scheme = parts.scheme.lower()
    return LibsqlServer(url.rstrip("/"), host, port or _PORTS[scheme], scheme == "libsql", token)


def result_of(told: Any) -> Result:
    """A statement's result out of an answer.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    rows = tuple(tuple(cell(value) for value in row) for row in told["rows"])
    return Result(rows, int(told["affected_row_count"]))


def _error_of(body: bytes) -> str:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = told.get("error") if isinstance(told, dict) else None
    if isinstance(found, dict):
        found = found.get("message")
    return found if isinstance(found, str) else ""


def _plain(message: str) -> str:
    """A message of the server without its prefixes."""
    found = re.sub(r"^(SQLite (input )?error: |SQL input error: |SQLITE_\w+: )+", "", message)
    return found.strip().rstrip(".") or "no reason"


def _tls(error: ssl.SSLError) -> str:
    found = getattr(error, "verify_message", None) or error.reason or str(error)
    return str(found).lower().replace("_", " ")
