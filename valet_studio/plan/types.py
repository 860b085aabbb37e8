"""How two types of one field relate: the same, wider, narrower, or not to be reconciled."""

from __future__ import annotations

from typing import Literal, TypeAlias

from valet_studio.schema.model import Field, ObjectField, Storage, Validator

Relation: TypeAlias = Literal["same", "widen", "narrow", "change"]

_NULL = Validator("null")
_BOOLEANS = (Validator("literal", value=True), Validator("literal", value=False))


def relation(before: Field, after: Field) -> Relation:
    """What a field's new type does to the values that the old one allowed.

    `change`: the column would hold them in another way. `narrow`: some old values may break the
    new promise. `widen`: all keep it, and more is allowed.
    """
    if before.validator == after.validator and before.optional == after.optional:
        return "same"
    if _stored_otherwise(before.validator, after.validator):
        return "change"
    old, new = _with_null(before), _with_null(after)
    if not covers(new, old):
        return "narrow"
    return "same" if covers(old, new) else "widen"


def covers(outer: Validator, inner: Validator) -> bool:
    """Whether every value of `inner` is surely a value of `outer`."""
    if inner.kind == "union":
        return all(covers(outer, member) for member in inner.items)
    if outer.kind == "any":
        return True
    if outer.kind == "union":
        if any(covers(member, inner) for member in outer.items):
            return True
        return inner.kind == "boolean" and all(covers(outer, value) for value in _BOOLEANS)
    match outer.kind, inner.kind:
        case "string", "literal":
            return isinstance(inner.value, str)
        case "string", "id":
            return True
        case "number", "literal":
            return isinstance(inner.value, int | float) and not isinstance(inner.value, bool)
        case "number", "int":
            return True
        case "int", "literal":
            return _is_integer(inner.value)
        case "boolean", "literal":
            return isinstance(inner.value, bool)
        case "literal", "literal":
            same_kind = isinstance(outer.value, bool) == isinstance(inner.value, bool)
            return same_kind and outer.value == inner.value
        case "id", "id":
            return outer.table == inner.table
        case ("array", "array") | ("record", "record"):
            return all(map(covers, outer.items, inner.items))
        case "object", "object":
            return _object_covers(outer, inner)
        case "record", "object":
            return _record_covers(outer, inner)
        case _:
            return outer.kind == inner.kind


def affinity(sql_type: str) -> Literal["TEXT", "NUMERIC", "BLOB", "INTEGER", "REAL"]:
    """SQLite's affinity of a declared type (https://www.sqlite.org/datatype3.html, 3.1)."""
    name = sql_type.upper()
    if "INT" in name:
        return "INTEGER"
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not name or "BLOB" in name:
        return "BLOB"
    if any(part in name for part in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"


def column_holds(sql_type: str, storage: Storage) -> bool:
    """Whether a column declared so can hold values of this storage; no type holds any."""
    if not sql_type or sql_type.upper() == "ANY":
        return True
    kind = affinity(sql_type)
    match storage:
        case Storage.TEXT | Storage.JSON:
            return kind == "TEXT"
        case Storage.BYTES:
            return kind == "BLOB"
        case _:
            return kind in ("INTEGER", "REAL", "NUMERIC")


_NEAREST = {
    "TEXT": Validator("string"),
    "BLOB": Validator("bytes"),
    "INTEGER": Validator("number"),
    "REAL": Validator("number"),
    "NUMERIC": Validator("number"),
}


def held_as(sql_type: str) -> Validator:
    """The type to declare a column as that no schema has declared, so that it may stay."""
    return _NEAREST[affinity(sql_type)]


def describe(field: Field | ObjectField) -> str:
    """A field's type as it is written in schema.ts."""
    text = written(field.validator)
    return f"v.optional({text})" if field.optional else text


def written(validator: Validator) -> str:
    """A validator as it is written in schema.ts."""
    match validator.kind:
        case "id":
            return f'v.id("{validator.table}")'
        case "literal":
            return f"v.literal({_literal(validator.value)})"
        case "array" | "record" | "union":
            return f"v.{validator.kind}({', '.join(map(written, validator.items))})"
        case "object":
            inner = ", ".join(f"{f.name}: {describe(f)}" for f in validator.fields)
            return f"v.object({{ {inner} }})" if inner else "v.object({})"
        case kind:
            return f"v.{kind}()"


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def _stored_otherwise(before: Validator, after: Validator) -> bool:
    if before.storage is after.storage:
        return False
    # A column that could only ever be NULL holds nothing that could be misread.
    return not (before.kind == "null" and after.storage.sql_type == "TEXT")


def _with_null(field: Field) -> Validator:
    if not field.nullable:
        return field.validator
    return Validator("union", items=(field.validator, _NULL))


def _is_integer(value: object) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _object_covers(outer: Validator, inner: Validator) -> bool:
    theirs = {field.name: field for field in inner.fields}
    ours = {field.name: field for field in outer.fields}
    if not theirs.keys() <= ours.keys():
        return False
    for name, field in ours.items():
        other = theirs.get(name)
        if other is None:
            if not field.optional:
                return False
        elif not covers(field.validator, other.validator) or other.optional > field.optional:
            return False
    return True


def _record_covers(outer: Validator, inner: Validator) -> bool:
    keys, values = outer.items
    return all(
        covers(keys, Validator("literal", value=field.name)) and covers(values, field.validator)
        for field in inner.fields
    )
