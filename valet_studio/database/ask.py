"""Run questions about the data and bring back their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import apsw

from valet_studio.schema.model import Validator
from valet_studio.schema.names import quote
from valet_studio.schema.questions import CONFORMS, MAX_EXAMPLES, MAX_VALUES, Answer, Question
from valet_studio.schema.values import StoredValue, conforms

_LONG_TEXT, _LONG_BLOB = 200, 32
"""Of a value, what tells it apart from others, and no more than is shown."""


def ask(connection: apsw.Connection, questions: Iterable[Question]) -> dict[str, Answer]:
    """The answer to each question, by the question's name; all of one moment. Reads only.

    Raises:
        apsw.Error: to be translated by `database_errors`; `FileTarget.reading` does so.
    """
    answers: dict[str, Answer] = {}
    with connection:
        for question in questions:
            answers[question.name] = _answer(connection, question)
    return answers


def _answer(connection: apsw.Connection, question: Question) -> Answer:
    if question.check is not None:
        connection.create_scalar_function(CONFORMS, _checker(question.check), 1)
    where = f" WHERE {question.condition}" if question.condition is not None else ""
    source = f"FROM main.{quote(question.table)}{where}"
    count = connection.execute(f"SELECT count(*) {source}").get
    assert isinstance(count, int)
    if not (count and question.examples):
        return Answer(count)
    rows = connection.execute(f'SELECT "_id" {source} LIMIT {MAX_EXAMPLES}')
    examples = tuple(str(row[0]) for row in rows)
    if question.column is None:
        return Answer(count, examples)
    return Answer(count, examples, tuple(_values(connection, quote(question.column), source)))


def _values(
    connection: apsw.Connection, column: str, source: str
) -> Iterator[tuple[StoredValue, int]]:
    """What a column holds in some of the rows, most frequent first; of long values the start."""
    held = f"""CASE typeof({column}) WHEN 'text' THEN substr({column}, 1, {_LONG_TEXT})
        WHEN 'blob' THEN substr({column}, 1, {_LONG_BLOB}) ELSE {column} END"""
    for value, count in connection.execute(
        f"SELECT held, count(*) FROM (SELECT {held} AS held {source})"
        f" GROUP BY held ORDER BY count(*) DESC, held LIMIT {MAX_VALUES + 1}"
    ):
        yield value, int(count)


def _checker(validator: Validator) -> Callable[..., int]:
    # Columns that are narrowed tend to hold few distinct values.
    @lru_cache(maxsize=4_096, typed=True)
    def check(value: StoredValue) -> int:
        return conforms(validator, value) is None

    return check
