"""The work of the worker threads. Each function posts how it ended and never raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from textual.message import Message

from valet_studio.config import Settings
from valet_studio.errors import Cancelled, Problem, StudioError
from valet_studio.migrate.events import Event, IsCancelled
from valet_studio.pipeline import StudioState
from valet_studio.tui.diff import types_diff
from valet_studio.tui.engine import Engine
from valet_studio.tui.facts import Work
from valet_studio.tui.messages import FilesWritten, Looked, LookFailed, Measured, RunEnded


def unexpected(error: Exception) -> Problem:
    """An error that is a defect of this program, as a sentence."""
    return Problem(
        f"Something went wrong that should not: {type(error).__name__}: {error}",
        "This is a defect of valet-studio. Nothing was left half done.",
    )


def look_and_measure(
    engine: Engine,
    settings: Settings,
    generation: int,
    outdated: IsCancelled,
    post: Callable[[Message], object],
) -> None:
    """Look, tell, then measure and tell again; stops in between where a newer look began."""
    measuring = False
    try:
        missing = not settings.schema_path.is_file()
        state = engine.look(settings, outdated)
        types = types_diff(state.files) if state.plan is not None else None
        post(Looked(generation, state, missing, types))
        measuring = True
        if state.plan is not None and not state.plan.measured and not outdated():
            post(Measured(generation, engine.measure(state, outdated)))
    except Cancelled:
        return
    except StudioError as error:
        post(LookFailed(generation, error.problems, measuring))
    except Exception as error:
        post(LookFailed(generation, (unexpected(error),), measuring))


def write_files(
    engine: Engine, state: StudioState, after: str, post: Callable[[Message], object]
) -> None:
    """Write the stale generated files; `after` says what led to it."""
    try:
        post(FilesWritten(engine.write_files(state), after=after))
    except StudioError as error:
        post(FilesWritten(problems=error.problems, after=after))
    except Exception as error:
        post(FilesWritten(problems=(unexpected(error),), after=after))


def run(
    work: Work,
    begin: Callable[[], Iterator[Event]],
    cancelled: IsCancelled,
    put: Callable[[Event], object],
    post: Callable[[Message], object],
) -> None:
    """Consume a run to its end, or until it is cancelled. Never raises.

    Events go to `put`, from where the app takes all that gathered since it last drew, so that
    a flood of them never queues up before a key press. The end is a message. The generator is
    closed in any case, which rolls back what it had begun and deletes the copy.
    """
    events: Iterator[Event] | None = None
    try:
        events = begin()
        for event in events:
            put(event)
        ended = RunEnded(work)
    except Cancelled as error:
        ended = RunEnded(work, error.problems, cancelled=True)
    except StudioError as error:
        ended = RunEnded(work, error.problems)
    except Exception as error:
        ended = RunEnded(work, (unexpected(error),), cancelled=cancelled())
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            with suppress(Exception):
                close()
    post(ended)
