"""Plans, events, history and errors as JSON, for a server and its clients. Pure.

A dataclass becomes an object that names its class under `type`; `decode(kind, encode(x)) == x`,
places in schema.ts included. What a class may hold is read off its annotations, so that a new
event or change needs no code here.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from valet_studio import errors
from valet_studio.errors import Problem, SchemaError, StudioError
from valet_studio.migrate.events import Event
from valet_studio.schema.model import Json

T = TypeVar("T")

TAG = "type"
NDJSON = "application/x-ndjson"
"""Events on their way, one a line."""
_SCALARS = (bool, int, float, str)


def encode(value: object) -> Json:
    """A dataclass of the core, or what one may hold, as JSON."""
    if isinstance(value, Enum):
        return cast("Json", value.value)
    if value is None or isinstance(value, _SCALARS):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    assert is_dataclass(value), value
    told: dict[str, Json] = {TAG: type(value).__name__}
    return told | {field.name: encode(getattr(value, field.name)) for field in fields(value)}


def decode(kind: type[T], document: Json) -> T:
    """The `kind` that `encode` made a document of.

    Raises:
        ValueError: it is something else; the message says where.
    """
    return cast("T", _decode(kind, document, kind.__name__))


def decode_event(document: Json) -> Event:
    """The event that `encode` made a document of.

    Raises:
        ValueError: it is something else; the message says where.
    """
    return cast("Event", _decode(Event, document, "event"))


def encode_error(error: StudioError) -> dict[str, Json]:
    """An error with all of its problems, as the nearest kind that every client knows."""
    kind = next(k.__name__ for k in type(error).__mro__ if hasattr(errors, k.__name__))
    return {"kind": kind, "problems": encode(error.problems)}


def decode_error(document: Json) -> StudioError:
    """The error that `encode_error` made a document of; a kind that is unknown here becomes a
    plain `StudioError`.

    Raises:
        ValueError: the document is something else.
    """
    root = document if isinstance(document, dict) else {}
    problems = cast(
        "tuple[Problem, ...]", _decode(tuple[Problem, ...], root.get("problems"), "problems")
    )
    if not problems:
        raise ValueError("An error tells no problem.")
    found = getattr(errors, str(root.get("kind")), StudioError)
    known = isinstance(found, type) and issubclass(found, StudioError)
    kind: type[StudioError] = found if known else StudioError
    error: StudioError
    if issubclass(kind, SchemaError):
        error = kind(problems)
    elif issubclass(kind, errors.Cancelled):
        error = kind(problems[0].message)
    else:
        error = kind(problems[0].message, problems[0].hint, problems[0].location)
    error.problems = problems
    return error


def _decode(hint: Any, value: Json, place: str) -> object:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(hint), value, place)
    if origin is Literal:
        if value in get_args(hint):
            return value
    elif origin is tuple:
        if isinstance(value, list):
            item = get_args(hint)[0]
            return tuple(_decode(item, each, f"{place}[{n}]") for n, each in enumerate(value))
    elif origin is dict:
        # Everything that is a mapping in the core holds plain JSON.
        if isinstance(value, dict):
            return value
    elif is_dataclass(hint):
        if isinstance(value, dict) and value.get(TAG) == cast("type", hint).__name__:
            return _decode_fields(cast("type", hint), value, place)
    elif issubclass(hint, Path):
        if isinstance(value, str):
            return Path(value)
    elif issubclass(hint, Enum):
        if value in [member.value for member in hint]:
            return hint(value)
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ValueError(f"{place} is not what it should be: {_named(hint)}.")


def _decode_union(members: tuple[Any, ...], value: Json, place: str) -> object:
    if any(get_origin(member) in (list, dict) for member in members):
        return value  # `Json`, which is what it is
    if value is None and type(None) in members:
        return None
    if isinstance(value, dict):
        for member in members:
            if is_dataclass(member) and value.get(TAG) == cast("type", member).__name__:
                return _decode(member, value, place)
    elif type(value) in members:
        return value
    else:
        rest = [m for m in members if m is not type(None) and not is_dataclass(m)]
        if len(rest) == 1:
            return _decode(rest[0], value, place)
    raise ValueError(f"{place} is none of {', '.join(map(_named, members))}.")


def _decode_fields(kind: type, value: dict[str, Json], place: str) -> object:
    given = {}
    for name, hint in _hints(kind).items():
        if name in value:
            given[name] = _decode(hint, value[name], f"{place}.{name}")
    try:
        return kind(**given)
    except TypeError as error:
        raise ValueError(f"{place} lacks a field: {error}.") from None


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(cast("Any", kind))}


def _named(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint))
