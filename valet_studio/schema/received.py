"""A schema.json that came from elsewhere, judged before anything of it is believed.

Only the sources count. They are run in the sandbox, and what they declare must be what the
document declares; a document whose data says one thing and whose sources do another is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import PurePosixPath
from threading import BoundedSemaphore, Lock

from valet_studio.errors import Location, Problem, SchemaError
from valet_studio.schema.document import from_document, schema_hash
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Json, Schema, Sources, Table
from valet_studio.typescript.limits import Limits

DOCUMENT = "schema.json"
MAX_FILES = 2_000
_KEPT = 16
_AT_ONCE = 4
"""Schemas that are run at the same time; each takes a process."""


class ReceivedSchemas:
    """Schemas by the sources that they were evaluated from. Safe to use from several threads."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._lock = Lock()
        self._room = BoundedSemaphore(_AT_ONCE)
        self._known: OrderedDict[str, Schema] = OrderedDict()

    def read(self, text: bytes) -> Schema:
        """The schema of a schema.json.

        Raises:
            SchemaError: it is malformed, its sources are wrong, or it does not declare what they
                declare.
            SandboxError: they could not be run.
        """
        return self.judge(_parsed(text))

    def judge(self, document: Json) -> Schema:
        """The schema of a schema.json that was parsed already; raises as `read` does."""
        try:
            declared = from_document(document)
        except (ValueError, RecursionError) as error:
            raise _bad(_sentence(error, "It is nested too deeply.")) from None
        _check_sources(declared.sources)
        found = self._evaluated(declared.sources)
        _check_declared(document, declared, found)
        return found

    def _evaluated(self, sources: Sources) -> Schema:
        text = json.dumps([sources.entry, sources.folder, sources.files], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return known
        with self._room:
            schema = evaluate(sources, self._limits)
        with self._lock:
            self._known[key] = schema
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return schema


def _parsed(text: bytes) -> Json:
    try:
        document: Json = json.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _bad(f"It is not UTF-8 text: byte {error.start} is wrong.") from None
    except json.JSONDecodeError as error:
        place = Location(DOCUMENT, error.lineno, error.colno)
        raise _bad(f"It is not JSON: {error.msg}.", place) from None
    except (ValueError, RecursionError) as error:
        raise _bad(_sentence(error, "It is nested too deeply.")) from None
    return document


def _check_sources(sources: Sources) -> None:
    """The names become files of the sandbox's directory, and must stay inside it."""
    if len(sources.files) > MAX_FILES:
        raise _bad(f"It holds {len(sources.files):,} source files; {MAX_FILES:,} are allowed.")
    if sources.entry not in sources.files:
        raise _bad(f"sources.files does not hold the entry {sources.entry!r}.")
    for name, text in sources.files.items():
        path = PurePosixPath(name)
        plain = name.isprintable() and "\\" not in name and ":" not in name
        if not plain or str(path) != name or path.is_absolute() or {".", ".."} & {*path.parts}:
            raise _bad(f"sources.files has the name {name!r}, which is no path inside a directory.")
        if _has_surrogates(text):
            raise _bad(f"sources.files.{name} is not text.")
    folder = sources.folder
    if not folder.isprintable() or len(folder) > 4_096 or _has_surrogates(folder):
        raise _bad("sources.folder is no name of a directory.")


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _check_declared(document: Json, declared: Schema, found: Schema) -> None:
    """Hold the data of the document against what its sources declare."""
    told = document.get("hash") if isinstance(document, dict) else None
    real = schema_hash(found)
    if schema_hash(declared) == real and told in (None, real):
        return
    for table in declared.tables:
        other = found.table_named(table.name)
        if other is None:
            raise _bad(f"tables.{table.name} is not declared by the sources.")
        if _hash_of(table) != _hash_of(other):
            raise _bad(f"tables.{table.name} is not what the sources declare.")
    for table in found.tables:
        if declared.table_named(table.name) is None:
            raise _bad(f"The sources declare the table {table.name}, and tables does not hold it.")
    raise _bad(f"hash is {told!r}, but the sources have the hash {real}.")


def _hash_of(table: Table) -> str:
    return schema_hash(Schema((table,)))


def _sentence(error: Exception, otherwise: str) -> str:
    text = str(error) if isinstance(error, ValueError) else otherwise
    return text if text.endswith(".") else f"{text}."


def _bad(message: str, location: Location | None = None) -> SchemaError:
    place = f"{DOCUMENT} cannot be used. "
    hint = "`valet-studio schema` prints one that can."
    return SchemaError([Problem(place + message, hint, location)])
