"""Tells connected replicas which schema holds: a `Hello` on connecting, and one at each change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from starlette.websockets import WebSocket, WebSocketDisconnect

from valet_studio.errors import StudioError
from valet_studio.migrate.history import MigrationId
from valet_studio.schema.model import Json

PROTOCOL_VERSION = 4
"""Of Valet's sync messages."""
LOOK_SECONDS = 1.0
"""How often the database is looked at for pushes that did not come through this server."""


def hello(schema_hash: str | None, last: MigrationId | None) -> dict[str, Json]:
    """What a server says first, and at each change.

    The last migration is told besides the hash, because a backfill that was reset runs again under
    the very same schema.
    """
    told: Json = {"id": last.id, "appliedAt": last.applied_at} if last is not None else None
    return {
        "type": "Hello",
        "protocolVersion": PROTOCOL_VERSION,
        "schemaHash": schema_hash,
        "migration": told,
    }


class Hub:
    """All connected replicas of one server. Use it as a context manager in a running loop.

    Args:
        says: the `hello` that holds now.
    """

    def __init__(self, says: Callable[[], dict[str, Json]]):
        self._says = says
        self._waiting: set[asyncio.Event] = set()
        self._wake = asyncio.Event()
        self._told: dict[str, Json] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Hub:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def look(self) -> None:
        """Look now whether the schema changed."""
        self._wake.set()

    async def serve(self, websocket: WebSocket) -> None:
        """Keep one replica told until it goes."""
        await websocket.accept()
        changed = asyncio.Event()
        self._waiting.add(changed)
        self._wake.set()
        gone = asyncio.ensure_future(_until_gone(websocket))
        try:
            last: dict[str, Json] | None = None
            while not gone.done():
                now = await asyncio.to_thread(self._says)
                if last != now:
                    await websocket.send_json(now)
                    last = now
                changed_or_gone = {asyncio.ensure_future(changed.wait()), gone}
                await asyncio.wait(changed_or_gone, return_when=asyncio.FIRST_COMPLETED)
                for waiter in changed_or_gone - {gone}:
                    waiter.cancel()
                changed.clear()
        except (WebSocketDisconnect, RuntimeError):
            pass
        except StudioError as error:
            with suppress(RuntimeError):
                await websocket.close(1011, str(error)[:100])
        finally:
            self._waiting.discard(changed)
            gone.cancel()

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS if self._waiting else None)
            self._wake.clear()
            try:
                now = await asyncio.to_thread(self._says)
            except StudioError:
                continue
            if now != self._told:
                self._told = now
                for changed in self._waiting:
                    changed.set()


async def _until_gone(websocket: WebSocket) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await websocket.receive_text()
