"""Writes TypeScript in the style of the file that it goes into."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from valet_studio.schema.model import Field, ObjectField, Scalar, Validator

_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Style:
    """How one file is written."""

    v: str = "v"
    """What the file calls the validators' maker."""
    quote: str = "'"
    semicolon: str = ""
    unit: str = "    "
    """One step of indentation."""

    def string(self, text: str) -> str:
        """A string literal."""
        inner = json.dumps(text, ensure_ascii=False)[1:-1]
        # To JavaScript these two end a line: as they are, they would shift every place below.
        inner = inner.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        if self.quote == "'":
            inner = inner.replace('\\"', '"').replace("'", "\\'")
        return f"{self.quote}{inner}{self.quote}"

    def scalar(self, value: Scalar | None) -> str:
        """A literal of any type."""
        match value:
            case str():
                return self.string(value)
            case bool():
                return "true" if value else "false"
            case float() if value.is_integer():
                return str(int(value))
            case _:
                return json.dumps(value)

    def key(self, name: str) -> str:
        """A name as the key of an object literal."""
        return name if _IDENTIFIER.fullmatch(name) else self.string(name)

    def member(self, name: str) -> str:
        """A field of the document that a backfill gets."""
        return f"row.{name}" if _IDENTIFIER.fullmatch(name) else f"row[{self.string(name)}]"

    def field(self, field: Field | ObjectField) -> str:
        """A field's validator, `optional` included."""
        text = self.validator(field.validator)
        return f"{self.v}.optional({text})" if field.optional else text

    def validator(self, validator: Validator) -> str:
        """A validator as it is written in schema.ts."""
        match validator.kind:
            case "id":
                inner = self.string(validator.table or "")
            case "literal":
                inner = self.scalar(validator.value)
            case "array" | "record" | "union":
                inner = ", ".join(map(self.validator, validator.items))
            case "object":
                inner = ", ".join(f"{self.key(f.name)}: {self.field(f)}" for f in validator.fields)
                inner = f"{{ {inner} }}" if inner else "{}"
            case _:
                inner = ""
        return f"{self.v}.{validator.kind}({inner})"
