"""Schema against database: the plan of what a push will do. Pure.

What a column holds now is told by the schema of the last push, where the database records one,
else by fields that earlier schemas declared (`DatabaseState.kept`), else by SQL types alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from valet_studio.errors import Problem
from valet_studio.plan import sentences as say
from valet_studio.plan import sql
from valet_studio.plan.before import Before, TableBefore
from valet_studio.plan.changes import (
    AddColumn,
    AnyChange,
    ChangeSync,
    ChangeType,
    CreateIndex,
    CreateSearchIndex,
    CreateTable,
    DeprecateField,
    DropIndex,
    DropSearchIndex,
    NarrowField,
    Plan,
    RemoveField,
    RemoveTable,
    RestoreField,
    RestoreTable,
    Risk,
    RunBackfill,
    WidenField,
)
from valet_studio.plan.drift import drift
from valet_studio.plan.types import column_holds, describe, relation
from valet_studio.schema.document import schema_hash
from valet_studio.schema.model import (
    Backfill,
    Field,
    Index,
    Schema,
    Storage,
    Sync,
    Table,
    Validator,
)
from valet_studio.schema.names import fold
from valet_studio.schema.state import (
    UNKNOWN,
    ColumnState,
    DatabaseState,
    TableState,
    backfill_key,
)

_STRICT = re.compile(r"\)[^)]*\bSTRICT\b[^)]*$", re.IGNORECASE)
"""A table option after the last parenthesis of CREATE TABLE."""

VERSION_FIELD = Field("_version", Validator("int"))
ID_FIELD = Field("_id", Validator("string"))


def compare(schema: Schema, state: DatabaseState, *, strict: bool = False) -> Plan:
    """What a push of the schema will do to the database, in the order of doing it.

    Args:
        schema: The schema as written.
        state: The database as it stands.
        strict: Whether a backfill that is not deterministic is breaking, not just warned of.

    Returns:
        The plan; its counts are filled in by `plan.measure`.
    """
    before = Before(state)
    parts = [_TablePlan(table, before, strict) for table in schema.tables]
    changes: list[AnyChange] = []
    for part in parts:
        changes += part.creation()
    for part in parts:
        changes += part.additions()
    for part in parts:
        changes += part.alterations()
    changes += _removed_tables(schema, before)
    for part in parts:
        changes += part.index_changes()
    for part in parts:
        changes += part.search_changes()
    for part in parts:
        changes += part.sync_changes()
    for part in parts:
        changes += part.backfills()
    changes += drift(schema, before)
    digest = schema_hash(schema)
    return Plan(
        schema_hash=digest,
        applied_hash=state.applied_hash,
        fingerprint=_fingerprint(digest, state),
        changes=tuple(changes),
        warnings=(*state.problems, *_warnings(schema, before)),
    )


def kept_after(schema: Schema, state: DatabaseState) -> tuple[Table, ...]:
    """What `DatabaseState.kept` has to be once this schema was pushed to this database.

    All that was ever declared, still has its column, and is declared no longer.
    """
    before = Before(state)
    declared = {fold(t.name): {fold(f.name) for f in t.fields} for t in schema.tables}
    kept = []
    for past in before.tables():
        here = declared.get(fold(past.name))
        fields = tuple(f for f in past.fields if here is None or fold(f.name) not in here)
        if here is None or fields:
            kept.append(Table(past.name, fields, sync=past.sync or Sync()))
    return tuple(kept)


def _fingerprint(digest: str, state: DatabaseState) -> str:
    return hashlib.sha256(f"{digest}\n{state.signature}".encode()).hexdigest()


class _TablePlan:
    """The changes of one declared table, group by group."""

    def __init__(self, table: Table, before: Before, strict: bool) -> None:
        self.table = table
        self.name = table.name
        self.strict = strict
        self.before = before
        found = before.state_of(table.name)
        self.found: TableState | None = found if found and found.kind == "table" else None
        self.in_the_way = before.in_the_way(table.name) if self.found is None else None
        self.past: TableBefore | None = before.table(table.name)
        self.columns: dict[str, ColumnState] = (
            {fold(c.name): c for c in self.found.columns} if self.found else {}
        )
        self.filled = {fold(b.column) for b in self._pending_backfills()}

    def _pending_backfills(self) -> list[Backfill]:
        return [
            backfill
            for backfill in self.table.backfills
            if self.before.backfill_digest(backfill_key(self.name, backfill.column)) is None
        ]

    def creation(self) -> Iterator[AnyChange]:
        """The table itself, where it is missing."""
        if self.found is not None:
            return
        if self.in_the_way is not None:
            yield CreateTable(
                table=self.name,
                risk=Risk.BREAKING,
                summary=f'Cannot create table "{self.name}": {self.in_the_way}.',
                rule="Rename the table in schema.ts, or move the other thing out of the way.",
                location=self.table.location,
                declared=self.table,
            )
            return
        triggers = (statement for _, statement in sql.tracking_triggers(self.table))
        yield CreateTable(
            table=self.name,
            summary=say.create_table(self.table),
            rule="New tables are created with all columns.",
            sql=(sql.create_table(self.table), *triggers),
            location=self.table.location,
            declared=self.table,
        )

    def additions(self) -> Iterator[AnyChange]:
        """Columns that are declared and missing."""
        if self.found is None:
            return
        if "_version" not in self.columns:
            yield AddColumn(
                table=self.name,
                column="_version",
                summary=f"Add column {self.name}._version, the counter that locks optimistically.",
                rule="Valet keeps it in every table; existing documents start at 0.",
                sql=(sql.add_version(self.name),),
                location=self.table.location,
                field=VERSION_FIELD,
                backfilled=True,
            )
        strict_table = _STRICT.search(self.found.sql) is not None
        for field in self.table.fields:
            if fold(field.name) in self.columns:
                continue
            refused = fold(field.name) in sql.ROWID_NAMES
            yield AddColumn(
                table=self.name,
                column=field.name,
                risk=Risk.BREAKING if refused else Risk.SAFE,
                summary=say.unaddable(self.name, field.name)
                if refused
                else f"Add column {self.name}.{field.name} ({describe(field)}).",
                rule=say.UNADDABLE if refused else say.ADD_COLUMN,
                sql=() if refused else (sql.add_column(self.name, field, strict=strict_table),),
                location=field.location,
                field=field,
                backfilled=fold(field.name) in self.filled,
            )

    def alterations(self) -> Iterator[AnyChange]:
        """What becomes of the columns that are there."""
        if self.found is None:
            return
        yield from self._unfit_system_columns(self.found)
        if self._table_restored():
            yield RestoreTable(
                table=self.name,
                summary=f"Table {self.name} is declared again; its documents are still there.",
                rule="Removed tables are kept in the database, so nothing has to be created.",
                location=self.table.location,
            )
        for field in self.table.fields:
            column = self.columns.get(fold(field.name))
            if column is not None:
                yield from self._alter(field, column)
        yield from self._removed_fields()

    def _unfit_system_columns(self, found: TableState) -> Iterator[AnyChange]:
        key = self.columns.get("_id")
        keys = [c for c in found.columns if c.primary_key]
        if key is None or keys != [key] or not column_holds(key.sql_type, Storage.TEXT):
            yield ChangeType(
                table=self.name,
                column="_id",
                risk=Risk.BREAKING,
                summary=say.unfit_id(self.name, key),
                rule=say.UNFIT_ID,
                location=self.table.location,
                before=None,
                before_sql_type=key.sql_type if key else "",
                after=ID_FIELD,
            )
        version = self.columns.get("_version")
        if version is not None and not column_holds(version.sql_type, Storage.NUMBER):
            yield ChangeType(
                table=self.name,
                column="_version",
                risk=Risk.BREAKING,
                summary=f"{self.name}._version is {version.sql_type}, but must be INTEGER.",
                rule="Valet counts in it. Rename the column, and the next push adds its own.",
                location=self.table.location,
                before=None,
                before_sql_type=version.sql_type,
                after=VERSION_FIELD,
            )

    def _alter(self, field: Field, column: ColumnState) -> Iterator[AnyChange]:
        past = self.past.field(field.name) if self.past is not None else None
        known = past.field if past is not None and past.field.validator != UNKNOWN else None
        how = relation(known, field) if known is not None else "same"
        if how == "change" or not column_holds(column.sql_type, field.validator.storage):
            yield self._change_type(field, known, column)
            return
        if past is None:
            if self.past is not None and self.past.declared:
                yield self._restore(field, say.joins(self.name, field.name))
            return
        declared_again = past.removed and not self._table_restored()
        if declared_again or (past.field.deprecated and not field.deprecated):
            # A new promise that the values may break is checked by the narrowing below.
            yield self._restore(field, say.restored(self.name, field.name, past.removed))
            if how == "narrow" and known is not None and not _only_null_is_lost(known, field):
                yield self._narrow(known, field)
            return
        if field.deprecated:
            if not past.field.deprecated:
                yield DeprecateField(
                    table=self.name,
                    column=field.name,
                    summary=f"Deprecate {self.name}.{field.name}: it leaves the generated types.",
                    rule="The column stays, so existing data is preserved and older clients work.",
                    location=field.location,
                )
            return
        if how == "narrow" and known is not None:
            yield self._narrow(known, field)
        elif how == "widen" and known is not None:
            yield WidenField(
                table=self.name,
                column=field.name,
                summary=f"{self.name}.{field.name} allows more: "
                f"{describe(known)} → {describe(field)}.",
                rule="All stored values stay valid. Code that reads the field must expect more.",
                location=field.location,
            )

    def _table_restored(self) -> bool:
        return self.past is not None and self.past.removed

    def _change_type(self, field: Field, known: Field | None, column: ColumnState) -> ChangeType:
        was = describe(known) if known is not None else (column.sql_type or "untyped")
        return ChangeType(
            table=self.name,
            column=field.name,
            risk=Risk.BREAKING,
            summary=f"{self.name}.{field.name} changes its type: {was} → {describe(field)}.",
            rule=say.recipe(field, known),
            location=field.location,
            before=known.validator if known is not None else None,
            before_sql_type=column.sql_type,
            after=field,
        )

    def _restore(self, field: Field, summary: str) -> RestoreField:
        return RestoreField(
            table=self.name,
            column=field.name,
            summary=summary,
            rule="Columns are never dropped, so the field's data is still there.",
            location=field.location,
            field=field,
        )

    def _narrow(self, known: Field, field: Field) -> NarrowField:
        return NarrowField(
            table=self.name,
            column=field.name,
            summary=f"{self.name}.{field.name} promises more: "
            f"{describe(known)} → {describe(field)}.",
            rule=say.NARROW,
            location=field.location,
            field=field,
            storage=field.validator.storage,
            after_backfill=fold(field.name) in self.filled,
        )

    def _removed_fields(self) -> Iterator[AnyChange]:
        declared = {fold(f.name) for f in self.table.fields}
        if self.past is None:
            return
        for past in self.past.past:
            if fold(past.field.name) in declared or past.removed:
                continue
            yield RemoveField(
                table=self.name,
                column=past.field.name,
                risk=Risk.WARNING,
                summary=f"Remove {self.name}.{past.field.name} from the types; "
                "its column and data are kept.",
                rule=say.REMOVE_FIELD,
                location=self.table.location,
            )

    def index_changes(self) -> Iterator[AnyChange]:
        """Declared indexes that are missing or differ, and made ones no longer declared."""
        here = self.found.indexes if self.found is not None else ()
        made = {fold(i.name): i for i in here if sql.is_index_name(i.name, self.name)}
        foreign = [i for i in here if fold(i.name) not in made]
        create: list[Index] = []
        keep: set[str] = set()
        for index in self.table.indexes:
            name = fold(sql.index_name(self.name, index.name))
            if name in made and say.serves(made[name], index.fields):
                keep.add(name)
            elif name in made or not any(say.serves(other, index.fields) for other in foreign):
                create.append(index)
        for name, index_state in made.items():
            if name not in keep:
                declared = index_state.name[len(f"{self.name}_valet_index_") :]
                yield DropIndex(
                    table=self.name,
                    index=declared,
                    summary=f"Drop index {declared} of {self.name}.",
                    rule="It is declared no longer, or with other fields. No data is lost.",
                    sql=(sql.drop_index(index_state.name),),
                    location=self.table.location,
                )
        for index in create:
            if self.in_the_way is None:
                yield CreateIndex(
                    table=self.name,
                    index=index.name,
                    summary=f"Create index {index.name} on {self.name}"
                    f" ({', '.join(index.fields)}).",
                    rule="Indexes make queries by their fields fast; writes pay a little for it.",
                    sql=(sql.create_index(self.name, index),),
                    location=index.location,
                    declared=index,
                )

    def search_changes(self) -> Iterator[AnyChange]:
        """Search indexes that are missing or differ, and made ones no longer declared."""
        columns = [c.name for c in self.found.columns] if self.found is not None else ["_id"]
        columns += [f.name for f in self.table.fields]
        wanted = {
            fold(sql.search_name(self.name, i.name)): (
                i,
                sql.create_search_index(self.name, i, columns),
            )
            for i in self.table.search_indexes
        }
        standing = self.before.search_indexes(self.name)
        triggers = {t.name: t.sql for t in self.found.triggers} if self.found is not None else {}
        for name, virtual in standing.items():
            made = {virtual.name: virtual.sql, **triggers}
            if name in wanted:
                named = [(n, s) for n, s in wanted[name][1] if n]
                if all(made.get(n) == statement for n, statement in named):
                    del wanted[name]
                    continue
            index = virtual.name[len(f"{self.name}_valet_search_") :]
            yield DropSearchIndex(
                table=self.name,
                index=index,
                summary=f"Drop search index {index} of {self.name}.",
                rule="It is declared no longer, or differs. The searched text stays in its column.",
                sql=sql.drop_search_index(virtual.name),
                location=self.table.location,
            )
        for search, statements in wanted.values():
            if self.in_the_way is not None:
                continue
            impossible = say.search_impossible(self.found, sql.rowid_of(columns))
            yield CreateSearchIndex(
                table=self.name,
                index=search.name,
                column=search.search_field,
                risk=Risk.BREAKING if impossible else Risk.SAFE,
                summary=f"Cannot create search index {search.name} on {self.name}: {impossible}."
                if impossible
                else f"Create search index {search.name} over {self.name}.{search.search_field}.",
                rule="Full-text search (SQLite's FTS5), kept in step with the table by triggers.",
                sql=() if impossible else tuple(statement for _, statement in statements),
                location=search.location,
                declared=search,
            )

    def sync_changes(self) -> Iterator[AnyChange]:
        """Mode and filter, and the triggers that log changes for clients."""
        if self.found is None:
            return
        after = self.table.sync
        here = {fold(t.name): t for t in self.found.triggers}
        wanted = sql.tracking_triggers(self.table)
        missing = [n for n, _ in wanted if not say.logs_changes(here.get(fold(n)), self.name)]
        surplus = [n for n in sql.trigger_names(self.name) if fold(n) in here] if not wanted else []
        past = self.past.sync if self.past is not None else None
        if past is None:
            past = after if not (missing or surplus) else say.sync_of_triggers(self.found)
        changed = (past.mode, past.filter) != (after.mode, after.filter)
        if not (changed or missing or surplus):
            return
        drops = [sql.drop_trigger(t) for t in (*missing, *surplus) if fold(t) in here]
        creates = [statement for name, statement in wanted if name in missing]
        declared_before = self.past is not None and self.past.sync is not None
        yield ChangeSync(
            table=self.name,
            risk=Risk.WARNING if declared_before or surplus else Risk.SAFE,
            summary=say.change_sync(self.name, past, after, missing, surplus, declared_before),
            rule=say.SYNC_RULE if declared_before else say.SYNC_RULE_FIRST,
            sql=(*drops, *creates),
            location=after.location or self.table.location,
            before=past,
            after=after,
        )

    def backfills(self) -> Iterator[AnyChange]:
        """Backfills that have not run yet."""
        if self.in_the_way is not None:
            return
        for backfill in self._pending_backfills():
            column = self.columns.get(fold(backfill.column))
            risk, rule = Risk.SAFE, say.BACKFILL
            summary = f"Run the backfill of {self.name}.{backfill.column} for every document."
            if column is not None and column.generated:
                risk = Risk.BREAKING
                summary = (
                    f"Cannot backfill {self.name}.{backfill.column}: "
                    "it is a generated column, which SQLite computes itself."
                )
                rule = "Remove the backfill, or fill another column."
            elif backfill.impurities and self.strict:
                risk = Risk.BREAKING
                summary = say.impure(self.name, backfill)
                rule = say.IMPURE
            yield RunBackfill(
                table=self.name,
                column=backfill.column,
                risk=risk,
                summary=summary,
                rule=rule,
                location=backfill.location,
                declared=backfill,
                fills_new_column=column is None,
            )


def _only_null_is_lost(before: Field, after: Field) -> bool:
    """Whether the new type refuses nothing of the old one but null."""
    return relation(before, Field(after.name, after.validator, optional=True)) != "narrow"


def _removed_tables(schema: Schema, before: Before) -> Iterator[AnyChange]:
    declared = {fold(t.name) for t in schema.tables}
    for past in before.tables():
        if fold(past.name) not in declared and past.declared:
            yield RemoveTable(
                table=past.name,
                risk=Risk.WARNING,
                summary=f"Remove table {past.name} from the types; its documents are kept.",
                rule="Tables are never dropped. Declare it again to get it back.",
            )


def _warnings(schema: Schema, before: Before) -> Iterator[Problem]:
    for table in schema.tables:
        for backfill in table.backfills:
            key = backfill_key(table.name, backfill.column)
            target = f"{table.name}.{backfill.column}"
            ran = before.backfill_digest(key)
            if ran is None:
                if backfill.impurities:
                    first = backfill.impurities[0]
                    yield Problem(
                        say.impure(table.name, backfill),
                        say.IMPURE,
                        first.location or backfill.location,
                    )
            elif ran and ran != backfill.digest:
                yield Problem(
                    f"The backfill of {target} changed after it ran; it will not run again.",
                    f"Run `valet-studio backfill reset {target}` to re-arm it.",
                    backfill.location,
                )
