"""The answers to work that takes its time, and to work that went wrong."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from valet_studio.errors import (
    Cancelled,
    DatabaseBusy,
    IsCancelled,
    PlanIsStale,
    SchemaError,
    ServerError,
    StudioError,
)
from valet_studio.migrate.events import PhaseStarted, Report
from valet_studio.migrate.undo import NothingToUndo
from valet_studio.migrate.wire import NDJSON, encode
from valet_studio.schema.model import Json
from valet_studio.server.answers import error_json
from valet_studio.server.gate import Refused
from valet_studio.server.orders import UnknownTable
from valet_studio.server.runs import Run

PULSE_SECONDS = 5.0
"""How long a stream of events is silent before an empty line says that work goes on."""

E = TypeVar("E")


class RunResponse(Response, Generic[E]):
    """The answer to work that takes its time; a client that goes away cancels it.

    As lines, each event is sent as it happens; else the report alone, in one JSON document.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractAsyncContextManager[Run[E]]],
        *,
        as_lines: bool,
        finished: Callable[[E], dict[str, Json]],
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
        run: Run[E] | None = None
        try:
            async with self._begin() as run:
                watch = asyncio.ensure_future(until_gone(receive, gone, run.cancel))
                async for event in run.events(PULSE_SECONDS):
                    if self._as_lines:
                        await lines.put(event)
        except asyncio.CancelledError:
            # The server stops. The run has ended by now, whole or rolled back.
            await self._cut_short(run, lines)(scope, receive, send)
            return
        except Exception as error:
            ended = _stopped() if isinstance(error, Cancelled) and not gone.is_set() else error
            if lines.begun:
                await lines.fail(_told_of(ended))
            else:
                await failed(ended)(scope, receive, send)
            return
        finally:
            if watch is not None:
                watch.cancel()
        if self._as_lines:
            await lines.end()
        elif run.report is not None:
            await self._told_whole(run.report)(scope, receive, send)

    def _told_whole(self, report: E) -> Response:
        return JSONResponse(self._finished(report), _status(report))

    def _cut_short(self, run: Run[E] | None, lines: _Lines) -> ASGIApp:
        report = run.report if run is not None else None
        stopped = _stopped()

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
    """A body of JSON lines, whose status is told by the first of them that can tell it."""

    def __init__(self, send: Send, kind: str = NDJSON):
        self._send = send
        self._kind = kind
        self._held: object | None = None
        self.begun = False

    async def put(self, event: object | None) -> None:
        """Send an event; None says that work goes on."""
        if not self.begun and event == PhaseStarted("lock"):
            self._held = event
            return
        held, self._held = self._held, None
        if not self.begun:
            self.begun = True
            status = _status(event)
            headers = [(b"content-type", self._kind.encode()), (b"cache-control", b"no-store")]
            await self._send({"type": "http.response.start", "status": status, "headers": headers})
            if held is not None and status == 200:
                await self.put(held)
        text = json.dumps(encode(event)) if event is not None else ""
        await self._body(f"{text}\n".encode())

    async def fail(self, error: StudioError) -> None:
        """Say what went wrong, and end."""
        await self.last(json.dumps(error_json(error)).encode() + b"\n")

    async def last(self, text: bytes) -> None:
        """Say this, and end."""
        await self._body(text)
        await self.end()

    async def end(self) -> None:
        """End the body."""
        await self._body(b"", more=False)

    async def _body(self, text: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": text, "more_body": more})


class ReadResponse(Response, Generic[E]):
    """The answer to what only reads, in one JSON document; a client that goes away cancels it.

    Where it takes long, lines that are empty come before the document. What then goes wrong can no
    longer be told by the status, only by the document.
    """

    def __init__(self, read: Callable[[IsCancelled], E], told: Callable[[E], dict[str, Json]]):
        self._read = read
        self._told = told
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read and answer."""
        gone = asyncio.Event()
        watch = asyncio.ensure_future(until_gone(receive, gone))
        lines = _Lines(send, "application/json")
        work = asyncio.ensure_future(asyncio.to_thread(self._read, gone.is_set))
        try:
            while not (await asyncio.wait({work}, timeout=PULSE_SECONDS))[0]:
                await lines.put(None)
            answer: Response = JSONResponse(self._told(work.result()))
        except Exception as error:
            answer = failed(error)
        finally:
            gone.set()
            watch.cancel()
        if lines.begun:
            await lines.last(bytes(answer.body))
        else:
            await answer(scope, receive, send)


async def until_gone(
    receive: Receive, gone: asyncio.Event, then: Callable[[], None] = lambda: None
) -> None:
    """Wait until the client of a request went away; then say so."""
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()
    then()


def _status(event: object) -> int:
    return 409 if isinstance(event, Report) and event.status == "rejected" else 200


def _stopped() -> ServerError:
    """For work that ended with the server, although its client waited."""
    return ServerError(
        "The server was stopped, and this was rolled back. Nothing was changed.",
        "Try again once the server runs.",
    )


def failed(error: Exception) -> Response:
    """The answer to a request that went wrong."""
    told = _told_of(error)
    match told:
        case Refused():
            status = told.status
        case SchemaError() | UnknownTable():
            status = 400
        case PlanIsStale() | DatabaseBusy() | ServerError() | NothingToUndo():
            status = 409
        case Cancelled():
            status = 503
        case _:
            status = 500
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(error_json(told), status, headers)


def _told_of(error: Exception) -> StudioError:
    """An error as sentences; a defect is shown where the server runs, and nowhere else."""
    if isinstance(error, StudioError):
        return error
    if isinstance(error, ClientDisconnect):
        return Cancelled()
    traceback.print_exception(error, file=sys.stderr)
    return StudioError(
        "Something went wrong in the server that should not.", "Its own output tells more."
    )
