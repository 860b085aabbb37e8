"""The studio: one app that holds the facts, starts the work and hears what workers tell."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from valet_studio import pipeline, watch
from valet_studio.config import Settings
from valet_studio.fixes.fix import Fix
from valet_studio.migrate.events import Event, StatementRun
from valet_studio.pipeline import StudioState
from valet_studio.tour import STEPS, Tour
from valet_studio.tui import messages
from valet_studio.tui.actions import ACTIONS, action_named
from valet_studio.tui.background import Background
from valet_studio.tui.commands import Commands
from valet_studio.tui.confirm import Question
from valet_studio.tui.diff import TypesView
from valet_studio.tui.dry_run_pane import DryRunPane
from valet_studio.tui.engine import Engine, Saves
from valet_studio.tui.facts import Facts, TourPlace, Work
from valet_studio.tui.keys import bound
from valet_studio.tui.log_pane import Entry, LogPane, Mark
from valet_studio.tui.plan_pane import PlanPane
from valet_studio.tui.progress import Progress, Told, advance_all
from valet_studio.tui.receipt import receipt_sentence
from valet_studio.tui.remembered import memory_path, recall
from valet_studio.tui.runs import look_and_measure, write_files
from valet_studio.tui.runs import run as run_events
from valet_studio.tui.screen import MainScreen
from valet_studio.tui.sentences import look_notice, plan_sentence, run_sentence
from valet_studio.tui.status import Tone
from valet_studio.tui.text import duration, problem_plain
from valet_studio.tui.theme import DARK, LIGHT, starting_theme
from valet_studio.tui.window import Window
from valet_studio.typescript import warm
from valet_studio.watch import Stamp

DRAW_SECONDS = 0.05
"""How often the progress of a run is drawn."""
DATABASE_SECONDS = 2.0
"""How often it is asked whether another program wrote the database."""
LOGGED_FAILURES = 10


def run(settings: Settings, tour: Tour | None = None) -> None:
    """Open the studio and return when the user leaves it.

    Raises:
        Exception: a defect ended it; the terminal is as it was before.
    """
    app = StudioApp(settings, memory=memory_path(), tour=tour)
    warm.keep()
    # Collecting garbage among all that was imported would stop the keys for 50 ms now and then.
    gc.freeze()
    try:
        app.run()
    finally:
        app.window.leave()
    if app.defect is not None:
        raise app.defect


class StudioApp(App[None]):
    """Watch, look, rehearse, apply. Workers compute and post messages; only handlers draw."""

    TITLE = "Valet Studio"
    CSS_PATH = "studio.tcss"
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        settings: Settings,
        engine: Engine = pipeline,
        saves: Saves = watch.saves,
        memory: Path | None = None,
        tour: Tour | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.engine = engine
        self.saves = saves
        self.memory = memory
        """Where options are remembered; None where they are not."""
        self.facts = Facts(settings, live=memory is not None and recall(memory).live)
        self.progress: Progress | None = None
        """The newest dry run or apply."""
        self.types: TypesView | None = None
        self.generation = 0
        """Counts looks; what an older one tells is dropped."""
        self.waiting: deque[Told] = deque()
        """What the run told and was not drawn yet; the worker appends."""
        self.cancel = threading.Event()
        self.leaving = False
        self.rereading = False
        """Whether the user asked for the look that runs, and waits for an answer."""
        self.now: Callable[[], datetime] = datetime.now
        """What the log's times are read from."""
        self.defect: Exception | None = None
        """What no handler expected; the app is ending."""
        self.window = Window(os.environ, self._to_terminal)
        self.database_seen: Stamp | None = None
        """The database's files as they were at the newest look."""
        self.look_began = 0.0
        self.rest_until = 0.0
        """When the database may be looked at again unasked: a slow look is not repeated at once."""
        self.fixed: list[Fix] = []
        """Quick fixes that were written, oldest first."""
        self.tour = tour
        self.insisted = False
        """Whether the tour's next step was asked for once, before this one was applied."""
        keys, self.key_problems = bound(settings.keys)
        self.facts = replace(self.facts, keys=keys, tour=self.tour_place())
        self.set_keymap({name: ",".join(chosen) for name, chosen in keys.items()})
        self.commands = Commands(self)
        self.background = Background(self)
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = starting_theme(os.environ)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Textual's own themes borrow what only ours define."""
        return DARK.variables

    def get_default_screen(self) -> Screen[None]:
        """The four panes."""
        return MainScreen()

    @property
    def main(self) -> MainScreen:
        """The screen with the panes, below any question."""
        screen = self.screen_stack[0]
        assert isinstance(screen, MainScreen)
        return screen

    @property
    def closing(self) -> bool:
        """Whether the panes are gone: what workers still tell is no longer shown."""
        return not self.main.query(LogPane)

    def on_mount(self) -> None:
        """Paint first, then read."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.draw()
        for item in self.key_problems:
            self.log_line("!", problem_plain(item))
        if self.key_problems:
            self.say(f"{self.key_problems[0].message} See the log.", "warning")
        self.begin_watching()
        self.set_interval(DRAW_SECONDS, self.advance_run)
        self.set_interval(DATABASE_SECONDS, self.look_at_database)

    def begin_watching(self) -> None:
        """Watch the settings' schema and database, and look at them."""
        self.run_worker(self._watch(), group="watch", exclusive=True, exit_on_error=False)
        self.database_seen = watch.database_stamp(self.settings.database)
        self.look()

    def reopen(self, settings: Settings) -> None:
        """Work on another schema and database from now on."""
        self.settings = settings
        self.progress = self.types = None
        self.fixed.clear()
        self.waiting.clear()
        self.facts = Facts(settings, live=self.facts.live, keys=self.facts.keys)
        self.log_line("·", f"Opened {settings.schema_path} and {settings.database}")
        self.say(f"Opened {settings.schema_path} and {settings.database}.")
        self.draw()
        self.begin_watching()

    def tour_place(self) -> TourPlace | None:
        """Where the tour is; None where there is none, or before its first step."""
        if self.tour is None or self.tour.step is None:
            return None
        left = self.tour.left
        return TourPlace(self.tour.step, len(STEPS) - left, left)

    def on_answered(self, message: messages.Answered) -> None:
        """Take in what a worker was asked for."""
        message.call()

    def look_at_database(self) -> None:
        """Look again where another program wrote the database.

        A look that takes long is followed by a rest ten times as long, so that a database that
        is written all the time does not keep the studio busy.
        """
        looking = any(worker.group == "look" and worker.is_running for worker in self.workers)
        resting = time.monotonic() < self.rest_until
        if self.facts.running == "apply" or looking or resting or not self.facts.watching:
            return
        seen = watch.database_stamp(self.settings.database)
        state = self.facts.state
        unreadable = state is not None and state.plan is None and state.schema is not None
        if seen != self.database_seen or unreadable:
            self.database_seen = seen
            self.look()

    def _to_terminal(self, sequence: str) -> None:
        if self.is_headless or self.is_web:
            return
        if self._driver is not None and self._running:
            self._driver.write(sequence)
            self._driver.flush()
        elif sys.__stderr__ is not None:
            sys.__stderr__.write(sequence)
            sys.__stderr__.flush()

    def _handle_exception(self, error: Exception) -> None:
        """Keep it for `run`, which raises it where the terminal can show a sentence."""
        if self.defect is None:
            self.defect = error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End without a traceback over the screen."""
        self._close_messages_no_wait()

    async def _on_message(self, message: Message) -> None:
        """Hear nothing from workers while the panes, which would show it, are taken down."""
        if self.is_running or not isinstance(message, messages.Told):
            await super()._on_message(message)

    def on_unmount(self) -> None:
        """Whatever ends the app ends its work."""
        self.cancel.set()
        self.generation += 1
        self.background.leave()

    def draw(self) -> None:
        """Draw everything from the facts."""
        if self.closing:
            return
        self.main.show(self.facts, self.progress, self.types)
        self.window.show(self.facts, self.progress)

    def learn(self, facts: Facts) -> None:
        """Know this from now on, and show it."""
        self.facts = facts
        self.draw()

    def say(self, text: str, tone: Tone = "plain") -> None:
        """Answer the user in the line above the keys."""
        if not self.closing:
            self.main.say(text, tone)

    def log_line(self, mark: Mark, *texts: str) -> None:
        """Append to the log."""
        if self.closing:
            return
        now = self.now()
        self.main.log_pane.add(*(Entry(now, mark, text) for text in texts))

    def action_perform(self, name: str) -> None:
        """Do an action of the registry, or say why it is off."""
        action = action_named(name)
        reason = action.reason(self.facts)
        if reason is not None:
            if name != "cancel":
                self.say(reason, "warning")
            return
        self.commands.do(name)

    async def action_quit(self) -> None:
        """Textual's own ways to quit ask as `q` does."""
        self.action_perform("quit")

    def action_help_quit(self) -> None:
        """Ctrl-C is for copying in many terminals: say how to leave."""
        self.say("q leaves the studio.")

    def get_system_commands(
        self,
        screen: Screen[Any],  # noqa: ARG002
    ) -> Iterable[SystemCommand]:
        """The registry's actions that work now."""
        for action in ACTIONS:
            if action.reason(self.facts) is None:
                yield SystemCommand(
                    f"{action.label.capitalize()}  ({action.shown(self.facts)})",
                    action.help,
                    partial(self.action_perform, action.id),
                )

    async def _watch(self) -> None:
        try:
            async for _ in self.saves(self.settings.schema_path.parent):
                self.post_message(messages.Saved())
        except OSError as error:
            self.post_message(messages.WatchFailed(str(error)))

    def look(self) -> None:
        """Read schema and database on a worker; only the newest look is shown."""
        self.generation += 1
        self.look_began = time.monotonic()
        generation = self.generation
        self.run_worker(
            partial(
                look_and_measure,
                self.engine,
                self.settings,
                generation,
                lambda: generation != self.generation,
                self.post_message,
            ),
            group="look",
            thread=True,
            exit_on_error=False,
        )

    def on_saved(self, _: messages.Saved) -> None:
        """A save: look again, unless watching is paused or an apply will look after itself."""
        if not self.facts.watching:
            self.log_line("·", "A save was not read: watching is paused. r reads it.")
            return
        self.log_line("·", f"Saved in {self.settings.schema_path.parent}/")
        self.background.saved()
        if self.facts.running != "apply":
            self.look()

    def on_watch_failed(self, message: messages.WatchFailed) -> None:
        """Say it and go on: `r` still reads."""
        self.log_line("✗", f"Watching failed: {message.reason}")
        self.say(f"Watching failed: {message.reason}. r reads again.", "bad")

    def on_looked(self, message: messages.Looked) -> None:
        """Show the plan at once; its counts follow."""
        if message.generation != self.generation:
            return
        before = self.facts
        state = message.state
        good = state if state.plan is not None else before.good
        if state.plan is not None:
            self.types = message.types
        self.learn(replace(before, state=state, good=good, missing=message.missing))
        self._tell_look(before, state, message.missing)
        self._withdraw_question(before)
        self.background.looked()

    def _tell_look(self, before: Facts, state: StudioState, missing: bool) -> None:
        spent = duration(state.seconds)
        if state.plan is None:
            told = before.problems if before.broken else ()
            for item in state.problems if not missing and state.problems != told else ():
                self.log_line("✗", problem_plain(item))
            if not missing:
                self.say(_first_problem(state), "bad")
            return
        said = plan_sentence(state.plan)
        self.log_line("·", f"Read schema and database: {said} ({spent})")
        notice = look_notice(before, self.facts, asked=self.rereading)
        self.rereading = False
        if notice is not None:
            self.say(*notice)

    def _withdraw_question(self, before: Facts) -> None:
        """A question about a plan that is no longer the one on screen must not be answered."""
        old = before.plan.fingerprint if before.plan is not None else None
        new = self.facts.plan.fingerprint if self.facts.plan is not None else None
        asking = isinstance(self.screen, Question) and self.facts.running is None
        if asking and (old != new or self.facts.broken):
            self.screen.dismiss(False)
            self.say("The plan changed while you were asked: nothing was applied.", "warning")

    def on_measured(self, message: messages.Measured) -> None:
        """The same plan with its counts."""
        if message.generation == self.generation:
            now = time.monotonic()
            self.rest_until = now + 10 * (now - self.look_began)
            self.learn(replace(self.facts, state=message.state, good=message.state))

    def on_look_failed(self, message: messages.LookFailed) -> None:
        """The plan stays, without counts; or there is none."""
        if message.generation != self.generation:
            return
        for item in message.problems:
            self.log_line("✗", problem_plain(item))
        self.say(message.problems[0].message, "bad")
        if not message.measuring:
            database = pipeline.DatabaseInfo(self.settings.database, exists=False)
            state = StudioState(self.settings, database, problems=message.problems)
            self.learn(replace(self.facts, state=state))

    def start(self, work: Work, by_itself: bool = False) -> None:
        """Carry out the plan on screen, on a worker thread."""
        state = self.facts.good
        if state is None or state.plan is None:
            return
        self.cancel = threading.Event()
        self.progress = Progress(
            work,
            state.plan,
            state.database.label,
            state.schema.sources if state.schema is not None else None,
        )
        self.log_line("·", f"{work.capitalize()} of plan {state.plan.fingerprint[:8]} begins")
        if not by_itself:
            self.background.live_run = False
            self.say(f"Running the {work}. x cancels it.")
        self.learn(replace(self.facts, running=work))
        doing = self.engine.dry_run if work == "dry run" else self.engine.apply

        def begin() -> Iterator[Event]:
            return doing(state, self.cancel.is_set)

        self.run_worker(
            partial(
                run_events, work, begin, self.cancel.is_set, self.waiting.append, self.post_message
            ),
            group="run",
            thread=True,
            exit_on_error=False,
        )

    def advance_run(self) -> None:
        """Fold in what the run told since the last time, and draw it."""
        events: list[Told] = []
        while self.waiting:
            events.append(self.waiting.popleft())
        if self.progress is None or not events or self.closing:
            return
        statements = [event.sql for _, event in events if isinstance(event, StatementRun)]
        self.log_line("$", *statements)
        self.progress = advance_all(self.progress, events)
        self.main.show_run(self.facts, self.progress)
        self.window.show(self.facts, self.progress)

    def on_run_ended(self, message: messages.RunEnded) -> None:
        """Say how it ended; after an apply write the types and look again."""
        if not self.screen_stack:
            return  # The app has ended meanwhile.
        self.advance_run()
        if self.progress is None:
            return
        self.progress = run_ = replace(
            self.progress,
            ended=True,
            cancelled=message.cancelled,
            problems=message.problems,
        )
        facts = replace(self.facts, running=None)
        fingerprint = run_.plan.fingerprint
        if message.work == "dry run" and run_.succeeded:
            facts = replace(facts, rehearsed=fingerprint, failed=None, failures=0)
        elif message.work == "dry run" and not run_.cancelled:
            facts = replace(facts, failed=fingerprint, failures=len(run_.failures))
            if facts.rehearsed == fingerprint:
                facts = replace(facts, rehearsed=None)
        elif message.work == "apply":
            facts = replace(facts, rehearsed=None)
            self.database_seen = watch.database_stamp(self.settings.database)
        self.learn(facts)
        read_only = run_.work == "dry run" and self._read_only
        said, tone = run_sentence(run_, None if read_only else facts.key("apply"))
        marks: dict[Tone, Mark] = {"good": "✓", "warning": "!", "bad": "✗", "plain": "·"}
        self.log_line(marks[tone], said)
        receipt = receipt_sentence(run_) if message.work == "apply" else ""
        if receipt:
            self.log_line("✓", receipt)
        failures = [failure for report in run_.backfills for failure in report.errors]
        for failure in failures[:LOGGED_FAILURES]:
            self.log_line("✗", f"{failure.id}: {failure.message} ({failure.location})")
        if len(failures) > LOGGED_FAILURES:
            self.log_line("·", "Further failing documents are in pane 3.")
        for item in message.problems if not run_.cancelled else ():
            self.log_line("✗", problem_plain(item))
        if not (run_.cancelled and self.background.live_run):
            self.say(said, tone)
        if isinstance(self.screen, Question):
            self.screen.dismiss(False)
        if self.leaving:
            self.exit()
        elif message.work == "apply" and run_.succeeded:
            self.write_files(said)
        elif message.work == "apply":
            self.look()
        else:
            self.background.ended()

    def on_types_checked(self, message: messages.TypesChecked) -> None:
        """List what the type checker found."""
        self.background.type_checked(message)

    def on_plan_pane_selected(self, _: PlanPane.Selected) -> None:
        """Read what the selected change touches."""
        row = self.main.plan_pane.selected
        self.background.selected(row)
        fixes = len(self.commands.offered(row))
        if fixes != self.facts.fixes:
            self.facts = replace(self.facts, fixes=fixes)
            self.main.show_keys(self.facts)

    def on_touched_read(self, message: messages.TouchedRead) -> None:
        """Show it beside the change."""
        self.main.plan_pane.show_touched(message.change, message.found)

    def on_dry_run_pane_selected(self, message: DryRunPane.Selected) -> None:
        """Read the failed document under the cursor."""
        self.background.failure_selected(message.table, message.who)

    def on_document_read(self, message: messages.DocumentRead) -> None:
        """Show it whole."""
        self.main.dry_run_pane.show_document(message.table, message.who, message.found)

    def on_retried(self, message: messages.Retried) -> None:
        """Tell what became of the documents that failed."""
        self.background.retried(message)

    @property
    def _read_only(self) -> bool:
        good = self.facts.good
        return self.settings.read_only or (good is not None and good.database.read_only)

    def write_files(self, after: str = "") -> None:
        """Write the stale generated files on a worker; `after` is said first."""
        state = self.facts.good
        if state is not None:
            self.run_worker(
                lambda: write_files(self.engine, state, after, self.post_message),
                group="files",
                thread=True,
                exit_on_error=False,
            )

    def on_files_written(self, message: messages.FilesWritten) -> None:
        """Say which, and look again."""
        for item in message.problems:
            self.log_line("✗", problem_plain(item))
        names = ", ".join(path.name for path in message.paths)
        if message.paths:
            self.log_line("✓", *(f"Wrote {path}" for path in message.paths))
        wrote = f"Wrote {names}." if names else ""
        if message.problems:
            self.say(f"{message.after} {message.problems[0].message}".strip(), "bad")
        else:
            self.say(f"{message.after} {wrote}".strip(), "good")
        self.look()


def _first_problem(state: StudioState) -> str:
    """The sentence for the notice line: it names the place, since pane 1 may be out of sight."""
    if not state.problems:
        return "No plan."
    first = state.problems[0]
    return f"{first.location}: {first.message}" if first.location else first.message
