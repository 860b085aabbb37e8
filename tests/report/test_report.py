"""What plans, pushes and problems say, on hand-made ones."""

from __future__ import annotations

import json
import re

import pytest

from valet_studio import report, report_json
from valet_studio.errors import Location, Problem
from valet_studio.migrate.events import (
    BackfillReport,
    Failure,
    Outcome,
    ReasonCount,
    Report,
    Sample,
    TableRows,
    ValueCount,
)
from valet_studio.plan.changes import (
    AddColumn,
    AnyChange,
    ChangeType,
    CreateIndex,
    CreateTable,
    DeprecateField,
    Drift,
    Plan,
    RemoveField,
    Risk,
    RunBackfill,
)
from valet_studio.report_markdown import plan_markdown
from valet_studio.schema.model import Backfill, Field, Index, Table, Validator

NUMBER, STRING = Validator("number"), Validator("string")
PLACE = Location("valet/schema.ts", 9, 5)

ADD = AddColumn(
    table="todos",
    column="priorityNum",
    summary="Add column todos.priorityNum (v.number()).",
    rule="Why.",
    sql=('ALTER TABLE "todos" ADD COLUMN "priorityNum" INTEGER',),
    location=PLACE,
    field=Field("priorityNum", NUMBER),
    backfilled=True,
)
DEPRECATE = DeprecateField(
    table="todos", column="priority", summary="Deprecate todos.priority.", rule="Why."
)
FILL = RunBackfill(
    table="todos",
    column="priorityNum",
    summary="Run the backfill of todos.priorityNum.",
    rule="Why.",
    declared=Backfill("priorityNum", "0"),
)
RETYPE = ChangeType(
    table="todos",
    column="priority",
    risk=Risk.BREAKING,
    summary="todos.priority cannot change from v.string() to v.number().",
    rule="Keep it .deprecated() and add a column with .backfill().",
    location=PLACE,
    before=STRING,
    before_sql_type="TEXT",
    after=Field("priority", NUMBER),
)
DONE = BackfillReport("todos", "priorityNum", 142, 142, 0, 0.25)
BROKEN = BackfillReport(
    "todos",
    "priorityNum",
    142,
    0,
    12,
    0.25,
    errors=tuple(Failure(f"t{n}", "It threw [/x].", PLACE) for n in range(12)),
)


def plan(*changes: AnyChange, applied: str | None = "before") -> Plan:
    return Plan("after", applied, "print", changes)


def pushed(status: Outcome, found: Plan, *backfills: BackfillReport) -> str:
    return report.push_text(Report(status, found, backfills=backfills))


def test_a_push_speaks_in_the_seeds_words() -> None:
    assert pushed("ok", plan(ADD, DEPRECATE, FILL), DONE) == (
        "Schema pushed successfully\n"
        '  Table "todos":\n'
        "    Added columns: priorityNum\n"
        '    Backfill "priorityNum": 142 rows updated\n'
    )


def test_a_push_lists_tables_columns_and_indexes_each_under_its_table() -> None:
    users = Table("users", (Field("name", STRING), Field("age", NUMBER)))
    create = CreateTable(table="users", summary="Create.", rule="", declared=users)
    remove = RemoveField(table="todos", column="old", summary="Remove.", rule="")
    index = CreateIndex(
        table="users",
        index="by_name",
        summary="Index.",
        rule="",
        declared=Index("by_name", ("name",)),
    )
    assert pushed("ok", plan(create, ADD, remove, index)) == (
        "Schema pushed successfully\n"
        '  Table "users":\n'
        "    Created with columns: name, age\n"
        "    Added indexes: by_name\n"
        '  Table "todos":\n'
        "    Added columns: priorityNum\n"
        "    Removed columns, kept in the database: old\n"
    )


def test_a_push_of_nothing_says_so() -> None:
    assert pushed("noop", plan(applied="after")) == "Schema unchanged. Nothing to push.\n"


def test_a_failed_push_names_documents_and_lines_and_that_it_is_retried() -> None:
    text = pushed("failed", plan(ADD, FILL), BROKEN)
    assert "successfully" not in text
    assert '    Backfill "priorityNum": 12 of 142 rows failed\n' in text
    assert '      ✗ _id "t0": It threw [/x].  (valet/schema.ts:9:5)\n' in text
    assert text.count("_id ") == 10
    assert "… and 2 more" in text
    assert "next push retries" in text


def test_a_rejected_push_shows_only_what_is_breaking_and_the_recipe() -> None:
    text = pushed("rejected", plan(ADD, RETYPE))
    assert text.startswith("Schema rejected. Nothing was changed.\n")
    assert "✗ todos.priority cannot change" in text
    assert "(valet/schema.ts:9:5)" in text
    assert ".backfill()" in text
    assert "priorityNum" not in text


def test_a_plan_is_told_by_table_with_signs_and_places() -> None:
    text = report.plan_text(plan(ADD, DEPRECATE, FILL))
    assert text.startswith("Pending: 3 changes.\n")
    assert "  + Add column todos.priorityNum (v.number()).  (valet/schema.ts:9:5)\n" in text
    assert "  - Deprecate todos.priority.\n" in text
    assert "Why." not in text


@pytest.mark.parametrize(
    ("found", "headline"),
    [
        (plan(applied="after"), "Schema and database agree. Nothing to do."),
        (plan(), "Pending: no change to the database; only the schema will be recorded."),
        (plan(ADD), "Pending: 1 change."),
        (
            plan(ADD, Drift(table="x", summary="A view.", rule="")),
            "Pending: 1 change. The database holds 1 thing that no schema explains (!).",
        ),
        (plan(ADD, RETYPE), "Blocked: 1 breaking change of 2. The whole push is rejected."),
        (
            plan(Drift(table="x", summary="A view.", rule=""), applied="after"),
            "Schema and database agree, but the database holds what no schema explains.",
        ),
    ],
)
def test_the_first_line_is_the_state(found: Plan, headline: str) -> None:
    assert report.plan_text(found).splitlines()[0] == headline


def test_plan_json_has_the_documented_shape() -> None:
    index = CreateIndex(
        table="todos", index="by_a", summary="Index.", rule="", declared=Index("by_a", ("a",))
    )
    told = report_json.plan_json(plan(ADD, index))
    assert list(told) == [
        *("status", "schema_hash", "applied_hash", "fingerprint", "changes", "warnings")
    ]
    assert told["changes"] == [
        {
            "kind": "add_column",
            "table": "todos",
            "column": "priorityNum",
            "risk": "safe",
            "summary": "Add column todos.priorityNum (v.number()).",
            "sql": ['ALTER TABLE "todos" ADD COLUMN "priorityNum" INTEGER'],
            "location": {"file": "valet/schema.ts", "line": 9, "column": 5},
        },
        {
            "kind": "create_index",
            "table": "todos",
            "column": None,
            "risk": "safe",
            "summary": "Index.",
            "sql": [],
            "location": None,
            "index": "by_a",
        },
    ]


def test_report_json_has_the_documented_shape() -> None:
    filled = BackfillReport(
        "todos",
        "priorityNum",
        2,
        2,
        0,
        0.5,
        samples=(Sample("t1", None, 3, {"priority": "high"}),),
        distribution=(ValueCount(3, 2),),
        deterministic=True,
    )
    told = report_json.report_json(
        Report("ok", plan(FILL), (TableRows("todos", 2, 2),), (filled,), 1.5)
    )
    assert list(told) == ["status", "plan", "tables", "backfills", "seconds"]
    assert told["tables"] == [{"table": "todos", "rows_before": 2, "rows_after": 2}]
    assert told["backfills"] == [
        {
            "table": "todos",
            "column": "priorityNum",
            "rows": 2,
            "updated": 2,
            "failed": 0,
            "seconds": 0.5,
            "samples": [{"_id": "t1", "before": None, "after": 3}],
            "errors": [],
            "distribution": [{"value": 3, "count": 2}],
            "deterministic": True,
        }
    ]
    json.dumps(told)


def test_a_rare_reason_is_shown_beside_a_common_one() -> None:
    common = [Failure(f"c{n}", "common", PLACE) for n in range(30)]
    errors = (*common, Failure("r", "rare", PLACE), *(Failure(f"o{n}", "odd") for n in range(9)))
    reasons = tuple(ReasonCount(f"why {n}", 40 - n) for n in range(7))
    filled = BackfillReport("t", "x", 90, 0, 40, 0.1, errors=errors, reasons=reasons)
    told = report.report_text(
        Report("failed", plan(FILL), backfills=(filled,)), rehearsal=True, database="dev.db"
    )
    shown = re.findall(r'_id "(\w+)": (\w+)', told)
    assert [kind for _, kind in shown] == ["common"] * 5 + ["rare"] + ["odd"] * 4
    assert shown[0] == ("c0", "common")
    assert "… and 30 more\n  40 × why 0\n  39 × why 1\n" in told
    assert "36 × why 4\n  … and 2 other reasons\n" in told


def test_errors_as_json_say_what_where_and_the_way_out() -> None:
    assert report_json.problems_json([Problem("Bad.", "Do.", PLACE), Problem("Worse.")]) == {
        "status": "error",
        "errors": [
            {
                "message": "Bad.",
                "hint": "Do.",
                "location": {"file": "valet/schema.ts", "line": 9, "column": 5},
            },
            {"message": "Worse.", "hint": None, "location": None},
        ],
    }


@pytest.mark.parametrize("column", [1, 150, 5_000, 1_000_000])
def test_of_a_long_line_the_part_around_the_column_is_shown(column: int) -> None:
    line = f"{'a' * (column - 1)}X{'b' * (1_000_000 - column)}"
    problem = Problem("It is wrong.", None, Location("valet/schema.ts", 1, column), line)
    _, shown, caret = report.problems_text([problem]).splitlines()
    assert shown[caret.index("^")] == "X"
    assert len(shown) < 210
    assert ("…a" in shown, "b…" in shown) == (column > 200, column < 1_000_000)


def test_problems_show_the_source_line_with_a_caret_below_the_column() -> None:
    problem = Problem("No such field.", "Declare it.", PLACE, "\tab  x: v.string(),")
    assert report.problems_text([problem]) == (
        "valet/schema.ts:9:5: No such field.\n"
        "    \tab  x: v.string(),\n"
        "    \t   ^\n"
        "hint: Declare it.\n"
    )


def test_what_takes_two_cells_or_none_is_lined_up_as_a_terminal_shows_it() -> None:
    line = "    日本e\u0301: v.strng(),"
    problem = Problem("No such validator.", None, Location("valet/schema.ts", 9, 13), line)
    assert report.problems_text([problem]).endswith(f"    {line}\n{' ' * 17}^\n")
    samples = (Sample("日本", None, 1, {}), Sample("t01234", None, 2, {}))
    filled = BackfillReport("日本", "n", 2, 2, 0, 0.5, samples=samples)
    tables = (TableRows("日本", 2, 2), TableRows("todos", 3, 3))
    told = report.report_text(
        Report("ok", plan(FILL), tables, (filled,)), rehearsal=True, database="app.db"
    )
    assert "\n  日本   2 → 2\n  todos  3 → 3\n" in told
    assert '\n    "日本"    null → 1\n    "t01234"  null → 2\n' in told


def test_a_dry_run_is_told_with_rows_samples_and_determinism() -> None:
    filled = BackfillReport(
        "todos",
        "n",
        142,
        142,
        0,
        0.5,
        samples=tuple(Sample(f"t{i}", None, i, {}) for i in range(20)),
        distribution=(ValueCount(3, 100), ValueCount("x" * 99, 42)),
        deterministic=False,
        impure=("Date.now",),
    )
    done = Report("ok", plan(FILL), (TableRows("todos", 142, 142),), (filled,), 1.0)
    text = report.report_text(done, rehearsal=True, database="dev.db")
    assert "dev.db was not touched" in text
    assert "todos  142 → 142" in text
    assert "100 × 3" in text
    assert '"t0"  null → 0' in text
    assert "in another time zone, computed other values. It uses Date.now." in text
    assert max(map(len, text.splitlines())) < 100


@pytest.mark.parametrize("rehearsal", [True, False])
def test_failures_name_document_message_and_line(rehearsal: bool) -> None:
    text = report.report_text(
        Report("failed", plan(ADD, FILL), backfills=(BROKEN,)),
        rehearsal=rehearsal,
        database="dev.db",
    )
    assert "0 of 142 rows updated, 12 failed" in text
    assert '✗ _id "t0": It threw [/x].  (valet/schema.ts:9:5)' in text


def test_sql_can_be_run_as_it_is_printed() -> None:
    text = report.plan_sql(plan(ADD, FILL))
    statements = [line for line in text.splitlines() if line and not line.startswith("--")]
    assert statements == ['ALTER TABLE "todos" ADD COLUMN "priorityNum" INTEGER;']
    assert report.plan_sql(plan(RETYPE)).startswith("-- Blocked")


def test_names_cannot_break_out_of_sql_comments_or_markdown() -> None:
    nasty = AddColumn(
        table="a|b`c",
        column="x",
        summary="Add a\nDROP TABLE todos; | <b> ```",
        rule="",
        sql=("SELECT '```'",),
        field=Field("x", STRING),
    )
    assert "\nDROP" not in report.plan_sql(plan(nasty))
    text = plan_markdown(plan(nasty))
    row = next(line for line in text.splitlines() if line.startswith("| +"))
    assert row.replace("\\|", "").count("|") == 6
    assert "<b>" not in row
    assert "\n````sql\n" in text


def test_what_is_said_alike_of_what_no_schema_explains_is_said_once() -> None:
    alike = [Drift(table="x", summary=f"{n}.", rule="Kept.", risk=Risk.WARNING) for n in "abc"]
    other = Drift(table="x", summary="d.", rule="Burdens.", risk=Risk.WARNING)
    told = report.plan_text(plan(*alike, other))
    lines = told.partition("Table")[2].splitlines()[1:]
    assert [line.strip() for line in lines] == [
        "! a.", "! b.", "! c.", "Kept.", "! d.", "Burdens."
    ]  # fmt: skip
