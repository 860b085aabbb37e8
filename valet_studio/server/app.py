"""The push server as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from valet_studio import __version__
from valet_studio.database.target import FileTarget
from valet_studio.errors import ServerError, StudioError
from valet_studio.migrate.events import MAX_FAILURES, Report
from valet_studio.migrate.history import MigrationId
from valet_studio.migrate.reruns import BackfillReset
from valet_studio.migrate.target import DocumentIds
from valet_studio.migrate.touched import SHOWN_DOCUMENTS, Wanted
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.versions import Position
from valet_studio.migrate.wire import NDJSON, encode
from valet_studio.report_json import report_json
from valet_studio.schema.document import to_document
from valet_studio.schema.model import Json, Schema
from valet_studio.server.answers import (
    became_json,
    error_json,
    plan_answer,
    push_json,
    reset_json,
    undo_json,
    undoable_json,
    versions_json,
)
from valet_studio.server.gate import Gate, Refused, flag, number, own_id, push_id
from valet_studio.server.openapi import DOCUMENT
from valet_studio.server.orders import Done, PushOrder, ResetOrder, UndoOrder
from valet_studio.server.runs import Run
from valet_studio.server.service import Service
from valet_studio.server.sync import Hub
from valet_studio.server.working import ReadResponse, RunResponse, failed
from valet_studio.typescript.limits import Limits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How a server behaves."""

    limits: Limits = field(default_factory=Limits)
    deploy_key: str | None = field(default=None, repr=False)
    """None lets everybody in who reaches it, which must be this machine alone."""
    max_body: int = 8 * 1024 * 1024
    """Bytes of schema.json, or of another body."""
    wait_seconds: float = 30.0
    """How long a push waits for another one to end."""
    pushed: Callable[[Done], None] = lambda _done: None
    """Told of the report of each push, and of all else that changed the database, on the thread
    that did it."""


class PushServer:
    """The application; `asgi` is what a server such as uvicorn runs."""

    def __init__(self, file: FileTarget, options: Options):
        self._file = file
        self._options = options
        self._gate = Gate(options.deploy_key, options.max_body)
        self._service: Service | None = None
        self._hub: Hub | None = None
        self.asgi = Starlette(
            routes=[
                Route("/healthz", self._guarded(self._healthz)),
                Route("/openapi.json", self._guarded(self._openapi)),
                Route("/api/schema", self._guarded(self._schema), methods=["GET"]),
                Route("/api/schema", self._guarded(self._push), methods=["POST"]),
                Route("/api/schema/plan", self._guarded(self._plan), methods=["POST"]),
                Route("/api/schema/dry-run", self._guarded(self._dry_run), methods=["POST"]),
                Route("/api/schema/retry", self._guarded(self._retry), methods=["POST"]),
                Route("/api/touched", self._guarded(self._touched), methods=["POST"]),
                Route("/api/documents", self._guarded(self._documents), methods=["POST"]),
                Route("/api/undo", self._guarded(self._undoable), methods=["GET"]),
                Route("/api/undo", self._guarded(self._undo), methods=["POST"]),
                Route("/api/backfill/reset", self._guarded(self._reset), methods=["POST"]),
                Route("/api/history", self._guarded(self._history), methods=["GET"]),
                WebSocketRoute("/api/sync", self._sync),
            ],
            lifespan=self._lifespan,
            exception_handlers={404: _not_found, 405: _not_found},
        )

    @property
    def service(self) -> Service:
        """What the requests work on; there is one while the application runs."""
        assert self._service is not None
        return self._service

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        options = self._options
        self._service = Service(
            self._file, options.limits, wait_seconds=options.wait_seconds, pushed=options.pushed
        )
        async with Hub(self._service.hello) as self._hub:
            yield
            await self._service.stop()

    async def _healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "server": "valet-studio", "version": __version__})

    async def _openapi(self, _request: Request) -> Response:
        return JSONResponse({**DOCUMENT, "info": {**DOCUMENT["info"], "version": __version__}})

    async def _sync(self, websocket: WebSocket) -> None:
        assert self._hub is not None
        try:
            self._gate.admit(websocket)
        except Refused:
            await websocket.close()
            return
        await self._hub.serve(websocket)

    async def _schema(self, request: Request) -> Response:
        """The schema that holds now; open to clients, which run the same migrations."""
        query = request.query_params
        told: dict[str, Json] = {}
        push = push_id(request)
        if "brief" in query or "push" in query:
            self._gate.authorize(request)
            info = await asyncio.to_thread(self.service.target.info)
            told["database"] = encode(info)
        if push is not None:
            told["push"] = became_json(push, await self.service.became(push))
        if "brief" in query:
            told["schema_hash"] = await asyncio.to_thread(self.service.schema_hash)
        else:
            at = number(request, "history_id")
            migration = MigrationId(at, query.get("applied_at") or None) if at is not None else None
            position = Position(query.get("since") or None, migration, flag(request, "noted"))
            found = await asyncio.to_thread(self.service.target.versions, position)
            told |= versions_json(found)
        return JSONResponse(told)

    async def _history(self, request: Request) -> Response:
        self._gate.authorize(request)
        wanted = number(request, "schema")
        if wanted is not None:
            schema = await asyncio.to_thread(self.service.target.schema_at, wanted)
            return JSONResponse({"schema": to_document(schema)})
        entries = await asyncio.to_thread(self.service.target.history)
        return JSONResponse({"migrations": [*map(asdict, entries)]})

    async def _plan(self, request: Request) -> Response:
        schema = await self._pushed(request)
        strict = flag(request, "strict")
        target = self.service.target
        if not flag(request, "measured", default=True):
            return ReadResponse(lambda _gone: target.planner(strict=strict)(schema), plan_answer)
        return ReadResponse(lambda gone: target.measure(schema, gone, strict=strict), plan_answer)

    async def _touched(self, request: Request) -> Response:
        asked = await self._wanted(request)
        return ReadResponse(
            lambda gone: self.service.target.touched(asked, gone),
            lambda found: {"touched": encode(found)},
        )

    async def _documents(self, request: Request) -> Response:
        asked = await self._wanted(request)
        return ReadResponse(
            lambda gone: self.service.target.documents(asked, gone),
            lambda found: {"documents": list(found)},
        )

    async def _dry_run(self, request: Request) -> Response:
        schema = await self._pushed(request)
        return self._rehearsing(request, schema)

    async def _retry(self, request: Request) -> Response:
        told = await self._gate.document(request)
        documents = documents_to_retry(told.get("documents"))
        schema = await asyncio.to_thread(self.service.schemas.judge, told.get("schema"))
        return self._rehearsing(request, schema, documents)

    def _rehearsing(
        self, request: Request, schema: Schema, documents: DocumentIds | None = None
    ) -> Response:
        order = _order(request)
        return RunResponse(
            lambda: self.service.dry_run(schema, order, documents),
            as_lines=request.headers.get("accept") != "application/json",
            finished=report_json,
        )

    async def _push(self, request: Request) -> Response:
        push = push_id(request)
        order = _order(request, push)

        async def begin() -> AbstractAsyncContextManager[Run[Report]]:
            schema = await self._pushed(request)
            return self.service.push(schema, order, request.is_disconnected)

        return self._changing(request, push, begin, push_json)

    async def _undoable(self, request: Request) -> Response:
        self._gate.authorize(request)
        push = push_id(request)
        if push is None:
            as_lines = request.headers.get("accept") == NDJSON
            return RunResponse(self.service.undoable, as_lines=as_lines, finished=undoable_json)
        meant = UndoOrder(number(request, "id"), request.query_params.get("applied_at"))
        became = await self.service.undone(push, meant.migration)
        return JSONResponse({"push": became_json(push, became)})

    async def _undo(self, request: Request) -> Response:
        push = push_id(request)

        async def begin() -> AbstractAsyncContextManager[Run[UndoReport]]:
            meant = await self._gate.asked(request, UndoOrder)
            return self.service.undo(meant.migration, push, request.is_disconnected)

        return self._changing(request, push, begin, undo_json)

    async def _reset(self, request: Request) -> Response:
        push = push_id(request)

        async def begin() -> AbstractAsyncContextManager[Run[BackfillReset]]:
            meant = await self._gate.asked(request, ResetOrder)
            return self.service.reset(meant.table, meant.column, push, request.is_disconnected)

        return self._changing(request, push, begin, reset_json)

    def _changing(
        self,
        request: Request,
        push: str | None,
        begin: Callable[[], Awaitable[AbstractAsyncContextManager[Run[T]]]],
        finished: Callable[[T], dict[str, Json]],
    ) -> Response:
        """The answer to what changes the database, under the id that the client gave it."""

        @asynccontextmanager
        async def changing() -> AsyncIterator[Run[T]]:
            with self.service.under_way(push):
                async with await begin() as run:
                    yield run
            if self._hub is not None:
                self._hub.look()

        self._gate.authorize(request)
        as_lines = request.headers.get("accept") == NDJSON
        return RunResponse(changing, as_lines=as_lines, finished=finished)

    async def _pushed(self, request: Request) -> Schema:
        """The schema of a request's body.

        Raises:
            Refused: who sends it may not, or it is too large.
            SchemaError: it is wrong.
        """
        body = await self._gate.body(request)
        return await asyncio.to_thread(self.service.schemas.read, body)

    async def _wanted(self, request: Request) -> Wanted:
        asked = await self._gate.asked(request, Wanted)
        if len(asked.ids) > SHOWN_DOCUMENTS:
            raise Refused(400, f"{len(asked.ids):,} documents are too many at once.")
        return asked

    def _guarded(
        self, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                self._gate.admit(request)
                return await handler(request)
            except (StudioError, ClientDisconnect) as error:
                return failed(error)

        return guarded


def _order(request: Request, push: str | None = None) -> PushOrder:
    """What the query of a request asks for.

    Raises:
        Refused: a part of it is malformed.
    """
    query = request.query_params
    return PushOrder(
        query.get("fingerprint"), flag(request, "strict"), push, own_id(request, "client")
    )


def documents_to_retry(told: Json) -> DocumentIds:
    """The documents that a client wants to be tried again: `_id`s by table.

    Raises:
        Refused: they are no such thing, or too many.
    """
    malformed = Refused(400, "documents is not an object of lists of _ids by table.")
    if not isinstance(told, dict):
        raise malformed
    found: dict[str, tuple[str, ...]] = {}
    for table, ids in told.items():
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise malformed
        found[table] = tuple(dict.fromkeys(map(str, ids)))
    if sum(map(len, found.values())) > MAX_FAILURES * 100:
        raise Refused(400, "These are too many documents to be tried again at once.")
    return found


async def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    unknown = ServerError(
        f"{request.method} {request.url.path} is nothing that this server answers.",
        "GET /openapi.json lists what it answers.",
    )
    return JSONResponse(error_json(unknown), status)
