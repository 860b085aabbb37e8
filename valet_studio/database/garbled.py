"""Finds the text that SQLite holds and nobody can read."""

from __future__ import annotations

import apsw

from valet_studio.schema.names import quote


def garbled(connection: apsw.Connection) -> str | None:
    """Where the first text stands that is not UTF-8; None where it is not in a table. Looks at
    every document: for when reading has failed. (UTF-16 is never garbled: SQLite makes something
    of any bytes.)

    Raises:
        apsw.Error: to be translated by `database_errors`.
    """
    try:
        return next(
            (
                place
                for (table,) in connection.execute(
                    "SELECT name FROM main.sqlite_master WHERE type = 'table' "
                    "AND sql NOT LIKE 'CREATE VIRTUAL%'"
                ).fetchall()
                if (place := _in_table(connection, str(table)))
            ),
            None,
        )
    except UnicodeDecodeError:  # A name is garbled.
        return None


def _in_table(connection: apsw.Connection, table: str) -> str | None:
    infos = connection.execute("SELECT name FROM pragma_table_info(?, 'main')", (table,))
    columns = [str(name) for (name,) in infos]
    if not columns:  # This connection has not read its declaration.
        return None
    who = "_id" if "_id" in columns else columns[0]
    cells = ", ".join(
        f"iif(typeof({quote(c)}) = 'text', CAST({quote(c)} AS BLOB), NULL)" for c in columns
    )
    rows = f"SELECT CAST({quote(who)} AS BLOB), {cells} FROM main.{quote(table)}"
    for key, *texts in connection.execute(rows):
        for column, text in zip(columns, texts, strict=True):
            if text is not None and not _is_text(text):
                named = (key or b"").decode("utf-8", "backslashreplace")
                return f"{table}.{column} of the document {named}"
    return None


def _is_text(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True
