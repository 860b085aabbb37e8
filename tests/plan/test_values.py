from __future__ import annotations

import pytest
from pushing import ANY, BOOLEAN, BYTES, INT, NUMBER, STRING, array, literal, union

from valet_studio.schema.model import ObjectField, Validator
from valet_studio.schema.values import StoredValue, conforms

THING = Validator("object", fields=(ObjectField("a", STRING), ObjectField("b", INT, True)))
RECORD = Validator("record", items=(STRING, NUMBER))


@pytest.mark.parametrize(
    ("validator", "stored"),
    [
        (STRING, ""),
        (NUMBER, 1.5),
        (INT, 3),
        (INT, 3.0),
        (BOOLEAN, 0),
        (BYTES, b""),
        (literal("a"), "a"),
        (literal(True), 1),
        (union(literal(1), literal(2)), 2),
        (union(STRING, Validator("null")), None),
        (union(STRING, NUMBER), '"x"'),
        (array(STRING), '["a"]'),
        (THING, '{"a": "x"}'),
        (RECORD, '{"x": 1}'),
        (ANY, '{"x": [null]}'),
        (ANY, None),
    ],
)
def test_what_keeps_the_promise(validator: Validator, stored: StoredValue) -> None:
    assert conforms(validator, stored) is None


@pytest.mark.parametrize(
    ("validator", "stored", "words"),
    [
        (STRING, None, "it is null"),
        (STRING, 1, "1 is not a string"),
        (NUMBER, "x", '"x" is not a number'),
        (NUMBER, b"x", "a BLOB stands"),
        (INT, 1.5, "1.5 is not an integer"),
        (BOOLEAN, 2, "2 is not a boolean"),
        (BOOLEAN, "1", '"1" is not a boolean'),
        (BYTES, "x", '"x" is not bytes'),
        (literal("a"), "b", '"b" is not "a"'),
        (literal(True), 0, "false is not true"),
        (union(literal(1), literal(2)), 3, "3 is none of the union's members"),
        (union(STRING, NUMBER), "true", "true is none"),
        (array(STRING), "[1]", "[0]: 1 is not a string"),
        (array(STRING), "{}", "{} is not an array"),
        (array(STRING), "[", '"[" is not JSON'),
        pytest.param(array(STRING), "[" * 100_000, "is not JSON", id="too deep"),
        (array(STRING), 5, "5 is not JSON text"),
        (THING, "{}", "{} lacks the field a"),
        (THING, '{"a": "x", "b": null}', "b: null is not an integer"),
        (THING, '{"a": "x", "c": 1}', "c is not a field"),
        (THING, '{"a": "x", "b": true}', "b: true is not an integer"),
        (RECORD, '{"x": "y"}', 'x: "y" is not a number'),
    ],
)
def test_what_breaks_it_is_said(validator: Validator, stored: StoredValue, words: str) -> None:
    sentence = conforms(validator, stored)
    assert sentence is not None
    assert words in sentence
