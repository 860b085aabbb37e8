"""A dry run or an apply on a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from textual.message import Message

from valet_studio.errors import Cancelled, Problem, StudioError
from valet_studio.migrate.events import Event, IsCancelled
from valet_studio.tui.facts import Work
from valet_studio.tui.messages import RunEnded


def unexpected(error: Exception) -> Problem:
    """An error that is a defect of this program, as a sentence."""
    return Problem(
        f"Something went wrong that should not: {type(error).__name__}: {error}",
        "This is a defect of valet-studio. Nothing was left half done.",
    )


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
