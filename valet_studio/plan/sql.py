"""The SQL of Valet's physical layout, as text: tables, columns, triggers, indexes.

Statements that SQLite records as written (triggers, indexes, virtual tables) come without
IF NOT EXISTS, so that `compare` can tell by equality whether what stands in a database is what
this module would make.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from valet_studio.schema.model import Field, Index, SearchIndex, Storage, Table
from valet_studio.schema.names import fold, quote, text_literal

NamedStatement: TypeAlias = tuple[str, str]
"""The name of what is made, and the statement that makes it."""

ROWID_NAMES = ("rowid", "_rowid_", "oid")
"""What SQLite calls a row's number, as long as no column bears the name."""

_OPERATIONS: tuple[Literal["insert", "update", "delete"], ...] = ("insert", "update", "delete")
_FTS5_RESERVED = ("rank", "rowid")
"""Names that FTS5 keeps for itself (https://www.sqlite.org/fts5.html, section 4)."""


def create_table(table: Table) -> str:
    """Valet's documented CREATE TABLE: `_id`, `_version`, then the fields without NOT NULL."""
    columns = ['"_id" TEXT PRIMARY KEY NOT NULL', '"_version" INTEGER NOT NULL DEFAULT 0']
    columns += [f"{quote(f.name)} {f.validator.storage.sql_type}" for f in table.fields]
    return f"CREATE TABLE IF NOT EXISTS {quote(table.name)} ({', '.join(columns)})"


def add_column(table: str, field: Field, *, strict: bool) -> str:
    """ALTER TABLE ADD COLUMN; in a STRICT table a number is REAL, the only type that holds all."""
    sql_type = field.validator.storage.sql_type
    if strict and field.validator.storage is Storage.NUMBER and field.validator.kind != "int":
        sql_type = "REAL"
    return f"ALTER TABLE {quote(table)} ADD COLUMN {quote(field.name)} {sql_type}"


def add_version(table: str) -> str:
    """The optimistic-locking counter, for a table that was made without it."""
    return f'ALTER TABLE {quote(table)} ADD COLUMN "_version" INTEGER NOT NULL DEFAULT 0'


def trigger_names(table: str) -> tuple[str, ...]:
    """The names of a table's change-tracking triggers."""
    return tuple(f"{table}_valet_{operation}" for operation in _OPERATIONS)


def tracking_triggers(table: Table) -> tuple[NamedStatement, ...]:
    """What logs every change of a synced table for its clients; none for an unsynced one."""
    if not table.tracked:
        return ()
    return tuple(
        (name, _tracking_trigger(name, table.name, operation))
        for name, operation in zip(trigger_names(table.name), _OPERATIONS, strict=True)
    )


def _tracking_trigger(name: str, table: str, operation: str) -> str:
    row = "OLD" if operation == "delete" else "NEW"
    return (
        f"CREATE TRIGGER {quote(name)} AFTER {operation.upper()} ON {quote(table)} BEGIN "
        'UPDATE "_valet_version" SET "version" = "version" + 1 WHERE "id" = 1; '
        'INSERT INTO "_valet_changes" ("db_version", "table", "row_id", "operation") '
        'VALUES ((SELECT "version" FROM "_valet_version" WHERE "id" = 1), '
        f"{text_literal(table)}, {row}.\"_id\", '{operation}'); END"
    )


def drop_trigger(name: str) -> str:
    """Remove a trigger, if it is there."""
    return f"DROP TRIGGER IF EXISTS {quote(name)}"


def index_name(table: str, index: str) -> str:
    """The name of a declared index in SQLite, where names of indexes are global."""
    return f"{table}_valet_index_{index}"


def is_index_name(name: str, table: str) -> bool:
    """Whether an index of that name on that table was made by a push."""
    return fold(name).startswith(fold(f"{table}_valet_index_"))


def create_index(table: str, index: Index) -> str:
    """A declared index over the columns in their declared order."""
    columns = ", ".join(quote(name) for name in index.fields)
    return f"CREATE INDEX {quote(index_name(table, index.name))} ON {quote(table)} ({columns})"


def drop_index(name: str) -> str:
    """Remove an index by its name in SQLite."""
    return f"DROP INDEX IF EXISTS {quote(name)}"


def search_name(table: str, index: str) -> str:
    """The name of a search index's FTS5 table."""
    return f"{table}_valet_search_{index}"


def is_search_name(name: str, table: str) -> bool:
    """Whether a virtual table or trigger of that name belongs to the table's search indexes."""
    return fold(name).startswith(fold(f"{table}_valet_search_"))


def is_own_trigger(name: str, table: str) -> bool:
    """Whether a trigger of that name on that table is one of Valet's own."""
    return fold(name) in map(fold, trigger_names(table)) or is_search_name(name, table)


def rowid_of(columns: Iterable[str]) -> str | None:
    """A name by which SQLite gives a row's number beside these columns, or None."""
    taken = {fold(name) for name in columns}
    return next((name for name in ROWID_NAMES if name not in taken), None)


def create_search_index(
    table: str, index: SearchIndex, columns: Iterable[str]
) -> tuple[NamedStatement, ...]:
    """An FTS5 table over one column, kept in step by triggers, and filled from what is there.

    The text stays in the table itself (FTS5's external content, found by rowid); rowids are
    stable, because VACUUM keeps them in a table with an index, and `_id` is one.

    Args:
        table: The table's name.
        index: The declared search index.
        columns: All columns of the table, to find a name for the rowid that is not taken.

    Returns:
        The named FTS5 table and triggers, then unnamed ("") statements that fill it.
    """
    name = search_name(table, index.name)
    rowid = rowid_of(columns) or "rowid"
    column = index.search_field
    if fold(column) in _FTS5_RESERVED:
        return _contentless_search(table, name, column, rowid)
    fts, source, text = quote(name), quote(table), quote(column)
    create = (
        f"CREATE VIRTUAL TABLE {fts} USING fts5("
        f"{text}, content={text_literal(table)}, content_rowid={text_literal(rowid)})"
    )
    forget = f"INSERT INTO {fts} ({fts}, rowid, {text}) VALUES ('delete', OLD.{rowid}, OLD.{text});"
    learn = f"INSERT INTO {fts} (rowid, {text}) VALUES (NEW.{rowid}, NEW.{text});"
    return (
        (name, create),
        *_search_triggers(name, source, text, forget, learn),
        ("", f"INSERT INTO {fts} ({fts}) VALUES ('rebuild')"),
    )


def _contentless_search(
    table: str, name: str, column: str, rowid: str
) -> tuple[NamedStatement, ...]:
    """For a column whose name FTS5 reserves: the index alone, under another column name."""
    fts, source, text = quote(name), quote(table), quote(column)
    create = f"CREATE VIRTUAL TABLE {fts} USING fts5(\"value\", content='', contentless_delete=1)"
    forget = f"DELETE FROM {fts} WHERE rowid = OLD.{rowid};"
    learn = f'INSERT INTO {fts} (rowid, "value") VALUES (NEW.{rowid}, NEW.{text});'
    return (
        (name, create),
        *_search_triggers(name, source, text, forget, learn),
        ("", f'INSERT INTO {fts} (rowid, "value") SELECT {rowid}, {text} FROM {source}'),
    )


def _search_triggers(
    name: str, source: str, text: str, forget: str, learn: str
) -> tuple[NamedStatement, ...]:
    bodies = (("INSERT", learn), (f"UPDATE OF {text}", f"{forget} {learn}"), ("DELETE", forget))
    return tuple(
        (trigger, f"CREATE TRIGGER {quote(trigger)} AFTER {event} ON {source} BEGIN {body} END")
        for trigger, (event, body) in zip(search_triggers(name), bodies, strict=True)
    )


def search_triggers(name: str) -> tuple[str, ...]:
    """The names of the triggers that keep the FTS5 table of this name in step."""
    return tuple(f"{name}_{operation}" for operation in _OPERATIONS)


def drop_search_index(name: str) -> tuple[str, ...]:
    """Remove an FTS5 table and its triggers by the table's name."""
    triggers = tuple(drop_trigger(trigger) for trigger in search_triggers(name))
    return (*triggers, f"DROP TABLE IF EXISTS {quote(name)}")
