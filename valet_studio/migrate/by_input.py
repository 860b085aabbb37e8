"""A column whose values follow from one other column: SQL sets it, not one document at a time.

For backfills that read one field of few distinct values. A `Learner` runs a function but once for
each of them, where its text proves that equal inputs give equal values (`schema.purity`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import apsw

from valet_studio.errors import IsCancelled
from valet_studio.migrate.column_writer import MOST_BRANCHES
from valet_studio.migrate.documents import Batch, Documents, Key, converts
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.tally import Tally
from valet_studio.plan.sql import is_own_trigger
from valet_studio.schema.model import Backfill
from valet_studio.schema.names import quote
from valet_studio.typescript.cells import Value

_FIRST = 5_000
"""Documents on which a function runs to begin with: an input that comes often is among them, and
a function that gives one input two values is most likely found out."""
_STEPS = 3
"""Batches in which it does so, of which the first one tells how many documents take a moment."""
_SPAN = 100_000
"""Documents between two reports of progress."""
_FIRST_ROWID = -(1 << 63)


class FoundOut(Exception):
    """A function gave one input two values, or called what gives differing ones."""


class ByInput:
    """A column whose value is decided by each document's input, which is a cell of another column.

    The expressions hold no function call: SQLite would note every page that a statement changes
    a second time, in case that the function fails (https://www.sqlite.org/tempfiles.html,
    "Statement Journal Files").

    Args:
        inputs: which value each input gives. More may be added while there are others.
    """

    def __init__(
        self, documents: Documents, column: str, read: str, inputs: Mapping[Value, Value]
    ) -> None:
        self.inputs = inputs
        self._documents = documents
        self._connection = documents.connection
        self._table = quote(documents.state.name)
        self._column = quote(documents.names.get(column, column))
        self._cell = quote(documents.names[read])

    @staticmethod
    def of(documents: Documents, column: str, inputs: Mapping[Value, Value]) -> ByInput | None:
        """For documents that show one field alone; None where SQL cannot tell them apart."""
        if documents.only is None or len(documents.only) != 1:
            return None
        (read,) = documents.only
        source = documents.state.column_named(documents.names[read])
        if (
            source is None
            or not converts(source.sql_type)  # It may tell 0 from -0, which SQL does not.
            or documents.key == quote("_id")
            # What a trigger writes could be an input that nobody counted.
            or foreign_triggers(documents)
        ):
            return None
        return ByInput(documents, column, read, inputs)

    def counted(self) -> Counter[Value] | None:
        """How many documents get each value; None where there are other inputs."""
        return self.count_on(self._connection)

    def count_on(self, connection: apsw.Connection) -> Counter[Value] | None:
        """`counted`, as another connection sees the table."""
        tests = [f"count(*) FILTER (WHERE {held})" for held in self._held()]
        sql = f"SELECT {', '.join(['count(*)', *tests])} FROM {self._table}"
        row: tuple[Any, ...] = connection.execute(sql, self._bound()).fetchall()[0]
        total, *counts = row
        if sum(counts) != total:
            return None
        found: Counter[Value] = Counter()
        for value, count in zip(self.inputs.values(), counts, strict=True):
            found[value] += count
        return found

    @property
    def reads_itself(self) -> bool:
        """Whether the input's column is the one that is set."""
        return self._cell == self._column

    @property
    def path(self) -> str:
        """The file of the database; "" where it has none."""
        return self._connection.filename

    def first_other(self, after: Key) -> int | None:
        """The first document past `after` that holds another input."""
        key = self._documents.key
        found = self._connection.execute(
            f"SELECT {key} FROM {self._table} WHERE {key} > :after "
            f"AND ({' OR '.join(self._held())}) IS NOT TRUE ORDER BY {key} LIMIT 1",
            self._bound() | {"after": after},
        ).fetchone()
        return int(str(found[0])) if found is not None else None

    def holding(self) -> int:
        """How many documents hold their value already, where there are no other inputs."""
        sql = f"SELECT count(*) FROM {self._table} WHERE {self._column} IS {self._decided()}"
        return int(self._connection.execute(sql, self._bound()).get)

    def differing(self, most: int) -> dict[Key, Value]:
        """The first documents that hold another value than their own, with their own."""
        key, decided = self._documents.key, self._decided()
        found: list[tuple[Any, ...]] = self._connection.execute(
            f"SELECT {key}, {decided} FROM {self._table} WHERE {self._column} IS NOT {decided} "
            f"ORDER BY {key} LIMIT :most",
            self._bound() | {"most": most},
        ).fetchall()
        return dict(found)

    def fill(self, total: int) -> Iterator[int]:
        """Set the column of every document, of which there are `total`, span by span; how many are
        set so far.

        There must be no other inputs: their documents would get some value or other.
        """
        update = f"UPDATE {self._table} SET {self._column} = {self._decided()}"
        done = 0
        for span, ends in self._spans(total):
            self._connection.execute(f"{update} WHERE {span}", {**self._bound(), **ends})
            done += self._connection.changes()
            yield done

    def _spans(self, total: int) -> Iterator[tuple[str, dict[str, int]]]:
        key = self._documents.key
        first, last = self._documents.ends()
        parts = -(-total // _SPAN)
        for part in range(parts):
            begin = first + (last - first + 1) * part // parts
            end = first + (last - first + 1) * (part + 1) // parts - 1
            yield f"{key} BETWEEN :begin AND :end", {"begin": begin, "end": end}

    def _held(self) -> list[str]:
        """For each input, whether a document holds it."""
        return [
            f"{self._cell} IS NULL" if cell is None else f"{self._cell} = :k{at} COLLATE BINARY"
            for at, cell in enumerate(self.inputs)
        ]

    def _decided(self) -> str:
        """The SQL of a document's value. What most inputs give is the ELSE, which takes no test."""
        stored = [_as_stored(value) for value in self.inputs.values()]
        # Of two that as many give, the one that was met later most likely comes less often.
        rest = max(range(len(stored)), key=lambda at: (stored.count(stored[at]), at))
        told = f":v{rest}"
        tested = [at for at, value in enumerate(stored) if value != stored[rest]]
        cells = list(self.inputs)
        branches = "".join(f" WHEN :k{at} THEN :v{at}" for at in tested if cells[at] is not None)
        if branches:
            told = f"CASE {self._cell} COLLATE BINARY{branches} ELSE {told} END"
        for at in tested:
            if cells[at] is None:
                told = f"CASE WHEN {self._cell} IS NULL THEN :v{at} ELSE {told} END"
        return told

    def _bound(self) -> dict[str, Value]:
        cells = {f"k{at}": cell for at, cell in enumerate(self.inputs)}
        return cells | {f"v{at}": value for at, value in enumerate(self.inputs.values())}


class Learner:
    """Runs a function on the first documents, then once for each further input.

    For functions that are pure, and `documents` that show the fields that it reads. Every method
    raises `FoundOut` where the function is not pure, whatever its text seemed to prove;
    `DatabaseError` where a document cannot be read; `Stopped` where one was fatal to a process.

    Args:
        tally: is to know nothing yet; it tells the whole only after `learn`.
    """

    def __init__(
        self,
        documents: Documents,
        backfill: Backfill,
        evaluators: Evaluators,
        tally: Tally,
        cancelled: IsCancelled,
    ) -> None:
        self.tally = tally
        self._documents = documents
        self._evaluators = evaluators
        self._cancelled = cancelled
        self._inputs: dict[Value, Value] = {}
        self._found = ByInput.of(documents, backfill.column, self._inputs)
        self._last: Key | None = None

    def guess(self) -> ByInput | None:
        """The inputs of the first documents, which most likely are all; None where they are too
        many, or one of them gives no value."""
        if self._found is None:
            return None
        left = _FIRST
        for _ in range(_STEPS):
            rows = min(left, self._evaluators.pace)
            batch = self._documents.batch(self._last, None, rows) if rows else None
            if batch is None:
                break
            if not self._tells(batch):
                return None
            self._last = batch.keys[-1]
            left -= len(batch.keys)
        return self._found if self._inputs else None

    def learn(self) -> ByInput | None:
        """All inputs, after those that were guessed; counts the documents. None as for `guess`."""
        if self._found is None or self._last is None:
            return None
        counts = self._found.counted()
        if counts is None:
            while (other := self._found.first_other(self._last)) is not None:
                before = len(self._inputs)
                batch = self._documents.batch(_before(other), other, 1)
                if batch is None or not self._tells(batch) or len(self._inputs) == before:
                    return None
                self._last = other
            counts = self._found.counted()
        if counts is None:
            return None
        self.tally.recount(counts)
        return self._found

    def _tells(self, batch: Batch) -> bool:
        """Take in the inputs of a batch; whether they are few, and each gives a value."""
        answers = self._evaluators.answer(batch, self._cancelled)
        self.tally.tell(self._documents, batch, answers)
        fresh = answers[0].outcomes
        if self.tally.impure or not self.tally.same or fresh == {}:
            raise FoundOut
        if fresh is None:
            return False
        for cell, value in fresh.items():
            if self._inputs.setdefault(cell, value) != value:
                raise FoundOut
        return len(self._inputs) <= MOST_BRANCHES


def foreign_triggers(documents: Documents) -> tuple[str, ...]:
    """The triggers of the documents' table that are not Valet's own."""
    table = documents.state
    return tuple(t.name for t in table.triggers if not is_own_trigger(t.name, table.name))


def _as_stored(value: Value) -> tuple[type, Value]:
    """What is equal where values are stored alike: 1 and 1.0 are not, nor 0.0 and -0.0."""
    return type(value), repr(value) if isinstance(value, float) else value


def _before(key: int) -> int | None:
    return key - 1 if key > _FIRST_ROWID else None
