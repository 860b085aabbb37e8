"""Where raw declarations stand in the source, and what was found wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from valet_studio.errors import Location, Problem
from valet_studio.schema.behaviour import Behaviours
from valet_studio.schema.literal import LiteralTable

Raw = dict[str, Any]

_METHODS = {
    "index": "indexes",
    "searchIndex": "searchIndexes",
    "sync": "syncs",
    "backfill": "backfills",
}
"""Where the raw data of a table has the calls of each method, in their order."""

NAMED_TABLES = 5
"""Tables that a hint lists."""


@dataclass(slots=True)
class ReadContext:
    """Where raw declarations stand in the source, and what was found wrong with them."""

    places: Callable[[Sequence[int]], list[Location | None]]
    """Where calls stand, by the numbers that raw data gives them; takes time."""
    entry: Location
    behaviours: Behaviours
    literal: Mapping[str, LiteralTable]
    """What is known of places without asking."""
    problems: list[Problem] = field(default_factory=list)
    tables: dict[str, frozenset[str]] = field(default_factory=dict)
    """Names of the fields, by table."""

    _known: dict[int, Location | None] = field(default_factory=dict)

    def at(self, raw: Raw) -> Location:
        """Where something was declared."""
        site: int = raw["site"]
        if site not in self._known:
            self.ask([site])
        return self._known[site] or self.entry

    def ask(self, sites: list[int]) -> None:
        """Learn places, many at once."""
        self._known.update(zip(sites, self.places(sites), strict=True))

    def table_place(self, raw: Raw) -> Location:
        """Where a table's name is written, or else its declaration."""
        known = self.literal.get(raw["name"])
        return known.place if known else self.behaviours.field_place(raw["name"], self.at(raw))

    def field_place(self, table: str, raw: Raw) -> Location:
        """Where a field's name is written, or else its validator."""
        name: str = raw["name"]
        known = self.literal[table].fields.get(name) if table in self.literal else None
        return known or self.behaviours.field_place(name, self.at(raw["validator"]))

    def ask_ahead(self, raw: Raw) -> None:
        """Learn at once all places that are needed and not written out."""
        wanted = list(raw["problems"])
        for table in raw["tables"]:
            known = self.literal.get(table["name"])
            if known is None:
                wanted.append(table)
            wanted += (
                item["validator"]
                for item in table["fields"]
                if item["validator"] and (known is None or item["name"] not in known.fields)
            )
            for method, kind in _METHODS.items():
                places = known.calls.get(method, []) if known else []
                if len(places) == len(table[kind]):
                    self._known.update(zip((c["site"] for c in table[kind]), places, strict=True))
                else:
                    wanted += table[kind]
        self.ask([item["site"] for item in wanted])

    def problem(self, message: str, hint: str | None, location: Location) -> None:
        """Note that something is wrong."""
        self.problems.append(Problem(message, hint, location))


def check_field(
    name: str, table: str, what: str, raw: Raw, context: ReadContext, built_in: str = "_id"
) -> bool:
    """Whether a table has the field that something names; where not, that is a problem.

    Args:
        what: what names the field, to begin a sentence with.
        raw: where it does so.
        built_in: a name that every table has.
    """
    if name in context.tables[table] or name == built_in:
        return True
    context.problem(
        f'{what} names the field "{name}", which table "{table}" does not have.',
        did_you_mean(name, context.tables[table]) or "Declare the field, or name another.",
        context.at(raw),
    )
    return False


def declare_or_name(context: ReadContext) -> str:
    """The way out where a table is named that is not in the schema."""
    known = sorted(context.tables)
    more = ", …" if len(known) > NAMED_TABLES else ""
    return f"Declare the table, or name another: {', '.join(known[:NAMED_TABLES])}{more}."


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint that names what is spelt most alike; None where nothing is."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f'Did you mean "{close[0]}"?' if close else None


def is_text(text: str) -> bool:
    """Whether SQLite can hold it: half of a surrogate pair is no Unicode text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
