"""A table that looks renamed: its documents stay under the old name, and the new one is empty.

Tables are never dropped and never renamed (the seed's "How migrations work"), so that the one safe
edit is to give the old name back.
"""

from __future__ import annotations

from dataclasses import dataclass

from tree_sitter import Node

from valet_studio.fixes.fix import CannotEdit, Fix
from valet_studio.fixes.page import Page, schema_page
from valet_studio.plan.changes import CreateTable, Plan, RemoveTable
from valet_studio.schema.model import Field, Schema
from valet_studio.schema.names import fold
from valet_studio.schema.syntax import (
    arguments_of,
    calls_of,
    name_of,
    parse,
    string_value,
    text_of,
    walk,
)
from valet_studio.typescript.modules import shown_path

_SHARED = 0.5
"""The share of fields from which on two tables may be one before and after a rename."""


@dataclass(frozen=True, slots=True)
class TableRename:
    """A table that left the schema together with one that came, and may be the same."""

    gone: str
    came: str
    documents: int | None
    """How many would be left behind; None where they are not counted yet."""


def likely_table_renames(plan: Plan) -> tuple[TableRename, ...]:
    """The tables of a plan that look renamed and that hold documents, or may."""
    created = [c for c in plan.changes if isinstance(c, CreateTable)]
    pairs = sorted(
        (
            (-_shared(gone.fields, came.declared.fields), gone.table, came.table, gone.rows)
            for gone in plan.changes
            if isinstance(gone, RemoveTable) and gone.rows != 0
            for came in created
        ),
        key=lambda pair: pair[:3],
    )
    found: list[TableRename] = []
    for unlike, gone, came, rows in pairs:
        if -unlike >= _SHARED and not any(gone == f.gone or came == f.came for f in found):
            found.append(TableRename(gone, came, rows))
    return tuple(found)


def former_name(change: CreateTable | RemoveTable, schema: Schema, plan: Plan) -> Fix | None:
    """The edit that gives a table that looks renamed its old name back; None for any other.

    Raises:
        CannotEdit: its name is not written where one edit changes it.
    """
    for rename in likely_table_renames(plan):
        if change.table in (rename.gone, rename.came):
            return _named_again(rename, schema)
    return None


def _shared(one: tuple[Field, ...], other: tuple[Field, ...]) -> float:
    """The share of fields that both have, by name and validator."""
    first, second = ({(fold(f.name), f.validator) for f in fields} for fields in (one, other))
    return len(first & second) / max(1, len(first | second))


def _named_again(rename: TableRename, schema: Schema) -> Fix:
    page = schema_page(schema)
    member = _member(page, rename.came)
    key = page.style.key(rename.gone)
    if member.type == "pair":
        name = member.child_by_field_name("key")
        assert name is not None
        page.replace(name, key)
    else:
        page.replace(member, f"{key}: {text_of(member)}")
    for file, text in schema.sources.files.items():
        if file != schema.sources.entry and _strings(parse(text), rename.came):
            raise CannotEdit(f"{shown_path(schema.sources.folder, file)} names {rename.came}, too.")
    for call in calls_of(page.root, f"{page.style.v}.id"):
        for string in _strings(call, rename.came):
            page.replace(string, page.style.string(rename.gone))
    return page.fix(
        f"Call {rename.came} {rename.gone} again",
        f"A table cannot be renamed: the documents of {rename.gone} stay under that name, and "
        f"{rename.came} would begin empty.",
    )


def _member(page: Page, table: str) -> Node:
    """The property of `defineSchema({…})` that declares a table."""
    for call in calls_of(page.root, page.define_schema):
        for given in arguments_of(call):
            for member in given.named_children if given.type == "object" else ():
                key = member.child_by_field_name("key") if member.type == "pair" else member
                if key is not None and key.type != "comment" and name_of(key) == table:
                    return member
    raise CannotEdit(f"{table} is not written in the defineSchema of {page.file}.")


def _strings(node: Node, value: str) -> list[Node]:
    return [n for n in walk(node) if n.type == "string" and string_value(n) == value]
