"""Schemas made at random, as data and as the TypeScript that declares them."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import get_args

from hypothesis import strategies as st

from valet_studio.schema.model import (
    Backfill,
    Field,
    Index,
    Json,
    ObjectField,
    Schema,
    SearchIndex,
    Storage,
    Sync,
    SyncMode,
    Table,
    Validator,
)
from valet_studio.schema.names import fold

_RESERVED = {"__proto__", "constructor"}

names = st.one_of(
    st.sampled_from(["title", "done", "userId", "class", "due-date", "naïve", "with space", "2"]),
    st.from_regex(r"[a-z][a-zA-Z0-9]{0,7}", fullmatch=True),
).filter(lambda name: name not in _RESERVED and not name.startswith("sqlite_"))

_scalars = st.one_of(
    st.text("abc'\"\\\n\u2028é", max_size=4),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.sampled_from([0.5, -2.25, 1e21, True, False]),
)


def validators(table_names: list[str], depth: int = 2) -> st.SearchStrategy[Validator]:
    """Validators that may stand anywhere (`v.bytes()` may not: it is no JSON)."""
    leaves = st.one_of(
        st.sampled_from(["string", "number", "int", "boolean", "null", "any"]).map(_leaf),
        st.sampled_from(table_names).map(lambda name: Validator("id", table=name)),
        _scalars.map(lambda value: Validator("literal", value=value)),
    )
    if depth == 0:
        return leaves
    inner = validators(table_names, depth - 1)
    properties = st.lists(
        st.builds(ObjectField, names, inner, st.booleans()), max_size=3, unique_by=lambda f: f.name
    )
    return st.one_of(
        leaves,
        inner.map(lambda item: Validator("array", items=(item,))),
        inner.map(lambda item: Validator("record", items=(Validator("string"), item))),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda items: Validator("union", items=tuple(items))
        ),
        properties.map(lambda fields: Validator("object", fields=tuple(fields))),
    )


def _leaf(kind: str) -> Validator:
    return Validator(kind)  # type: ignore[arg-type]


@st.composite
def _tables(draw: st.DrawFn, name: str, table_names: list[str]) -> Table:
    top = st.one_of(validators(table_names), st.just(Validator("bytes")))
    fields = draw(
        st.lists(
            st.builds(Field, names, top, st.booleans(), st.booleans()),
            max_size=5,
            unique_by=lambda field: fold(field.name),
        )
    )
    columns = [field.name for field in fields]
    indexes: list[Index] = []
    searches: list[SearchIndex] = []
    backfills: list[Backfill] = []
    if columns:
        subsets = st.lists(st.sampled_from(["_id", *columns]), min_size=1, max_size=3, unique=True)
        for number, chosen in enumerate(draw(st.lists(subsets, max_size=2))):
            indexes.append(Index(f"by{number}", tuple(chosen)))
        texts = [f.name for f in fields if f.validator.storage is Storage.TEXT]
        searched: bool = draw(st.booleans())
        if texts and searched:
            searches.append(SearchIndex("search", draw(st.sampled_from(texts))))
        chosen_columns = draw(st.lists(st.sampled_from(columns), max_size=2, unique=True))
        backfills += [Backfill(c, "", f"() => {draw(st.integers(0, 9))}") for c in chosen_columns]
    mode: SyncMode = draw(st.sampled_from(get_args(SyncMode)))
    field = draw(st.sampled_from(["_id", *columns]))
    condition: Json = {"op": "eq", "field": field, "value": {"ctx": "auth.userId"}}
    sync = Sync(mode, condition if draw(st.booleans()) else None)
    return Table(name, tuple(fields), tuple(indexes), tuple(searches), sync, tuple(backfills))


@st.composite
def schemas(draw: st.DrawFn, max_tables: int = 3) -> Schema:
    """Schemas without sources; a backfill's `code` is real, its `digest` is empty."""
    table_names = draw(st.lists(names, min_size=1, max_size=max_tables, unique_by=fold))
    return Schema(tuple(draw(_tables(name, table_names)) for name in table_names))


def to_typescript(schema: Schema, shuffle: random.Random | None = None) -> str:
    """The schema.ts of a schema; with `shuffle`, in another order and another layout."""
    tables = ",\n".join(
        f"{_key(table.name, shuffle)}: {_table(table, shuffle)}"
        for table in _order(schema.tables, shuffle)
    )
    comment = "" if shuffle is None else f"/* {shuffle.random()} */ "
    return (
        "import { defineSchema, defineTable, v } from 'valet-dev/server'\n"
        f"{comment}export default defineSchema({{\n{tables}\n}})\n"
    )


def _order(items: tuple, shuffle: random.Random | None) -> list:  # type: ignore[type-arg]
    return list(items) if shuffle is None else shuffle.sample(items, len(items))


def _key(name: str, shuffle: random.Random | None) -> str:
    if name.isascii() and name.isidentifier() and (shuffle is None or shuffle.random() < 0.5):
        return name
    return json.dumps(name)


def _table(table: Table, shuffle: random.Random | None) -> str:
    gap = "" if shuffle is None else shuffle.choice(["\n", "\n    // gap\n", ""])
    fields = ", ".join(
        f"{gap}{_key(f.name, shuffle)}: {_field(f, shuffle)}" for f in _order(table.fields, shuffle)
    )
    calls = [
        *(f".index({json.dumps(i.name)}, {json.dumps(i.fields)})" for i in table.indexes),
        *(
            f".searchIndex({json.dumps(i.name)}, {{ searchField: {json.dumps(i.search_field)} }})"
            for i in table.search_indexes
        ),
        *(f".backfill({json.dumps(b.column)}, {gap}{b.code})" for b in table.backfills),
    ]
    if table.sync != Sync():
        options = [f"mode: {json.dumps(table.sync.mode)}"]
        if isinstance(table.sync.filter, dict):
            field = json.dumps(table.sync.filter["field"])
            options.append(f"filter: (q, ctx) => q.eq({field}, ctx.auth.userId)")
        calls.append(f".sync({{ {', '.join(_order(tuple(options), shuffle))} }})")
    return f"defineTable({{ {fields} }})" + "".join(_order(tuple(calls), shuffle))


def _field(field: Field, shuffle: random.Random | None) -> str:
    text = _validator(field.validator, shuffle)
    first = shuffle is not None and shuffle.random() < 0.5
    if field.deprecated and first:
        text += ".deprecated()"
    if field.optional:
        text = f"v.optional({text})"
    return text + (".deprecated()" if field.deprecated and not first else "")


def _validator(validator: Validator, shuffle: random.Random | None) -> str:
    match validator.kind:
        case "id":
            return f"v.id({json.dumps(validator.table)})"
        case "literal":
            return f"v.literal({json.dumps(validator.value)})"
        case "object":
            inner = ", ".join(
                f"{_key(f.name, shuffle)}: "
                + (_field(Field(f.name, f.validator, f.optional), shuffle))
                for f in _order(validator.fields, shuffle)
            )
            return f"v.object({{ {inner} }})"
        case "union":
            members = _order(validator.items, shuffle)
            return f"v.union({', '.join(_validator(item, shuffle) for item in members)})"
        case "array" | "record":
            inner = ", ".join(_validator(item, shuffle) for item in validator.items)
            return f"v.{validator.kind}({inner})"
        case "number" if shuffle is not None:
            return shuffle.choice(["v.number()", "v.float64()"])
        case "int" if shuffle is not None:
            return shuffle.choice(["v.int()", "v.int64()"])
        case kind:
            return f"v.{kind}()"


def without_behaviour(schema: Schema) -> Schema:
    """The schema with the digests of its backfills left out, as `schemas` makes it."""
    return replace(
        schema,
        tables=tuple(
            replace(table, backfills=tuple(replace(b, digest="") for b in table.backfills))
            for table in schema.tables
        ),
    )
