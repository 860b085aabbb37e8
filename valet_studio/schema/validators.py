"""Reads a raw validator, and judges where each kind may stand."""

from __future__ import annotations

from valet_studio.schema.model import ObjectField, Storage, Validator
from valet_studio.schema.read_context import (
    Raw,
    ReadContext,
    declare_or_name,
    did_you_mean,
    is_text,
)

_PLAIN = {
    kind: Validator(kind) for kind in ("string", "number", "int", "boolean", "bytes", "null", "any")
}
"""Validators of no arguments: one each, since a large schema has thousands of them."""

MOST_NESTED = 60


def read_validator(raw: Raw, context: ReadContext, depth: int = 0) -> Validator:
    """The validator that a raw one describes; `depth` says how many others it stands inside."""
    kind = raw["kind"]
    _check_leaf(raw, context, depth)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if depth > MOST_NESTED:
        context.problem(
            f"A validator is nested more than {MOST_NESTED} deep.",
            "Use v.any() for what is below.",
            context.at(raw),
        )
        return _PLAIN["any"]
    items = tuple(_nested(item, context, depth, f"v.{kind}") for item in raw.get("items", ()))
    if kind == "union":
        _check_union(raw, items, context)
    properties = tuple(
        ObjectField(
            item["name"],
            _nested(item["validator"], context, depth, "v.object", optional_allowed=True),
            item["validator"].get("optional", False),
        )
        for item in raw.get("fields", ())
        if item["validator"] is not None
    )
    if kind == "record" and items and not _is_key(items[0]):
        context.problem(
            "The keys of v.record must be strings.",
            "Use v.string(), v.id() or a v.union() of string literals as its first argument.",
            context.at(raw),
        )
    return Validator(kind, raw.get("table"), raw.get("value"), items, properties)


def _check_leaf(raw: Raw, context: ReadContext, depth: int) -> None:
    match raw["kind"]:
        case "id" if "table" in raw and raw["table"] not in context.tables:
            context.problem(
                f'v.id("{raw["table"]}") points to a table that is not in the schema.',
                did_you_mean(raw["table"], context.tables) or declare_or_name(context),
                context.at(raw),
            )
        case "bytes" if depth:
            context.problem(
                "JSON cannot hold bytes.", "Give them a column of their own.", context.at(raw)
            )
        case "literal" if isinstance(raw.get("value"), str) and not is_text(raw["value"]):
            context.problem(
                f"The text of v.literal({raw['value']!a}) holds half of a character.",
                "Write the whole character, or leave it out.",
                context.at(raw),
            )


def _nested(
    raw: Raw, context: ReadContext, depth: int, parent: str, optional_allowed: bool = False
) -> Validator:
    if raw.get("optional") and not optional_allowed:
        context.problem(
            f"v.optional cannot stand inside {parent}.",
            "Put v.optional around the whole field, or use v.union(…, v.null()).",
            context.at(raw),
        )
    if raw.get("deprecated"):
        context.problem(
            f".deprecated() cannot stand inside {parent}.",
            "Call .deprecated() on the validator of a whole field.",
            context.at(raw),
        )
    # A union's bytes are judged by the union: alone, they have a column of their own.
    inner = depth if parent == "v.union" else depth + 1
    return read_validator(raw, context, inner)


def _check_union(raw: Raw, items: tuple[Validator, ...], context: ReadContext) -> None:
    if not items and not raw.get("items"):
        context.problem(
            "v.union has no members.", "Give it one validator or more.", context.at(raw)
        )
    if Validator("union", items=items).storage is Storage.JSON and any(
        item.kind == "bytes" for item in items
    ):
        context.problem(
            "JSON cannot hold bytes.",
            "A v.union with v.bytes() may have no other member but v.null().",
            context.at(raw),
        )


def _is_key(validator: Validator) -> bool:
    match validator.kind:
        case "string" | "id":
            return True
        case "literal":
            return isinstance(validator.value, str)
        case "union":
            return all(_is_key(item) for item in validator.items)
        case _:
            return False
