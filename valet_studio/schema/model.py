"""The schema that a developer wrote, as data.

Everything here is frozen and knows nothing of files, processes or databases. `Schema` is made
by `schema.evaluate` (from TypeScript) or `schema.document` (from schema.json), and read by
`plan.compare` and `codegen`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from valet_studio.errors import Location, lines_of

Kind: TypeAlias = Literal[
    "string",
    "number",
    "int",
    "boolean",
    "bytes",
    "null",
    "id",
    "any",
    "literal",
    "array",
    "object",
    "record",
    "union",
]
"""A validator's kind. `v.float64` is "number" and `v.int64` is "int": aliases are equal."""

Scalar: TypeAlias = str | int | float | bool
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


def _alike(one: Json, other: Json) -> bool:
    """Whether two values are equal as JSON, where true is not 1 as it is to Python."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


class Storage(StrEnum):
    """How a column holds its values: the SQL type plus what the stored value means.

    A column can change between validators of one storage. From one storage to another is a breaking
    change, even where SQLite's type is the same (boolean and number, text and JSON).
    JSON null is always SQL NULL.
    """

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    JSON = "json"

    @property
    def sql_type(self) -> str:
        """The type written in CREATE TABLE and ALTER TABLE."""
        match self:
            case Storage.TEXT | Storage.JSON:
                return "TEXT"
            case Storage.NUMBER | Storage.BOOLEAN:
                return "INTEGER"
            case Storage.BYTES:
                return "BLOB"


@dataclass(frozen=True, slots=True)
class ObjectField:
    """One property of a `v.object`."""

    name: str
    validator: Validator
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Validator:
    """What a value may be: one node of the tree that `v.…` calls build."""

    kind: Kind
    table: str | None = None
    """`id`: the table that it points to."""
    value: Scalar | None = None
    """`literal`: the only value allowed."""
    items: tuple[Validator, ...] = ()
    """`array`: (element,); `record`: (key, value); `union`: the members as written."""
    fields: tuple[ObjectField, ...] = ()
    """`object`: its properties as written."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Validator):
            return NotImplemented
        return (
            self.kind == other.kind
            and _alike(self.value, other.value)
            and self.table == other.table
            and self.items == other.items
            and self.fields == other.fields
        )

    @property
    def storage(self) -> Storage:
        """How a column of this validator holds its values.

        A union has the storage that its members share (`v.null()` shares any), else JSON.
        """
        match self.kind:
            case "string" | "id":
                return Storage.TEXT
            case "number" | "int":
                return Storage.NUMBER
            case "boolean":
                return Storage.BOOLEAN
            case "bytes":
                return Storage.BYTES
            case "literal":
                if isinstance(self.value, bool):
                    return Storage.BOOLEAN
                return Storage.TEXT if isinstance(self.value, str) else Storage.NUMBER
            case "union":
                shared = {item.storage for item in self.items if item.kind != "null"}
                return shared.pop() if len(shared) == 1 else Storage.JSON
            case _:
                return Storage.JSON

    @property
    def allows_null(self) -> bool:
        """Whether null satisfies it, so that SQL NULL breaks no promise."""
        return self.kind in ("null", "any") or any(
            item.allows_null for item in self.items if self.kind == "union"
        )


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field of a table."""

    name: str
    validator: Validator
    optional: bool = False
    deprecated: bool = False
    location: Location | None = field(default=None, compare=False)

    @property
    def nullable(self) -> bool:
        """Whether a document may hold null here and still keep the field's promise."""
        return self.optional or self.validator.allows_null


@dataclass(frozen=True, slots=True)
class Index:
    """`.index(name, fields)`; the order of `fields` matters."""

    name: str
    fields: tuple[str, ...]
    location: Location | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """`.searchIndex(name, { searchField })`: a full-text index over one field."""

    name: str
    search_field: str
    location: Location | None = field(default=None, compare=False)


SyncMode: TypeAlias = Literal["full", "windowed", "none"]


@dataclass(frozen=True, slots=True)
class Sync:
    """`.sync({ mode, filter })`; the filter recorded as data, `{"op": "eq", …}`."""

    mode: SyncMode = "none"
    filter: Json = None
    location: Location | None = field(default=None, compare=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sync):
            return NotImplemented
        return self.mode == other.mode and _alike(self.filter, other.filter)


@dataclass(frozen=True, slots=True)
class Impurity:
    """A source of values that differ from run to run (`Date.now`) in reach of a backfill."""

    name: str
    location: Location | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Backfill:
    """`.backfill(column, fn)`."""

    column: str
    digest: str
    """SHA-256 over the canonical text of the function and of all that it can reach."""
    code: str = field(default="", compare=False)
    """The function as written, to be shown."""
    impurities: tuple[Impurity, ...] = field(default=(), compare=False)
    location: Location | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """One `defineTable`; members keep the order in which they were written."""

    name: str
    fields: tuple[Field, ...] = ()
    indexes: tuple[Index, ...] = ()
    search_indexes: tuple[SearchIndex, ...] = ()
    sync: Sync = Sync()
    backfills: tuple[Backfill, ...] = ()
    location: Location | None = field(default=None, compare=False)

    def field_named(self, name: str) -> Field | None:
        """The field of that exact name, deprecated ones included."""
        return next((f for f in self.fields if f.name == name), None)

    @property
    def tracked(self) -> bool:
        """Whether changes to its documents are logged for clients (its sync mode is not none)."""
        return self.sync.mode != "none"


@dataclass(frozen=True, slots=True)
class Sources:
    """The modules of one schema, exactly as they were read: what is reviewed is what runs."""

    entry: str
    """The key of schema.ts in `files`."""
    files: dict[str, str]
    """Text by path relative to the valet directory, with forward slashes."""
    folder: str = "valet"
    """How the valet directory is named in locations shown to the user."""

    def line(self, location: Location) -> str | None:
        """The source line at a location, or None where it is not in these files."""
        prefix = f"{self.folder}/"
        text = self.files.get(location.file.removeprefix(prefix))
        lines = lines_of(text) if text is not None else []
        return lines[location.line - 1] if 0 < location.line <= len(lines) else None


@dataclass(frozen=True, slots=True)
class Schema:
    """A whole schema: its tables as written, and the sources to run its backfills from."""

    tables: tuple[Table, ...] = ()
    sources: Sources = field(default_factory=lambda: Sources("schema.ts", {}), compare=False)

    def table_named(self, name: str) -> Table | None:
        """The table of that exact name."""
        return next((t for t in self.tables if t.name == name), None)
