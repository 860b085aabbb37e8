"""What nobody should type, and what scripts do by mistake, gives a sentence and changes nothing."""

from __future__ import annotations

import os
import shlex
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


@pytest.mark.parametrize("command", ["plan", "dry-run", "apply --yes", "codegen", "check"])
def test_a_working_directory_that_was_deleted_is_a_sentence(
    project: Project, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    gone = project.root / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = run(*command.split())
    assert done.exit_code == 1
    assert "The working directory cannot be used: no such file or directory." in done.stderr
    assert "hint: It may have been deleted" in done.stderr


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


def test_a_link_to_itself_is_a_sentence(project: Project) -> None:
    project.schema_path.parent.symlink_to("valet")
    for arguments in (("plan",), ("plan", "--db", "valet/app.db")):
        done = run(*arguments)
        assert done.exit_code == 1
        assert "too many levels of symbolic links" in done.stderr
        assert "should not" not in done.stderr


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("plan", "--schema", "x" * 300), "cannot be read: file name too long."),
        (("init", "x" * 300), "cannot be written: file name too long."),
        (("demo", "x" * 300, "--no-open"), "exists already and is no demo project."),
        (("codegen", "--output-dir", "x" * 300), "cannot be written: file name too long."),
        (("--replica", "x" * 300), "There is no replica at "),
        (("dry-run", "--replica", "x" * 300), "There is no replica at "),
    ],
)
def test_a_path_that_nobody_can_look_at_is_a_sentence(
    pending: Project, arguments: tuple[str, ...], told: str
) -> None:
    pending.push(PLAIN)
    done = run(*arguments)
    assert done.exit_code == 1
    assert told in done.stderr
    assert "should not" not in done.stderr


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
        assert done.exit_code == 4, command
        assert "schema.ts:4:54: A second run of the backfill of t.b, backwards" in done.stderr
        assert "no time zone (a date and time in text needs its zone" in done.stderr
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


def test_a_second_ctrl_c_while_an_apply_tells_what_it_did_is_no_cancel(
    pending: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = pipeline.look

    def interrupted(*given: object, **named: object) -> object:
        if "_valet_meta" in str(pending.sql("SELECT name FROM sqlite_master")):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return looked(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "look", interrupted)
    done = run("apply", "--yes")
    assert done.exit_code == 0, done.output
    assert "Cancelled" not in done.output
    assert "was applied to" in done.stderr


COMMAND = f"{shlex.quote(sys.executable)} -m valet_studio"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.usefixtures("pending")
@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("apply <&-", 1, "there is no terminal to ask at"),
        ("undo <&-", 1, "Nothing was applied to"),
        ("<&-", 1, "The studio needs a terminal"),
        ("plan >&-", 0, ""),
        ("plan --json > /dev/full", 1, "The output cannot be written: no space left on device."),
        ("check > /dev/full", 1, "The output cannot be written"),
        ("nonsense > /dev/full", 2, "No such command"),
        ("plan | true", 1, ""),
    ],
)
def test_streams_that_are_closed_or_full_are_no_defect(line: str, code: int, told: str) -> None:
    done = shell(f"{COMMAND} {line}")
    assert done.returncode == code
    assert told in done.stderr if told else done.stderr == ""
    assert "Traceback" not in done.stderr
    assert "should not" not in done.stderr


@pytest.mark.parametrize("json", ["", "--json"])
@pytest.mark.parametrize("output", ["> /dev/full", ">&-"])
def test_an_apply_whose_report_is_lost_is_told_all_the_same(
    pending: Project, json: str, output: str
) -> None:
    pending.database.parent.mkdir(exist_ok=True)
    done = shell(f"{COMMAND} apply --yes {json} {output}")
    assert "Traceback" not in done.stderr
    applied = pending.plan().status == "in_sync"
    assert applied is ("Migration 1 was applied to" in done.stderr or output == ">&-")
    assert applied is bool(json or output == ">&-"), "without JSON the plan is told first"


@pytest.mark.usefixtures("pending")
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_a_system_that_has_no_more_is_not_a_defect(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr(pipeline, "look", refused)
    done = run("plan")
    assert done.exit_code == 1
    assert "The system gives this program no more memory or threads." in done.stderr
    assert "hint: Close other programs" in done.stderr


def test_a_command_that_is_given_again_names_schema_and_database(pending: Project) -> None:
    pending.database.parent.mkdir(exist_ok=True)
    done = run("apply", "--db", "my 'db\" é.db")
    assert "valet-studio apply --db 'my '\"'\"'db\" é.db' --yes" in done.stderr


@pytest.mark.parametrize("database", ["no/such/app.db", "valet/schema.ts"])
def test_serve_refuses_at_once_what_is_no_database(pending: Project, database: str) -> None:
    done = run("serve", "--db", database, "--port", "0")
    assert done.exit_code == 1
    assert "There is no directory no/such" in done.stderr or "is not a SQLite" in done.stderr
    assert pending.schema_path.exists()


@pytest.mark.usefixtures("pending")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["backfill", "reset", "todos"], "`valet-studio backfill reset --help`"),
        (["replica", "connect", "x.db"], "`valet-studio replica connect --help`"),
    ],
)
def test_wrong_usage_names_the_help_of_the_very_command(arguments: list[str], told: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr


@pytest.mark.usefixtures("pending")
def test_a_switch_of_the_environment_is_yes_or_no(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, code in (("false", 3), ("0", 3), ("maybe", 1)):
        monkeypatch.setenv("VALET_STUDIO_PRODUCTION", value)
        done = run("check")
        assert done.exit_code == code
    assert "VALET_STUDIO_PRODUCTION is 'maybe', which is neither yes nor no." in done.stderr


def test_ctrl_c_before_anything_was_begun_is_no_traceback() -> None:
    script = (
        "import signal, sys, valet_studio.__main__ as program\n"
        "sys.meta_path.insert(0, type('Finder', (), {'find_spec': "
        "lambda *_: signal.raise_signal(signal.SIGINT)}))\n"
        "program.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")
