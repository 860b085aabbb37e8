"""The push server as an ASGI application."""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from valet_studio import __version__
from valet_studio.database.target import FileTarget
from valet_studio.errors import (
    Cancelled,
    DatabaseBusy,
    PlanIsStale,
    Problem,
    SchemaError,
    ServerError,
    StudioError,
)
from valet_studio.migrate.events import Event, Report
from valet_studio.migrate.history import as_json
from valet_studio.migrate.versions import Position
from valet_studio.migrate.wire import encode
from valet_studio.report_json import report_json
from valet_studio.schema.document import to_document
from valet_studio.schema.model import Json, Schema
from valet_studio.server.answers import error_json, plan_answer, push_json, versions_json
from valet_studio.server.openapi import DOCUMENT
from valet_studio.server.runs import Run
from valet_studio.server.service import Order, Service
from valet_studio.server.sync import Hub
from valet_studio.typescript.limits import Limits

NDJSON = "application/x-ndjson"
PULSE_SECONDS = 5.0
"""How long a stream of events is silent before an empty line says that work goes on."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Options:
    """How a server behaves."""

    limits: Limits = field(default_factory=Limits)
    deploy_key: str | None = field(default=None, repr=False)
    """None lets everybody in who reaches it, which must be this machine alone."""
    max_body: int = 8 * 1024 * 1024
    """Bytes of schema.json."""
    wait_seconds: float = 30.0
    """How long a push waits for another one to end."""
    pushed: Callable[[Report], None] = lambda _report: None
    """Told of the report of each push, on the thread that made it."""


class Refused(ServerError):
    """A request that is turned away before it is looked into."""

    def __init__(self, status: int, message: str, hint: str | None = None):
        super().__init__(message, hint)
        self.status = status


class PushServer:
    """The application; `asgi` is what a server such as uvicorn runs."""

    def __init__(self, file: FileTarget, options: Options):
        self._file = file
        self._options = options
        self._service: Service | None = None
        self._hub: Hub | None = None
        self.asgi = Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/openapi.json", self._openapi),
                Route("/api/schema", self._guarded(self._schema), methods=["GET"]),
                Route("/api/schema", self._guarded(self._push), methods=["POST"]),
                Route("/api/schema/plan", self._guarded(self._plan), methods=["POST"]),
                Route("/api/schema/dry-run", self._guarded(self._dry_run), methods=["POST"]),
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
        async with Hub(self._service.schema_hash) as self._hub:
            yield
            await self._service.stop()

    async def _healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "server": "valet-studio", "version": __version__})

    async def _openapi(self, _request: Request) -> Response:
        return JSONResponse({**DOCUMENT, "info": {**DOCUMENT["info"], "version": __version__}})

    async def _sync(self, websocket: object) -> None:
        assert self._hub is not None
        await self._hub.serve(websocket)  # type: ignore[arg-type]

    async def _schema(self, request: Request) -> Response:
        """The schema that holds now; open to clients, which run the same migrations."""
        query = request.query_params
        told: dict[str, Json] = {}
        if "brief" in query or "push" in query:
            self._authorize(request)
            info = await asyncio.to_thread(self.service.target.info)
            told["database"] = encode(info)
        if push := query.get("push"):
            became = await self.service.became(push)
            told["push"] = {
                "id": push,
                "state": became.state,
                "history_id": became.history_id,
                "report": encode(became.report),
            }
        if "brief" in query:
            told["schema_hash"] = await asyncio.to_thread(self.service.schema_hash)
        else:
            number = query.get("history_id", "")
            since = query.get("since") or None
            position = Position(since, int(number) if number.isdecimal() else None)
            found = await asyncio.to_thread(self.service.target.versions, position)
            told |= versions_json(found)
        return JSONResponse(told)

    async def _history(self, request: Request) -> Response:
        self._authorize(request)
        wanted = request.query_params.get("schema")
        if wanted is not None:
            if not (wanted.isdecimal() and len(wanted) < 18):
                raise Refused(400, f"schema is {wanted!r}; it must be the id of a migration.")
            schema = await asyncio.to_thread(self.service.target.schema_at, int(wanted))
            return JSONResponse({"schema": to_document(schema)})
        entries = await asyncio.to_thread(self.service.target.history)
        return JSONResponse({"migrations": [dict(as_json(entry)) for entry in entries]})

    async def _plan(self, request: Request) -> Response:
        schema = await self._pushed(request)
        strict = _flag(request, "strict")
        if _flag(request, "measured", default=True):
            return await self._measured(request, schema, strict)
        plan = await asyncio.to_thread(self.service.target.plan, schema, strict=strict)
        return JSONResponse(plan_answer(plan))

    async def _measured(self, request: Request, schema: Schema, strict: bool) -> Response:
        gone = asyncio.Event()
        watch = asyncio.ensure_future(_until_gone(request.receive, gone))
        try:
            plan = await asyncio.to_thread(
                self.service.target.measure, schema, gone.is_set, strict=strict
            )
        finally:
            watch.cancel()
        return JSONResponse(plan_answer(plan))

    async def _dry_run(self, request: Request) -> Response:
        schema = await self._pushed(request)
        order = Order(request.query_params.get("fingerprint"), _flag(request, "strict"))
        return _Working(
            lambda: self.service.dry_run(schema, order),
            as_lines=request.headers.get("accept") != "application/json",
            finished=report_json,
        )

    async def _push(self, request: Request) -> Response:
        query = request.query_params
        push = query.get("push")
        if push is not None and not (0 < len(push) <= 64 and push.isprintable()):
            raise Refused(400, "push is no id: it must have 1 to 64 printable characters.")
        order = Order(query.get("fingerprint"), _flag(request, "strict"), push)

        @asynccontextmanager
        async def pushing() -> AsyncIterator[Run]:
            with self.service.under_way(push):
                schema = await self._pushed(request)
                async with self.service.push(schema, order, request.is_disconnected) as run:
                    yield run
            if self._hub is not None:
                self._hub.look()

        self._authorize(request)
        as_lines = request.headers.get("accept") == NDJSON
        return _Working(pushing, as_lines=as_lines, finished=push_json)

    async def _pushed(self, request: Request) -> Schema:
        """The schema of a request's body.

        Raises:
            Refused: who sends it may not, or it is too large.
            SchemaError: it is wrong.
        """
        self._authorize(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # A web page can send other types here without being asked, this one it cannot.
            raise Refused(415, "The body must be schema.json, sent as application/json.")
        limit = self._options.max_body
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise Refused(413, f"The body is larger than {limit:,} bytes.")
        return await asyncio.to_thread(self.service.schemas.read, bytes(body))

    def _authorize(self, request: Request) -> None:
        key = self._options.deploy_key
        if key is None:
            # A name that resolves to this machine can belong to anybody's web page.
            if request.url.hostname not in LOOPBACK:
                raise Refused(403, "Without a deploy key this server answers to localhost only.")
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), key.encode())
        if scheme.lower() != "bearer" or not same:
            raise Refused(
                401,
                "The server refuses the deploy key." if given else "The server asks for a key.",
                "Give the server's deploy key with --deploy-key or VALET_DEPLOY_KEY.",
            )

    def _guarded(
        self, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                return await handler(request)
            except (StudioError, ClientDisconnect) as error:
                return _failed(error)

        return guarded


class _Working(Response):
    """The answer to work that takes its time; a client that goes away cancels it.

    As lines, each event is sent as it happens; else the report alone, in one JSON document.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractAsyncContextManager[Run]],
        *,
        as_lines: bool,
        finished: Callable[[Report], dict[str, Json]],
    ):
        self._begin = begin
        self._as_lines = as_lines
        self._finished = finished
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the work and answer."""
        gone = asyncio.Event()
        watch: asyncio.Future[None] | None = None
        lines = _Lines(send)
        run: Run | None = None
        try:
            async with self._begin() as run:
                watch = asyncio.ensure_future(_until_gone(receive, gone, run.cancel))
                async for event in run.events(PULSE_SECONDS):
                    if self._as_lines:
                        await lines.put(event)
        except asyncio.CancelledError:
            # The server stops. The run has ended by now, whole or rolled back.
            await self._cut_short(run, lines)(scope, receive, send)
            return
        except Exception as error:
            if lines.begun:
                await lines.fail(_told(error))
            else:
                await _failed(error)(scope, receive, send)
            return
        finally:
            if watch is not None:
                watch.cancel()
        if self._as_lines:
            await lines.end()
        elif run.report is not None:
            await self._told_whole(run.report)(scope, receive, send)

    def _told_whole(self, report: Report) -> Response:
        return JSONResponse(self._finished(report), _status(report))

    def _cut_short(self, run: Run | None, lines: _Lines) -> ASGIApp:
        report = run.report if run is not None else None
        stopped = ServerError(
            "The server was stopped, and this was rolled back. Nothing was changed.",
            "Try again once the server runs.",
        )

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if lines.begun and report is not None:
                await lines.put(report)
                await lines.end()
            elif lines.begun:
                await lines.fail(stopped)
            elif report is not None and not self._as_lines:
                await self._told_whole(report)(scope, receive, send)
            else:
                await JSONResponse(error_json(stopped), 503)(scope, receive, send)

        return answer


class _Lines:
    """A body of JSON lines, whose status is told by the first of them."""

    def __init__(self, send: Send):
        self._send = send
        self.begun = False

    async def put(self, event: Event | None) -> None:
        """Send an event; None says that work goes on."""
        if not self.begun:
            self.begun = True
            status = _status(event) if isinstance(event, Report) else 200
            headers = [(b"content-type", NDJSON.encode()), (b"cache-control", b"no-store")]
            await self._send({"type": "http.response.start", "status": status, "headers": headers})
        text = json.dumps(encode(event)) if event is not None else ""
        await self._body(f"{text}\n".encode())

    async def fail(self, error: StudioError) -> None:
        """Say what went wrong, and end."""
        await self._body(json.dumps(error_json(error)).encode() + b"\n")
        await self.end()

    async def end(self) -> None:
        """End the body."""
        await self._body(b"", more=False)

    async def _body(self, text: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": text, "more_body": more})


async def _until_gone(
    receive: Receive, gone: asyncio.Event, then: Callable[[], None] = lambda: None
) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()
    then()


def _flag(request: Request, name: str, *, default: bool = False) -> bool:
    """A yes or no of the query.

    Raises:
        Refused: it is neither.
    """
    text = request.query_params.get(name)
    if text not in (None, "0", "1"):
        raise Refused(400, f"{name} is {text!r}; it must be 0 or 1.")
    return default if text is None else text == "1"


def _status(report: Report) -> int:
    return 409 if report.status == "rejected" else 200


def _failed(error: Exception) -> Response:
    told = _told(error)
    match told:
        case Refused():
            status = told.status
        case SchemaError():
            status = 400
        case PlanIsStale() | DatabaseBusy() | ServerError():
            status = 409
        case Cancelled():
            status = 503
        case _:
            status = 500
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(error_json(told), status, headers)


def _told(error: Exception) -> StudioError:
    """An error as sentences; a defect is shown where the server runs, and nowhere else."""
    if isinstance(error, StudioError):
        return error
    if isinstance(error, ClientDisconnect):
        return Cancelled()
    traceback.print_exception(error, file=sys.stderr)
    return StudioError(
        "Something went wrong in the server that should not.", "Its own output tells more."
    )


async def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    said = Problem(f"{request.method} {request.url.path} is nothing that this server answers.")
    return JSONResponse(
        error_json(ServerError(said.message, "GET /openapi.json lists what it answers.")), status
    )
