"""What the studio does by itself beside the looks: type checks, live rehearsals, reading data.

Everything runs on worker threads, is stopped by what supersedes it, and never takes the word
from what the user asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from textual.timer import Timer

from valet_studio.pipeline import StudioState
from valet_studio.plan.changes import AnyChange
from valet_studio.tui import messages
from valet_studio.tui.facts import why_no_dry_run, why_no_retry
from valet_studio.tui.plan_rows import PlanRow
from valet_studio.tui.remembered import recall, remember
from valet_studio.tui.running import Running
from valet_studio.tui.runs import check_types, read_document, read_touched, retry
from valet_studio.tui.text import count, problem_plain

CHECK_AFTER = 0.6
"""Seconds of quiet after a look before the type checker starts: it takes a whole core."""
READ_AFTER = 0.12
"""Seconds that the cursor must rest before the data of what it is on is read."""


class Background:
    """The app tells what happened; what follows from it by itself is begun here."""

    def __init__(self, app: Running) -> None:
        self.app = app
        self.checked: dict[str, str] | None = None
        """The modules whose types were checked, or are being checked."""
        self.checks = 0
        """Counts checks; an older one is stopped, or what it tells is dropped."""
        self.checking = False
        """Whether the newest check has still to tell something."""
        self.changes, self.failures = _Reads(app, read_touched), _Reads(app, read_document)
        self.live_run = False
        """Whether the newest dry run began by itself."""
        self.look_to_come = False
        """Whether a save was not looked at yet, so that the plan on screen is an old one."""
        self.retry_to_come = False
        """Whether the failed documents are to be tried again once a save was looked at."""
        self.declined: str | None = None
        """Fingerprint of a plan whose live rehearsal the user stopped."""
        self._check_timer: Timer | None = None

    def saved(self) -> None:
        """A save supersedes the dry run and the type check that go on."""
        self.look_to_come = True
        if self.checking:
            # Of an old text, and it would take a processor from the look.
            self._drop_check()
        if self.app.facts.live and self.app.facts.running == "dry run":
            self.live_run = True
            self.app.cancel.set()

    def looked(self) -> None:
        """There is a new state: check its types, and rehearse its plan where that is wanted."""
        self.look_to_come = False
        state, facts, progress = self.app.facts.state, self.app.facts, self.app.progress
        running = progress.plan.fingerprint if progress and facts.running == "dry run" else None
        wanted = facts.plan.fingerprint if facts.plan is not None else None
        if facts.live and running is not None and running != wanted:
            self.app.cancel.set()
        if state is not None and state.schema is not None:
            self._keep_type_errors(state)
            self._check_later(state)
        if self.retry_to_come and why_no_retry(facts) is None:
            self.retry()
        else:
            self.rehearse()

    def ended(self) -> None:
        """A run is over: the plan may have moved on meanwhile."""
        self.rehearse()

    def leave(self) -> None:
        """The app ends: so does all that was begun."""
        self.checks += 1
        self.changes.stop()
        self.failures.stop()

    def rehearse(self) -> None:
        """Begin the live rehearsal of a plan that was not rehearsed yet."""
        facts = self.app.facts
        plan = facts.plan
        if not facts.live or self.look_to_come or plan is None or why_no_dry_run(facts):
            return
        if plan.fingerprint not in (facts.rehearsed, facts.failed, self.declined):
            self.live_run = True
            self.app.start("dry run", by_itself=True)

    def set_live(self, live: bool) -> None:
        """Turn live rehearsal on or off, for the sessions to come as well."""
        app = self.app
        self.declined = None
        app.learn(replace(app.facts, live=live))
        if app.memory is not None:
            remember(app.memory, replace(recall(app.memory), live=live))
        if live:
            key = app.facts.key("live")
            app.say(f"Live rehearsal is on: each save is dry-run by itself. {key} turns it off.")
            self.rehearse()
        else:
            if self.live_run and app.facts.running == "dry run":
                app.cancel.set()
            app.say("Live rehearsal is off.")

    def _keep_type_errors(self, state: StudioState) -> None:
        """What the checker said of lines that still read the same holds until it speaks again."""
        assert state.schema is not None
        sources = state.schema.sources
        kept = tuple(
            item
            for item in self.app.facts.type_errors
            if item.location is not None and sources.line(item.location) == item.source_line
        )
        if len(kept) != len(self.app.facts.type_errors):
            self.app.learn(replace(self.app.facts, type_errors=kept))

    def _check_later(self, state: StudioState) -> None:
        assert state.schema is not None
        if state.schema.sources.files == self.checked:
            return
        self._drop_check()
        self.checked = dict(state.schema.sources.files)
        self.checking = True
        self._check_timer = self.app.set_timer(CHECK_AFTER, partial(self._check, state))

    def _drop_check(self) -> None:
        """The next look begins one anew, whatever it reads."""
        self.checks += 1
        self.checked, self.checking = None, False
        if self._check_timer is not None:
            self._check_timer.stop()

    def _check(self, state: StudioState) -> None:
        number, app = self.checks, self.app
        outdated = lambda: number != self.checks  # noqa: E731
        self._work(
            "check", lambda: check_types(app.engine, state, number, outdated, app.post_message)
        )

    def type_checked(self, message: messages.TypesChecked) -> None:
        """Show what the checker says of the newest text."""
        app, found = self.app, message.found
        if message.number != self.checks:
            return
        self.checking = False
        if message.failed:
            app.log_line("!", *(problem_plain(item) for item in found))
            return
        before = app.facts.type_errors
        if found != before:
            app.learn(replace(app.facts, type_errors=found))
        for item in found:
            if item not in before:
                app.log_line("✗", f"{item.location}: {item.message}")
        if before and not found:
            app.log_line("✓", "The types of the schema are right again.")

    def selected(self, row: PlanRow | None) -> None:
        """The cursor is on another change: read its data once it rests there."""
        self.changes.stop()
        state = self.app.facts.good
        if row is not None and row.change is not None and state is not None:
            self.changes.begin(state, row.change)

    def failure_selected(self, table: str, who: str) -> None:
        """The cursor is on another failed document: read it once it rests there."""
        state = self.app.facts.good
        if state is not None:
            self.failures.begin(state, (table, who))

    def retry(self) -> None:
        """Try the documents again that failed last."""
        app = self.app
        self.retry_to_come = self.look_to_come
        if self.look_to_come:
            app.say("The failed documents are tried as soon as the save was read…")
            return
        state, progress = app.facts.good, app.progress
        if state is None or progress is None or progress.report is None:
            return
        report, app.cancel = progress.report, threading.Event()
        app.say("Trying the failed documents again…")
        app.learn(replace(app.facts, running="retry"))
        cancelled = app.cancel.is_set
        self._work("retry", lambda: retry(app.engine, state, report, cancelled, app.post_message))

    def retried(self, message: messages.Retried) -> None:
        """Say which of them work now."""
        app = self.app
        app.facts = replace(app.facts, running=None)
        if message.report is None:
            said = message.problems[0].message if message.problems else "Nothing was tried."
            app.say(said, "warning" if message.cancelled else "bad")
        elif app.progress is not None:
            good = app.facts.good
            sources = good.schema.sources if good is not None and good.schema else None
            app.progress = replace(app.progress, retried=message.report, sources=sources)
            tried = len(app.progress.tried_again)
            left = sum(app.progress.mended(item) is False for item in app.progress.tried_again)
            if left:
                verb = "fails" if left == 1 else "fail"
                app.say(f"{left:,} of {count(tried, 'failed document')} still {verb}.", "bad")
            else:
                app.say(
                    f"{count(tried, 'failed document')} tried again, all work now. "
                    f"{app.facts.key('dry_run')} rehearses the whole plan.",
                    "good",
                )
            app.log_line("✗" if left else "✓", app.main.notice)
        app.draw()
        if app.leaving:
            app.exit()
        self.rehearse()

    def _work(self, group: str, work: Callable[[], None]) -> None:
        """Begin it on a thread. A function, not a `partial`: the app writes out what it is given,
        and a state of a thousand tables is long.
        """
        self.app.run_worker(work, group=group, thread=True, exit_on_error=False)


class _Reads:
    """Readings of data for one pane, of which the newest alone is wanted."""

    def __init__(self, app: Running, read: Callable[..., None]) -> None:
        self._app = app
        self._read = read
        self._number = 0
        self._timer: Timer | None = None

    def stop(self) -> None:
        """What is still to be read is not wanted any more."""
        self._number += 1
        if self._timer is not None:
            self._timer.stop()

    def begin(self, state: StudioState, what: AnyChange | tuple[str, str]) -> None:
        """Read this once the cursor has rested, and nothing else."""
        self.stop()
        number, app = self._number, self._app

        def begin() -> None:
            outdated = lambda: number != self._number  # noqa: E731
            read = lambda: self._read(app.engine, state, what, outdated, app.post_message)  # noqa: E731
            app.run_worker(read, group="read", thread=True, exit_on_error=False)

        self._timer = app.set_timer(READ_AFTER, begin)
