"""codegen, codegen --watch, schema: the seed's lifecycle without the studio."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from valet_studio import pipeline, report, watch
from valet_studio.commands.console import complain, failing, interruptible, run_to_report, say
from valet_studio.commands.runs import EXIT_CODES
from valet_studio.config import Settings
from valet_studio.errors import Cancelled, IsCancelled, Problem, StudioError
from valet_studio.migrate.events import Report
from valet_studio.paths import is_folder, is_there
from valet_studio.pipeline import StudioState
from valet_studio.plan.changes import Plan, Risk
from valet_studio.typescript import warm

AGAIN_SECONDS = 2.0
"""How often a watch looks whether a database that could not be read can be read again."""


def codegen(settings: Settings, *, push: bool) -> int:
    """Push the schema and write the generated files, as the seed's lifecycle says."""
    _check_output(settings.output_dir)
    state = pipeline.look(settings)
    _refuse_unread(state, push)
    if not push:
        return _finish(state, None)
    # Once it is pushed it is told, whenever Ctrl-C comes.
    with interruptible():
        done = run_to_report(lambda cancelled: pipeline.apply(state, cancelled), progress=True)
        return _finish(state, done)


def _check_output(folder: Path) -> None:
    """Refuse before the push what could not be written after it.

    Raises:
        StudioError: the generated files cannot be written there.
    """
    there = next((path for path in (folder, *folder.parents) if is_there(path)), Path())
    hint = "Name another directory with --output-dir."
    if not is_folder(there):
        raise StudioError(f"{there} is a file, so no generated files can be written there.", hint)
    if not os.access(there, os.W_OK):
        raise StudioError(f"The generated files cannot be written: {there} is read-only.", hint)


def watching(settings: Settings, *, push: bool) -> int:
    """Do so now and on each save, until Ctrl-C or SIGTERM."""
    warm.keep()
    asyncio.run(_watch(settings, push))
    say("Stopped watching.\n")
    return 0


def schema(settings: Settings) -> int:
    """Print schema.json."""
    state = pipeline.look(settings)
    if state.schema is None:
        raise failing(state.problems)
    text = next(file.after for file in pipeline.generated(state) if file.path.name == "schema.json")
    say(text)
    return 0


def _refuse_unread(state: StudioState, push: bool) -> None:
    """Without a push a database that cannot be read does not matter."""
    if state.schema is None or (push and state.plan is None):
        raise failing(state.problems)


def _finish(state: StudioState, done: Report | None) -> int:
    """Tell the push, and write the files where the database holds what they promise."""
    code = 0
    if done is not None:
        say(report.push_text(done))
        code = EXIT_CODES[done.status]
    plan = done.plan if done is not None else state.plan
    if plan is not None:
        warnings = tuple(dict.fromkeys((*_risks(plan), *plan.warnings)))
        complain(report.warnings_text(warnings))
    if code:
        say("The generated files were not written.\n")
        return code
    written = pipeline.write_files(state)
    for path in written:
        say(f"Wrote {path}\n")
    if not written:
        say("The generated files are up to date.\n")
    return code


def _risks(plan: Plan) -> list[Problem]:
    """The changes to look at, which the seed's output text has no line for."""
    return [
        Problem(change.summary, change.rule, change.location)
        for change in plan.pending
        if change.risk is Risk.WARNING
    ]


async def _watch(settings: Settings, push: bool) -> None:
    """The loop of `watching`. A signal cancels the pass that runs; it is rolled back."""
    folder = settings.schema_path.parent
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stopped.set)
        except NotImplementedError:  # Windows has no such handlers in asyncio
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))
    saves = watch.saves(folder)
    turn, unread = asyncio.Lock(), asyncio.Event()

    async def one_pass() -> None:
        async with turn:
            read = await asyncio.to_thread(_pass, settings, push, stopped.is_set)
            unread.clear() if read else unread.set()

    async def each_save() -> None:
        async for _ in saves:
            what = "Saved" if os.path.lexists(settings.schema_path) else "Removed"
            say(f"\n{datetime.now():%H:%M:%S} {what}.\n")
            await one_pass()

    async def each_return() -> None:
        while True:
            await unread.wait()
            await asyncio.sleep(AGAIN_SECONDS)
            if await asyncio.to_thread(_is_read, settings, stopped.is_set) and unread.is_set():
                say(f"\n{datetime.now():%H:%M:%S} {settings.database} can be read again.\n")
                await one_pass()

    await one_pass()
    say(f"Watching {folder} for saves. Ctrl-C stops.\n")
    if stopped.is_set():
        return
    passes = asyncio.gather(each_save(), each_return())
    stop = asyncio.ensure_future(stopped.wait())
    either: set[asyncio.Future[Any]] = {passes, stop}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not passes.done():
        passes.cancel()
    with suppress(asyncio.CancelledError):
        await passes


def _pass(settings: Settings, push: bool, cancelled: IsCancelled) -> bool:
    """One pass of the watch; what goes wrong is told, and the watch goes on.

    Returns False where the schema was good and the database could not be read, so that the pass
    is to be made again once it can.
    """
    read = True
    try:
        state = pipeline.look(settings)
        read = state.schema is None or state.plan is not None or not push
        _refuse_unread(state, push)
        done = None
        if push:
            for event in pipeline.apply(state, cancelled):
                done = event if isinstance(event, Report) else done
        _finish(state, done)
    except Cancelled as error:
        complain(report.problems_text(error.problems))
    except StudioError as error:
        complain(report.problems_text(error.problems) + "\n")
    return read


def _is_read(settings: Settings, cancelled: IsCancelled) -> bool:
    """Whether there is a plan now."""
    try:
        return pipeline.look(settings, cancelled).plan is not None
    except Cancelled:
        return False
