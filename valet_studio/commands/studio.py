"""The studio itself, in this terminal or in browsers; the demo's tour."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path

from valet_studio.commands.console import say
from valet_studio.commands.question import has_terminal
from valet_studio.config import Settings
from valet_studio.errors import StudioError
from valet_studio.paths import is_file
from valet_studio.tour import Tour


def begin_tour(settings: Settings) -> Tour:
    """The demo's tour, at its first step.

    Raises:
        StudioError: the step would replace what somebody wrote.
    """
    tour = Tour(settings)
    if tour.edits is not None:
        raise StudioError(
            f"{settings.schema_path} holds changes of yours, which the tour would replace. "
            "Nothing was changed.",
            "Name another directory for the tour: `valet-studio demo DIR --tour`.",
        )
    tour.next()
    return tour


def open_studio(settings: Settings, tour: Tour | None = None, replica: Path | None = None) -> int:
    """Open the studio, which needs a terminal.

    Raises:
        StudioError: there is none, or no file where the replica should be.
    """
    if replica is not None and not is_file(replica):
        raise StudioError(
            f"There is no replica at {replica}.", "Name a client's database file with --replica."
        )
    in_browser = "web_driver" in os.environ.get("TEXTUAL_DRIVER", "")
    dumb = os.environ.get("TERM") == "dumb"
    if not (in_browser or (has_terminal() and not dumb)):
        raise StudioError(
            "The studio needs a terminal, and "
            + ("this one is dumb (TERM=dumb)." if dumb else "there is none here."),
            "`valet-studio plan` prints the same plan anywhere; `valet-studio --help` lists all "
            "commands.",
        )
    # A locale such as C or ISO 8859-1 is set more often than a terminal shows nothing else; in it,
    # each line of a frame would be an escape sequence to read.
    for stream in (sys.__stdout__, sys.__stderr__):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
    # What a key does is drawn at the next frame: 4 ms later at most, and not 17.
    os.environ.setdefault("TEXTUAL_FPS", "240")
    from valet_studio.tui.app import run

    run(settings, tour, replica)
    return 0


def serve_studio(settings: Settings, port: int, *, write: bool) -> int:
    """Serve the studio to browsers on this machine, until Ctrl-C."""
    from valet_studio.tui.web import serve

    serve(settings if write else replace(settings, read_only=True), port, say)
    return 0
