"""init and demo."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from valet_studio import pipeline, report, scaffold
from valet_studio.commands.console import run_to_report, say
from valet_studio.commands.runs import planned
from valet_studio.config import SCHEMA_FILE, Settings
from valet_studio.database.inspect import inspect
from valet_studio.database.target import open_target
from valet_studio.errors import StudioError


def init(folder: Path, settings: Settings, named: str | None) -> int:
    """Make a project to begin with; what exists is left as it is.

    Args:
        folder: where `valet/` shall stand.
        settings: of the run, for its database.
        named: the database of the command line, which has to be there and one.

    Raises:
        StudioError: there is no such database file, or a file cannot be read or written.
    """
    if named is not None:
        _check_database(named)
    schema = folder / "valet" / SCHEMA_FILE
    if settings.database == Settings().database:
        settings = replace(settings, database=str(folder / settings.database))
    settings = replace(settings, schema_path=schema)
    written = scaffold.init(settings)
    if schema not in written:
        say(f"{schema} exists already and is left as it is.\n")
    for path in written:
        say(f"Wrote {path}\n")
    here = folder.resolve() == Path.cwd()
    step = "" if here else f"  cd {shlex.quote(str(folder))}\n"
    flag = ""
    if named is not None:
        seen = named if here or Path(named).is_absolute() else os.path.relpath(named, folder)
        flag = f" --db {shlex.quote(seen)}"
    say(f"\nNext:\n{step}  valet-studio{flag}\n")
    return 0


def _check_database(named: str) -> None:
    """See that a schema can begin with what it holds: an example would pass for that."""
    target = open_target(named)
    if not target.exists():
        raise StudioError(f"There is no database {named}.", "Check the path given with --db.")
    with target.reading() as connection:
        inspect(connection)


def demo_made(folder: Path, made: bool) -> None:
    """Say what stands where, and what to do with it."""
    say(
        f"Made {folder}: valet/schema.ts, and a database with {scaffold.DEMO_DOCUMENTS} todos "
        "and a pending migration.\n"
        if made
        else f"{folder} is as you left it; remove the directory to begin anew.\n"
    )
    say(
        f"\nNext:\n  cd {folder}\n  {_program()} plan\n  {_program()} dry-run\n"
        f"  {_program()}\n\nThe last one opens the studio.\n"
    )


def _program() -> str:
    """How this program is called from a directory below: by name only where the shell knows it."""
    name = "valet-studio"
    own = Path(sys.argv[0])
    known = shutil.which(name) is not None or own.name != name
    return name if known else shlex.quote(str(own.absolute()))


def demo_shown(settings: Settings) -> None:
    """The plan and its rehearsal, for where there is no terminal to open the studio in."""
    state, found = planned(settings)
    say(f"\n{report.plan_text(found)}\n")
    if found.status == "in_sync":
        return
    done = run_to_report(lambda cancelled: pipeline.dry_run(state, cancelled), progress=False)
    say(report.report_text(done, rehearsal=True, database=settings.database))
