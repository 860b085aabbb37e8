"""The group of all commands: what goes wrong in one becomes sentences or JSON, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from valet_studio.errors import Cancelled, Problem, StudioError


class StudioGroup(click.Group):
    """The group of all commands; turns what goes wrong into sentences and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the order in which a newcomer needs them."""
        return list(self.commands)

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run a command and exit with its code."""
        arguments = list(sys.argv[1:] if args is None else args)
        extra.pop("standalone_mode", None)
        try:
            code = super().main(arguments, prog_name, standalone_mode=False, **extra)
            if sys.stdout is not None:
                sys.stdout.flush()
        except BaseException as error:
            named = next((each for each in arguments if each in self.commands), None)
            code = _tell(error, arguments, named)
        sys.exit(code if isinstance(code, int) else 0)


def _tell(error: BaseException, arguments: Sequence[str], command: str | None) -> int:
    """Show an error as sentences, or as JSON where that was asked for; returns the exit code."""
    from valet_studio.commands.console import OutputLost, complain, say_json
    from valet_studio.report import problems_text
    from valet_studio.report_json import problems_json

    if isinstance(error, OutputLost | BrokenPipeError):
        # What is still buffered must go nowhere, or Python complains of it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, OutputLost) and not isinstance(error.__cause__, BrokenPipeError):
            complain(problems_text(error.problems))
        return 1
    match error:
        case SystemExit():
            raise error
        case StudioError():
            problems, code = error.problems, error.exit_code
        case click.Abort() if error.__cause__ is None:
            problems, code = Cancelled().problems, Cancelled.exit_code
        case click.Abort() | KeyboardInterrupt():
            problems, code = Cancelled("Cancelled.").problems, Cancelled.exit_code
        case click.exceptions.NoArgsIsHelpError():
            complain(f"{error.format_message()}\n")
            return error.exit_code
        case click.ClickException():
            code = 1 if command == "check" else error.exit_code
            context = error.ctx if isinstance(error, click.UsageError) else None
            path = f"valet-studio {command}" if command else "valet-studio"
            path = context.command_path if context is not None else path
            hint = f"`{path} --help` lists what can be given."
            problems = (Problem(error.format_message(), hint),)
        case MemoryError() | RuntimeError() if _is_used_up(error):
            problems, code = (_USED_UP,), 1
        case _:
            if "--debug" in arguments:
                raise error
            problems, code = (_unexpected(error),), 1
    try:
        if "--json" in arguments:
            say_json(problems_json(problems))
        else:
            complain(problems_text(problems))
    except OutputLost as lost:
        return _tell(lost, arguments, command)
    return code


_USED_UP = Problem(
    "The system gives this program no more memory or threads.",
    "Close other programs, or raise its limits (`ulimit -a`; of a container: memory and pids).",
)


def _is_used_up(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "can't start new thread" in str(error)


def _unexpected(error: BaseException) -> Problem:
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    return Problem(
        f"Something went wrong that should not: {said}.",
        "This is a defect of valet-studio. Run the command again with --debug, and report what "
        "it prints.",
    )
