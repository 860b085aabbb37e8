"""Printing: signs in colour on a terminal, progress on another line, JSON on its own."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, TextIO

import click

from valet_studio.errors import IsCancelled, Problem, StudioError, reason_of

if TYPE_CHECKING:
    from valet_studio.migrate.events import Event, Report
    from valet_studio.schema.model import Json

SIGN_COLOURS = {"+": "green", "-": "yellow", "~": "yellow", "!": "yellow", "✗": "red"}
_SIGNED = re.compile(r"^(\s*)([-+~!✗])( .*)$", re.MULTILINE)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class OutputLost(StudioError):
    """What a command printed could not be written: its reader is gone, or a disk is full."""


def say(text: str) -> None:
    """Print text that ends with its own newline.

    Raises:
        OutputLost: it cannot be written.
    """
    _print(_shown(text, is_terminal(sys.stdout)))


def complain(text: str) -> None:
    """Print text that ends with its own newline to standard error, where there is one."""
    with suppress(OSError):
        click.echo(_shown(text, is_terminal(sys.stderr)), nl=False, err=True)


def say_json(value: Mapping[str, Json]) -> None:
    """Print one JSON document, in ASCII so that every terminal and reader takes it.

    Raises:
        OutputLost: it cannot be written.
    """
    _print(json.dumps(value, indent=2) + "\n")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person sees a stream; it is None where it was closed before the program began."""
    return stream is not None and stream.isatty()


def _print(text: str) -> None:
    try:
        click.echo(text, nl=False)
    except BrokenPipeError as error:
        raise OutputLost("The reader of the output is gone.") from error
    except OSError as error:
        raise OutputLost(
            f"The output cannot be written: {reason_of(error)}.",
            "Let it go to a terminal, or to a file on a disk with free space.",
        ) from error


def failing(problems: tuple[Problem, ...]) -> StudioError:
    """One error that tells several problems."""
    first = problems[0]
    error = StudioError(first.message, first.hint, first.location)
    error.problems = problems
    return error


@contextmanager
def interruptible() -> Iterator[IsCancelled]:
    """Ctrl-C and SIGTERM make the yielded callable answer True; a second Ctrl-C stops at once."""
    stopped = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        if stopped and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopped = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_to_report(work: Callable[[IsCancelled], Iterator[Event]], *, progress: bool) -> Report:
    """Run long work to its end, cancellable, telling how far it is on standard error.

    Progress is shown only where standard error is a terminal.
    """
    from valet_studio.migrate.events import Report

    shown = progress and is_terminal(sys.stderr)
    report: Report | None = None
    with interruptible() as cancelled:
        events = work(cancelled)
        try:
            for event in events:
                if isinstance(event, Report):
                    report = event
                elif shown and (line := _progress_line(event)):
                    click.echo(f"\r\033[K{line}", nl=False, err=True)
        finally:
            if isinstance(events, Generator):
                events.close()
            if shown:
                click.echo("\r\033[K", nl=False, err=True)
    if report is None:
        raise StudioError("The work ended without a report.")
    return report


def _progress_line(event: Event) -> str:
    from valet_studio.migrate.events import BackfillProgress, CopyProgress, PhaseStarted

    match event:
        case CopyProgress(done, total):
            return f"Copying the database: {done * 100 // max(total, 1)} %"
        case BackfillProgress(table, column, done, total, failed, seconds):
            rate = f", {done / seconds:,.0f} rows/s" if seconds > 0.1 else ""
            wrong = f", {failed:,} failed" if failed else ""
            return printable(f"Backfill {table}.{column}: {done:,} of {total:,}{rate}{wrong}")
        case PhaseStarted("lock"):
            return "Waiting until no other process writes …"
        case PhaseStarted(phase):
            return f"{phase.capitalize()} …"
        case _:
            return ""


def _shown(text: str, terminal: bool) -> str:
    text = printable(text)
    if not terminal or os.environ.get("NO_COLOR"):
        return text
    return _SIGNED.sub(
        lambda m: f"{m[1]}{click.style(f'{m[2]}{m[3]}', fg=SIGN_COLOURS[m[2]])}", text
    )


def printable(text: str) -> str:
    """Names and values may hold anything; what would steer the terminal is shown as an escape."""
    return _CONTROL.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), text)
