"""Which setting wins, and what a `.env` file may say."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from valet_studio import paths
from valet_studio.config import (
    Flags,
    Settings,
    environment_with,
    parse_dotenv,
    parse_languages,
    resolve,
)
from valet_studio.config_file import read_config
from valet_studio.errors import Location, StudioError


def test_a_flag_wins_over_the_environment_and_that_over_dotenv(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("VALET_STUDIO_DB=file.db\n", encoding="utf-8")
    set_too = {"VALET_STUDIO_DB": "environment.db"}
    assert resolve(Flags(), {}).database == Settings().database
    assert resolve(Flags(), environment_with(dotenv, {})).database == "file.db"
    assert resolve(Flags(), environment_with(dotenv, set_too)).database == "environment.db"
    flags = Flags(database="flag.db")
    assert resolve(flags, environment_with(dotenv, set_too)).database == "flag.db"


@pytest.mark.parametrize("line", ["VALET_STUDIO_PRODUCTION 1", "export VALET_STUDIO_STRICT: yes"])
def test_a_line_that_was_meant_to_set_something_is_a_sentence(tmp_path: Path, line: str) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f'NOTE="of\nVALET_STUDIO_DB file.db"\n# x\n{line}\n', encoding="utf-8")
    with pytest.raises(
        StudioError, match=r"names VALET_STUDIO_(PROD|STRICT).* does not set it"
    ) as caught:
        environment_with(dotenv, {})
    assert caught.value.problems[0].location == Location(str(dotenv), 4, 1)


@pytest.mark.parametrize("line", ["VALET_DEPLOY_KEY", "VALET_DEPLOY_KEY =1", "#VALET_STUDIO_DB x"])
def test_lines_that_mean_something_or_nothing_elsewhere_are_let_be(
    tmp_path: Path, line: str
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(line, encoding="utf-8")
    environment_with(dotenv, {})


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("VALET_STUDIO_PRODCTION", "VALET_STUDIO_PRODUCTION"),
        ("VALET_STUDIO_X", "VALET_STUDIO_LANG"),
    ],
)
def test_a_misspelt_variable_is_a_sentence(name: str, near: str) -> None:
    with pytest.raises(StudioError, match=f"sets {name}, which means nothing") as caught:
        resolve(Flags(), {name: "1", "OTHER": "1"})
    assert near in str(caught.value.problems[0].hint)


def test_a_project_does_not_choose_the_program_that_runs_its_schema(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("VALET_STUDIO_LANG=ts\nVALET_STUDIO_DENO=./deno\n")
    with pytest.raises(StudioError, match="which only the environment may") as caught:
        environment_with(dotenv, {})
    assert caught.value.problems[0].location == Location(str(dotenv), 2, 1)
    dotenv.write_text("# VALET_STUDIO_DENO=./deno\n")
    assert environment_with(dotenv, {"VALET_STUDIO_DENO": "deno"}) == {"VALET_STUDIO_DENO": "deno"}


def test_a_missing_dotenv_sets_nothing(tmp_path: Path) -> None:
    assert environment_with(tmp_path / ".env", {"A": "1"}) == {"A": "1"}


def test_a_dotenv_that_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"\xff\xfe")
    with pytest.raises(StudioError, match="UTF-8"):
        environment_with(dotenv, {})


def test_a_directory_that_is_called_dotenv_sets_nothing(tmp_path: Path) -> None:
    assert environment_with(tmp_path, {"A": "1"}) == {"A": "1"}


READERS: tuple[Callable[[Path], object], ...] = (environment_with, read_config)


@pytest.mark.parametrize("reads", READERS)
def test_a_pipe_into_which_nobody_writes_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(paths, "PIPE_SECONDS", 0.1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(StudioError, match="nobody writes into it") as told:
        reads(pipe)
    assert told.value.problems[0].hint
    os.close(os.open(pipe, os.O_WRONLY))  # Let go of who waits.


@pytest.mark.parametrize("reads", READERS)
def test_what_does_not_end_is_a_sentence(reads: Callable[[Path], object]) -> None:
    with pytest.raises(StudioError, match="does not end") as told:
        reads(Path("/dev/zero"))
    assert told.value.problems[0].hint


def test_a_dotenv_may_be_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / ".env"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("VALET_STUDIO_PRODUCTION=1",))
    writer.start()
    assert environment_with(pipe, {}) == {"VALET_STUDIO_PRODUCTION": "1"}
    writer.join()


def test_a_dotenv_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.symlink_to(dotenv)
    with pytest.raises(StudioError, match="cannot be read: too many levels") as told:
        environment_with(dotenv, {})
    assert told.value.problems[0].hint


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("export A = 1  # said", {"A": "1"}),
        ("A=a#b", {"A": "a#b"}),
        ("A='x # y' # z", {"A": "x # y"}),
        ('A="x\\n\\"y\\" # z"', {"A": 'x\n"y" # z'}),
        ('A="two\nlines"\nB=1', {"A": "two\nlines", "B": "1"}),
        ("A=\r\nB=1\r\n", {"A": "", "B": "1"}),
        ("# A=1\n\nnothing\n1A=2\n", {}),
        ("\ufeffA=1", {"A": "1"}),
    ],
)
def test_dotenv(text: str, values: dict[str, str]) -> None:
    assert parse_dotenv(text) == values


def test_the_valet_directory_names_the_schema() -> None:
    assert resolve(Flags(valet_dir="db"), {}).schema_path == Path("db/schema.ts")
    assert resolve(Flags(schema="a.ts"), {"VALET_STUDIO_SCHEMA": "b.ts"}).schema_path == Path(
        "a.ts"
    )
    assert resolve(Flags(), {"VALET_STUDIO_SCHEMA": "b.ts"}).schema_path == Path("b.ts")


def test_limits_come_from_the_environment() -> None:
    limits = resolve(Flags(), {"VALET_STUDIO_EVALUATE_SECONDS": "0.5"}).limits
    assert limits.evaluate_seconds == 0.5
    assert limits.document_seconds == Settings().limits.document_seconds
    for wrong in ("soon", "-1", "nan", "0"):
        with pytest.raises(StudioError, match="VALET_STUDIO_HEAP_MB"):
            resolve(Flags(), {"VALET_STUDIO_HEAP_MB": wrong})


def test_languages() -> None:
    assert parse_languages("python, ts,python") == ("python", "ts")
    for wrong in ("ruby", "ts,rust", ","):
        with pytest.raises(StudioError):
            parse_languages(wrong)
