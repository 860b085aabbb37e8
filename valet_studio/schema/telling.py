"""Values of documents as people are shown them: in one line, and so that nothing of them hides."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from valet_studio.schema.model import Json, Storage
from valet_studio.schema.values import StoredValue

_HIDDEN = re.compile(
    "[\x7f-\xa0\u00ad\u061c\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2060\u2066-\u2069\ufeff]"
)
"""What steers a terminal, turns a line around, cannot be seen, or is taken for a blank."""


_BREAK = re.compile(r" *[\t-\r\x1c-\x1f\x85\u2028\u2029]\s*")


def one_line(text: str) -> str:
    """The text with every line break or tab, and the blanks around it, as one blank."""
    return _BREAK.sub(" ", text.strip())


def megabytes(size: int) -> str:
    """A number of bytes, such as "1,040.0 MB"."""
    return f"{size / 1e6:,.1f} MB"


class BytesLiteral(str):
    """Bytes as SQL writes them: no text of a document, though it looks like one in JSON."""

    __slots__ = ()


def shown(cell: StoredValue, storage: Storage | None) -> Json:
    """A stored cell as JSON to be shown: booleans and JSON decoded, bytes as a hex literal."""
    if isinstance(cell, bytes):
        long = f"…' ({len(cell):,} bytes)" if len(cell) > 32 else "'"
        return BytesLiteral(f"x'{cell[:32].hex()}{long}")
    if storage is Storage.BOOLEAN and cell in (0, 1):
        return bool(cell)
    if storage is Storage.JSON and isinstance(cell, str):
        try:
            decoded: Json = json.loads(cell)
        except ValueError:
            return cell
        return decoded
    return cell


def told(value: Json, most: int | None = None) -> str:
    """The value as JSON, what nobody would see of it as an escape; bytes as their literal.

    Of what is longer than `most` characters, so many, and "…".
    """
    text = str(value) if isinstance(value, BytesLiteral) else json.dumps(value, ensure_ascii=False)
    if most is not None and len(text) > most:
        text = f"{text[: most - 1]}…"
    return _HIDDEN.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def told_fields(fields: Mapping[str, Json], most: int) -> str:
    """Fields and their values in one line: `priority null, title "Tea"`; each value as `told`."""
    return ", ".join(f"{name} {told(value, most)}" for name, value in fields.items())
