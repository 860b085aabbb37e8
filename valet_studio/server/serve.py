"""Run a push server until it is told to stop."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import FrameType

import uvicorn

from valet_studio.database.target import FileTarget
from valet_studio.errors import StudioError, reason_of
from valet_studio.server.app import Options, PushServer
from valet_studio.server.gate import LOOPBACK

GRACE_SECONDS = 10
"""How long running pushes may take to end after SIGTERM, before they are rolled back."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 takes any free one."""

    host: str = "127.0.0.1"
    port: int = 5555


def serve(
    file: FileTarget, address: Address, options: Options, ready: Callable[[str], None]
) -> None:
    """Serve one database until SIGTERM or Ctrl-C. Pushes under way end first, or roll back.

    Args:
        ready: called with the URL once requests are taken.

    Raises:
        StudioError: the address cannot be used, or needs a deploy key.
    """
    if options.deploy_key is None and address.host not in LOOPBACK:
        raise StudioError(
            f"Without a deploy key anybody who reaches {address.host} could push.",
            "Set VALET_DEPLOY_KEY or --deploy-key-file, or listen on 127.0.0.1.",
        )
    with closing(_listen(address)) as listening, _signals_kept():
        host, port = listening.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        push_server = PushServer(file, options)
        config = uvicorn.Config(
            push_server.asgi,
            log_level="warning",
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        _Server(config, push_server, lambda: ready(url)).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Tells when it is ready, and stops rehearsals at once when it is told to stop."""

    def __init__(self, config: uvicorn.Config, push_server: PushServer, ready: Callable[[], None]):
        super().__init__(config)
        self._push_server = push_server
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self.started:
            self._push_server.service.stop_rehearsing()
        super().handle_exit(sig, frame)


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        why = reason_of(error).partition(" (while attempting")[0]  # The address is told already.
        raise StudioError(
            f"The server cannot listen on {address.host} port {address.port}: {why}.",
            "Choose another with --host and --port; --port 0 takes any free one.",
        ) from error


@contextmanager
def _signals_kept() -> Iterator[None]:
    """uvicorn raises the signal that stopped it once more at its end; here it has done its work."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
