"""Looking at schema and database: after a save, after another program's write, when asked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from textual.app import SuspendNotSupported
from textual.content import Content

from valet_studio import watch
from valet_studio.config import Settings
from valet_studio.database.target import open_target
from valet_studio.errors import StudioError
from valet_studio.fixes.fix import Fix
from valet_studio.migrate.snapshot_files import snapshots
from valet_studio.migrate.target import DatabaseInfo
from valet_studio.pipeline import StudioState
from valet_studio.plan.changes import Plan, Risk
from valet_studio.schema.model import Schema
from valet_studio.tui import messages
from valet_studio.tui.base import StudioBase
from valet_studio.tui.confirm import QuestionScreen, TextScreen
from valet_studio.tui.dry_run_pane import DryRunPane
from valet_studio.tui.facts import Facts
from valet_studio.tui.job_control import stop
from valet_studio.tui.log_pane import LogPane
from valet_studio.tui.offered import offered
from valet_studio.tui.plan_pane import PlanPane
from valet_studio.tui.runs import look, read_more
from valet_studio.tui.sentences import look_notice, plan_sentence
from valet_studio.tui.text import code, count, duration, problem_plain

DATABASE_SECONDS = 2.0
"""How often it is asked whether another program wrote the database."""

READING_SECONDS = 0.3
"""How long a save is read before it is said, and the plan before it can no longer be applied."""


class Looking(StudioBase):
    """Only the newest look is shown; what an older one tells is dropped."""

    def begin_watching(self) -> None:
        """Watch the settings' schema and database, and look at them."""
        self.run_worker(self._watch(), group="watch", exclusive=True, exit_on_error=False)
        self.database_seen = watch.database_stamp(self.settings.database)
        self.server_watch.forget()
        self.look()

    def reopen(self, settings: Settings) -> None:
        """Work on another schema and database from now on."""
        self.settings = settings
        self.progress = self.types = None
        self.fixed.clear()
        self.waiting.clear()
        now = self.facts
        self.facts = Facts(settings, live=now.live, keys=now.keys, in_browser=now.in_browser)
        self.log_line("·", f"Opened {settings.schema_path} and {settings.database}")
        self.say(f"Opened {settings.schema_path} and {settings.database}.")
        self.draw()
        self.begin_watching()

    async def _watch(self) -> None:
        try:
            async for _ in self.saves(self.settings.schema_path.parent):
                self.post_message(messages.Saved())
        except OSError as error:
            self.post_message(messages.WatchFailed(str(error)))

    def look(self) -> None:
        """Read schema and database on a worker; only the newest look is shown."""
        self.generation += 1
        self._work(look, self.settings, self.generation)

    def _work(self, work: Callable[..., None], given: Settings | StudioState, number: int) -> None:
        """Have one of `runs` work on a thread until a newer look begins."""
        self.run_worker(
            partial(
                work,
                self.engine,
                given,
                number,
                lambda: number != self.generation,
                self.post_message,
            ),
            group="look",
            thread=True,
            exit_on_error=False,
        )

    def rest(self) -> None:
        """Stop as the shell's job, with the terminal as it was before, until it goes on.

        What was saved meanwhile is read then, in case that the watcher missed it.
        """
        self.window.leave()
        try:
            with self.suspend():
                stop()
        except SuspendNotSupported:
            self.say("This terminal cannot be handed back to a shell.", "warning")
        else:
            self.look()
        self.draw()

    def look_at_database(self) -> None:
        """Look again where another program wrote the database.

        A count that takes long is followed by a rest ten times as long, so that a database that
        is written all the time does not keep the studio busy.
        """
        looking = any(worker.group == "look" and worker.is_running for worker in self.workers)
        resting = time.monotonic() < self.rest_until
        if self.facts.running == "apply" or looking or resting or not self.facts.watching:
            return
        if "://" in self.settings.database:
            self.server_watch.ask(self.engine, self.settings, self.post_message)
        seen = watch.database_stamp(self.settings.database)
        if seen != self.database_seen or self.facts.unreadable:
            self.database_seen = seen
            self.look()

    def on_server_seen(self, message: messages.ServerSeen) -> None:
        """Look again where somebody else pushed, or the server went away."""
        if message.database != self.settings.database or self.facts.running == "apply":
            return
        plan = self.facts.plan
        if self.server_watch.has_moved(message, plan.applied_hash if plan is not None else None):
            self.look()

    def on_saved(self, _: messages.Saved) -> None:
        """A save: look again, unless watching is paused or an apply will look after itself."""
        if not self.facts.watching:
            key = self.facts.key("reread")
            self.log_line("·", f"A save was not read: watching is paused. {key} reads it.")
            return
        if os.path.lexists(self.settings.schema_path):  # That it is gone, the look tells.
            self.log_line("·", f"Saved in {self.settings.schema_path.parent}/", at_once=False)
        self.background.saved()
        if self.facts.running != "apply":
            self.look()
            self.set_timer(READING_SECONDS, partial(self._still_reading, self.generation))

    def _still_reading(self, generation: int) -> None:
        if generation == self.generation and generation != self.looked:
            self.learn(replace(self.facts, reading=True))

    def on_watch_failed(self, message: messages.WatchFailed) -> None:
        """Say it and go on: it can still be read on a key."""
        self.log_line("✗", f"Watching failed: {message.reason}")
        key = self.facts.key("reread")
        self.say(f"Watching failed: {message.reason}. {key} reads again.", "bad")

    def on_looked(self, message: messages.Looked) -> None:
        """Show the plan at once; what takes longer follows when it is painted."""
        if message.generation != self.generation:
            return
        self.looked = message.generation
        before = self.facts
        state = message.state
        good = state if state.plan is not None else before.good
        if self.fixed and state.schema is not None and not stands(self.fixed[-1], state.schema):
            self.fixed.clear()
        fixed = len(self.fixed)
        self.learn(
            replace(
                before,
                state=state,
                good=good,
                reading=False,
                missing=message.missing,
                fixed=fixed,
            )
        )
        self._tell_look(before, state, message.missing)
        self._withdraw_question(before)
        self.background.looked()
        # Python runs one thread at a time: now it would be the paint that waits.
        self.call_after_refresh(self._work, read_more, state, message.generation)

    def _tell_look(self, before: Facts, state: StudioState, missing: bool) -> None:
        spent = duration(state.seconds)
        if state.plan is None:
            told = before.problems if before.broken else ()
            for item in state.problems if not missing and state.problems != told else ():
                self.log_line("✗", problem_plain(item))
            if not missing:
                self.say(_first_problem(state), "bad")
            elif before.good is not None and not before.missing:
                said = f"{self.settings.schema_path} is gone. The last plan stays, dimmed."
                self.log_line("!", said)
                self.say(said, "warning")
            return
        said = plan_sentence(state.plan)
        self.log_line("·", f"Read schema and database: {said} ({spent})")
        notice = look_notice(before, self.facts, asked=self.rereading)
        self.rereading = False
        old = before.plan.fingerprint if before.plan is not None else state.plan.fingerprint
        if notice is not None:
            self.say(*notice)
        elif old != state.plan.fingerprint and self.facts.running is None:
            self.hush()
        was = before.good.database if before.good is not None else None
        if was is not None and was.exists and not state.database.exists:
            gone = f"{was.label} is gone; an apply will make a new, empty one.{self._kept()}"
            self.log_line("!", gone)
            self.say(gone, "warning")

    def _kept(self) -> str:
        """Where what is left of a database that is gone is to be found."""
        try:
            kept = snapshots(open_target(self.settings.database), "before")
        except StudioError:
            return ""  # It is no file, or its directory is gone too.
        return f" Its last snapshot is {kept[-1]}." if kept else ""

    def _withdraw_question(self, before: Facts) -> None:
        """A question about a plan that is no longer the one on screen must not be answered."""
        old = before.plan.fingerprint if before.plan is not None else None
        new = self.facts.plan.fingerprint if self.facts.plan is not None else None
        asking = isinstance(self.screen, QuestionScreen) and self.facts.running is None
        if asking and (old != new or self.facts.broken):
            self.screen.dismiss(False)
            self.say("The plan changed while you were asked: nothing was done.", "warning")

    def on_types_read(self, message: messages.TypesRead) -> None:
        """Show what follows from the schema."""
        if message.generation == self.generation:
            if self.types is None or not self.facts.broken:
                self.types = message.types  # Else what belongs to the last plan stays, as it does.
            stale, self.facts = self.facts.stale_files, replace(self.facts, files=message.files)
            if self.facts.stale_files != stale:
                self.draw()
            else:
                self.main.types_pane.show(self.facts, self.types)

    def on_measured(self, message: messages.Measured) -> None:
        """The same plan with its counts."""
        if message.generation == self.generation:
            self.rest_until = time.monotonic() + 10 * message.seconds
            if self.settled is not None:
                self.settled()
                self.settled = None
            if self.main.notice == self.not_measured:
                self.say("")
            self.not_measured = None
            before = self.facts.plan
            self.learn(replace(self.facts, state=message.state, good=message.state))
            self._tell_rejection(before)
            self._tell_count(before)
            self._tell_earlier(message.state)

    def _tell_earlier(self, state: StudioState) -> None:
        """Say that the schema is of a migration that the database has gone on from."""
        if state.earlier is not None and state.earlier != self.earlier:
            self.log_line("·", state.earlier.sentence)
            if state.plan is not None and state.plan.status != "blocked":
                came = count(state.earlier.since, "migration")
                self.say(
                    f"This is migration {state.earlier.entry.id}'s schema; {came} came after it. "
                    f"{self.facts.key('history')} shows them."
                )
        self.earlier = state.earlier

    def _tell_count(self, before: Plan | None) -> None:
        """Correct what was said before it was known which adopted columns hold what they should:
        those are no changes."""
        now = self.facts.plan
        if now is None or before is None or now.status == "blocked":
            return
        if len(now.pending) == len(before.pending):
            return
        said, corrected = plan_sentence(before), plan_sentence(now)
        self.log_line("·", f"Looked through the data: {corrected}")
        if said in self.main.notice:
            self.say(self.main.notice.replace(said, corrected))

    def _tell_rejection(self, before: Plan | None) -> None:
        """Say what only the data could tell: that a plan breaks what the documents hold."""
        now = self.facts.plan
        if now is None or now.status != "blocked" or before is None or before.status == "blocked":
            return
        breaking = next(c for c in now.changes if c.risk is Risk.BREAKING)
        if self.rejected != now.fingerprint:
            self.log_line("✗", f"The data rejects the plan: {breaking.summary}")
        self.rejected = now.fingerprint
        self.say(breaking.summary, "bad")

    def on_look_failed(self, message: messages.LookFailed) -> None:
        """The plan stays, without counts; or there is none."""
        if message.generation != self.generation:
            return
        for item in message.problems:
            self.log_line("✗", problem_plain(item))
        self.say(message.problems[0].message, "bad")
        if message.measuring:
            self.not_measured = message.problems[0].message
        else:
            self.looked = message.generation
            database = DatabaseInfo(self.settings.database, exists=False)
            state = StudioState(self.settings, database, problems=message.problems)
            self.learn(replace(self.facts, state=state, reading=False))

    def on_types_checked(self, message: messages.TypesChecked) -> None:
        """List what the type checker found."""
        self.background.type_checked(message)

    def on_plan_pane_selected(self, message: PlanPane.Selected) -> None:
        """Read what the selected change touches."""
        if message.moved:
            self.forgive()
        row = self.main.plan_pane.selected
        self.background.selected(row)
        fixes = offered(self.facts, row)
        if fixes != self.facts.fixes:
            self.facts = replace(self.facts, fixes=fixes)
            self.main.show_keys(self.facts)
            self.main.plan_pane.show_fixes(self.facts)

    def on_touched_read(self, message: messages.TouchedRead) -> None:
        """Show it beside the change."""
        self.main.plan_pane.show_touched(message.change, message.found)

    def on_dry_run_pane_selected(self, message: DryRunPane.Selected) -> None:
        """Read the failed document under the cursor."""
        self.background.failure_selected(message.table, message.who)

    def on_log_pane_opened(self, message: LogPane.Opened) -> None:
        """Show the whole of a line of the log."""
        entry = message.entry
        language = "sql" if entry.mark == "$" else ""
        body = code(entry.text, language) if language else Content(entry.text)
        self.push_screen(TextScreen(f"{entry.when:%H:%M:%S} {entry.mark}", body))

    def on_document_read(self, message: messages.DocumentRead) -> None:
        """Show it whole."""
        self.main.dry_run_pane.show_document(message.table, message.who, message.found)


def stands(fix: Fix, schema: Schema) -> bool:
    """Whether the module that a quick fix was written into is still as it left it."""
    sources = schema.sources
    return sources.files.get(fix.file.removeprefix(f"{sources.folder}/")) == fix.after


def _first_problem(state: StudioState) -> str:
    """The sentence for the notice line: it names the place, since pane 1 may be out of sight."""
    if not state.problems:
        return "No plan."
    first = state.problems[0]
    return f"{first.location}: {first.message}" if first.location else first.message
