"""History: what one migration changed, and how any two differ; and what an undo would take."""

from __future__ import annotations

import json
import re
import sys

import pexpect
import pytest
from click.testing import CliRunner, Result
from support import Project, never, schema_of

from valet_studio import pipeline
from valet_studio.cli import cli
from valet_studio.errors import StudioError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="valet-studio")


@pytest.fixture
def three(project: Project) -> Project:
    """Three migrations of one table."""
    project.push(schema_of("    t: defineTable({ a: v.string() }),"))
    project.sql("INSERT INTO t (_id, a) VALUES ('1', 'x')")
    project.push(schema_of("    t: defineTable({ a: v.string(), b: v.any() }),"))
    project.push(
        schema_of(
            "    t: defineTable({ a: v.string().deprecated(), b: v.any(), c: v.string() })\n"
            "        .backfill('c', (row) => row.a),"
        )
    )
    return project


@pytest.mark.usefixtures("three")
def test_any_two_migrations_can_be_compared() -> None:
    assert run("history", "--diff", "1", "3").stdout.splitlines() == [
        "From migration 1 to migration 3:",
        "  - Field t.a is deprecated.",
        "  + Field t.b (v.any()).",
        "  + Field t.c (v.string()).",
        "  + Backfill of t.c.",
    ]
    assert "+ Field t.a is no longer deprecated." in run("history", "--diff", "3", "2").stdout
    same = "The schemas of migration 2 and migration 2 are the same.\n"
    assert run("history", "--diff", "2", "2").stdout == same


@pytest.mark.usefixtures("three")
def test_one_migration_shows_what_it_changed() -> None:
    lines = run("history", "2").stdout.splitlines()
    assert lines[0].split()[0] == "2"
    assert lines[2:] == ["From migration 1 to migration 2:", "  + Field t.b (v.any())."]
    assert "From an empty schema to migration 1:" in run("history", "1").stdout
    told = json.loads(run("history", "3", "--json").stdout)
    assert (told["id"], told["rows"]) == (3, 1)
    assert told["changes"][0] == {
        "sign": "-",
        "table": "t",
        "member": "a",
        "summary": "Field t.a is deprecated.",
    }
    compared = json.loads(run("history", "--diff", "1", "2", "--json").stdout)
    assert (compared["before"], compared["after"]) == (1, 2)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("arguments", [("9",), ("--diff", "1", "9")])
def test_a_migration_that_is_not_there_is_a_sentence(arguments: tuple[str, ...]) -> None:
    done = run("history", *arguments)
    assert done.exit_code == 1
    assert "There is no migration 9" in done.stderr
    assert "migrations 1 to 3" in done.stderr


@pytest.mark.usefixtures("three")
def test_an_id_and_a_comparison_exclude_each_other() -> None:
    assert run("history", "1", "--diff", "1", "2").exit_code == 2


def test_a_schema_that_is_not_recorded_is_a_sentence(three: Project) -> None:
    three.sql("UPDATE _valet_history SET schema_json = '{' WHERE id = 2")
    with pytest.raises(StudioError, match="cannot be read"):
        pipeline.history_diff(three.settings, 1, 2)
    assert pipeline.history_diff(three.settings, 1, 3)


def test_undo_says_what_it_would_take_back_before_it_asks(three: Project) -> None:
    three.sql("INSERT INTO t (_id) VALUES ('2'), ('3')")
    three.sql("UPDATE t SET a = 'y' WHERE _id = '1'")
    command = pexpect.spawn(
        sys.executable, ["-m", "valet_studio", "undo"], encoding="utf-8", timeout=20
    )
    command.expect(r"\[y/N\]")
    shown = command.before or ""
    assert "Undo takes back this migration:" in shown
    assert "   3  " in shown
    assert "Written since the last apply" in shown
    assert "t: 2 inserted, 1 updated (1, 2, 3)" in shown
    command.sendline("n")
    command.expect(pexpect.EOF)
    command.close()
    assert command.exitstatus == 1
    assert three.sql("SELECT count(*) FROM t") == [(3,)]


def test_undo_says_what_it_takes_back_even_where_it_does_not_ask(three: Project) -> None:
    three.sql("INSERT INTO t (_id) VALUES ('2'), ('3')")
    refused = run("undo")
    assert refused.exit_code == 1
    assert "t: 2 inserted (2, 3)" in refused.stdout
    assert "Add --yes" in refused.stderr
    assert three.sql("SELECT count(*) FROM t") == [(3,)]
    done = run("undo", "--yes")
    assert done.exit_code == 0
    assert "t: 2 inserted (2, 3)" in done.stdout
    assert three.sql("SELECT count(*) FROM t") == [(1,)]


def test_check_can_check_types(project: Project) -> None:
    project.push(schema_of("    t: defineTable({ a: v.string() }),"))
    assert run("codegen").exit_code == 0
    assert run("check", "--types").exit_code == 0
    project.write(schema_of("    t: defineTable({ a: v.string() }).backfill('a', (row) => row.b),"))
    done = run("check", "--types")
    assert done.exit_code == 4
    assert "Property 'b' does not exist" in done.stdout
    assert "valet/schema.ts:3:66" in done.stdout


def test_a_migration_made_again_after_an_undo_is_another_one(three: Project) -> None:
    text = three.schema_path.read_text(encoding="utf-8")
    first = pipeline.history(three.settings)[0].identity
    pipeline.undo(three.settings, never)
    three.push(text)
    second = pipeline.history(three.settings)[0].identity
    assert second.id == first.id
    assert second != first
    assert re.search(
        rf"^ *{second.id}  \d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00  ", run("history").stdout, re.M
    )
