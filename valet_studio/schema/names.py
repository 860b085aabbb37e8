"""Names in SQL: when SQLite holds two of them equal, and how one is written safely."""

from __future__ import annotations

import string
from functools import lru_cache

FTS5_SHADOWS = ("_data", "_idx", "_content", "_docsize", "_config")
"""How the names of the tables end that a search index keeps beside its own
(https://www.sqlite.org/fts5.html, "FTS5 Data Structures")."""

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@lru_cache(maxsize=65_536)
def fold(name: str) -> str:
    """The form under which SQLite finds a name: ASCII letters lose their case, others keep it."""
    return name.translate(_LOWER)


def quote(name: str) -> str:
    """The name as an SQL identifier, whatever characters it holds."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """The text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
