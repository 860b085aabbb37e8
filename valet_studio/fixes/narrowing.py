"""The body of a backfill by which the values of a field come to keep what it newly promises."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from valet_studio.fixes.conversion import Function, as_key, can_be_constant, fallback, literals
from valet_studio.fixes.writing import Style
from valet_studio.plan.changes import NarrowField
from valet_studio.schema.model import Scalar, Storage
from valet_studio.schema.questions import MAX_VALUES

_LONG = 80
"""Characters of a value beyond which nobody means it for a word."""

MAPPED = (
    "Each value that breaks the promise becomes the nearest that keeps it: read which. One that is "
    "near to none stays, and fails in the dry run until you say what it becomes."
)
ROUNDED = "Every number is rounded: read whether that is what you mean."
FILLED = "Documents without a value get the one that stands there: put the right one in its place."


def mending(change: NarrowField, style: Style) -> tuple[Function, str] | None:
    """A function that leaves what keeps the promise as it is, and guesses at the rest; and what its
    reader is to look at.

    None where a guess would be none: what is not known here stays, and fails in the dry run.
    """
    after, before = change.field, change.before
    source = style.member(after.name)
    words = literals(after.validator)
    if words and after.validator.storage in (Storage.TEXT, Storage.NUMBER):
        mapped = _mapping(change, words, source, style)
        return (mapped, MAPPED) if mapped is not None else None
    if before is None:
        return None
    if (before.validator.kind, after.validator.kind) == ("number", "int"):
        rounded = f"Math.round({source})"
        kept = f"{source} === null ? null : {rounded}" if after.nullable else rounded
        return Function(kept), ROUNDED
    only_null = before.validator == after.validator and not after.nullable
    if only_null and can_be_constant(after.validator):
        return Function(f"{source} ?? {fallback(after.validator, style)}"), FILLED
    return None


def _mapping(
    change: NarrowField, words: Sequence[Scalar], source: str, style: Style
) -> Function | None:
    held = [each.value for each in change.values[:MAX_VALUES]]
    known: list[Scalar | None] = [v for v in held if v is None or isinstance(v, str | float | int)]
    lines = [
        f"\t{style.key(_key(value))}: {style.scalar(_nearest(value, words))},"
        for value in known
        if len(str(value)) <= _LONG
    ]
    if not lines:
        return None
    return Function(
        statements=(
            f"const mapping: Record<string, typeof {source}> = {{",
            *lines,
            f"}}{style.semicolon}",
            f"return mapping[String({source})] ?? {source}{style.semicolon}",
        )
    )


def _key(value: Scalar | None) -> str:
    return "null" if value is None else as_key(value)


def _nearest(value: Scalar | None, words: Sequence[Scalar]) -> Scalar | None:
    """The word that was most likely meant: the first for nothing. A value that none is like
    stays, so that compiler and dry run point at it: a guess would write over what it says."""
    text = "" if value is None else str(value).strip().casefold()
    by_text = {str(word).casefold(): word for word in reversed(words)}
    near = get_close_matches(text, by_text, n=1)
    if near:
        return by_text[near[0]]
    return value if text else words[0]
