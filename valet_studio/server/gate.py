"""Who may ask, and what a request says: its key, its body, its query."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.requests import HTTPConnection, Request

from valet_studio.errors import ServerError
from valet_studio.migrate.wire import TAG, decode
from valet_studio.schema.model import Json

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

T = TypeVar("T")


class Refused(ServerError):
    """A request that is turned away before it is looked into."""

    def __init__(self, status: int, message: str, hint: str | None = None):
        super().__init__(message, hint)
        self.status = status


@dataclass(frozen=True, slots=True)
class Gate:
    """What every request has to pass; raises `Refused` where it does not."""

    deploy_key: str | None = field(repr=False)
    """None lets everybody in who reaches the server, which must be this machine alone."""
    max_body: int
    """Bytes of a body."""

    def admit(self, request: HTTPConnection) -> None:
        """See that a request may reach the server: without a deploy key, from this machine alone.

        A program sends no Origin; a browser does, for a page that opens a WebSocket anywhere.
        """
        if self.deploy_key is not None:
            return
        # A name that resolves to this machine can belong to anybody's web page. The header itself
        # is read: for one that is malformed, `request.url` has the server's own address.
        hosts = request.headers.getlist("host")
        origins = [origin.partition("://")[2] for origin in request.headers.getlist("origin")]
        if len(hosts) != 1 or not all(map(is_local, hosts + origins)):
            raise Refused(403, "Without a deploy key this server answers to localhost only.")

    def authorize(self, request: HTTPConnection) -> None:
        """See that who sends a request has the deploy key."""
        self.admit(request)
        key = self.deploy_key
        if key is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), key.encode())
        if scheme.lower() != "bearer" or not same:
            raise Refused(
                401,
                "The server refuses the deploy key." if given else "The server asks for a key.",
                "Set VALET_DEPLOY_KEY to the key of the server, or give codegen its --deploy-key.",
            )

    async def body(self, request: Request) -> bytes:
        """The JSON text of a request that may be answered."""
        self.authorize(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # A web page can send other types here without being asked, this one it cannot.
            raise Refused(415, "The body must be JSON, sent as application/json.")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.max_body:
                raise Refused(413, f"The body is larger than {self.max_body:,} bytes.")
        return bytes(body)

    async def document(self, request: Request) -> dict[str, Json]:
        """The JSON object that a request holds."""
        text = await self.body(request)
        try:
            document: Json = json.loads(text)
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Refused(400, "The body holds half of a character, which is no text.") from None
        except (ValueError, RecursionError):
            raise Refused(400, "The body is not JSON.") from None
        if not isinstance(document, dict):
            raise Refused(400, "The body is not a JSON object.")
        return document

    async def asked(self, request: Request, kind: type[T]) -> T:
        """The dataclass whose fields a request's body holds."""
        document = await self.document(request)
        try:
            return decode(kind, {**document, TAG: kind.__name__})
        except ValueError as error:
            raise Refused(400, f"The body cannot be used: {error}") from None


def is_local(host: str) -> bool:
    """Whether a host, with any port or none, is this machine
    (https://www.rfc-editor.org/rfc/rfc9110#section-7.2)."""
    found = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:]*))(?::[0-9]*)?", host)
    return found is not None and (found[1] or found[2] or "").lower() in LOOPBACK


def flag(request: Request, name: str, *, default: bool = False) -> bool:
    """A yes or no of the query.

    Raises:
        Refused: it is neither.
    """
    text = request.query_params.get(name)
    if text not in (None, "0", "1"):
        raise Refused(400, f"{name} is {text!r}; it must be 0 or 1.")
    return default if text is None else text == "1"


def number(request: Request, name: str) -> int | None:
    """A whole number of the query; None where it is not there.

    Raises:
        Refused: it is none.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isdecimal() and text.isascii() and len(text) < 18):
        raise Refused(400, f"{name} is {text!r}; it must be the id of a migration.")
    return int(text)


def push_id(request: Request) -> str | None:
    """The client's own id for what it asks for; None where it gives none; raises as `own_id`."""
    return own_id(request, "push")


def own_id(request: Request, name: str) -> str | None:
    """An id of the query that the client made up; None where it is not there.

    Raises:
        Refused: it is too long, or cannot be printed.
    """
    given = request.query_params.get(name)
    if given is not None and not (0 < len(given) <= 64 and given.isprintable()):
        raise Refused(400, f"{name} is no id: it must have 1 to 64 printable characters.")
    return given
