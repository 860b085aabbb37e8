"""Values of documents as people are shown them: in one line, and so that nothing of them hides."""

from __future__ import annotations

import json
import re

from valet_studio.schema.model import Json

_HIDDEN = re.compile(
    "[\x7f-\xa0\u00ad\u061c\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2060\u2066-\u2069\ufeff]"
)
"""What steers a terminal, turns a line around, cannot be seen, or is taken for a blank."""


class BytesLiteral(str):
    """Bytes as SQL writes them: no text of a document, though it looks like one in JSON."""

    __slots__ = ()


def told(value: Json, most: int | None = None) -> str:
    """The value as JSON, what nobody would see of it as an escape; bytes as their literal.

    Of what is longer than `most` characters, so many, and "…".
    """
    text = str(value) if isinstance(value, BytesLiteral) else json.dumps(value, ensure_ascii=False)
    if most is not None and len(text) > most:
        text = f"{text[: most - 1]}…"
    return _HIDDEN.sub(lambda m: f"\\u{ord(m[0]):04x}", text)
