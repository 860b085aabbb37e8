"""Push servers for tests: real uvicorn on loopback, in a thread or as the command itself."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from support import Project

from valet_studio.database.target import open_target
from valet_studio.server.app import Options, PushServer

KEY = "a deploy key"


@dataclass(frozen=True)
class Answer:
    """What a server said to one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A running server."""

    url: str
    app: PushServer | None = None
    key: str | None = KEY
    process: subprocess.Popen[str] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Answer:
        """One request as any HTTP client would make it; a header of None is left out."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        given: dict[str, str | None] = {}
        if self.key is not None:
            given["Authorization"] = f"Bearer {self.key}"
        if body is not None:
            given["Content-Type"] = "application/json"
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(
                method, path, body, {n: v for n, v in given.items() if v is not None}
            )
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.request("GET", path, None, **headers)

    def post(self, path: str, document: Any, **headers: str | None) -> Answer:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.request("POST", path, body, **headers)


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what another thread or process is about to bring."""
    pause, ends = threading.Event(), time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not come true"
        pause.wait(0.01)


class Proxy:
    """Stands between a client and a server, and may cut the connection.

    `cut` is shown how each request begins, with no bytes before it is sent on and then with each
    piece of the answer; where it is True, the connection is closed.
    """

    def __init__(self, server: str, cut: Callable[[bytes, bytes], bool]):
        self._to = ("127.0.0.1", urlsplit(server).port or 0)
        self._cut = cut
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with closed(client):
            asked = client.recv(65_536)
            if self._cut(asked, b""):
                return
            with closed(socket.create_connection(self._to)) as server:
                server.sendall(asked)
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()
                while piece := server.recv(65_536):
                    if self._cut(asked, piece):
                        return
                    client.sendall(piece)


@contextmanager
def losing_the_answer(
    served: Served, path: str, told: str, *, forgotten: bool = False
) -> Iterator[str]:
    """The address of a proxy that cuts what a server answers to a POST, where it tells `told`.

    Args:
        forgotten: whether the server then forgets what it did.
    """
    assert served.app is not None
    service = served.app.service

    def cut(request: bytes, answer: bytes) -> bool:
        lost = asks(request, path) and f'"{told}"'.encode() in answer
        if lost and forgotten:
            service.forget()
        return lost

    proxy = Proxy(served.url, cut)
    try:
        yield proxy.url
    finally:
        proxy.close()


def asks(request: bytes, path: str) -> bool:
    """Whether a request is a POST to that path which can be asked after."""
    return request.startswith(f"POST {path}?".encode())


def through(project: Project, url: str) -> Project:
    """The same project, its database reached through a server."""
    return project.with_(server=url, deploy_key=KEY)


@contextmanager
def closed(connection: socket.socket) -> Iterator[socket.socket]:
    """A connection that both sides see end, even where another thread reads from it."""
    with connection, suppress(OSError):
        try:
            yield connection
        finally:
            connection.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, destination: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            destination.sendall(piece)


@contextmanager
def serving(database: Path, *, grace: float = 5.0, **options: Any) -> Iterator[Served]:
    """A server in a thread of this process, stopped at the end of the block.

    What runs then may take `grace` seconds to end.
    """
    options.setdefault("deploy_key", KEY)
    app = PushServer(open_target(str(database)), Options(**options))
    config = uvicorn.Config(app.asgi, log_level="critical")
    config.timeout_graceful_shutdown = grace  # type: ignore[assignment]
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def told(sockets: list[socket.socket] | None = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = told  # type: ignore[method-assign]
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            assert started.wait(20)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            yield Served(url, app, options["deploy_key"])
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def serve_command(database: Path, *arguments: str, key: str | None = KEY) -> Iterator[Served]:
    """`valet-studio serve` in a process of its own, killed at the end of the block."""
    environment = {k: v for k, v in os.environ.items() if k != "VALET_DEPLOY_KEY"}
    if key is not None:
        environment["VALET_DEPLOY_KEY"] = key
    command = [sys.executable, "-m", "valet_studio", "serve", "--db", str(database)]
    process = subprocess.Popen(
        [*command, *(arguments or ("--port", "0"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        url = next((word.rstrip(".") for word in line.split() if word.startswith("http")), "")
        yield Served(url, key=key, process=process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


_KILLED = """
import os, signal, sys
from valet_studio.replica import SyncEngine
seen = []
def told(event):
    seen.append(event)
    if len(seen) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
SyncEngine(sys.argv[1], sys.argv[2]).connect(told=told)
"""


def connect_and_die(replica: Path, url: str, events: int) -> None:
    """Connect a replica in a process that is killed at that many events."""
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(replica), url, str(events)], check=False
    )
    assert done.returncode == -signal.SIGKILL
