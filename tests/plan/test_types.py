from __future__ import annotations

import pytest
from pushing import ANY, BOOLEAN, BYTES, INT, NUMBER, STRING, array, literal, reference, union

from valet_studio.plan.types import affinity, column_holds, describe, relation
from valet_studio.schema.model import Field, ObjectField, Storage, Validator

NULL = Validator("null")


def thing(*fields: ObjectField) -> Validator:
    return Validator("object", fields=fields)


A = ObjectField("a", STRING)
A_OPTIONAL = ObjectField("a", STRING, optional=True)
B_OPTIONAL = ObjectField("b", NUMBER, optional=True)


def record(value: Validator) -> Validator:
    return Validator("record", items=(STRING, value))


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (INT, NUMBER),
        (literal(1), INT),
        (literal(2.5), NUMBER),
        (reference("users"), STRING),
        (literal("a"), STRING),
        (literal("a"), union(literal("a"), literal("b"))),
        (literal(True), BOOLEAN),
        (STRING, union(STRING, NULL)),
        (array(INT), array(NUMBER)),
        (array(STRING), ANY),
        (record(INT), record(NUMBER)),
        (thing(A), record(STRING)),
        (thing(A), thing(A_OPTIONAL)),
        (thing(A_OPTIONAL), record(STRING)),
        (thing(A), thing(A, B_OPTIONAL)),
        (array(STRING), union(array(STRING), array(NUMBER))),
    ],
)
def test_wider_one_way_is_narrower_the_other(narrow: Validator, wide: Validator) -> None:
    assert relation(Field("f", narrow), Field("f", wide)) == "widen"
    assert relation(Field("f", wide), Field("f", narrow)) == "narrow"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (reference("a"), reference("b")),
        (union(literal("a"), literal("b")), union(literal("b"), literal("c"))),
        (thing(A), thing(B_OPTIONAL)),
    ],
)
def test_neither_wider_nor_narrower_is_checked_as_narrower(
    one: Validator, other: Validator
) -> None:
    assert relation(Field("f", one), Field("f", other)) == "narrow"
    assert relation(Field("f", other), Field("f", one)) == "narrow"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (union(literal("a"), literal("b")), union(literal("b"), literal("a"))),
        (BOOLEAN, union(literal(True), literal(False))),
        (union(STRING), STRING),
        (thing(A, B_OPTIONAL), thing(B_OPTIONAL, A)),
    ],
)
def test_the_same_written_otherwise(one: Validator, other: Validator) -> None:
    assert relation(Field("f", one), Field("f", other)) == "same"
    assert relation(Field("f", other), Field("f", one)) == "same"


@pytest.mark.parametrize(("number", "boolean"), [(1, True), (0, False), (1.0, True)])
def test_a_literal_number_is_no_literal_boolean(number: float, boolean: bool) -> None:
    one, other = literal(number), literal(boolean)
    assert relation(Field("f", one), Field("f", other)) == "change"
    assert relation(Field("f", other), Field("f", one)) == "change"
    for wrapped in (array, lambda v: thing(ObjectField("a", v)), lambda v: union(v, STRING)):
        assert relation(Field("f", wrapped(one)), Field("f", wrapped(other))) == "narrow"
        assert wrapped(one) != wrapped(other)
    assert relation(Field("f", literal(1)), Field("f", literal(1.0))) == "same"


@pytest.mark.parametrize(
    ("after", "expected"), [(STRING, "narrow"), (array(STRING), "narrow"), (NUMBER, "change"), (BYTES, "change")]
)  # fmt: skip
def test_a_column_of_nulls_becomes_any_other_text(after: Validator, expected: str) -> None:
    assert relation(Field("f", NULL), Field("f", after)) == expected
    assert relation(Field("f", NUMBER), Field("f", STRING)) == "change"


def test_optional_widens_and_required_narrows() -> None:
    required, optional = Field("f", STRING), Field("f", STRING, optional=True)
    assert relation(required, optional) == "widen"
    assert relation(optional, required) == "narrow"
    assert relation(optional, Field("f", union(STRING, NULL))) == "same"


@pytest.mark.parametrize(
    ("sql_type", "expected"),
    [
        ("INT", "INTEGER"),
        ("CHARINT", "INTEGER"),
        ("FLOATING POINT", "INTEGER"),
        ("VARCHAR(20)", "TEXT"),
        ("", "BLOB"),
        ("DOUBLE PRECISION", "REAL"),
        ("DECIMAL(10,5)", "NUMERIC"),
        ("BOOLEAN", "NUMERIC"),
    ],
)
def test_affinity_follows_sqlite(sql_type: str, expected: str) -> None:
    assert affinity(sql_type) == expected


@pytest.mark.parametrize(
    ("sql_type", "storages"),
    [
        ("INTEGER", {Storage.NUMBER, Storage.BOOLEAN}),
        ("REAL", {Storage.NUMBER, Storage.BOOLEAN}),
        ("NUMERIC", {Storage.NUMBER, Storage.BOOLEAN}),
        ("text", {Storage.TEXT, Storage.JSON}),
        ("BLOB", {Storage.BYTES}),
        ("", set(Storage)),
        ("ANY", set(Storage)),
    ],
)
def test_which_columns_hold_what(sql_type: str, storages: set[Storage]) -> None:
    assert {storage for storage in Storage if column_holds(sql_type, storage)} == storages


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (
            Field("f", array(reference("users")), optional=True),
            'v.optional(v.array(v.id("users")))',
        ),
        (Field("f", literal('say "\\"')), r'v.literal("say \"\\\"")'),
        (
            Field("f", union(literal(True), literal(1), BYTES)),
            "v.union(v.literal(true), v.literal(1), v.bytes())",
        ),
        (
            Field("f", thing(A, B_OPTIONAL)),
            "v.object({ a: v.string(), b: v.optional(v.number()) })",
        ),
        (Field("f", record(ANY)), "v.record(v.string(), v.any())"),
    ],
)
def test_types_are_shown_as_written_in_schema_ts(field: Field, text: str) -> None:
    assert describe(field) == text
