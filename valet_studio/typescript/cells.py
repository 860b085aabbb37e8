"""The values of one batch as the sandbox packs them, so that most need no Python object each.

`shim/packing.ts` is the other side. Three of the forms are bytes that SQLite itself can take
apart, at one place a value; the fourth is a list.
"""

from __future__ import annotations

import json
import marshal
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

Value: TypeAlias = "str | int | float | bytes | None"
"""A value in stored form."""

FormName: TypeAlias = Literal["codes", "texts", "integers", "json"]

_EXACT = 1 << 53


@dataclass(frozen=True)
class Cells:
    """One value a document, in the documents' order."""

    form: FormName
    """codes: one byte a value, an index into `values`. texts, integers: `width` bytes a value,
    padded with spaces. json: an array."""
    body: bytes
    values: tuple[Value, ...] = ()
    """Of codes: the distinct values."""
    width: int = 1
    large: bool = False
    """Of json: whether it holds numbers that a double rounds."""

    @staticmethod
    def of(values: Sequence[Value]) -> Cells:
        """Values that came some other way."""
        cells = Cells("json", b"")
        cells.__dict__["listed"] = list(values)
        return cells

    @staticmethod
    def unpack(form: dict[str, Any], body: bytes, large: bool) -> Cells:
        """What a batch's answer holds."""
        values = decoded(form.get("values", ()), large=large)
        return Cells(form["form"], body, tuple(values), form.get("width", 1), large)

    @cached_property
    def listed(self) -> list[Any]:
        """Every value as an object."""
        if self.form == "codes":
            return list(map(self.values.__getitem__, self.body))
        if self.form == "json":
            return decoded(json.loads(self.body), large=self.large, bytes_too=b'{"$b"' in self.body)
        text, width = self.body.decode("ascii"), self.width
        parts = (text[at : at + width].rstrip(" ") for at in range(0, len(text), width))
        return [int(part) for part in parts] if self.form == "integers" else list(parts)

    def counts(self) -> Counter[Value]:
        """How often each value comes."""
        if self.form != "codes":
            return Counter(self.listed)
        return Counter({value: self.body.count(code) for code, value in enumerate(self.values)})

    def places(self) -> dict[Value, int]:
        """Where each value comes first."""
        if self.form == "codes":
            return {value: self.body.index(code) for code, value in enumerate(self.values)}
        values = self.listed
        # Backwards, so that of equal values the first one's place is left.
        return dict(zip(reversed(values), range(len(values) - 1, -1, -1), strict=True))

    def nulls(self) -> int:
        """How many values are null."""
        if self.form == "codes":
            return self.body.count(self.values.index(None)) if None in self.values else 0
        return self.listed.count(None) if self.form == "json" else 0

    def every(self, step: int) -> list[Value]:
        """Each value `step` further on; none of texts, which nobody draws."""
        if self.form == "codes":
            return [self.values[code] for code in self.body[::step]]
        return [] if self.form == "texts" else self.listed[::step]

    def __len__(self) -> int:
        if self.form == "json":
            return len(self.listed)
        return len(self.body) // (1 if self.form == "codes" else self.width)

    def fit(self, count: int) -> bool:
        """Whether there is exactly one value for each of so many documents."""
        if self.form == "json":
            return len(self.listed) == count
        return len(self.body) == count * (1 if self.form == "codes" else self.width)

    def dumped(self) -> bytes:
        """As bytes for `loaded`."""
        if self.form == "json":
            return marshal.dumps(self.listed)
        return marshal.dumps((self.form, self.body, self.values, self.width))

    @staticmethod
    def loaded(data: bytes) -> Cells:
        """What `dumped` wrote."""
        found = marshal.loads(data)
        return Cells.of(found) if isinstance(found, list) else Cells(*found)


def decoded(values: Iterable[Any], *, large: bool, bytes_too: bool = False) -> list[Any]:
    """Values as they are stored, out of what JSON makes of them.

    Args:
        large: whether there may be numbers that a double rounds.
        bytes_too: whether there may be bytes.
    """
    found = list(values)
    if bytes_too:
        found = [bytes.fromhex(v["$b"]) if isinstance(v, dict) else v for v in found]
    if large:
        # JSON writes some reals as whole numbers.
        found = [float(v) if isinstance(v, int) and abs(v) > _EXACT else v for v in found]
    return found
