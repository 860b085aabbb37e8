"""What goes over the wire comes out as it went in."""

from __future__ import annotations

import json
import types
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_strategies import validators

from valet_studio import errors
from valet_studio.errors import Location, Problem, SchemaError, StudioError
from valet_studio.migrate.events import Event
from valet_studio.migrate.history import HistoryEntry
from valet_studio.migrate.wire import decode, decode_error, decode_event, encode, encode_error
from valet_studio.plan.changes import Plan, Risk
from valet_studio.schema.model import Validator

_texts = st.text(max_size=6)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_texts, inner, max_size=2),
    max_leaves=4,
)


def _filled(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: _later(hints[field.name]) for field in fields(kind)})


def _later(hint: Any) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: strategy(hint))


def strategy(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation of the core, all fields filled."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if any(get_origin(member) is dict for member in get_args(hint)):
            return _json
        return st.one_of([strategy(member) for member in get_args(hint)])
    if origin is Literal:
        return st.sampled_from(get_args(hint))
    if origin is tuple:
        return st.lists(strategy(get_args(hint)[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(_texts, _json, max_size=2)
    if hint is Validator:
        return validators(["a", "b"])
    if is_dataclass(hint):
        return _filled(hint)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: _texts,
        int: st.integers(),
        float: st.floats(allow_nan=False),
        bool: st.booleans(),
        type(None): st.none(),
        Risk: st.sampled_from(Risk),
    }
    return simple[hint] if hint in simple else st.sampled_from(hint)


def over_the_wire(value: object) -> Any:
    """As bytes, and back to JSON."""
    return json.loads(json.dumps(encode(value)).encode())


def same(one: object, other: object) -> bool:
    """Equal in every field, those included that `==` leaves out, and in every type."""
    if type(one) is not type(other):
        return False
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@settings(max_examples=150)
@given(st.one_of([strategy(kind) for kind in get_args(Event)]))
def test_every_event_survives(event: Event) -> None:
    assert same(decode_event(over_the_wire(event)), event)


@settings(max_examples=60)
@given(strategy(Plan))
def test_every_plan_survives(plan: Plan) -> None:
    assert same(decode(Plan, over_the_wire(plan)), plan)


@settings(max_examples=30)
@given(strategy(HistoryEntry))
def test_every_history_entry_survives(entry: HistoryEntry) -> None:
    assert same(decode(HistoryEntry, over_the_wire(entry)), entry)


KINDS = sorted(
    (k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, StudioError)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_survives(kind: type[StudioError]) -> None:
    problems = (
        Problem("One.", "Do.", Location("valet/schema.ts", 1, 2), "source"),
        Problem("Two."),
    )
    error = SchemaError(problems) if kind is SchemaError else kind("One.")
    error.problems = problems
    document = json.loads(json.dumps(encode_error(error)))
    back = decode_error(document)
    assert type(back) is kind
    assert back.problems == problems
    assert back.exit_code == error.exit_code


def test_an_error_of_another_version_is_still_an_error() -> None:
    document = encode_error(StudioError("Odd.")) | {"kind": "Location"}
    assert type(decode_error(document)) is StudioError


@settings(max_examples=60)
@given(_json)
def test_what_is_no_event_is_a_value_error(document: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_event(document)
    with pytest.raises(ValueError, match=r"."):
        decode_error(document)


@settings(max_examples=60)
@given(strategy(Plan), st.data())
def test_a_plan_that_was_tampered_with_is_a_plan_or_a_value_error(
    plan: Plan, data: st.DataObject
) -> None:
    document = over_the_wire(plan)
    name = data.draw(st.sampled_from(sorted(document)))
    document[name] = data.draw(_json)
    with suppress(ValueError):
        assert isinstance(decode(Plan, document), Plan)
