"""The body of a backfill that turns a value of one type into the nearest value of another.

What is written is a template: it satisfies both types, and the developer reads it and mends what
only they can know (which word means which number).
"""

from __future__ import annotations

from dataclasses import dataclass

from valet_studio.fixes.writing import Style
from valet_studio.plan.types import covers
from valet_studio.schema.model import Field, Scalar, Storage, Validator


@dataclass(frozen=True, slots=True)
class Function:
    """An arrow function: an expression, or statements one a line ("\\t" for each step inwards)."""

    expression: str = ""
    statements: tuple[str, ...] = ()
    parameter: str = "(row)"

    def written(self, indent: str, style: Style) -> str:
        """The function's text, its lines after the first indented from `indent`."""
        if not self.statements:
            body = f"({self.expression})" if self.expression.startswith("{") else self.expression
            return f"{self.parameter} => {body}"
        lines = [f"{self.parameter} => {{"]
        for statement in self.statements:
            text = statement.lstrip("\t")
            depth = len(statement) - len(text) + 1
            lines.append(f"{indent}{style.unit * depth}{text}")
        return "\n".join([*lines, f"{indent}}}"])


def conversion(
    before: Field, after: Field, style: Style, *, of_json_column: bool = False
) -> Function:
    """How `after` is computed from the document's field `before`.

    A document may hold null for a required field: it was written before the field was there.

    Args:
        before: What the column holds, as a field.
        after: What is to be computed.
        style: How the file is written.
        of_json_column: Whether the column was declared as JSON, which SQLite takes for a type of
            numbers: it holds the text of any value.
    """
    source = style.member(before.name)
    old, new = before.validator, after.validator
    instead = "null" if after.nullable else fallback(new, style)
    if of_json_column and new.storage is Storage.JSON:
        return _parsed(source, f"String({source})", new, instead, style)
    if old.kind == "string" and new.kind in _OPENINGS:
        return _parsed(source, source, new, instead, style)
    if _takes(new, old):
        renamed = new.storage is old.storage and not before.nullable
        return Function(source if after.nullable or renamed else f"{source} ?? {instead}")
    mapping = _mapping(old, new, source, instead, style)
    if mapping is not None:
        return mapping
    if new.kind in ("number", "int") and old.storage is not Storage.BOOLEAN:
        return _number(old, source, new, after.nullable, style)
    if new.kind == "record" and not after.nullable:
        # Of `{}` or `{ value }`, TypeScript makes a type whose value may be undefined.
        return Function(_convert(old, new, f"({source} ?? {fallback(old, style)})", style))
    expression = _convert(old, new, source, style)
    if new.kind == "string" and old.storage in (Storage.NUMBER, Storage.BOOLEAN):
        if not after.nullable:
            return Function(f"String({source} ?? {instead})")
    elif new.kind == "number" and not after.nullable:
        return Function(expression)
    if new.kind in ("null", "literal") and not after.nullable:
        return Function(expression)
    return Function(f"{source} === null ? {instead} : {expression}")


def _number(old: Validator, source: str, new: Validator, nullable: bool, style: Style) -> Function:
    """The number that a value stands for. Where it stands for none, as "12,50", a date and "", the
    document fails, so that the dry run names it: any number in its place would pass unseen."""
    holds, called = (
        ("isSafeInteger", "an integer") if new.kind == "int" else ("isFinite", "a number")
    )
    given = text = source
    begin: list[str] = []
    if old.storage is Storage.BYTES:
        given = text = "text"
        begin.append(f"if ({source} === null) return {'null' if nullable else '0'}")
        begin.append(f"const text = {_text(old, source)}")
    elif nullable:
        begin.append(f"if ({source} === null) return null")
    if old.storage is Storage.JSON or not (nullable or old.storage is Storage.BYTES):
        text = f"String({source})"  # Null, in a document from before the field, is 0.
    number = f"Number({given})"
    if old.storage is not Storage.NUMBER:
        number = f"{text}.trim() === {style.string('')} ? NaN : {number}"
    message = f"`${{JSON.stringify({given})}} is not {called}`"
    statements = (
        *begin,
        f"const value = {number}",
        f"if (!Number.{holds}(value)) throw new Error({message})",
        "return value",
    )
    return Function(statements=tuple(f"{line}{style.semicolon}" for line in statements))


_OPENINGS = {"array": "[", "object": "{", "record": "{"}
"""What the text of a value begins with, where it is JSON."""


def _parsed(source: str, text: str, new: Validator, instead: str, style: Style) -> Function:
    """What a text says as JSON, since where values stand in a text they are JSON as a rule; a text
    that does not look like it is taken for a value inside."""
    value = f"JSON.parse({text})"
    opening = _OPENINGS.get(new.kind)
    if opening is not None:
        plain = _convert(Validator("string"), new, text, style)
        value = f"{text}.startsWith({style.string(opening)}) ? {value} : {plain}"
    return Function(
        statements=(
            f"if ({source} === null) return {instead}{style.semicolon}",
            f"return {value}{style.semicolon}",
        )
    )


def constant(field: Field, style: Style) -> Function:
    """The same value for every document: where there is nothing to compute a field from."""
    return Function(fallback(field.validator, style), parameter="()")


def can_be_constant(validator: Validator) -> bool:
    """Whether some value of a type is as good as any other to begin with; an id is not."""
    return validator.kind != "id"


def fallback(validator: Validator, style: Style) -> str:
    """The plainest value of a type, as an expression."""
    match validator.kind:
        case "string" | "id":
            return style.string("")
        case "number" | "int":
            return "0"
        case "boolean":
            return "false"
        case "bytes":
            return "new ArrayBuffer(0)"
        case "literal":
            return style.scalar(validator.value)
        case "array":
            return "[]"
        case "object":
            required = [f for f in validator.fields if not f.optional]
            return _object({f.name: fallback(f.validator, style) for f in required}, style)
        case "record":
            keys = literals(validator.items[0]) or ()
            return _object({str(k): fallback(validator.items[1], style) for k in keys}, style)
        case "union" if validator.items and not validator.allows_null:
            return fallback(validator.items[0], style)
        case _:
            return "null"


def _convert(old: Validator, new: Validator, source: str, style: Style) -> str:
    """An expression of type `new` made of one of type `old` that is not null."""
    if _takes(new, old):
        return source
    match new.kind:
        case "string" | "id" | "any":
            return _text(old, source)
        case "number" | "int" if old.storage is Storage.BOOLEAN:
            return f"{source} ? 1 : 0"
        case "number":
            return f"Number({source}) || 0"
        case "int":
            return f"Math.trunc(Number({source})) || 0"
        case "boolean":
            return _truth(old, source, style)
        case "bytes":
            return f"new TextEncoder().encode({_text(old, source)}).buffer"
        case "array":
            return f"[{_convert(old, new.items[0], source, style)}]"
        case "object":
            return _object_around(old, new, source, style)
        case "record" if new.items[0].kind == "string":
            return f"{{ value: {_convert(old, new.items[1], source, style)} }}"
        case "union" if new.items and literals(new) is None:
            members = [item for item in new.items if item.kind != "null"]
            nearest = next((m for m in members if m.storage is old.storage), members[0])
            return _convert(old, nearest, source, style)
        case _:
            return fallback(new, style)


def _takes(new: Validator, old: Validator) -> bool:
    """Whether a column of `new` holds every value of `old` as it is; JSON holds no bytes."""
    bytes_in_json = old.storage is Storage.BYTES and new.storage is Storage.JSON
    return covers(new, old) and not bytes_in_json


def _text(old: Validator, source: str) -> str:
    match old.storage:
        case Storage.TEXT:
            return source
        case Storage.BYTES:
            return f"new TextDecoder().decode({source})"
        case Storage.JSON:
            return f"JSON.stringify({source})"
        case _:
            return f"String({source})"


def _truth(old: Validator, source: str, style: Style) -> str:
    match old.kind:
        case "number" | "int":
            return f"{source} !== 0"
        case "string" | "id":
            yes, one = style.string("true"), style.string("1")
            return f"{source} === {yes} || {source} === {one}"
        case _ if old.storage is Storage.TEXT:
            return f"String({source}) === {style.string('true')}"
        case _:
            return f"Boolean({source})"


def _object_around(old: Validator, new: Validator, source: str, style: Style) -> str:
    """The value in the first property that can hold it as it is, else in the first of all."""
    required = {f.name: fallback(f.validator, style) for f in new.fields if not f.optional}
    fitting = [f for f in new.fields if _takes(f.validator, old)] or list(new.fields[:1])
    for field in fitting[:1]:
        required[field.name] = _convert(old, field.validator, source, style)
    return _object(required, style)


def _object(properties: dict[str, str], style: Style) -> str:
    inner = ", ".join(f"{style.key(name)}: {value}" for name, value in properties.items())
    return f"{{ {inner} }}" if inner else "{}"


def _mapping(
    old: Validator, new: Validator, source: str, instead: str, style: Style
) -> Function | None:
    """The seed's own template: one value a word, to be mended by hand.

    For a type of few values, and for numbers that stand for words.
    """
    words, values = literals(old), literals(new)
    if values is not None and new.kind == "union":
        named = [style.scalar(value) for value in values]
        kind = " | ".join(named)
    elif new.kind in ("number", "int") and words and old.storage is Storage.TEXT:
        named = [str(number) for number in range(1, len(words) + 1)]
        kind = "number"
    else:
        return None
    lines = [
        f"\t{style.key(as_key(word))}: {named[min(place, len(named) - 1)]},"
        for place, word in enumerate(words or ())
    ]
    return Function(
        statements=(
            f"const mapping: Record<string, {kind}> = {{",
            *(lines or [f"\t// {style.string('old value')}: {named[0]},"]),
            f"}}{style.semicolon}",
            f"return mapping[String({source})] ?? {instead}{style.semicolon}",
        )
    )


def literals(validator: Validator) -> tuple[Scalar, ...] | None:
    """The values of a type that has a few of them and no other; None where it has more."""
    match validator.kind:
        case "literal":
            return (validator.value,) if validator.value is not None else None
        case "boolean":
            return (False, True)
        case "union":
            members = [item for item in validator.items if item.kind != "null"]
            found = [item.value for item in members if item.kind == "literal"]
            if members and len(found) == len(members):
                return tuple(value for value in found if value is not None)
    return None


def as_key(value: Scalar) -> str:
    """What `String(value)` gives in JavaScript."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
