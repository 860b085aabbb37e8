"""Names for generated types: readable, legal in both languages, never the same twice."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

LATER_SUFFIXES = ("Id", "Insert", "Patch")
"""What a table's own name is extended with; a name is taken together with all of these."""


def type_name(name: str) -> str:
    """The name that a table or property would get if it were alone: `user-tags` → `UserTags`.

    NFKC, because Python compares identifiers in that form and would hold two of ours equal.
    """
    words = _words(unicodedata.normalize("NFKC", name))
    joined = unicodedata.normalize("NFKC", "".join(word[:1].upper() + word[1:] for word in words))
    return joined if joined.isidentifier() else f"Table{joined}"


def table_type_names(tables: Iterable[str], reserved: Iterable[str]) -> dict[str, str]:
    """One type name for each table, whatever the order in which the tables were written.

    No two of the names, extended by `LATER_SUFFIXES` or not, are equal to each other or to a
    reserved one. Plain names go first to the tables that need no change to get them.
    """
    taken = set(reserved)
    names: dict[str, str] = {}
    for table in sorted(tables):
        names[table] = take(type_name(table), taken, LATER_SUFFIXES)
    return names


def take(wanted: str, taken: set[str], suffixes: Sequence[str] = ()) -> str:
    """The first of `wanted`, `wantedTable`, `wantedTable2`, … that is free; it is then taken."""
    number = 0
    while True:
        number += 1
        tail = ("", "Table")[number - 1] if number <= 2 else f"Table{number - 1}"
        name = f"{wanted}{tail}"
        family = {name, *(f"{name}{suffix}" for suffix in suffixes)}
        if not family & taken:
            taken |= family
            return name


def _words(name: str) -> list[str]:
    """The parts of a name between characters that no identifier can hold, or underscores."""
    kept = "".join(c if c != "_" and f"_{c}".isidentifier() else " " for c in name)
    return kept.split()
