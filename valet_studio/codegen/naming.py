"""Names for generated types: readable, legal in both languages, never the same twice."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

LATER_SUFFIXES = ("Id", "Insert", "Patch")
"""What a table's own name is extended with; a name is taken together with all of these."""


@lru_cache(maxsize=4096)
def type_name(name: str) -> str:
    """The name that a table would get if it were alone: `user-tags` → `UserTags`."""
    joined = pascal(name)
    return joined if joined.isidentifier() else f"Table{joined}"


def pascal(name: str) -> str:
    """The parts of a name, capitalised and joined: the end of an identifier, perhaps empty.

    NFKC, because Python compares identifiers in that form and would hold two of ours equal.
    """
    kept = "".join(
        character if character != "_" and f"_{character}".isidentifier() else " "
        for character in unicodedata.normalize("NFKC", name)
    )
    joined = "".join(word[:1].upper() + word[1:] for word in kept.split())
    return unicodedata.normalize("NFKC", joined)


def table_type_names(tables: Iterable[str], reserved: Iterable[str]) -> dict[str, str]:
    """One type name for each table, whatever the order in which the tables were written.

    No two of the names, extended by `LATER_SUFFIXES` or not, are equal to each other or to a
    reserved one.
    """
    taken = set(reserved)
    names: dict[str, str] = {}
    for table in sorted(tables):
        names[table] = take(type_name(table), taken, LATER_SUFFIXES)
    return names


def take(wanted: str, taken: set[str], suffixes: Sequence[str] = ()) -> str:
    """The first of `wanted`, `wantedTable`, `wantedTable2`, … that is free; it is then taken."""
    wanted = unicodedata.normalize("NFKC", wanted)
    number = 0
    while True:
        number += 1
        tail = ("", "Table")[number - 1] if number <= 2 else f"Table{number - 1}"
        name = f"{wanted}{tail}"
        family = {name, *(f"{name}{suffix}" for suffix in suffixes)}
        if not family & taken:
            taken |= family
            return name
