"""The work of the worker threads. Each function posts how it ended and never raises."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from textual.message import Message

from valet_studio.config import Settings
from valet_studio.errors import Cancelled, IsCancelled, PlanIsStale, Problem, StudioError
from valet_studio.migrate.events import Event, Report
from valet_studio.pipeline import StudioState
from valet_studio.plan.changes import AnyChange
from valet_studio.schema.model import Schema
from valet_studio.tui.diff import all_written, types_view, with_structures
from valet_studio.tui.engine import Engine
from valet_studio.tui.facts import RunKind
from valet_studio.tui.messages import (
    DocumentRead,
    FilesWritten,
    Looked,
    LookFailed,
    Measured,
    ReplicaBegun,
    Retried,
    RunEnded,
    ServerSeen,
    TouchedRead,
    TypesChecked,
    TypesRead,
)
from valet_studio.tui.progress import TimedEvent

if TYPE_CHECKING:
    from valet_studio.replica.rehearse import ReplicaReport

T = TypeVar("T")


def problems_of(error: Exception) -> tuple[Problem, ...]:
    """An error as sentences; what is no `StudioError` is a defect of this program."""
    if isinstance(error, StudioError):
        return error.problems
    told = f"Something went wrong that should not: {type(error).__name__}: {error}"
    return (Problem(told, "This is a defect of valet-studio. Nothing was left half done."),)


def look(
    engine: Engine,
    settings: Settings,
    generation: int,
    outdated: IsCancelled,
    post: Callable[[Message], object],
) -> None:
    """Read schema and database, as far as the plan needs."""
    try:
        missing = _is_missing(settings.schema_path)
        post(Looked(generation, engine.look(settings, outdated), missing))
    except Cancelled:
        return
    except Exception as error:
        post(LookFailed(generation, problems_of(error)))


def _is_missing(path: Path) -> bool:
    """Whether there is nothing at a path; what is there and no file is a problem to be told."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def read_more(
    engine: Engine,
    state: StudioState,
    generation: int,
    outdated: IsCancelled,
    post: Callable[[Message], object],
) -> None:
    """What follows from a look: types, counts, structure, each told as soon as it is there.

    Stops in between where a newer look began.
    """
    if outdated():
        return
    try:
        files = engine.generated(state)
        # Without a plan the database could not be read a moment ago.
        asked = state.plan is not None and not all_written(files)
        applied = _applied(engine, state) if asked else None
        types = types_view(state, files, applied)
        if types is None:
            return
        post(TypesRead(generation, types, files))
        if state.plan is None:
            return
        if not state.plan.measured and not outdated():
            began = time.perf_counter()
            measured = engine.measure(state, outdated)
            post(Measured(generation, measured, time.perf_counter() - began))
        told = engine.structures(state) if not outdated() else None
        if told is not None:
            post(TypesRead(generation, with_structures(types, state.plan, told), files))
    except Cancelled:
        return
    except Exception as error:
        post(LookFailed(generation, problems_of(error), measuring=True))


def _applied(engine: Engine, state: StudioState) -> Schema | None:
    """The schema before, for the texts that no file on disk holds; None where it is not known."""
    try:
        return engine.applied_schema(state)
    except StudioError:
        return None


def check_types(
    engine: Engine,
    state: StudioState,
    number: int,
    outdated: IsCancelled,
    post: Callable[[Message], object],
) -> None:
    """Ask the type checker; says nothing where newer text superseded this."""
    try:
        post(TypesChecked(number, engine.check_types(state, outdated)))
    except Cancelled:
        return
    except Exception as error:
        post(TypesChecked(number, problems_of(error), failed=True))


def read_touched(
    engine: Engine,
    state: StudioState,
    change: AnyChange,
    outdated: IsCancelled,
    post: Callable[[Message], object],
) -> None:
    """Read what a change touches; where it cannot be read, the plan's own counts must do."""
    try:
        post(TouchedRead(change, engine.touched(state, change, outdated)))
    except Cancelled:
        return
    except Exception:
        post(TouchedRead(change, None))


def read_document(
    engine: Engine,
    state: StudioState,
    what: tuple[str, str],
    outdated: IsCancelled,
    post: Callable[[Message], object],
) -> None:
    """Read a whole document by table and `_id`."""
    table, who = what
    try:
        post(DocumentRead(table, who, engine.document(state, table, who, outdated)))
    except Cancelled:
        return
    except Exception:
        post(DocumentRead(table, who, None))


def retry(
    engine: Engine,
    state: StudioState,
    report: Report,
    cancelled: IsCancelled,
    post: Callable[[Message], object],
) -> None:
    """Try the failed documents of a report again."""
    try:
        post(Retried(engine.retry_failed(state, report, cancelled)))
    except Cancelled as error:
        post(Retried(problems=error.problems, cancelled=True))
    except Exception as error:
        post(Retried(problems=problems_of(error)))


def ask(
    work: Callable[[], T],
    then: Callable[[T], object],
    failed: Callable[[tuple[Problem, ...]], object],
) -> None:
    """Do the work and hand over what it gives, or what went wrong."""
    try:
        value = work()
    except Exception as error:
        failed(problems_of(error))
    else:
        then(value)


def ask_server(engine: Engine, settings: Settings, post: Callable[[Message], object]) -> None:
    """Ask what the server was migrated to last."""
    hash_after = None
    try:
        entries = engine.history(settings)
        seen = f"{entries[0].id} {entries[0].applied_at}" if entries else ""
        hash_after = entries[0].hash_after if entries else None
    except Exception as error:
        seen = problems_of(error)[0].message
    post(ServerSeen(settings.database, seen, hash_after))


def write_files(
    engine: Engine, state: StudioState, after: str, post: Callable[[Message], object]
) -> None:
    """Write the stale generated files; `after` says what led to it."""
    try:
        post(FilesWritten(engine.write_files(state), after=after))
    except Exception as error:
        post(FilesWritten(problems=problems_of(error), after=after))


def run_events(
    work: RunKind,
    begin: Callable[[], Iterator[Event]],
    cancelled: IsCancelled,
    put: Callable[[TimedEvent], object],
    post: Callable[[Message], object],
    then: Callable[[], ReplicaReport] | None = None,
) -> None:
    """Consume a run to its end, or until it is cancelled. Never raises.

    Events go to `put` with the time since the run began; from there the app takes all that
    gathered since it last drew, so that a flood of them never queues up before a key press. The
    end is a message. `then` is what a dry run goes on with: a client's replica. The generator is
    closed in any case, which rolls back what it had begun and deletes the copy.
    """
    events: Iterator[Event] | None = None
    try:
        began = time.perf_counter()
        events = begin()
        for event in events:
            put((time.perf_counter() - began, event))
        if then is not None:
            post(ReplicaBegun())
        ended = RunEnded(work, replica=then() if then is not None else None)
    except Cancelled as error:
        ended = RunEnded(work, error.problems, cancelled=True)
    except StudioError as error:
        ended = RunEnded(work, error.problems, stale=isinstance(error, PlanIsStale))
    except Exception as error:
        ended = RunEnded(work, problems_of(error), cancelled=cancelled())
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            with suppress(Exception):
                close()
    post(ended)
