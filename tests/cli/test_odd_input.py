"""What nobody should type, and what scripts do by mistake, gives a sentence and changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result
from support import Project, schema_of

from valet_studio import pipeline, report
from valet_studio.cli import cli

PLAIN = schema_of("    t: defineTable({ a: v.string() }),")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="valet-studio")


@pytest.fixture
def pending(project: Project) -> Project:
    project.write(PLAIN)
    return project


@pytest.mark.parametrize("flag", ["--db", "--schema", "--valet-dir"])
def test_an_empty_option_is_wrong_usage(pending: Project, flag: str) -> None:
    done = run("apply", "--yes", flag, "")
    assert done.exit_code == 2
    assert f"{flag} is empty." in done.stderr
    assert not pending.database.exists()


@pytest.mark.usefixtures("pending")
@pytest.mark.parametrize(
    ("database", "told"),
    [
        ("http://[::1", "is no address"),
        ("x" * 300, "cannot be used: file name too long"),
        ("a\0b", "cannot be used"),
        ("fifo", "fifo is no file."),
        ("/dev/zero", "/dev/zero is no file."),
        ("no/such/app.db", "There is no directory no/such"),
    ],
)
def test_what_can_be_no_database_is_a_sentence(database: str, told: str) -> None:
    os.mkfifo("fifo")
    before = sorted(Path().rglob("*"))
    for arguments in (("apply", "--yes"), ("undo", "--yes"), ("codegen",)):
        done = run(*arguments, "--db", database)
        assert done.exit_code == 1
        assert "should not" not in done.stderr
        assert sorted(Path().rglob("*")) == before
        if arguments != ("undo", "--yes"):
            assert told in done.stderr


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("schema", ["fifo", "/dev/zero"])
def test_what_can_be_no_schema_is_a_sentence(schema: str) -> None:
    os.mkfifo("fifo")
    done = run("plan", "--schema", schema)
    assert done.exit_code == 1
    assert f"{schema} is no file." in done.stderr


def test_a_path_that_is_not_utf_8_is_a_sentence(pending: Project) -> None:
    name = os.fsdecode(b"x\xff.db")
    done = subprocess.run(
        [sys.executable, "-m", "valet_studio", "apply", "--yes", "--db", name],
        capture_output=True,
        cwd=pending.root,
    )
    assert done.returncode == 1
    assert b"is not UTF-8, and SQLite takes no other" in done.stderr


def nested(depth: int) -> str:
    return "v.array(" * depth + "v.string()" + ")" * depth


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("t: defineTable({ 'a\\ud800': v.string() }),", "half of a character"),
        ("'t\\ud800': defineTable({ a: v.string() }),", "half of a character"),
        ("t: defineTable({ a: v.literal('\\ud800') }),", "half of a character"),
        ("t: defineTable({ a: v.any() }).index('i\\ud800', ['a']),", "half of a character"),
        (f"t: defineTable({{ a: {nested(250)} }}),", "nested more than 60 deep"),
    ],
    ids=["field", "table", "literal", "index", "nested"],
)
def test_a_schema_that_cannot_be_applied_is_not_planned(
    project: Project, table: str, told: str
) -> None:
    project.write(schema_of(f"    {table}"))
    for command in (("plan",), ("apply", "--yes"), ("codegen",)):
        done = run(*command)
        assert done.exit_code == 1
        assert told in done.stderr
        assert "valet/schema.ts:" in done.stderr
    assert not project.database.exists()


def test_validators_may_be_nested_as_deep_as_is_told(project: Project) -> None:
    project.write(schema_of(f"    t: defineTable({{ a: {nested(60)} }}),"))
    assert run("apply", "--yes").exit_code == 0
    assert run("codegen").exit_code == 0


@pytest.mark.parametrize("folder", ["valet/schema.ts", "valet/schema.ts/deeper"])
def test_codegen_pushes_nothing_where_it_could_not_write_the_files(
    pending: Project, folder: str
) -> None:
    done = run("codegen", "--output-dir", folder)
    assert done.exit_code == 1
    assert "valet/schema.ts is a file" in done.stderr
    assert not pending.database.exists()


VARYING = "const { now } = Date\n" + schema_of(
    "    t: defineTable({ a: v.string(), b: v.string() }).backfill('b', () => String(now())),"
)


def test_strict_refuses_what_only_a_rehearsal_finds_to_vary(project: Project) -> None:
    project.push(PLAIN)
    project.sql("INSERT INTO t (_id, a) VALUES ('1', 'x')")
    project.write(VARYING)
    before = project.database.read_bytes()
    for command in (["dry-run"], ["apply", "--yes"], ["check", "--dry-run"]):
        done = run("--strict", *command)
        assert done.exit_code == 1, command
        assert "t.b gives other values each time that it runs" in done.stderr
        assert project.database.read_bytes() == before
    assert run("apply", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("command", "telling"),
    [(["apply", "--yes"], (report, "report_text")), (["codegen"], (pipeline, "write_files"))],
    ids=["apply", "codegen"],
)
def test_ctrl_c_after_the_commit_does_not_say_that_nothing_was_done(
    pending: Project,
    command: list[str],
    telling: tuple[ModuleType, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tell = getattr(*telling)

    def interrupted(*given: object, **named: object) -> object:
        assert pending.plan().status == "in_sync"
        signal.raise_signal(signal.SIGINT)
        return tell(*given, **named)

    monkeypatch.setattr(*telling, interrupted)
    done = run(*command)
    assert done.exit_code == 0, done.output
    assert "Cancelled" not in done.output
