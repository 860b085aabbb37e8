"""A schema as JSON: schema.json, and the hash that says whether two schemas mean the same.

schema.json holds the whole schema as data plus the sources that its backfills run from, so that
a server or a client can carry the same migration out elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar, cast

from valet_studio.schema.model import (
    Backfill,
    Field,
    Index,
    Json,
    Kind,
    ObjectField,
    Schema,
    SearchIndex,
    Sources,
    Sync,
    SyncMode,
    Table,
    Validator,
)
from valet_studio.schema.table_texts import TableTexts

VERSION = 1
"""The version of the document's format."""

T = TypeVar("T")


def to_text(schema: Schema) -> str:
    """schema.json as it stands in a file: `to_document`, indented."""
    tables = _indented.texts(schema.tables)
    text = json.dumps(_document(schema, []), indent=2, ensure_ascii=False)
    held = ",\n".join(tables)
    return text.replace('"tables": []', f'"tables": [\n{held}\n  ]', 1) if tables else text


def to_document(schema: Schema) -> dict[str, Json]:
    """The whole schema as data; `from_document` is its inverse (but for locations)."""
    return _document(schema, [table_to_document(table) for table in schema.tables])


def _document(schema: Schema, tables: list[Json]) -> dict[str, Json]:
    return {
        "version": VERSION,
        "hash": schema_hash(schema),
        "tables": tables,
        "sources": {
            "entry": schema.sources.entry,
            "folder": schema.sources.folder,
            "files": dict(schema.sources.files),
        },
    }


_last_hash: tuple[Schema | None, str] = (None, "")
"""The last schema and its hash: one pass asks for it several times."""


def schema_hash(schema: Schema) -> str:
    """SHA-256 of what the schema means, in hex.

    The order of tables, fields, object properties and union members does not count, nor do
    formatting, comments and code that no backfill reaches. Everything does that changes the
    database, the types, the sync rules, the indexes or what a backfill computes.
    """
    global _last_hash
    if _last_hash[0] is not schema:
        _last_hash = (schema, _hash(schema))
    return _last_hash[1]


def _hash(schema: Schema) -> str:
    tables = sorted(schema.tables, key=lambda table: table.name)
    text = f"[{','.join(_normal_texts.texts(tables))}]"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def table_to_document(table: Table) -> dict[str, Json]:
    """One table as data."""
    document: dict[str, Json] = {
        "name": table.name,
        "fields": [_field(field) for field in table.fields],
    }
    if table.indexes:
        document["indexes"] = [{"name": i.name, "fields": list(i.fields)} for i in table.indexes]
    if table.search_indexes:
        document["searchIndexes"] = [
            {"name": i.name, "searchField": i.search_field} for i in table.search_indexes
        ]
    document["sync"] = {"mode": table.sync.mode, "filter": table.sync.filter}
    if table.backfills:
        document["backfills"] = [
            {"column": b.column, "digest": b.digest, "code": b.code} for b in table.backfills
        ]
    return document


# Every line end of JSON's text is one of its layout.
_indented = TableTexts(
    lambda table: (
        "    "
        + json.dumps(table_to_document(table), indent=2, ensure_ascii=False).replace("\n", "\n    ")
    )
)
_normal_texts = TableTexts(lambda table: _dumps(table_to_document(_normal_table(table))))


def from_document(document: Json) -> Schema:
    """The schema of a schema.json.

    Raises:
        ValueError: the document is not one; the message says where it is wrong.
    """
    root = _mapping(document, "schema.json")
    version = root.get("version")
    if version != VERSION:
        raise ValueError(f"schema.json has version {version!r}; this program reads {VERSION}.")
    sources = _mapping(root.get("sources", {"entry": "schema.ts", "files": {}}), "sources")
    files = _mapping(sources.get("files", {}), "sources.files")
    return Schema(
        tables=_list(root, "tables", table_from_document, "schema.json"),
        sources=Sources(
            entry=_text(sources.get("entry"), "sources.entry"),
            files={name: _text(text, f"sources.files.{name}") for name, text in files.items()},
            folder=_text(sources.get("folder", "valet"), "sources.folder"),
        ),
    )


def table_from_document(document: Json) -> Table:
    """The table of one `table_to_document`.

    Raises:
        ValueError: the document is not one.
    """
    root = _mapping(document, "a table")
    name = _text(root.get("name"), "a table's name")
    sync = _mapping(root.get("sync", {}), f"{name}.sync")
    return Table(
        name=name,
        fields=_list(root, "fields", _field_from, name),
        indexes=_list(root, "indexes", _index_from, name),
        search_indexes=_list(root, "searchIndexes", _search_index_from, name),
        sync=Sync(_mode(sync.get("mode", "none"), name), sync.get("filter")),
        backfills=_list(root, "backfills", _backfill_from, name),
    )


def _field(field: Field) -> dict[str, Json]:
    document: dict[str, Json] = {"name": field.name, "type": _validator(field.validator)}
    if field.optional:
        document["optional"] = True
    if field.deprecated:
        document["deprecated"] = True
    return document


def _validator(validator: Validator) -> dict[str, Json]:
    document: dict[str, Json] = {"kind": validator.kind}
    match validator.kind:
        case "id":
            document["table"] = validator.table
        case "literal":
            document["value"] = validator.value
        case "array" | "record" | "union":
            document["items"] = [_validator(item) for item in validator.items]
        case "object":
            document["fields"] = [
                _field(Field(f.name, f.validator, f.optional)) for f in validator.fields
            ]
        case _:
            pass
    return document


def _normal_table(table: Table) -> Table:
    """The same table with all that has no order sorted, and without what is only shown."""
    return replace(
        table,
        fields=tuple(
            sorted(
                (_normal_field(field) for field in table.fields),
                key=lambda f: f.name,
            )
        ),
        indexes=tuple(sorted(table.indexes, key=lambda index: index.name)),
        search_indexes=tuple(sorted(table.search_indexes, key=lambda index: index.name)),
        backfills=tuple(
            sorted((replace(b, code="") for b in table.backfills), key=lambda b: b.column)
        ),
    )


def _normal_field(field: Field) -> Field:
    normal = _normal(field.validator)
    return field if normal is field.validator else replace(field, validator=normal)


def _normal(validator: Validator) -> Validator:
    if not (validator.items or validator.fields or isinstance(validator.value, float)):
        return validator
    items = tuple(_normal(item) for item in validator.items)
    if validator.kind == "union":
        # Told apart by their JSON: to Python, the literals 1 and true are equal.
        distinct = {_dumps(_validator(item)): item for item in items}
        items = tuple(distinct[key] for key in sorted(distinct))
    properties = (replace(f, validator=_normal(f.validator)) for f in validator.fields)
    value = validator.value
    if isinstance(value, float) and value.is_integer():
        # JavaScript has one number where JSON writes 1 and 1.0.
        value = int(value)
    return replace(
        validator,
        value=value,
        items=items,
        fields=tuple(sorted(properties, key=lambda f: f.name)),
    )


def _dumps(document: Json) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _field_from(document: Json) -> Field:
    root = _mapping(document, "a field")
    name = _text(root.get("name"), "a field's name")
    return Field(
        name,
        _validator_from(root.get("type"), name),
        optional=root.get("optional") is True,
        deprecated=root.get("deprecated") is True,
    )


_KINDS = frozenset(Kind.__args__)  # type: ignore[attr-defined]
_PLAIN: dict[Json, Validator] = {kind: Validator(kind) for kind in _KINDS}
"""One validator of each kind that has no parts: most of a large schema's."""


def _validator_from(document: Json, name: str) -> Validator:
    root = _mapping(document, f"the type of {name}")
    kind = root.get("kind")
    if len(root) == 1 and kind in _PLAIN:
        return _PLAIN[kind]
    if kind not in _KINDS:
        raise ValueError(f"The type of {name} has the unknown kind {kind!r}.")
    table, value = root.get("table"), root.get("value")
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise ValueError(f"The literal of {name} is no scalar.")
    return Validator(
        cast("Kind", kind),
        table=_text(table, f"the table of {name}") if table is not None else None,
        value=value,
        items=_list(root, "items", lambda item: _validator_from(item, name), name),
        fields=_list(root, "fields", _property_from, name),
    )


def _property_from(document: Json) -> ObjectField:
    root = _mapping(document, "a property")
    name = _text(root.get("name"), "a property's name")
    return ObjectField(name, _validator_from(root.get("type"), name), root.get("optional") is True)


def _index_from(document: Json) -> Index:
    root = _mapping(document, "an index")
    fields = root.get("fields")
    if not isinstance(fields, list):
        raise ValueError("An index has no list of fields.")
    names = tuple(_text(field, "an index's field") for field in fields)
    return Index(_text(root.get("name"), "an index's name"), names)


def _search_index_from(document: Json) -> SearchIndex:
    root = _mapping(document, "a search index")
    name = _text(root.get("name"), "a search index's name")
    return SearchIndex(name, _text(root.get("searchField"), f"the searchField of {name}"))


def _backfill_from(document: Json) -> Backfill:
    root = _mapping(document, "a backfill")
    column = _text(root.get("column"), "a backfill's column")
    code = _text(root.get("code", ""), f"the code of backfill {column}")
    return Backfill(column, _text(root.get("digest"), f"the digest of backfill {column}"), code)


def _mode(value: Json, table: str) -> SyncMode:
    if value not in ("full", "windowed", "none"):
        raise ValueError(f"Table {table} has the unknown sync mode {value!r}.")
    return cast("SyncMode", value)


def _mapping(value: Json, what: str) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object.")
    return value


def _text(value: Json, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is not a string.")
    return value


def _list(
    root: Mapping[str, Json], name: str, make: Callable[[Json], T], owner: str
) -> tuple[T, ...]:
    value = root.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"{name} of {owner} is not a list.")
    return tuple(make(item) for item in value)
