"""SQLite's values on their way over Hrana, exactly: the server's answers, and what is sent to it.

An integer is a string of digits there, so that 64 bits survive. A real comes back exact, but is
never sent as one: what reads decimals on a libSQL server is off by one in the last place for one
number in three as an argument, and for one in ten thousand within JSON. It goes as mantissa and
exponent, whose product is exact.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import apsw

from valet_studio.schema.model import Json

Row: TypeAlias = "tuple[apsw.SQLiteValue, ...]"

_SMALLEST = -1074
"""The exponent of the smallest real above zero."""
_TOO_LARGE = 4096
"""An exponent beyond that of any real: the product is infinite."""


def argument(value: apsw.SQLiteValue) -> dict[str, Json]:
    """A value as an argument of a statement; no real is ever sent so.

    Raises:
        TypeError: it is a real.
    """
    match value:
        case None:
            return {"type": "null"}
        case int():
            return {"type": "integer", "value": str(int(value))}
        case str():
            return {"type": "text", "value": value}
        case bytes():
            return {"type": "blob", "base64": base64.b64encode(value).decode().rstrip("=")}
        case _:
            raise TypeError("A real is sent by `packed`.")


def cell(told: Any) -> apsw.SQLiteValue:
    """A value out of an answer.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    match told["type"]:
        case "null":
            return None
        case "integer":
            return int(told["value"])
        case "float" if told["value"] is not None:
            return float(told["value"])
        case "text":
            return str(told["value"])
        case "blob":
            encoded = str(told["base64"])
            return base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    raise ValueError("JSON has no word for this number.")


def packed(rows: Iterable[Row]) -> str:
    """Rows as one JSON text, which `unpacked` reads on the server."""
    return f"[{','.join(map(_row, rows))}]"


def batches(rows: Iterable[Row], most: int) -> Iterator[str | Row]:
    """Rows packed into several texts of at most `most` characters; a row that alone is longer
    comes as it is."""
    some: list[str] = []
    size = 0
    for row in rows:
        text = _row(row)
        if len(text) > most:
            yield row
            continue
        if some and size + len(text) > most:
            yield f"[{','.join(some)}]"
            some, size = [], 0
        some.append(text)
        size += len(text) + 1
    if some:
        yield f"[{','.join(some)}]"


def unpacked(at: int) -> str:
    """The SQL expression that reads a row's value number `at` out of what `packed` made."""
    path = f"'$[{at}]"
    real = (
        f"CAST(value->>{path}[0]' AS REAL) * pow(2.0, (value->>{path}[1]') / 2)"
        f" * pow(2.0, (value->>{path}[1]') - (value->>{path}[1]') / 2)"
    )
    blob = f"unhex(value->>{path}[0]')"
    return (
        f"CASE json_type(value, {path}') WHEN 'array' THEN "
        f"CASE json_array_length(value, {path}') WHEN 2 THEN {real} ELSE {blob} END "
        f"ELSE value->>{path}' END"
    )


def needs_packing(value: apsw.SQLiteValue) -> bool:
    """Whether a value cannot be an argument of its own."""
    return isinstance(value, float)


def _row(row: Row) -> str:
    return json.dumps([_packed(value) for value in row], separators=(",", ":"))


def _packed(value: apsw.SQLiteValue) -> Json:
    match value:
        case bytes():
            return [value.hex()]
        case float():
            return _halves(value)
        case int() if not -(2**63) <= value < 2**63:
            return _halves(float(value))
        case _:
            return value


def _halves(value: float) -> Json:
    if value == 0:
        # A product that is too small for a real: zero, with the sign that is asked for.
        return [-1 if math.copysign(1, value) < 0 else 0, 4 * _SMALLEST]
    if math.isinf(value):
        return [-1 if value < 0 else 1, _TOO_LARGE]
    mantissa, exponent = math.frexp(value)
    return [int(mantissa * 2**53), exponent - 53]
