"""The studio in a browser: the same app behind textual-serve, on this machine only.

Each visitor gets an app of their own. Nobody else on the network reaches it, and nobody else on
the machine without the key in the address that is printed; a page of another site that tries is
refused by its Host and Origin (DNS rebinding, cross-site WebSockets).
"""

from __future__ import annotations

import os
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping

from valet_studio.config import Settings
from valet_studio.errors import StudioError, reason_of

try:
    from aiohttp import web
    from textual_serve.server import Server
except ImportError as error:
    raise StudioError(
        "The studio in a browser needs a package that is not installed.",
        "Install it with: pip install 'valet-studio[web]'",
    ) from error

HOST = "127.0.0.1"
COOKIE = "valet-studio-key"
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self' ws://{host}; frame-ancestors 'none'"
)
"""Nothing is loaded from anywhere else, fonts included."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def child_environment(settings: Settings) -> Mapping[str, str]:
    """What makes a studio that is started without arguments work on these settings."""
    told = {
        "VALET_STUDIO_SCHEMA": str(settings.schema_path),
        "VALET_STUDIO_DB": settings.database,
        "VALET_STUDIO_OUTPUT_DIR": str(settings.output_dir),
        "VALET_STUDIO_LANG": ",".join(settings.languages),
        "VALET_STUDIO_STRICT": "1" if settings.strict else "",
        "VALET_STUDIO_PRODUCTION": "1" if settings.production else "",
        "VALET_STUDIO_READ_ONLY": "1" if settings.read_only else "",
    }
    if settings.deploy_key is not None:
        told["VALET_DEPLOY_KEY"] = settings.deploy_key
    return told


class StudioServer(Server):
    """textual-serve with a key, and with an eye on where requests come from."""

    def __init__(self, settings: Settings, port: int, tell: Callable[[str], object]) -> None:
        command = f"{shlex.quote(sys.executable)} -m valet_studio"
        super().__init__(command, host=HOST, port=port, title="Valet Studio")
        self.settings = settings
        self.tell = tell
        self.key = secrets.token_urlsafe(16)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.port}/?key={self.key}"

    def initialize_logging(self) -> None:
        """Nothing is logged: what matters is printed."""

    async def on_startup(self, app: web.Application) -> None:
        """Nothing to say yet: nobody can connect before `serve` has told the address."""

    def serve(self, debug: bool = False) -> None:  # noqa: ARG002
        """Serve until Ctrl-C."""
        web.run_app(
            self._make_app(), host=self.host, port=self.port, print=self._listening, access_log=None
        )

    def _listening(self, *_: object) -> None:
        """Say where it is, and what it may do."""
        may = "read-only" if self.settings.read_only else "with the right to write"
        self.tell(
            f"The studio is at {self.address}\nOnly from this machine, {may}. Ctrl-C ends it.\n"
        )

    async def _make_app(self) -> web.Application:
        app: web.Application = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    @property
    def _hosts(self) -> tuple[str, ...]:
        return (f"{HOST}:{self.port}", f"localhost:{self.port}")

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.host not in self._hosts or (
            origin is not None and origin.removeprefix("http://") not in self._hosts
        ):
            raise web.HTTPForbidden(text="This studio answers to its own address only.\n")
        key = request.query.get("key", "")
        if request.path == "/" and key and secrets.compare_digest(key, self.key):
            # Once in the cookie, the key leaves the address bar and the history.
            found = web.HTTPFound(f"http://{HOST}:{self.port}/")
            found.set_cookie(COOKIE, self.key, httponly=True, samesite="Strict")
            raise found
        if not secrets.compare_digest(request.cookies.get(COOKIE, ""), self.key):
            raise web.HTTPForbidden(text="Open the address that valet-studio printed.\n")
        response = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = POLICY.format(host=f"{HOST}:{self.port}")
            response.headers["Referrer-Policy"] = "no-referrer"
        return response


def serve(settings: Settings, port: int, tell: Callable[[str], object]) -> None:
    """Serve the studio until Ctrl-C.

    Raises:
        StudioError: the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise StudioError(
                f"Port {port} cannot be used: {reason_of(error)}.", "Name another with --web-port."
            ) from error
        port = probe.getsockname()[1]
    os.environ.update(child_environment(settings))
    StudioServer(settings, port, tell).serve()
