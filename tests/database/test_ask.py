from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from database_files import make

from valet_studio.database.ask import ask
from valet_studio.database.target import open_target
from valet_studio.errors import DatabaseError
from valet_studio.schema.model import Validator
from valet_studio.schema.questions import CONFORMS, MAX_EXAMPLES, Question

ROWS = (
    'CREATE TABLE "a b" (_id TEXT PRIMARY KEY, n)',
    "WITH RECURSIVE i(v) AS (SELECT 0 UNION ALL SELECT v + 1 FROM i LIMIT 20) "
    "INSERT INTO \"a b\" SELECT 'd' || v, CASE WHEN v < 8 THEN v + 0.5 ELSE v END FROM i",
)


def test_questions_are_answered_by_name(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", *ROWS)
    integer, number = Validator("int"), Validator("number")
    wrong = f'NOT {CONFORMS}("n")'
    questions = (
        Question("all", "a b"),
        Question("small", "a b", "n < 3", examples=True),
        Question("fractions", "a b", wrong, integer, examples=True),
        Question("numbers", "a b", wrong, number, examples=True),
    )
    with open_target(str(path)).reading() as connection:
        answers = ask(connection, questions)
    assert {name: answer.count for name, answer in answers.items()} == {
        "all": 20,
        "small": 3,
        "fractions": 8,
        "numbers": 0,
    }
    assert answers["all"].examples == ()
    assert answers["small"].examples == ("d0", "d1", "d2")
    assert len(answers["fractions"].examples) == MAX_EXAMPLES


def test_text_that_nobody_can_read_is_an_error_that_names_its_document(tmp_path: Path) -> None:
    path = make(
        tmp_path / "a.db",
        "CREATE TABLE s (a)",
        "INSERT INTO s VALUES ('é'), (x'ff'), (1), (NULL)",
        "CREATE TABLE t (_id TEXT PRIMARY KEY, n, m)",
        "INSERT INTO t VALUES ('a', 'x', 'y'), ('b', 'x', CAST(x'ff41' AS TEXT))",
    )
    question = Question("q", "t", f"NOT {CONFORMS}(m)", Validator("string"))
    with (
        pytest.raises(DatabaseError, match=r"not UTF-8 in t\.m of the document b, so") as told,
        open_target(str(path)).reading(triggers=False) as connection,
    ):
        ask(connection, (question,))
    assert told.value.problems[0].hint


def test_asking_leaves_an_open_transaction_open() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE t (a)")
    assert ask(connection, (Question("q", "t"),))["q"].count == 0
    assert connection.in_transaction
