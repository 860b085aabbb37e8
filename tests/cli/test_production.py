"""Marks of a database: read-only is never changed, production is changed only by its name."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner, Result
from serving import serving
from support import Project, never, schema_of

from valet_studio import pipeline
from valet_studio.cli import cli
from valet_studio.config import Flags, marked, resolve
from valet_studio.config_file import CONFIG_FILE, Marks, configs_above, read_config
from valet_studio.errors import Location, StudioError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="valet-studio")


@pytest.fixture
def pending(project: Project) -> Project:
    """One migration applied, one pending."""
    project.push(schema_of("    t: defineTable({ a: v.string() }).backfill('a', () => 'x'),"))
    project.write(schema_of("    t: defineTable({ a: v.string(), b: v.any() }),"))
    return project


READ_ONLY = {
    "flag": (["--read-only"], {}, ""),
    "environment": ([], {"VALET_STUDIO_READ_ONLY": "1"}, ""),
    "file": ([], {}, '[databases."./.valet/dev.db"]\nread_only = true\n'),
}


@pytest.mark.parametrize("how", READ_ONLY)
@pytest.mark.parametrize(
    "command",
    [["apply", "--yes"], ["undo", "--yes"], ["backfill", "reset", "t.a"], ["codegen"]],
    ids=lambda words: words[0],
)
def test_a_read_only_database_is_never_changed(
    pending: Project, monkeypatch: pytest.MonkeyPatch, how: str, command: list[str]
) -> None:
    flags, environment, file = READ_ONLY[how]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if file:
        Path(CONFIG_FILE).write_text(file)
    before = pending.database.read_bytes()
    done = run(*flags, *command)
    assert done.exit_code == 1
    assert "is opened read-only, so nothing was changed" in done.stderr
    assert pending.database.read_bytes() == before
    assert run(*flags, "plan").exit_code == 0


@pytest.mark.usefixtures("pending")
def test_a_read_only_database_is_not_served() -> None:
    done = run("--read-only", "serve", "--port", "0")
    assert done.exit_code == 1
    assert "a push server changes its database" in done.stderr


def test_a_read_only_mark_is_in_the_state(pending: Project) -> None:
    settings = resolve(Flags(read_only=True), {})
    assert pipeline.look(settings).database.read_only
    with pytest.raises(StudioError, match="read-only"):
        next(pipeline.apply(pipeline.look(settings), never))
    assert not pipeline.look(pending.settings).database.read_only


@pytest.mark.parametrize("command", ["apply", "undo"])
def test_production_is_changed_only_by_its_name(pending: Project, command: str) -> None:
    before = pending.database.read_bytes()
    done = run("--production", command, "--yes")
    assert done.exit_code == 1
    assert "--confirm dev.db" in done.stderr
    done = run("--production", command, "--yes", "--confirm", "other.db")
    assert done.exit_code == 1
    assert "names other.db, but the database is dev.db" in done.stderr
    assert pending.database.read_bytes() == before
    assert f"valet-studio {command} --yes --confirm dev.db" in run("--production", command).stderr
    assert run("--production", command, "--yes", "--confirm", "dev.db").exit_code == 0
    assert pending.database.read_bytes() != before


def test_a_wrong_name_stops_without_the_mark_too(pending: Project) -> None:
    assert run("apply", "--yes", "--confirm", "other.db").exit_code == 1
    assert pending.plan().status == "pending"


def test_codegen_does_not_push_to_production(pending: Project) -> None:
    done = run("--production", "codegen")
    assert done.exit_code == 1
    assert "codegen does not ask" in done.stderr
    assert pending.plan().status == "pending"
    assert run("--production", "codegen", "--no-push").exit_code == 0


@pytest.mark.parametrize(("typed", "applied"), [("dev.db", True), ("y", False), ("", False)])
def test_at_a_terminal_the_name_is_typed(pending: Project, typed: str, applied: bool) -> None:
    command = pexpect.spawn(
        sys.executable,
        ["-m", "valet_studio", "apply", "--production"],
        encoding="utf-8",
        timeout=20,
    )
    command.expect("Type dev.db to go ahead")
    command.sendline(typed)
    command.expect(pexpect.EOF)
    command.close()
    assert command.exitstatus == (0 if applied else 1)
    assert (pending.plan().status == "in_sync") is applied


def test_a_backfill_is_reset_in_production_only_by_its_name(pending: Project) -> None:
    reset = ("--production", "backfill", "reset", "t.a")
    before = pending.database.read_bytes()
    done = run(*reset)
    assert done.exit_code == 1
    assert "valet-studio backfill reset t.a --confirm dev.db" in done.stderr
    assert run(*reset, "--confirm", "other.db").exit_code == 1
    assert pending.database.read_bytes() == before
    assert run(*reset, "--confirm", "dev.db").exit_code == 0
    assert pending.database.read_bytes() != before


def answered(arguments: list[str], name: str, typed: str) -> int | None:
    """The exit code of a command that asks for a name at a terminal."""
    command = pexpect.spawn(
        sys.executable,
        ["-m", "valet_studio", "--production", *arguments],
        encoding="utf-8",
        timeout=20,
    )
    command.expect(f"Type {name} to go ahead")
    command.sendline(typed)
    command.expect(pexpect.EOF)
    command.close()
    code: int | None = command.exitstatus
    return code


@pytest.mark.parametrize(("typed", "code"), [("dev.db", 0), ("y", 1)])
def test_at_a_terminal_a_reset_asks_for_the_name(pending: Project, typed: str, code: int) -> None:
    before = pending.database.read_bytes()
    assert answered(["backfill", "reset", "t.a"], "dev.db", typed) == code
    assert (pending.database.read_bytes() == before) is (code == 1)


@pytest.mark.usefixtures("pending")
def test_a_reset_that_names_the_database_asks_no_more_at_a_terminal() -> None:
    reset = ["--production", "backfill", "reset", "t.a", "--confirm", "dev.db"]
    command = pexpect.spawn(
        sys.executable,
        ["-m", "valet_studio", *reset],
        encoding="utf-8",
        timeout=20,
    )
    command.expect(pexpect.EOF)
    command.close()
    assert command.exitstatus == 0
    assert "[y/N]" not in str(command.before)


def run_alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that may not go on for ever, in a process of its own."""
    command = [sys.executable, "-m", "valet_studio", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture
def behind(pending: Project) -> Iterator[tuple[Path, list[str]]]:
    """A client's file that is one migration behind its server, and what connects it."""
    file = pending.root / "client.db"
    shutil.copy(pending.database, file)
    pending.apply()
    with serving(pending.database) as served:
        yield file, ["replica", "connect", "client.db", "--server", served.url]


@pytest.mark.parametrize("how", READ_ONLY)
@pytest.mark.parametrize("watch", [[], ["--watch"]], ids=["once", "watch"])
def test_a_read_only_replica_is_never_changed(
    behind: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, how: str, watch: list[str]
) -> None:
    file, connect = behind
    flags, environment, marks = READ_ONLY[how]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if marks:
        Path(CONFIG_FILE).write_text(marks.replace(".valet/dev.db", "client.db"))
    before = file.read_bytes()
    done = run_alone(*flags, *connect, *watch)
    assert done.returncode == 1
    assert "client.db is opened read-only, so nothing was changed" in done.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize("mark", ["--read-only", "--production"])
def test_a_replica_can_be_marked_after_the_command(
    behind: tuple[Path, list[str]], mark: str
) -> None:
    file, connect = behind
    before = file.read_bytes()
    assert run(*connect, mark).exit_code == 1
    assert file.read_bytes() == before


def test_only_the_marks_of_the_replica_itself_count(behind: tuple[Path, list[str]]) -> None:
    file, connect = behind
    Path(CONFIG_FILE).write_text(
        '[databases.".valet/dev.db"]\nproduction = true\nread_only = true\n'
    )
    before = file.read_bytes()
    assert run(*connect).exit_code == 0
    assert file.read_bytes() != before


@pytest.mark.parametrize("watch", [[], ["--watch"]], ids=["once", "watch"])
def test_a_production_replica_is_changed_only_by_its_name(
    behind: tuple[Path, list[str]], watch: list[str]
) -> None:
    file, connect = behind
    Path(CONFIG_FILE).write_text('[databases."client.db"]\nproduction = true\n')
    before = file.read_bytes()
    done = run_alone(*connect, *watch)
    assert done.returncode == 1
    again = shlex.join(["valet-studio", *connect, *watch])
    assert "client.db is marked as a production database" in done.stderr
    assert f"{again} --confirm client.db" in done.stderr
    assert run_alone(*connect, *watch, "--confirm", "dev.db").returncode == 1
    assert file.read_bytes() == before
    assert run(*connect, "--confirm", "client.db").exit_code == 0
    assert file.read_bytes() != before


@pytest.mark.parametrize(("typed", "code"), [("client.db", 0), ("y", 1)])
def test_at_a_terminal_a_replica_asks_for_the_name(
    behind: tuple[Path, list[str]], typed: str, code: int
) -> None:
    file, connect = behind
    before = file.read_bytes()
    assert answered([*connect], "client.db", typed) == code
    assert (file.read_bytes() == before) is (code == 1)


def test_a_reset_says_where_no_schema_runs_it_again(pending: Project) -> None:
    done = run("backfill", "reset", "t.a")
    assert done.exit_code == 0
    assert "the schema declares none now" in done.stdout
    pending.push(schema_of("    t: defineTable({ a: v.string() }).backfill('a', () => 'x'),"))
    assert "the next push runs it for every document" in run("backfill", "reset", "t.a").stdout


def test_marks_come_from_flag_environment_or_file(tmp_path: Path) -> None:
    path = tmp_path / CONFIG_FILE
    path.write_text(
        '[databases."data/app.db"]\nproduction = true\n'
        '[databases."https://valet.example/app"]\nproduction = true\nread_only = true\n'
        '[keys]\napply = "ctrl+a"\n'
    )
    file = read_config(path)
    assert file.marks(str(tmp_path / "data" / ".." / "data" / "app.db")) == Marks(production=True)
    assert file.marks("https://valet.example/app") == Marks(True, True)
    assert file.marks("app.db") == Marks()
    flags = Flags(database=str(tmp_path / "data" / "app.db"))
    settings = marked(resolve(flags, {}, file.keys), [file])
    assert (settings.production, settings.read_only) == (True, False)
    assert settings.keys == (("apply", "ctrl+a"),)
    assert resolve(Flags(production=True), {}).production
    assert resolve(Flags(), {"VALET_STUDIO_PRODUCTION": "1"}).production
    assert not resolve(Flags(), {"VALET_STUDIO_PRODUCTION": "0"}).production
    assert resolve(Flags(database="https://valet.example/app/"), {}).database_name == "app"


@pytest.mark.parametrize(
    ("named", "given", "same"),
    [
        ("http://prod.test:5555", "http://PROD.test:5555", True),
        ("http://prod.test:5555", "HTTP://prod.test:5555", True),
        ("http://prod.test:5555", "http://prod.test:5555/", True),
        ("http://prod.test:5555/", "http://prod.test:5555", True),
        ("http://prod.test:5555", "http://prod.test.:5555", True),
        ("http://prod.test", "http://prod.test:80", True),
        ("https://prod.test:443/app", "https://prod.test/app/", True),
        ("libsql://prod.test", "libsql://prod.test:443", True),
        ("http+libsql://prod.test:8080/", "http+libsql://prod.test", True),
        ("http://[::1]:5555", "http://[::1]:5555/", True),
        ("http://prod.test:5555", "http://prod.test:5556", False),
        ("http://prod.test:5555", "https://prod.test:5555", False),
        ("http://prod.test:5555", "http://other.test:5555", False),
        ("http://prod.test/app", "http://prod.test/APP", False),
        ("http://prod.test/app", "http://prod.test/other/../app", False),
        ("http://[prod.test", "http://[PROD.test", False),
        ("http://prod.test", "prod.test", False),
        ("app.db", "http://app.db", False),
    ],
)
def test_a_mark_holds_however_the_server_is_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, given: str, same: bool
) -> None:
    (tmp_path / CONFIG_FILE).write_text(f'[databases."{named}"]\nproduction = true\n')
    (tmp_path / "below").mkdir()
    for folder in (tmp_path, tmp_path / "below"):
        monkeypatch.chdir(folder)
        settings = resolve(Flags(database=given), {})
        assert marked(settings, configs_above(given, Path())).production is same


@pytest.mark.parametrize("below", ["valet", ".", ".."])
def test_a_mark_holds_from_wherever_the_command_is_run(
    pending: Project, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    Path(CONFIG_FILE).write_text('[databases.".valet/dev.db"]\nproduction = true\n')
    monkeypatch.chdir(pending.root / below)
    schema, database = (os.path.relpath(path) for path in (pending.schema_path, pending.database))
    before = pending.database.read_bytes()
    done = run("apply", "--yes", "--schema", schema, "--db", database)
    assert done.exit_code == 1
    assert "is marked as a production database" in done.stderr
    if below == "valet":
        assert "valet-studio apply --schema schema.ts --db ../.valet/dev.db --yes" in done.stderr
    assert pending.database.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[databases\n", "is not TOML"),
        ("[colours]\n", "sets colours, which means nothing"),
        ("[databases.'a']\nprod = true\n", "prod, which means nothing"),
        ("[databases]\na = 1\n", "must be a table"),
        ("[databases.'a']\nproduction = 'yes'\n", "must be true or false"),
        ("[keys]\napply = 1\n", "must be the name of a key"),
    ],
)
def test_a_wrong_config_file_is_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / CONFIG_FILE
    path.write_text(text)
    with pytest.raises(StudioError, match=message):
        read_config(path)


def test_a_syntax_error_of_the_config_file_has_its_place(tmp_path: Path) -> None:
    path = tmp_path / CONFIG_FILE
    path.write_text("[keys]\napply = \n")
    with pytest.raises(StudioError) as caught:
        read_config(path)
    assert caught.value.problems[0].location == Location(str(path), 2, 9)
