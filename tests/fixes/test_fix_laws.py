"""Whatever a schema looks like, the recipe changes one field and nothing else of it."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from schema_strategies import schemas, to_typescript

from valet_studio.fixes.fix import Fix
from valet_studio.fixes.offer import fixes_for
from valet_studio.plan.changes import ChangeType, Plan, Risk
from valet_studio.schema.document import schema_hash
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Field, Schema, Sources, Table, Validator

NEW = (
    Validator("string"),
    Validator("number"),
    Validator("boolean"),
    Validator("bytes"),
    Validator("array", items=(Validator("string"),)),
)


def read(text: str) -> Schema:
    return evaluate(Sources("schema.ts", {"schema.ts": text}))


def meaning(field: Field) -> str:
    """What a field is, whatever the order of properties and members."""
    return schema_hash(Schema((Table("t", (replace(field, name="x"),)),)))


def changed(schema: Schema, table: Table, field: Field) -> Schema:
    """The schema with another field in the place of the one of that name."""
    fields = tuple(field if f.name == field.name else f for f in table.fields)
    # Text alone can be searched: what a developer would leave out too.
    searches = tuple(s for s in table.search_indexes if s.search_field != field.name)
    edited = replace(table, fields=fields, search_indexes=searches)
    return Schema(tuple(edited if t.name == table.name else t for t in schema.tables))


@settings(max_examples=25)
@given(schemas(max_tables=2), st.randoms(use_true_random=False), st.data())
def test_only_the_changed_field_is_touched(
    schema: Schema, shuffle: random.Random, data: st.DataObject
) -> None:
    choices = [(t, f) for t in schema.tables for f in t.fields]
    assume(choices)
    table, old = data.draw(st.sampled_from(choices))
    validator = data.draw(st.sampled_from(NEW))
    assume(validator.storage is not old.validator.storage)
    new = replace(old, validator=validator, deprecated=False)

    after = read(to_typescript(changed(schema, table, new), shuffle))
    change = ChangeType(
        table=table.name,
        column=old.name,
        risk=Risk.BREAKING,
        summary="",
        rule="",
        before=old.validator,
        before_optional=old.optional,
        before_sql_type=old.validator.storage.sql_type,
        after=next(
            f for t in after.tables for f in t.fields if (t.name, f.name) == (table.name, old.name)
        ),
    )
    recipe, former = fixes_for(change, after, Plan("", None, "", (change,)))

    mended = read(recipe.after).table_named(table.name)
    declared = after.table_named(table.name)
    assert mended is not None
    assert declared is not None
    kept = mended.field_named(old.name)
    assert kept is not None
    assert meaning(kept) == meaning(replace(old, deprecated=True))
    [added] = [f for f in mended.fields if declared.field_named(f.name) is None]
    assert (added.validator, added.optional, added.deprecated) == (validator, new.optional, False)
    others = tuple(f for f in mended.fields if f.name not in (old.name, added.name))
    assert others == tuple(f for f in declared.fields if f.name != old.name)
    assert {b.column for b in mended.backfills} == {b.column for b in declared.backfills} | {
        added.name
    }
    assert (mended.indexes, mended.sync) == (declared.indexes, declared.sync)

    assert schema_hash(read(former.after)) == schema_hash(
        read(to_typescript(changed(schema, table, replace(old, deprecated=False))))
    )
    assert recipe.inverse().inverse().after == recipe.after
    assert recipe.made_in(recipe.before) == recipe.after


@given(
    st.lists(st.text("ab", max_size=2), max_size=8),
    st.lists(st.text("ab", max_size=2), max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
@example([], [""], "\n", True)
def test_a_fix_and_its_inverse_leave_a_file_as_it_was(
    before: list[str], after: list[str], end: str, marked: bool
) -> None:
    fix = Fix("", "", "a.ts", "\n".join(before), "\n".join(after))
    text = ("\ufeff" if marked else "") + end.join(before)
    made = fix.made_in(text)
    assert made is not None
    assert made.replace(end, "\n").removeprefix("\ufeff") == fix.after
    if len(before) > 1 and len(after) > 1:
        assert fix.inverse().made_in(made) == text
