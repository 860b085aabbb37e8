"""Whether a value, as a column stores it, keeps the promise of a validator."""

from __future__ import annotations

import json
from typing import TypeAlias

from valet_studio.schema.model import Json, Storage, Validator

StoredValue: TypeAlias = int | float | bytes | str | None
"""What SQLite can hold in one cell."""


def conforms(validator: Validator, stored: StoredValue) -> str | None:
    """None where the stored value satisfies the validator, else a sentence that says why not."""
    if stored is None:
        return None if validator.allows_null else "it is null"
    match validator.storage:
        case Storage.BYTES:
            return None if isinstance(stored, bytes) else f"{_shown(stored)} is not bytes"
        case Storage.JSON:
            if not isinstance(stored, str):
                return f"{_shown(stored)} is not JSON text"
            try:
                value = json.loads(stored)
            except (ValueError, RecursionError):
                return f"{_shown(stored)} is not JSON"
            return _check(validator, value, "")
        case Storage.BOOLEAN:
            if isinstance(stored, bytes | str) or stored not in (0, 1):
                return f"{_shown(stored)} is not a boolean (0 or 1)"
            return _check(validator, bool(stored), "")
        case _:
            if isinstance(stored, bytes):
                return "a BLOB stands where text or a number belongs"
            return _check(validator, stored, "")


def _check(validator: Validator, value: Json, place: str) -> str | None:
    match validator.kind:
        case "any":
            return None
        case "union":
            if any(_check(member, value, place) is None for member in validator.items):
                return None
            return f"{place}{_shown(value)} is none of the union's members"
        case "literal":
            same = _is_bool(value) == _is_bool(validator.value) and value == validator.value
            return None if same else f"{place}{_shown(value)} is not {_shown(validator.value)}"
        case "array":
            return _check_array(validator, value, place)
        case "record":
            return _check_record(validator, value, place)
        case "object":
            return _check_object(validator, value, place)
        case kind:
            return None if _is_a(kind, value) else f"{place}{_shown(value)} is not {_NAMES[kind]}"


_NAMES = {
    "string": "a string",
    "id": "an id",
    "number": "a number",
    "int": "an integer",
    "boolean": "a boolean",
    "null": "null",
    "bytes": "bytes",
}


def _is_a(kind: str, value: Json) -> bool:
    match kind:
        case "string" | "id" | "bytes":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int | float) and not _is_bool(value)
        case "int":
            if isinstance(value, float):
                return value.is_integer()
            return isinstance(value, int) and not _is_bool(value)
        case "boolean":
            return _is_bool(value)
        case _:
            return value is None


def _check_array(validator: Validator, value: Json, place: str) -> str | None:
    if not isinstance(value, list):
        return f"{place}{_shown(value)} is not an array"
    problems = (_check(validator.items[0], item, f"{place}[{i}]: ") for i, item in enumerate(value))
    return next(filter(None, problems), None)


def _check_record(validator: Validator, value: Json, place: str) -> str | None:
    if not isinstance(value, dict):
        return f"{place}{_shown(value)} is not a record"
    keys, values = validator.items
    for key, item in value.items():
        problem = _check(keys, key, f"{place}key: ") or _check(values, item, f"{place}{key}: ")
        if problem:
            return problem
    return None


def _check_object(validator: Validator, value: Json, place: str) -> str | None:
    if not isinstance(value, dict):
        return f"{place}{_shown(value)} is not an object"
    for field in validator.fields:
        if field.name not in value:
            if field.optional:
                continue
            return f"{place}{_shown(value)} lacks the field {field.name}"
        problem = _check(field.validator, value[field.name], f"{place}{field.name}: ")
        if problem:
            return problem
    extra = value.keys() - {field.name for field in validator.fields}
    return f"{place}{min(extra)} is not a field of the object" if extra else None


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, bytes) else "a BLOB"
    return text if len(text) <= 60 else text[:59] + "…"
