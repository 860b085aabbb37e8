"""What only the data tells about a plan: the questions to ask, and their answers worked into it.

Pure on both sides; `database.ask` runs the questions in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from valet_studio.plan import sentences as say
from valet_studio.plan.changes import (
    AddColumn,
    AnyChange,
    ChangeType,
    CreateTable,
    DeprecateField,
    HeldValue,
    NarrowField,
    Plan,
    RemoveField,
    RemoveTable,
    RestoreField,
    RestoreTable,
    Risk,
    RunBackfill,
)
from valet_studio.schema.model import Field, Schema, Validator
from valet_studio.schema.names import quote
from valet_studio.schema.questions import CONFORMS, Answer, Question
from valet_studio.schema.state import DatabaseState
from valet_studio.schema.telling import shown


def questions(plan: Plan, schema: Schema, state: DatabaseState) -> tuple[Question, ...]:
    """What has to be counted for this plan, in the order of its changes."""
    asked: dict[str, Question] = {}
    for change in plan.changes:
        for question in _questions(change, schema, state):
            asked.setdefault(question.name, question)
    return tuple(asked.values())


def deciding(asked: Iterable[Question]) -> tuple[Question, ...]:
    """The questions whose answers can reject the push; the others only count."""
    return tuple(question for question in asked if question.examples)


def answered(plan: Plan, answers: Mapping[str, Answer]) -> Plan:
    """The same plan with counts in its changes and sentences, and risks raised by them."""
    changes = tuple(_answered(change, answers) for change in plan.changes)
    return replace(unanswered(replace(plan, changes=changes)), measured=True)


def unanswered(plan: Plan) -> Plan:
    """The plan as it is shown before it is measured. The adoption of a column made by hand is left
    out: it matters only once documents are found that do not fit."""
    told = tuple(
        c for c in plan.changes if not (isinstance(c, NarrowField) and c.adopted and not c.rows)
    )
    return replace(plan, changes=told)


def _questions(change: AnyChange, schema: Schema, state: DatabaseState) -> Iterator[Question]:
    found = state.table_named(change.table)
    if found is None or found.kind != "table" or isinstance(change, CreateTable):
        return
    column = found.column_named(change.column) if change.column is not None else None
    holds = f"{quote(column.name)} IS NOT NULL" if column is not None else None
    everything = Question(_name(change, "rows"), change.table)
    match change:
        case AddColumn() | RemoveTable() | RestoreTable():
            yield everything
        case RunBackfill():
            yield everything
            if holds is not None:
                yield Question(_name(change, "held"), change.table, holds)
        case RemoveField() | DeprecateField() | ChangeType() if holds is not None:
            yield Question(_name(change, "held"), change.table, holds)
        case RestoreField() if column is not None:
            empty = f"{quote(column.name)} IS NULL"
            yield Question(_name(change, "empty"), change.table, empty)
        case NarrowField() if not change.after_backfill and found.column_named("_id") is not None:
            yield _promise(change, schema, state)
            if change.adopted and not change.field.nullable:
                empty = f"{quote(change.field.name)} IS NULL"
                yield Question(_name(change, "empty"), change.table, empty)
        case _:
            pass


def _promise(change: NarrowField, schema: Schema, state: DatabaseState) -> Question:
    """Which documents break a narrowing's promise."""
    return Question(
        name=_name(change, "broken"),
        table=change.table,
        condition=_broken(change.field, schema, state),
        check=change.field.validator,
        examples=True,
        column=change.field.name,
    )


def _broken(field: Field, schema: Schema, state: DatabaseState) -> str:
    """The SQL condition that a document breaking the field's promise meets."""
    column = quote(field.name)
    validator = field.validator
    wrong = f"NOT {CONFORMS}({column})"
    if validator.kind == "id":
        wrong = _dangling(column, validator, schema, state)
    broken = f"({column} IS NOT NULL AND {wrong})"
    return broken if field.nullable else f"({column} IS NULL OR {broken})"


def _dangling(column: str, validator: Validator, schema: Schema, state: DatabaseState) -> str:
    """The SQL condition that a document meets whose id points to no document."""
    target = validator.table or ""
    found = state.table_named(target)
    if schema.table_named(target) is None or found is None or found.column_named("_id") is None:
        return "1"
    ids = f'SELECT "_id" FROM {quote(target)} WHERE "_id" IS NOT NULL'
    return f"{column} NOT IN ({ids})"


def _answered(change: AnyChange, answers: Mapping[str, Answer]) -> AnyChange:
    rows = answers.get(_name(change, "rows"))
    held = answers.get(_name(change, "held"))
    empty = answers.get(_name(change, "empty"))
    broken = answers.get(_name(change, "broken"))
    match change:
        case AddColumn() if rows is not None:
            return _added(change, rows.count)
        case RunBackfill():
            return _backfilled(change, rows.count if rows else 0, held.count if held else 0)
        case NarrowField() if broken is not None:
            return _narrowed(change, broken, empty.count if empty else 0)
        case RestoreField() if empty is not None:
            return _restored(change, empty.count)
        case RemoveTable() | RestoreTable() if rows is not None:
            summary = f"{change.summary[:-1]} ({say.count(rows.count)})."
            return replace(change, rows=rows.count, summary=summary)
        case RemoveField() | DeprecateField() | ChangeType() if held is not None:
            verb = "holds" if held.count == 1 else "hold"
            summary = f"{change.summary} {say.count(held.count)} {verb} a value."
            return replace(change, rows=held.count, summary=summary)
        case CreateTable():
            return replace(change, rows=0)
        case _:
            return change


def _added(change: AddColumn, rows: int) -> AddColumn:
    needs = not (change.field.nullable or change.field.deprecated or change.backfilled)
    if not (needs and rows):
        return replace(change, rows=rows)
    summary = f"{change.summary} {say.will_hold_null(rows)}: use v.optional() or .backfill()."
    return replace(change, rows=rows, risk=_raised(change.risk), summary=summary)


def _backfilled(change: RunBackfill, rows: int, held: int) -> RunBackfill:
    summary = change.summary.replace("for every document", f"for {say.count(rows)}")
    risk = change.risk
    if held and risk is not Risk.BREAKING:
        summary = f"{summary[:-1]}, overwriting {say.count(held, 'value')}."
        risk = _raised(risk)
    return replace(change, rows=rows, risk=risk, summary=summary, overwrites=held)


def _narrowed(change: NarrowField, broken: Answer, nulls: int) -> NarrowField:
    if broken.count == 0:
        summary = f"{change.summary} All documents keep the promise."
        return replace(change, rows=0, offending=0, summary=summary)
    if change.adopted:
        verb = "does" if broken.count == 1 else "do"
        summary = f"{change.summary} {say.count(broken.count)} {verb} not fit"
        summary += f"{_of_null(nulls, broken.count)}."
        return replace(
            change,
            rows=broken.count,
            nulls=nulls,
            examples=broken.examples,
            values=_held(change, broken),
            risk=_raised(change.risk),
            summary=summary,
        )
    verb = "breaks" if broken.count == 1 else "break"
    summary = f"{change.summary} {say.count(broken.count)} {verb} the promise."
    return replace(
        change,
        rows=broken.count,
        offending=broken.count,
        examples=broken.examples,
        values=_held(change, broken),
        risk=Risk.BREAKING,
        summary=summary,
    )


def _held(change: NarrowField, broken: Answer) -> tuple[HeldValue, ...]:
    return tuple(HeldValue(shown(v, change.storage), count) for v, count in broken.values)


def _of_null(nulls: int, broken: int) -> str:
    """How many of the documents that break a promise do so by holding null."""
    if nulls < broken:
        return f": {nulls:,} of them null" if nulls else ""
    return ": it holds null" if broken == 1 else ": all hold null"


def _restored(change: RestoreField, empty: int) -> RestoreField:
    filled = change.backfill == "pending"
    if not empty or filled or change.field.nullable or change.field.deprecated:
        return replace(change, rows=empty)
    verb = "holds" if empty == 1 else "hold"
    way_out = "use v.optional() or .backfill()."
    if change.backfill == "refused":
        way_out = "use v.optional()."
    elif change.backfill == "ran":
        way_out = (
            "its backfill ran before; "
            f"`valet-studio backfill reset {change.table}.{change.column}` runs it again."
        )
    summary = f"{change.summary} {say.count(empty)} {verb} null: {way_out}"
    return replace(change, rows=empty, risk=_raised(change.risk), summary=summary)


def _raised(risk: Risk) -> Risk:
    return Risk.WARNING if risk is Risk.SAFE else risk


def _name(change: AnyChange, what: str) -> str:
    return json.dumps([change.kind, change.table, change.column, what])
