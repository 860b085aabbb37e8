"""The forms of one plan, what is noted beside it, and flags that do not go together."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
from click.testing import CliRunner, Result
from support import Project, fill_todos, schema_of

from valet_studio.cli import cli

FIELDS = "title: v.string(), completed: v.number(), userId: v.string(), "
BEFORE = schema_of(f"todos: defineTable({{ {FIELDS} priority: v.string() }}),")
RENAMED = schema_of(f"todos: defineTable({{ {FIELDS} prio: v.string() }}),")
CARRIED = schema_of(
    f"todos: defineTable({{ {FIELDS} prio: v.string() }}).backfill('prio', (row) => row.priority),"
)
UNLIKE = schema_of(f"todos: defineTable({{ {FIELDS} size: v.number() }}),")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="valet-studio")


@pytest.fixture
def todos(project: Project) -> Project:
    project.push(BEFORE)
    fill_todos(project)
    return project


@pytest.mark.parametrize("flags", list(combinations(("--json", "--sql", "--markdown"), 2)))
def test_two_forms_of_one_plan_are_refused(todos: Project, flags: tuple[str, str]) -> None:
    todos.write(RENAMED)
    for given in (flags, flags[::-1]):
        done = run("plan", *given)
        assert done.exit_code == 2
        assert f"{flags[0]} and {flags[1]} are forms of one plan: give one of them." in done.output
        assert "ALTER TABLE" not in done.output


def test_json_tells_which_documents_break_a_promise_and_what_they_hold(todos: Project) -> None:
    todos.write(BEFORE.replace("priority: v.string()", "priority: v.literal('low')"))
    (change,) = json.loads(run("plan", "--json").stdout)["changes"]
    assert change["unfit"] == {
        "count": 107,
        "documents": ["t0000", "t0001", "t0003", "t0004", "t0005"],
        "values": [
            {"value": "high", "count": 36},
            {"value": "medium", "count": 36},
            {"value": "urgent", "count": 35},
        ],
    }
    todos.sql("UPDATE todos SET priority = 'p' || _id")
    (change,) = json.loads(run("plan", "--json").stdout)["changes"]
    assert len(change["unfit"]["values"]) == 12
    todos.sql("UPDATE todos SET priority = 'low'")
    (change,) = json.loads(run("plan", "--json").stdout)["changes"]
    assert (change["kind"], change.get("unfit")) == ("narrow_field", None)


def test_a_likely_rename_is_noted_and_changes_no_status(todos: Project) -> None:
    todos.write(RENAMED)
    done = run("plan")
    assert done.exit_code == 0
    assert done.stdout.startswith("Pending: 2 changes")
    assert "Note: todos.prio looks like a rename of priority" in done.stdout
    assert ".backfill('prio', (row) => row.priority)" in done.stdout
    assert "looks like a rename of priority" in run("plan", "--markdown").stdout
    told = json.loads(run("plan", "--json").stdout)
    assert told["renames"] == [{"table": "todos", "from": "priority", "to": "prio"}]
    assert told["status"] == "pending"
    assert run("check").exit_code == 3


def test_a_table_that_looks_renamed_is_noted_with_what_stays_behind(todos: Project) -> None:
    todos.write(BEFORE.replace("todos:", "tasks:"))
    told = "Note: tasks looks like a rename of todos, whose 142 documents would not come along."
    done = run("plan")
    assert done.exit_code == 0
    assert told in " ".join(done.stdout.split())
    assert json.loads(run("plan", "--json").stdout)["table_renames"] == [
        {"from": "todos", "to": "tasks"}
    ]
    todos.sql("DELETE FROM todos")
    assert "Note:" not in run("plan").stdout
    assert json.loads(run("plan", "--json").stdout)["table_renames"] == []


@pytest.mark.parametrize("text", [BEFORE, CARRIED, UNLIKE])
def test_no_rename_is_noted_where_none_is_likely(todos: Project, text: str) -> None:
    todos.write(text)
    assert "Note:" not in run("plan").stdout
    told = json.loads(run("plan", "--json").stdout)
    assert (told["renames"], told["table_renames"]) == ([], [])


def test_a_replica_is_named_where_it_is_rehearsed(todos: Project) -> None:
    todos.write(RENAMED)
    missing = run("--replica", "client.db")
    assert missing.exit_code == 1
    assert "There is no replica at client.db." in missing.output
    assert run("--replica", "client.db", "plan").exit_code == 2
    assert run("--replica", "client.db", "--web").exit_code == 2


@pytest.mark.usefixtures("todos")
@pytest.mark.parametrize("flags", [("--web-write",), ("--web-port", "8124")])
def test_flags_of_the_browser_need_it(flags: tuple[str, ...]) -> None:
    done = run(*flags)
    assert done.exit_code == 2
    assert f"{flags[0]} goes with --web." in done.stderr
    assert run(*flags, "plan").exit_code == 2


@pytest.mark.parametrize("group", ["backfill", "replica"])
def test_a_group_alone_shows_its_commands_line_by_line(group: str) -> None:
    done = run(group)
    assert done.exit_code == 2
    assert f"Usage: valet-studio {group} " in done.stderr
    assert "\nCommands:\n" in done.stderr


def test_a_rehearsal_tells_renames_as_a_plan_does(todos: Project) -> None:
    todos.write(RENAMED)
    renames = json.loads(run("plan", "--json").stdout)["renames"]
    assert renames
    assert json.loads(run("dry-run", "--json").stdout)["plan"]["renames"] == renames


def test_a_rejected_rehearsal_tells_each_reason_once(todos: Project) -> None:
    todos.write(BEFORE.replace("completed: v.number()", "completed: v.boolean()"))
    done = run("dry-run")
    assert done.exit_code == 4
    assert done.stdout.count("✗ todos.completed changes its type") == 1
    assert "Nothing was rehearsed, and nothing was changed." in done.stdout


@pytest.mark.parametrize("command", [["plan"], ["dry-run"], ["apply", "--yes"], ["check"]])
def test_a_warning_is_told_once(todos: Project, command: list[str]) -> None:
    todos.push(CARRIED)
    later = CARRIED.replace("prio: v.string()", "prio: v.string(), more: v.optional(v.string())")
    todos.write(later.replace("row.priority", "row.title"))
    assert run(*command).stdout.count("The backfill of todos.prio changed after it ran") == 1


def test_a_warning_of_a_plan_that_nobody_read_is_told_with_the_report(todos: Project) -> None:
    todos.push(CARRIED)
    todos.write(CARRIED.replace("row.priority", "row.title"))
    done = run("apply", "--yes")
    assert done.stdout.count("The backfill of todos.prio changed after it ran") == 1


def test_what_strict_rejects_is_no_warning_too(todos: Project) -> None:
    todos.write(CARRIED.replace("row.priority", "row.priority + Math.random()"))
    assert run("plan").stdout.count("Math.random") == 1
    assert run("--strict", "plan").stdout.count("Math.random") == 1


def test_the_schema_of_an_earlier_migration_is_told_as_one(todos: Project) -> None:
    todos.push(CARRIED)
    todos.push(UNLIKE)
    todos.write(BEFORE)
    (applied_at,) = todos.sql("SELECT applied_at FROM _valet_history WHERE id = 1")[0]
    when = applied_at[:16].replace("T", " ")
    told = f"Note: This is the schema of migration 1, of {when} UTC; 2 migrations came after it.\n"
    assert told in run("plan").stdout
    assert "`valet-studio undo` takes the newest of them back." in run("plan").stdout
    assert f"schema of migration 1, of {when} UTC" in run("plan", "--markdown").stdout
    todos.write(UNLIKE)
    assert "migration" not in run("plan").stdout


def test_a_dry_run_of_no_documents_speaks_of_no_comparison(project: Project) -> None:
    project.push(BEFORE)
    project.write(CARRIED)
    done = run("dry-run")
    assert done.exit_code == 0
    assert "0 of 0 rows updated" in done.stdout
    assert "second process" not in done.stdout
    fill_todos(project)
    assert "second process" in run("dry-run").stdout
