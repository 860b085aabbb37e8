"""The commands with a server in place of a file: same text, same exit codes, same JSON."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from serving import KEY, Served, serving
from support import TRACKED_TODOS, Project, fill_todos, seed_blocks

from valet_studio import pipeline
from valet_studio.cli import cli
from valet_studio.errors import StudioError

BEFORE = TRACKED_TODOS
BACKFILL = seed_blocks()[4]
FAILING = BACKFILL.replace("?? 1", "?? (() => { throw new Error('no such priority') })()")
OTHER_TYPE = BEFORE.replace("priority: v.string()", "priority: v.number()")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, arguments, prog_name="valet-studio")


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, the seed's backfill pending, and the database out of the default's place."""
    project.push(BEFORE)
    fill_todos(project)
    project.write(BACKFILL)
    return project


@pytest.fixture
def served(todos: Project) -> Iterator[Served]:
    database = todos.database.rename(todos.root / "served.db")
    with serving(Path(database)) as server:
        lines = f"VALET_PROJECT_URL={server.url}\nVALET_DEPLOY_KEY={KEY}\n"
        (todos.root / ".env").write_text(lines, encoding="utf-8")
        yield server


def test_codegen_pushes_to_the_project_of_dotenv(todos: Project, served: Served) -> None:
    done = run("codegen")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(
        "Schema pushed successfully\n"
        '  Table "todos":\n'
        "    Added columns: priorityNum\n"
        "    Changed sync rules: clients sync the table again\n"
        '    Backfill "priorityNum": 142 rows updated\n'
    )
    assert (todos.root / "_generated/valet/types.ts").exists()
    assert not todos.database.exists()
    again = run("codegen", "--server", served.url, "--deploy-key", KEY)
    assert again.stdout.startswith("Schema unchanged. Nothing to push.")
    assert run("check", "--db", served.url).exit_code == 0
    history = json.loads(run("history", "--json", "--db", served.url).stdout)
    assert [entry["rows"] for entry in history["migrations"]] == [142, 0]


@pytest.mark.parametrize(
    ("text", "command", "code"),
    [
        (BACKFILL, ["check"], 3),
        (BACKFILL, ["check", "--dry-run"], 3),
        (FAILING, ["dry-run"], 4),
        (FAILING, ["apply", "--yes"], 4),
        (OTHER_TYPE, ["check"], 4),
        (OTHER_TYPE, ["apply", "--yes"], 4),
        (BACKFILL, ["apply", "--yes"], 0),
        (BACKFILL, ["apply"], 1),
    ],
)
def test_exit_codes(
    todos: Project, served: Served, text: str, command: list[str], code: int
) -> None:
    todos.write(text)
    assert run(*command, "--db", served.url).exit_code == code


def comparable(text: str) -> Any:
    """A JSON answer without its times."""
    told = json.loads(text)
    told.pop("seconds", None)
    for backfill in told.get("backfills", []):
        backfill.pop("seconds")
    return told


@pytest.mark.parametrize("text", [BACKFILL, FAILING, OTHER_TYPE])
@pytest.mark.parametrize("command", [["plan", "--json"], ["dry-run", "--json"]])
def test_a_server_answers_as_the_file_does(
    todos: Project, served: Served, text: str, command: list[str]
) -> None:
    todos.write(text)
    local = run(*command, "--db", "served.db")
    remote = run(*command, "--db", served.url)
    assert comparable(remote.stdout) == comparable(local.stdout)
    assert remote.exit_code == local.exit_code


def test_two_migrations_compare_as_on_the_file(todos: Project, served: Served) -> None:
    remote = todos.with_(server=served.url, deploy_key=KEY)
    remote.apply()
    (todos.root / "served.db").rename(todos.database)
    local = pipeline.history_diff(todos.settings, 1, 2)
    todos.database.rename(todos.root / "served.db")
    assert pipeline.history_diff(remote.settings, 1, 2) == local != ()
    with pytest.raises(StudioError):
        pipeline.history_diff(remote.settings, 1, 99)


@pytest.mark.usefixtures("todos")
def test_a_wrong_key_is_a_sentence_and_shows_no_key(served: Served) -> None:
    done = run("codegen", "--server", served.url, "--deploy-key", "not-the-key")
    assert done.exit_code == 1
    assert "refuses the deploy key" in done.stderr
    assert "not-the-key" not in done.output


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("starlette", "uvicorn", "websockets")))
from valet_studio.cli import main
sys.argv[1:] = {arguments}
main()
"""


def without_the_extra(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command where only the base packages are installed."""
    code = WITHOUT.format(arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("todos")
def test_pushing_needs_no_more_than_the_base_install(served: Served) -> None:
    done = without_the_extra("codegen", "--server", served.url)
    assert done.returncode == 0, done.stderr
    assert "142 rows updated" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("serve", "--port", "0"), ("replica", "connect", "a.db", "--server", "http://127.0.0.1:1")],
)
@pytest.mark.usefixtures("project")
def test_what_needs_the_extra_says_how_to_get_it(arguments: tuple[str, ...]) -> None:
    done = without_the_extra(*arguments)
    assert done.returncode == 1
    assert "pip install 'valet-studio[server]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        *("http://", "http://me@app.test", "http://app.test:0", "http://app.test:99999"),
        *("http://app.test?a=1", "http://app.test/#a", "http://app test", "HTTP://"),
        "http://app.test\n",
    ],
)
@pytest.mark.usefixtures("todos")
def test_what_is_no_url_of_a_server_is_not_called(url: str) -> None:
    done = run("plan", "--db", url)
    assert done.exit_code == 1
    assert "no URL of a server" in done.stderr


@pytest.mark.parametrize("key", ["schlüssel", "a\nb"])
@pytest.mark.usefixtures("todos")
def test_a_key_that_no_header_can_hold_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("VALET_DEPLOY_KEY", key)
    done = run("codegen", "--server", "http://127.0.0.1:1")
    assert done.exit_code == 1
    assert "characters that no HTTP header can" in done.stderr
    assert key not in done.output


def test_a_server_is_named_without_the_slash_at_its_end(served: Served) -> None:
    done = run("plan", "--json", "--db", f"{served.url}/")
    assert json.loads(done.stdout)["status"] == "pending"
    gone = run("plan", "--db", "http://127.0.0.1:1/")
    assert "The server http://127.0.0.1:1 cannot be reached" in gone.stderr


def test_a_port_that_is_taken_is_told_once(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--db", str(project.database), "--port", str(port))
    assert done.exit_code == 1
    told = done.stderr.splitlines()[0]
    assert told == f"The server cannot listen on 127.0.0.1 port {port}: address already in use."
