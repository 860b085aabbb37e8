"""Run questions about the data and bring back their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import apsw

from valet_studio.schema.model import Validator
from valet_studio.schema.names import quote
from valet_studio.schema.questions import CONFORMS, MAX_EXAMPLES, Answer, Question
from valet_studio.schema.values import StoredValue, conforms


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
    return Answer(count, tuple(str(row[0]) for row in rows))


def _checker(validator: Validator) -> Callable[..., int]:
    # Columns that are narrowed tend to hold few distinct values.
    @lru_cache(maxsize=4_096, typed=True)
    def check(value: StoredValue) -> int:
        return conforms(validator, value) is None

    return check
