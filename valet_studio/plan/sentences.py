"""The sentences of a plan that more than one place says or that take some choosing."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from valet_studio.plan.naming import replacement_name
from valet_studio.plan.types import column_holds, describe, held_as, written
from valet_studio.schema.model import Backfill, Field, Storage, Sync, Table
from valet_studio.schema.names import fold, quote, text_literal
from valet_studio.schema.state import ColumnState, IndexState, TableState, TriggerState

ADD_COLUMN = (
    "New columns are added via ALTER TABLE ADD COLUMN; existing documents have null for them "
    "until they are updated or backfilled."
)
UNADDABLE = "A new table may have such a column, an existing one may not. Rename the field."
NARROW = (
    "Stored values must keep the new promise; they are checked before anything is applied. "
    "Mend the documents that break it, or backfill the field."
)
NARROW_FILLED = (
    "The field's backfill writes every document first: what it returns must keep the new promise."
)
ADOPT = (
    "The types will promise what these documents do not keep. Mend them, backfill the field, or "
    "declare it as they are: v.optional() allows null, v.union() and v.any() more."
)
ADOPT_ANY = (
    "v.any() is held as JSON text, and these documents hold other values. Mend them, or leave the "
    "field out of the schema and fill a new one from it with .backfill()."
)
REMOVE_FIELD = (
    "Removed columns are kept in the database (never dropped) but excluded from types. "
    "Older clients still work; .deprecated() says the same and keeps the field in view."
)
BACKFILL = (
    "Runs once per column, for all documents or none; it is recorded in _valet_meta and never "
    "runs again."
)
BACKFILL_EDITED = (
    "It ran in a push of which another backfill failed, and was edited since. No client has run it "
    "yet, and they will run it as it is now."
)
DRIFT = "Nothing is done about it. Keep it if you need it, or remove it by hand."
NOT_NULL = (
    "SQLite cannot take NOT NULL off a column. Keep the field in the types and required, or make "
    "the table anew without NOT NULL by hand."
)
VARIES = "Its values differ from run to run: the warnings below say by what, and where."
IMPURE = "Clients run the same backfill and would compute other values: derive them from the row."
SYNC_RULE = "Clients see other documents than before, so they will sync again."
SYNC_REPAIR = (
    "What was written while it was missing was not logged, so clients learn of it only when they "
    "sync the table anew."
)
SYNC_RULE_FIRST = "Triggers log every change of the table's documents for its clients."


def count(number: int, noun: str = "document") -> str:
    """`142 documents`, `1 document`, `1,000,000 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def will_hold_null(rows: int) -> str:
    """`142 documents will hold null`."""
    return f"{count(rows)} will hold null"


def create_table(table: Table) -> str:
    """What creating it makes."""
    fields = count(len(table.fields), "field")
    tracked = ", tracked for sync" if table.tracked else ""
    return f"Create table {table.name} with {fields}{tracked}."


def unfit_id(table: str, key: ColumnState | None) -> str:
    """Why the table's `_id` will not do."""
    if key is None:
        return f"Table {table} has no _id column; Valet needs _id TEXT PRIMARY KEY."
    if not key.primary_key:
        return f"{table}._id is not the primary key; Valet needs _id TEXT PRIMARY KEY."
    return (
        f"{table}._id is {key.sql_type or 'untyped'} or only part of the primary key; "
        "Valet needs _id TEXT PRIMARY KEY."
    )


def has_fit_id(table: TableState) -> bool:
    """Whether Valet can find documents by the table's `_id`."""
    keys = [c for c in table.columns if c.primary_key]
    fit = [fold(c.name) for c in keys] == ["_id"]
    return fit and column_holds(keys[0].sql_type, Storage.TEXT)


def move_rows(table: TableState) -> str:
    """How the rows of a table without a fit `_id` get into one that has it."""
    keys = [c.name for c in table.columns if c.primary_key]
    given = f"CAST({quote(keys[0])} AS TEXT)" if len(keys) == 1 else "<a text that is unique>"
    old, new = quote(f"{table.name}_old"), quote(table.name)
    return (
        f"Valet finds documents by _id, and SQLite cannot change a primary key. By hand: "
        f"ALTER TABLE {new} RENAME TO {old}; then push the schema, and copy: "
        f"INSERT INTO {new} (_id, …) SELECT {given}, … FROM {old}."
    )


def undeclared(table: TableState) -> str:
    """What may be done about a table that no schema declares."""
    if has_fit_id(table):
        return "Nothing is done about it. Declare it to adopt it, or keep it as it is."
    return (
        "Nothing is done about it. It has no _id TEXT PRIMARY KEY, so it cannot be declared as it "
        "stands."
    )


def unaddable(table: str, field: str) -> str:
    """For a name under which SQLite finds a row's number."""
    return f"Cannot add column {table}.{field}: SQLite keeps that name for the number of a row."


def joins(table: str, field: str) -> str:
    """For a field whose column stood there before any schema declared it."""
    return f"{table}.{field} is in the database already and joins the types."


def restored(table: str, field: str, removed: bool) -> str:
    """For a field that comes back into the types."""
    how = "is declared again" if removed else "is no longer deprecated"
    return f"{table}.{field} {how}; its column and data are still there."


def recipe(field: Field, known: Field | None, sql_type: str) -> str:
    """The seed's "Type changes are not allowed", with the field's own names."""
    before = describe(known) if known is not None else written(held_as(sql_type))
    old = f"{before}.deprecated()"
    new = replacement_name(field)
    return (
        "SQLite does not support ALTER TABLE ALTER COLUMN, so the whole push is rejected. "
        f"Keep {field.name} as {old}, add a new column with the new type "
        f"({new}: {describe(field)}), and fill it with .backfill('{new}', (row) => …)."
    )


def serves(index: IndexState, fields: Sequence[str]) -> bool:
    """Whether an index made by someone else does what a declared one over these fields would."""
    plain = re.search(r"\b(WHERE|COLLATE|DESC)\b", index.sql, re.IGNORECASE) is None
    same = [fold(c) for c in index.columns] == [fold(f) for f in fields]
    return plain and same and not index.unique


def why_not_declared(index: IndexState, known: Collection[str]) -> str | None:
    """Why no index of a schema does what an index of the database does; None where one may.

    Args:
        index: The index.
        known: The columns that the schema declares.
    """
    if index.unique:
        return "it is UNIQUE, which a schema cannot say"
    if "" in index.columns:
        return "it is over an expression"
    for word, why in _INDEX_WORDS.items():
        if re.search(rf"\b{word}\b", index.sql, re.IGNORECASE):
            return why
    missing = [column for column in index.columns if column not in known]
    return f"it is over {missing[0]}, which is left out" if missing else None


_INDEX_WORDS = {
    "WHERE": "it holds a part of the rows",
    "COLLATE": "it compares by a COLLATE of its own",
    "DESC": "it goes backwards (DESC)",
}


def search_impossible(found: TableState | None, rowid: str | None) -> str | None:
    """Why the table cannot have a search index, or None."""
    if found is not None and found.without_rowid:
        return "the table is WITHOUT ROWID, and FTS5 finds its text by rowid"
    if rowid is None:
        return "its columns take all three names of the rowid"
    return None


def logs_changes(trigger: TriggerState | None, table: str) -> bool:
    """Whether a trigger under a tracking name does its work, whoever made it.

    It has to log the table under the name that the schema gives it.
    """
    if trigger is None:
        return False
    return "_valet_changes" in trigger.sql and text_literal(table) in trigger.sql


def sync_of_triggers(found: TableState) -> Sync:
    """The mode that a table's triggers tell of, where no schema is recorded."""
    return Sync("full") if any(logs_changes(t, found.name) for t in found.triggers) else Sync()


def change_sync(
    table: str,
    before: Sync,
    after: Sync,
    missing: Sequence[str],
    surplus: Sequence[str],
    declared_before: bool,
) -> str:
    """What becomes of a table's sync."""
    if declared_before and before.mode != after.mode:
        return f"Sync of {table}: mode {before.mode} → {after.mode}; clients will re-sync."
    if declared_before and before != after:
        return f"Sync of {table}: its filter changes; clients will re-sync."
    if surplus:
        return f"Stop tracking changes of {table}: drop {', '.join(surplus)}."
    if declared_before or len(missing) < 3:
        return f"Repair change tracking of {table}: {', '.join(missing)} must be made anew."
    return f"Track changes of {table} for its clients (sync mode {after.mode})."


def impure(table: str, backfill: Backfill) -> str:
    """That a backfill's values differ from run to run."""
    names = ", ".join(dict.fromkeys(i.name for i in backfill.impurities))
    return f"The backfill of {table}.{backfill.column} is not deterministic: it uses {names}."
