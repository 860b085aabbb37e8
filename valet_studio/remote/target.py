"""A database behind a push server: the same plans, events and failures as with a file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from valet_studio.database.structure import Structures
from valet_studio.errors import AnswerLost, Cancelled, IsCancelled, ServerError, StudioError, never
from valet_studio.migrate.events import Event, Outcome, Report
from valet_studio.migrate.history import HistoryEntry, MigrationId
from valet_studio.migrate.order import Order
from valet_studio.migrate.reruns import BackfillReset
from valet_studio.migrate.target import DatabaseInfo, DocumentIds, Planner
from valet_studio.migrate.touched import Touched, Wanted
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.versions import Position, Version, Versions
from valet_studio.migrate.wire import decode, decode_event, encode
from valet_studio.migrate.written import TableWrites, Undoable
from valet_studio.plan.changes import Plan
from valet_studio.remote.http import Server, not_ours
from valet_studio.schema.document import from_document, to_document
from valet_studio.schema.model import Json, Schema

RESOLVE_SECONDS = 30.0
"""How long a server is asked what became of a push whose answer was lost."""
_ASK_AGAIN_SECONDS = 0.1
_CLIENT = uuid4().hex
"""This process, to a server: what it rehearsed is what its push writes."""

T = TypeVar("T")


def is_server(database: str) -> bool:
    """Whether `--db` names a push server."""
    return urlsplit(database).scheme.lower() in ("http", "https")


@dataclass(frozen=True, slots=True)
class ServerTarget:
    """A database behind a push server."""

    server: Server

    @staticmethod
    def at(url: str, deploy_key: str | None) -> ServerTarget:
        """The target at a URL.

        Raises:
            ServerError: the URL or the key cannot be used.
        """
        try:
            parts = urlsplit(url)
            usable = parts.hostname and parts.port != 0 and not (parts.query or parts.fragment)
        except ValueError:
            usable = False
        if not usable or parts.username or not url.isprintable() or " " in url:
            raise ServerError(
                "That is no URL of a server.", "Write it as http://127.0.0.1:5555, and no more."
            )
        if deploy_key is not None and not (deploy_key.isascii() and deploy_key.isprintable()):
            raise ServerError(
                "The deploy key holds characters that no HTTP header can.",
                "Use letters, digits and punctuation of ASCII.",
            )
        return ServerTarget(Server(url.rstrip("/"), deploy_key))

    @property
    def label(self) -> str:
        """The URL."""
        return self.server.url

    def info(self) -> DatabaseInfo:
        """What the server says of its database, under the server's URL."""
        told = self._mapping(self.server.get("/api/schema", never, brief="1"))
        return replace(self._decoded(DatabaseInfo, told.get("database")), label=self.label)

    def planner(self, *, strict: bool) -> Planner:
        """What asks the server what the push of a schema would do, without counts."""
        return lambda schema: self._plan(schema, never, measured="0", strict=_flag(strict))

    def measure(self, schema: Schema, cancelled: IsCancelled, *, strict: bool) -> Plan:
        """What a push would do, counts and data checks included."""
        return self._plan(schema, cancelled, measured="1", strict=_flag(strict))

    def dry_run(self, order: Order, cancelled: IsCancelled) -> Iterator[Event]:
        """Let the server rehearse the plan, under its own limits; the last event is the report."""
        return self._events(
            "/api/schema/dry-run",
            to_document(order.schema),
            cancelled,
            fingerprint=order.plan.fingerprint,
            strict=_flag(order.strict),
            client=_CLIENT,
        )

    def apply(self, order: Order, cancelled: IsCancelled) -> Iterator[Event]:
        """Let the server carry out the plan, under its own limits; the last event is the report.

        An answer that is lost is never replaced by another push: the server is asked what became
        of this one.
        """
        push = uuid4().hex
        try:
            for event in self._events(
                "/api/schema",
                to_document(order.schema),
                cancelled,
                fingerprint=order.plan.fingerprint,
                strict=_flag(order.strict),
                push=push,
                client=_CLIENT,
            ):
                yield _on_server(event) if isinstance(event, Report) else event
        except (AnswerLost, Cancelled) as reason:
            became = self._became(reason, "push", "/api/schema", push=push, brief="1")
            yield _on_server(self._applied(became, order.plan))

    def retry(
        self, order: Order, documents: DocumentIds, cancelled: IsCancelled
    ) -> Iterator[Event]:
        """Let the server rehearse the plan on these documents alone; the last event is the
        report."""
        few: dict[str, Json] = {table: list(ids) for table, ids in documents.items()}
        return self._events(
            "/api/schema/retry",
            {"schema": to_document(order.schema), "documents": few},
            cancelled,
            fingerprint=order.plan.fingerprint,
            strict=_flag(order.strict),
        )

    def structures(self, plan: Plan) -> Structures | None:  # noqa: ARG002
        """None: a push server tells plans, and no structure."""
        return None

    def touched(self, asked: Wanted, cancelled: IsCancelled) -> Touched | None:
        """How much a table holds, and some of its documents; None where there is no such table."""
        told = self._mapping(self.server.post("/api/touched", _body(encode(asked)), cancelled))
        found = told.get("touched")
        return self._decoded(Touched, found) if found is not None else None

    def documents(self, asked: Wanted, cancelled: IsCancelled) -> tuple[dict[str, Json], ...]:
        """Whole documents, decoded to be shown; those that are not there are left out."""
        told = self._mapping(self.server.post("/api/documents", _body(encode(asked)), cancelled))
        found = told.get("documents")
        if not isinstance(found, list):
            raise not_ours(self.label)
        return tuple(self._mapping(each) for each in found)

    def history(self) -> tuple[HistoryEntry, ...]:
        """What was applied, newest first."""
        told = self._mapping(self.server.get("/api/history", never)).get("migrations")
        if not isinstance(told, list):
            raise not_ours(self.label)
        return tuple(
            self._decoded(HistoryEntry, {"type": "HistoryEntry", **self._mapping(entry)})
            for entry in told
        )

    def schema_at(self, history_id: int) -> Schema:
        """The schema that one of those migrations pushed."""
        told = self._mapping(self.server.get("/api/history", never, schema=str(history_id)))
        try:
            return from_document(told.get("schema"))
        except (ValueError, RecursionError):
            raise not_ours(self.label) from None

    def versions(self, position: Position) -> Versions:
        """The schemas that were pushed after a replica's position."""
        query = {"since": position.hash or "", "noted": _flag(position.noted)}
        if position.migration is not None:
            query["history_id"] = str(position.migration.id)
            query["applied_at"] = position.migration.applied_at or ""
        told = self._mapping(self.server.get("/api/schema", never, **query))
        found = told.get("versions")
        now = told.get("schema_hash")
        if not isinstance(found, list) or not isinstance(now, str | None):
            raise not_ours(self.label)
        versions = tuple(
            self._decoded(Version, {"type": "Version", **self._mapping(v)}) for v in found
        )
        return Versions(now, told.get("known") is True, versions)

    def written_since(self, cancelled: IsCancelled) -> tuple[TableWrites, ...]:
        """The tables with documents written since the last migration, as the server counts."""
        return self._told(Undoable, "/api/undo", None, cancelled).writes

    def undo(self, cancelled: IsCancelled, migration: MigrationId | None = None) -> UndoReport:
        """Let the server put its database back as it was before the last migration.

        An answer that is lost is never replaced by another undo: the server is asked what became
        of this one.
        """
        meant = migration or next((entry.identity for entry in self.history()), None)
        body: dict[str, Json] = {}
        if meant is not None:
            body = {"id": meant.id, "applied_at": meant.applied_at}
        push = uuid4().hex
        try:
            report = self._told(UndoReport, "/api/undo", body, cancelled, push=push)
        except (AnswerLost, Cancelled) as reason:
            query = {name: str(value) for name, value in body.items() if value is not None}
            became = self._became(reason, "undo", "/api/undo", push=push, **query)
            report = self._decoded(UndoReport, became.get("report"))
        return replace(report, label=self.label, on_server=True)

    def reset_backfill(self, table: str, column: str) -> bool:
        """Let the server forget that a backfill ran; False where it never had."""
        push = uuid4().hex
        body: Json = {"table": table, "column": column}
        try:
            done = self._told(BackfillReset, "/api/backfill/reset", body, never, push=push)
        except (AnswerLost, Cancelled) as reason:
            self._became(reason, "reset", "/api/schema", push=push, brief="1")
            return True
        return done.armed

    def _plan(self, schema: Schema, cancelled: IsCancelled, **query: str) -> Plan:
        told = self.server.post("/api/schema/plan", _body(to_document(schema)), cancelled, **query)
        return self._decoded(Plan, self._mapping(told).get("plan"))

    def _events(
        self, path: str, document: Json, cancelled: IsCancelled, **query: str
    ) -> Iterator[Event]:
        with closing(self.server.stream(path, _body(document), cancelled, **query)) as lines:
            for line in lines:
                event = self._event(line)
                yield event
                if isinstance(event, Report):
                    return
        raise AnswerLost(
            f"{self.label} ended its answer too soon.", "Look at the plan, then try again."
        )

    def _event(self, line: Json) -> Event:
        try:
            return decode_event(line)
        except ValueError:
            raise not_ours(self.label) from None

    def _told(
        self, kind: type[T], path: str, document: Json, cancelled: IsCancelled, **query: str
    ) -> T:
        """The one thing that the server has to tell, however long it takes."""
        body = _body(document) if document is not None else None
        with closing(self.server.stream(path, body, cancelled, **query)) as lines:
            for line in lines:
                return self._decoded(kind, line)
        raise AnswerLost(f"{self.label} ended its answer too soon.", "Try again.")

    def _became(self, reason: StudioError, what: str, path: str, **query: str) -> dict[str, Json]:
        """What the server says of a push, undo or reset whose answer did not come.

        Raises:
            StudioError: it was rolled back, or the server cannot be asked.
        """
        ends = time.monotonic() + RESOLVE_SECONDS
        while time.monotonic() < ends:
            try:
                told = self._mapping(self.server.get(path, never, **query))
            except ServerError:
                told = {}
            became = told.get("push")
            state = became.get("state") if isinstance(became, dict) else None
            if state == "applied" and isinstance(became, dict):
                return became
            if state == "unknown":
                if isinstance(reason, Cancelled):
                    raise reason
                raise ServerError(
                    f"The connection to {self.label} was lost, and the server applied nothing.",
                    f"Look at what it holds, then {what} again.",
                ) from reason
            time.sleep(_ASK_AGAIN_SECONDS if state == "running" else _ASK_AGAIN_SECONDS * 5)
        raise ServerError(
            f"The connection to {self.label} was lost during the {what}, and it cannot be asked "
            "how that ended. It was applied whole or not at all.",
            f"`valet-studio history --db {self.label}` tells once it answers again.",
        ) from reason

    def _applied(self, became: dict[str, Json], plan: Plan) -> Report:
        """The report of a push, or as much of it as the server's database still knows."""
        report = became.get("report")
        if report is not None:
            return self._decoded(Report, report)
        number = became.get("history_id")
        entry = next((e for e in self.history() if e.id == number), None)
        if entry is None:
            raise not_ours(self.label)
        status: Outcome = "ok" if entry.hash_after else "failed"
        return Report(status, plan, seconds=entry.seconds, history_id=entry.id)

    def _decoded(self, kind: type[T], document: Json) -> T:
        try:
            return decode(kind, document)
        except ValueError:
            raise not_ours(self.label) from None

    def _mapping(self, document: Json) -> dict[str, Json]:
        if not isinstance(document, dict):
            raise not_ours(self.label)
        return document


def _body(document: Json) -> bytes:
    return json.dumps(document).encode()


def _on_server(report: Report) -> Report:
    """A report whose snapshot is called what it is to a client: a file elsewhere."""
    if report.snapshot is None:
        return report
    return replace(report, snapshot=f"{report.snapshot} on the server")


def _flag(value: bool) -> str:
    return "1" if value else "0"
