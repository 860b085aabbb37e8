"""Whether somebody else pushed to the server that the studio works on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from textual.message import Message

from valet_studio.config import Settings
from valet_studio.tui.engine import Engine
from valet_studio.tui.messages import ServerSeen
from valet_studio.tui.runs import ask_server

SERVER_SECONDS = 5.0
"""How often a server is asked whether another push reached it."""


class ServerWatch:
    """Asks one server now and then, and remembers what it said last."""

    def __init__(self) -> None:
        self._seen: str | None = None
        """What it was migrated to when it was asked last; None before that."""
        self._asked = 0.0
        self._asking: threading.Thread | None = None

    def ask(self, engine: Engine, settings: Settings, post: Callable[[Message], object]) -> None:
        """Ask it, unless it was asked a moment ago; `post` gets a `ServerSeen`.

        No worker, which the studio would wait for when it ends: a server may never answer.
        """
        now = time.monotonic()
        asking = self._asking is not None and self._asking.is_alive()
        if asking or now < self._asked + SERVER_SECONDS:
            return
        self._asked = now
        self._asking = threading.Thread(
            target=ask_server, args=(engine, settings, post), daemon=True
        )
        self._asking.start()

    def has_moved(self, message: ServerSeen, applied_hash: str | None) -> bool:
        """Whether what it says now differs from what it said last.

        Args:
            applied_hash: what the plan on screen was made for: another push may have come between
                the first look and this first answer.
        """
        before, self._seen = self._seen, message.seen
        return message.hash_after != applied_hash if before is None else message.seen != before

    def forget(self) -> None:
        """Another server is watched from now on."""
        self._seen = None
