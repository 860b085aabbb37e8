from __future__ import annotations

import apsw
import pytest
from pushing import NUMBER, STRING, database, push

from valet_studio.plan import sql
from valet_studio.schema.model import Field, Schema, SearchIndex, Sync, Table, Validator
from valet_studio.schema.names import quote

WEIRD = ["select", "with space", 'quo"te', "it's", "📦", "a.b", "valet_insert", "[x]", "new"]


def test_a_table_is_made_exactly_as_valet_documents_it() -> None:
    made = Table(
        "todos",
        (Field("title", STRING), Field("completed", NUMBER), Field("data", Validator("bytes"))),
    )
    assert sql.create_table(made) == (
        'CREATE TABLE IF NOT EXISTS "todos" ("_id" TEXT PRIMARY KEY NOT NULL, '
        '"_version" INTEGER NOT NULL DEFAULT 0, "title" TEXT, "completed" INTEGER, "data" BLOB)'
    )


@pytest.mark.parametrize("name", WEIRD)
def test_every_change_is_logged_whatever_the_table_is_called(name: str) -> None:
    made = Table(name, (Field(name, STRING),), sync=Sync("windowed"))
    with database() as connection:
        push(connection, Schema((made,)))
        connection.execute(f"INSERT INTO {quote(name)} (\"_id\") VALUES ('a')")
        connection.execute(f"UPDATE {quote(name)} SET {quote(name)} = 'x'")
        connection.execute(f"DELETE FROM {quote(name)}")
        logged = connection.execute(
            'SELECT db_version, "table", row_id, operation FROM _valet_changes'
        ).fetchall()
    assert logged == [(1, name, "a", "insert"), (2, name, "a", "update"), (3, name, "a", "delete")]


def test_an_unsynced_table_has_no_triggers() -> None:
    assert sql.tracking_triggers(Table("todos")) == ()


def found(connection: apsw.Connection, table: str, word: str) -> list[str]:
    index = quote(sql.search_name(table, "words"))
    rows = connection.execute(
        f'SELECT t."_id" FROM {index} AS s JOIN {quote(table)} AS t ON t._rowid_ = s.rowid '
        f'WHERE {index} MATCH ? ORDER BY t."_id"',
        (word,),
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("table", "column"), [("todos", "title"), ("it's 📦", 'quo"te'), ("t", "rank"), ("t", "rowid")]
)
def test_a_search_index_finds_old_and_new_text(table: str, column: str) -> None:
    plain = Table(table, (Field(column, STRING),))
    searched = Table(
        table, (Field(column, STRING),), search_indexes=(SearchIndex("words", column),)
    )
    insert = f'INSERT INTO {quote(table)} ("_id", {quote(column)}) VALUES (?, ?)'
    with database() as connection:
        push(connection, Schema((plain,)))
        connection.executemany(insert, [("a", "red apple"), ("b", "red brick"), ("c", None)])
        push(connection, Schema((searched,)))
        connection.execute(insert, ("d", "red door"))
        assert found(connection, table, "red") == ["a", "b", "d"]
        connection.execute(f"UPDATE {quote(table)} SET {quote(column)} = 'blue' WHERE _id = 'a'")
        connection.execute(f"DELETE FROM {quote(table)} WHERE _id = 'b'")
        assert found(connection, table, "red") == ["d"]
        assert found(connection, table, "blue") == ["a"]
        # FTS5 finds text by rowid, and VACUUM renumbers rows of tables without any index.
        connection.execute("VACUUM")
        assert found(connection, table, "red") == ["d"]
        assert found(connection, table, "blue") == ["a"]
        index = quote(sql.search_name(table, "words"))
        connection.execute(f"INSERT INTO {index} ({index}) VALUES ('integrity-check')")
