"""Questions that a command asks a person before it changes a database."""

from __future__ import annotations

import os
import select
import shlex
import signal
import sys
from typing import TYPE_CHECKING

import click

from valet_studio.commands.console import complain, is_terminal, printable
from valet_studio.errors import StudioError

if TYPE_CHECKING:
    from valet_studio.config import Settings

LONGEST_LINE = 4096
"""Bytes of a line that a terminal hands over at once; it cuts what is longer."""


def has_terminal() -> bool:
    """Whether there is a person to ask."""
    return is_terminal(sys.stdin) and is_terminal(sys.stdout)


def must_ask(settings: Settings, command: str, *, as_json: bool = False) -> None:
    """Refuse a command that has to ask, where it cannot: a script must not hang on a question.

    Args:
        settings: what to work on.
        command: the one that was given.
        as_json: whether only JSON may be printed.

    Raises:
        StudioError: there is no terminal to ask at, or only JSON may be printed.
    """
    if as_json or not has_terminal():
        why = "with --json it cannot ask" if as_json else "there is no terminal to ask at"
        flags = " --yes"
        if settings.production:
            flags += f" --confirm {shlex.quote(settings.database_name)}"
        raise StudioError(
            f"{command} asks before it changes the database, and {why}.",
            f"Add --yes to go ahead without being asked: {_again(settings, command)}{flags}",
        )


def must_be_named(
    settings: Settings,
    command: str,
    name: str | None,
    *,
    asked: bool,
    flags: str = " --yes",
    again: str | None = None,
) -> None:
    """Refuse to change a production database that was not named, where nobody will be asked.

    Args:
        settings: what to work on.
        command: the one that was given.
        name: the name that was given.
        asked: whether a person will be asked for it.
        flags: what the command needs besides in order not to ask.
        again: the command to be given once more, where it names the database itself.

    Raises:
        StudioError: the name is missing, or is that of another database.
    """
    wanted = settings.database_name
    if name is None and settings.production and not asked:
        raise StudioError(
            f"{settings.database} is marked as a production database: {command} needs its name.",
            f"Add its name to go ahead: {again or _again(settings, command)}{flags} "
            f"--confirm {shlex.quote(wanted)}",
        )
    if name is not None and name != wanted:
        raise StudioError(
            f"--confirm names {name}, but the database is {wanted}. Nothing was changed.",
            "Name the right database, or mend the name.",
        )


def may_change(
    settings: Settings, command: str, question: str, name: str | None, *, again: str | None = None
) -> bool:
    """Whether a command may go on that asks nothing but the name of a production database; given
    and raised is what `must_be_named` tells."""
    asked = settings.production and name is None and has_terminal()
    must_be_named(settings, command, name, asked=asked, flags="", again=again)
    if asked and not agreed(settings, question, name):
        complain("Nothing was changed.\n")
        return False
    return True


def _again(settings: Settings, command: str) -> str:
    """The command, to be given once more for the same schema and database."""
    default = type(settings)()
    schema = f" --schema {shlex.quote(str(settings.schema_path))}"
    database = f" --db {shlex.quote(settings.database)}"
    return (
        f"valet-studio {command}"
        f"{'' if settings.schema_path == default.schema_path else schema}"
        f"{'' if settings.database == default.database else database}"
    )


def agreed(settings: Settings, question: str, name: str | None) -> bool:
    """Ask a person: yes or no, and for a production database its name.

    Raises:
        click.Abort: the person pressed Ctrl-C, or the terminal has nothing more to say.
    """
    if settings.production and name is None:
        typed = _answer(f"{question} Type {settings.database_name} to go ahead: ")
        if typed not in ("", settings.database_name):
            complain(f"{typed} is not {settings.database_name}.\n")
        return typed == settings.database_name
    while True:
        match _answer(f"{question} [y/N]: ").lower():
            case "y" | "yes":
                return True
            case "" | "n" | "no":
                return False
            case _:
                complain("Answer y or n.\n")


def _answer(prompt: str) -> str:
    """The line that a person types.

    Ctrl-C ends it whenever it comes. To `input` one is lost that comes just before it begins to
    read, or that the system tells to another thread: Python notes it, and reads on.
    """
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    before = signal.set_wakeup_fd(waker)
    terminal = sys.stdin.fileno()
    try:
        click.echo(printable(prompt), nl=False)
        while terminal not in select.select([terminal, woken], [], [])[0]:
            os.read(woken, LONGEST_LINE)
        typed = os.read(terminal, LONGEST_LINE)
    except KeyboardInterrupt:
        typed = b""
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(waker)
    if not typed:
        click.echo()  # What was typed last stands on the question's line.
        raise click.Abort
    return typed.decode(errors="replace").strip()
