"""serve, replica connect: the push server, and a client that follows one."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from valet_studio import pipeline, report
from valet_studio.commands.console import complain, interruptible, say
from valet_studio.commands.question import may_change
from valet_studio.commands.runs import EXIT_CODES
from valet_studio.commands.upkeep import armed_text, undone_text
from valet_studio.config import Settings
from valet_studio.errors import Problem, StudioError, Unsupported, reason_of
from valet_studio.migrate.events import Report
from valet_studio.migrate.reruns import BackfillReset
from valet_studio.migrate.undo import UndoReport
from valet_studio.remote.target import is_server

if TYPE_CHECKING:
    from types import ModuleType

    from valet_studio.replica import Connected
    from valet_studio.server.orders import Done


def serve(settings: Settings, host: str, port: int, key_file: str | None) -> int:
    """Serve the database of the settings until Ctrl-C or SIGTERM."""
    from valet_studio.database.target import open_target

    if is_server(settings.database):
        raise StudioError(
            f"{settings.database} is a server itself.", "Name a database file with --db."
        )
    if settings.read_only:
        raise StudioError(
            f"{settings.database} is opened read-only, and a push server changes its database.",
            "Leave out --read-only, or name another database with --db.",
        )
    serving, app = _server_parts()
    file = open_target(settings.database)
    file.check_place()
    with file.reading():
        pass  # What is no database is told now, and not at the first push.
    key = _key_in(Path(key_file)) if key_file is not None else settings.deploy_key
    options = app.Options(limits=settings.limits, deploy_key=key, pushed=_pushed)

    def ready(url: str) -> None:
        say(f"Serving {file.label} at {url}. Ctrl-C stops.\n")
        if key is None:
            complain(
                "! There is no deploy key: whoever uses this machine can push. Only this machine "
                "can reach it.\n"
            )

    serving.serve(file, serving.Address(host, port), options, ready)
    say("Stopped serving.\n")
    return 0


def connect(settings: Settings, file: Path, server: str, name: str | None = None) -> int:
    """Migrate a replica to its server's schema, once.

    Args:
        settings: those of the replica, as the database that is changed.
        file: the replica.
        server: the URL of its server.
        name: the replica's name, which one in production asks for.
    """
    if not _may_change(settings, f"--server {shlex.quote(server)}", name):
        return 1
    from valet_studio.replica import SyncEngine

    engine = SyncEngine(file, server, limits=settings.limits)
    with interruptible() as cancelled:
        done = engine.connect(cancelled)
    return _told(done, file)


def follow(settings: Settings, file: Path, server: str, name: str | None = None) -> int:
    """Migrate a replica at each change of its server's schema, until Ctrl-C or SIGTERM; what is
    given as for `connect`."""
    if not _may_change(settings, f"--server {shlex.quote(server)} --watch", name):
        return 1
    from valet_studio.replica import SyncEngine

    engine = SyncEngine(file, server, limits=settings.limits)

    known: tuple[Problem, ...] = ()

    def lost(error: StudioError) -> None:
        # It is tried again every few seconds, and fails alike until somebody does something.
        nonlocal known
        if error.problems != known:
            complain(report.problems_text(error.problems))
        known = error.problems

    with interruptible() as cancelled:
        say(f"{file} follows {server}. Ctrl-C stops.\n")
        for done in engine.follow(cancelled, lost=lost):
            known = ()
            _told(done, file)
    say("Stopped following.\n")
    return 0


def _may_change(settings: Settings, flags: str, name: str | None) -> bool:
    """Hold to the marks of a replica before it is changed.

    Raises:
        StudioError: it is read-only, or in production and was not named.
    """
    pipeline.refuse_read_only(settings)
    again = f"valet-studio replica connect {shlex.quote(settings.database)} {flags}"
    question = f"Migrate {settings.database} to its server's schema?"
    return may_change(settings, "replica connect", question, name, again=again)


def _told(done: Connected, file: Path) -> int:
    """Tell what a connection brought; returns the exit code."""
    from valet_studio.replica.report import connected_text

    say(connected_text(done, str(file)))
    return EXIT_CODES.get(done.status, 0)


def _server_parts() -> tuple[ModuleType, ModuleType]:
    try:
        from valet_studio.server import app
        from valet_studio.server import serve as serving
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"The push server needs the package {error.name}, which is not installed.",
            "Run `pip install 'valet-studio[server]'`.",
        ) from error
    return serving, app


def _key_in(path: Path) -> str:
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StudioError(f"The deploy key in {path} cannot be read: {reason}.") from error
    if not key:
        raise StudioError(f"{path} holds no deploy key.", "Write the key into it, on one line.")
    return key


def _pushed(done: Done) -> None:
    match done:
        case Report():
            say(report.push_text(done))
        case UndoReport():
            say(undone_text(replace(done, on_server=False)))
        case BackfillReset():
            say(armed_text(done.table, done.column))
