"""Carrying out the plan on screen: dry run, apply, and writing the generated files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from valet_studio import watch
from valet_studio.migrate.events import Event, StatementRun
from valet_studio.tui import messages
from valet_studio.tui.confirm import QuestionScreen
from valet_studio.tui.facts import Facts, RunKind
from valet_studio.tui.log_pane import Mark
from valet_studio.tui.looking import Looking
from valet_studio.tui.progress import Progress, TimedEvent, advance_all
from valet_studio.tui.receipt import receipt_sentence
from valet_studio.tui.replica import replica_sentence
from valet_studio.tui.runs import run_events, write_files
from valet_studio.tui.sentences import run_sentence
from valet_studio.tui.status import Tone
from valet_studio.tui.text import count, problem_plain

LOGGED_FAILURES = 10


class Running(Looking):
    """One run at a time, on a worker thread; what it tells is drawn a few times a second."""

    def start(self, work: RunKind, by_itself: bool = False) -> None:
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
            self.say(f"Running the {work}. {self.facts.key('cancel')} cancels it.")
        self.learn(replace(self.facts, running=work, carried_out=state.plan.fingerprint))
        doing = self.engine.dry_run if work == "dry run" else self.engine.apply

        def begin() -> Iterator[Event]:
            return doing(state, self.cancel.is_set)

        replica, cancelled = self.facts.replica, self.cancel.is_set
        then = (
            partial(self.rehearse_replica, state, replica, cancelled)
            if work == "dry run" and replica is not None and state.schema is not None
            else None
        )
        self.run_worker(
            lambda: run_events(
                work, begin, cancelled, self.waiting.append, self.post_message, then
            ),
            group="run",
            thread=True,
            exit_on_error=False,
        )

    def advance_run(self) -> None:
        """Fold in what the run told since the last time, and draw it."""
        events: list[TimedEvent] = []
        while self.waiting:
            events.append(self.waiting.popleft())
        if self.progress is None or not events or self.closing:
            return
        statements = [event.sql for _, event in events if isinstance(event, StatementRun)]
        self.log_line("$", *statements)
        self.progress = advance_all(self.progress, events)
        self.main.show_run(self.facts, self.progress)
        self.window.show(self.facts, self.progress)

    def on_replica_begun(self, _: messages.ReplicaBegun) -> None:
        """Say that the dry run goes on."""
        self.advance_run()
        if self.progress is not None and not self.closing:
            self.progress = replace(self.progress, replica_begun=True)
            self.main.show_run(self.facts, self.progress)

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
            replica=message.replica,
        )
        if run_.work == "apply":
            if run_.report is not None:
                # Taking a quick fix back would now be a new change, and no way back.
                self.fixed.clear()
            self.database_seen = watch.database_stamp(self.settings.database)
        self.learn(self._facts_after(run_, message.stale))
        read_only = run_.work == "dry run" and self._read_only
        said, tone = run_sentence(run_, self.facts, read_only=read_only)
        self._log_end(run_, said, tone)
        declined = self.background.declined == run_.plan.fingerprint
        superseded = self.background.live_run and not declined
        if not (run_.cancelled and superseded):
            self.say(said, tone, holds=run_.work == "apply")
        if isinstance(self.screen, QuestionScreen):
            self.screen.dismiss(False)
        if self.leaving:
            self.exit()
        elif run_.work == "apply" and run_.succeeded:
            self.write_files(said)
        elif run_.work == "apply":
            self.look()
        else:
            self.background.ended()

    def _facts_after(self, run_: Progress, stale: bool) -> Facts:
        """What is known once a run has ended.

        Args:
            stale: whether it was refused because its plan no longer holds.
        """
        facts = replace(self.facts, running=None)
        fingerprint = run_.plan.fingerprint
        if run_.work == "apply":
            if run_.report is not None:  # Else nothing was changed.
                return replace(facts, rehearsed=None, fixed=0)
            return replace(facts, rehearsed=None) if stale else facts
        if run_.succeeded:
            return replace(facts, rehearsed=fingerprint, failed=None, failing=frozenset())
        if run_.cancelled:
            return facts
        rehearsed = None if facts.rehearsed == fingerprint else facts.rehearsed
        failing = frozenset((item.table, item.column) for item in run_.failures)
        return replace(facts, rehearsed=rehearsed, failed=fingerprint, failing=failing)

    def _log_end(self, run_: Progress, said: str, tone: Tone) -> None:
        marks: dict[Tone, Mark] = {"good": "✓", "warning": "!", "bad": "✗", "plain": "·"}
        self.log_line(marks[tone], said)
        receipt = receipt_sentence(run_) if run_.work == "apply" else ""
        if receipt:
            self.log_line("✓", receipt)
        if run_.replica is not None:
            bad = run_.replica.status not in ("ok", "noop")
            self.log_line("✗" if bad else "✓", replica_sentence(run_.replica))
        logged = run_.of_each_reason[:LOGGED_FAILURES]
        for item in logged:
            failure, others = item.failure, run_.alike(item) - 1
            who = f"{failure.id} and {count(others, 'other')}" if others > 0 else failure.id
            self.log_line("✗", f"{who}: {failure.message} ({failure.location})")
        told = sum(max(1, run_.alike(item)) for item in logged)
        if told < sum(report.failed for report in run_.backfills):
            self.log_line("·", "Further failing documents are in pane 3.")
        for found in run_.problems if not run_.cancelled else ():
            self.log_line("✗", problem_plain(found))

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
            told = f"{message.after} {message.problems[0].message}".strip()
            self.say(told, "bad", holds=bool(message.after))
        else:
            self.say(f"{message.after} {wrote}".strip(), "good", holds=bool(message.after))
        self.look()
