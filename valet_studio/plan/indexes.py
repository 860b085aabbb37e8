"""Indexes and search indexes: what is dropped and what is made."""

from __future__ import annotations

from collections.abc import Iterator

from valet_studio.plan import sentences as say
from valet_studio.plan import sql
from valet_studio.plan.changes import (
    AnyChange,
    CreateIndex,
    CreateSearchIndex,
    DropIndex,
    DropSearchIndex,
    Risk,
)
from valet_studio.plan.view import TableView
from valet_studio.schema.model import Index
from valet_studio.schema.names import fold


def index_changes(at: TableView) -> Iterator[AnyChange]:
    """Declared indexes that are missing or differ, and made ones no longer declared."""
    here = at.found.indexes if at.found is not None else ()
    made = {fold(i.name): i for i in here if sql.is_index_name(i.name, at.name)}
    foreign = [i for i in here if fold(i.name) not in made]
    create: list[Index] = []
    keep: set[str] = set()
    for index in at.table.indexes:
        name = fold(sql.index_name(at.name, index.name))
        if name in made and say.serves(made[name], index.fields):
            keep.add(name)
        elif name in made or not any(say.serves(other, index.fields) for other in foreign):
            create.append(index)
    for name, index_state in made.items():
        if name not in keep:
            declared = index_state.name[len(f"{at.name}_valet_index_") :]
            yield DropIndex(
                table=at.name,
                index=declared,
                summary=f"Drop index {declared} of {at.name}.",
                rule="It is no longer declared, or with other fields. No data is lost.",
                sql=(sql.drop_index(index_state.name),),
                location=at.table.location,
            )
    for index in create:
        if at.in_the_way is None:
            yield CreateIndex(
                table=at.name,
                index=index.name,
                summary=f"Create index {index.name} on {at.name} ({', '.join(index.fields)}).",
                rule="Indexes make queries by their fields fast; writes pay a little for it.",
                sql=(sql.create_index(at.name, index),),
                location=index.location,
                declared=index,
            )


def search_changes(at: TableView) -> Iterator[AnyChange]:
    """Search indexes that are missing or differ, and made ones no longer declared."""
    columns = [c.name for c in at.found.columns] if at.found is not None else ["_id"]
    columns += [f.name for f in at.table.fields]
    wanted = {
        fold(sql.search_name(at.name, i.name)): (
            i,
            sql.create_search_index(at.name, i, columns),
        )
        for i in at.table.search_indexes
    }
    standing = at.before.search_indexes(at.name)
    triggers = {t.name: t.sql for t in at.found.triggers} if at.found is not None else {}
    for name, virtual in standing.items():
        made = {virtual.name: virtual.sql, **triggers}
        if name in wanted:
            named = [(n, s) for n, s in wanted[name][1] if n]
            if all(made.get(n) == statement for n, statement in named):
                del wanted[name]
                continue
        index = virtual.name[len(f"{at.name}_valet_search_") :]
        yield DropSearchIndex(
            table=at.name,
            index=index,
            summary=f"Drop search index {index} of {at.name}.",
            rule="It is no longer declared, or differs. The searched text stays in its column.",
            sql=sql.drop_search_index(virtual.name),
            location=at.table.location,
        )
    for search, statements in wanted.values():
        if at.in_the_way is not None:
            continue
        impossible = say.search_impossible(at.found, sql.rowid_of(columns))
        yield CreateSearchIndex(
            table=at.name,
            index=search.name,
            column=search.search_field,
            risk=Risk.BREAKING if impossible else Risk.SAFE,
            summary=f"Cannot create search index {search.name} on {at.name}: {impossible}."
            if impossible
            else f"Create search index {search.name} over {at.name}.{search.search_field}.",
            rule="Full-text search (SQLite's FTS5), kept in step with the table by triggers.",
            sql=() if impossible else tuple(statement for _, statement in statements),
            location=search.location,
            declared=search,
        )
