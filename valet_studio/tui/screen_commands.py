"""The actions that open a screen of their own: undo, history, quick fixes, other files, jumps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from valet_studio.config import Settings, marked
from valet_studio.config_file import configs_above
from valet_studio.errors import Problem, StudioError
from valet_studio.fixes.fix import Fix
from valet_studio.fixes.offer import why_none
from valet_studio.migrate.history import HistoryEntry
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.written import TableWrites
from valet_studio.tui.actions import PANES
from valet_studio.tui.confirm import TextScreen
from valet_studio.tui.facts import why_no_dry_run, why_no_undo
from valet_studio.tui.fix_screen import FixScreen
from valet_studio.tui.history_screen import HistoryScreen
from valet_studio.tui.jump import JumpScreen
from valet_studio.tui.messages import Answered
from valet_studio.tui.offered import offered
from valet_studio.tui.open_screen import OpenScreen
from valet_studio.tui.plan_rows import PlanRow, marked_rows
from valet_studio.tui.replica import ReplicaScreen
from valet_studio.tui.running import Running
from valet_studio.tui.runs import ask
from valet_studio.tui.text import problem_plain
from valet_studio.tui.undo_screen import undo_question, undone_text

if TYPE_CHECKING:
    from valet_studio.tour import Step

T = TypeVar("T")
Failed = Callable[[tuple[Problem, ...]], object]


class ScreenCommands:
    """Each method `do_x` is the action `x` of the registry; whether it may run was asked before."""

    def __init__(self, app: Running) -> None:
        self.app = app

    def do(self, name: str) -> None:
        """Do the action of that id."""
        getattr(self, f"do_{name}")()

    def ask(self, work: Callable[[], T], then: Callable[[T], object], failed: Failed) -> None:
        """Work on a thread; `then` or `failed` is called where widgets may be touched."""

        def tell(call: Callable[[], object]) -> None:
            self.app.post_message(Answered(call))

        self.app.run_worker(
            partial(
                ask,
                work,
                lambda value: tell(partial(then, value)),
                lambda p: tell(partial(failed, p)),
            ),
            group="ask",
            thread=True,
            exit_on_error=False,
        )

    def say_problems(self, problems: Sequence[Problem]) -> None:
        """The first in the notice, all in the log."""
        for item in problems:
            self.app.log_line("✗", problem_plain(item))
        self.app.say(problems[0].message, "bad")

    def do_undo(self) -> None:
        """Find out what an undo would take back, then ask."""
        app = self.app
        app.say("Reading which documents were written since the last apply…")
        settings = app.settings

        def read() -> tuple[HistoryEntry, tuple[TableWrites, ...]]:
            history = app.engine.history(settings)
            written = app.engine.written_since(settings, lambda: app.leaving)
            return history[0], written

        self.ask(read, partial(self._ask_undo, settings), self.say_problems)

    def _ask_undo(
        self, settings: Settings, found: tuple[HistoryEntry, tuple[TableWrites, ...]]
    ) -> None:
        app = self.app
        reason = why_no_undo(app.facts)
        if reason is not None or settings is not app.settings or app.screen is not app.main:
            app.say(reason or "Nothing was undone.", "warning")
            return

        def answered(yes: bool | None) -> None:
            reason = why_no_undo(app.facts)
            if yes and reason is None:
                self._undo(settings, found[0])
            elif app.main.notice == "":  # Else it says already why the question was withdrawn.
                app.say(reason or "Nothing was undone.")

        app.say("")
        app.push_screen(undo_question(*found, app.size.width, settings), answered)

    def _undo(self, settings: Settings, last: HistoryEntry) -> None:
        app = self.app
        app.cancel = threading.Event()
        app.say("Undoing the last migration…")
        app.learn(replace(app.facts, running="undo"))
        undo = partial(app.engine.undo, settings, app.cancel.is_set, last.identity)
        self.ask(undo, self._undone, self._not_undone)

    def _undone(self, report: UndoReport) -> None:
        app = self.app
        app.progress = None  # Its receipt is of what is undone.
        app.learn(
            replace(app.facts, running=None, rehearsed=None, failed=None, failing=frozenset())
        )
        said = f"Migration {report.history_id} is undone. "
        said += f"What was there is kept in {report.kept_in}."
        app.log_line("✓", said)
        app.say(said, "good", holds=True)
        if app.leaving:
            app.exit()
            return
        app.push_screen(TextScreen("Undone", undone_text(report, app.size.width)))
        app.look()

    def _not_undone(self, problems: tuple[Problem, ...]) -> None:
        self.app.learn(replace(self.app.facts, running=None))
        self.say_problems(problems)
        if self.app.leaving:
            self.app.exit()

    def do_history(self) -> None:
        """The screen of applied migrations."""
        app = self.app
        engine, settings = app.engine, app.settings
        app.push_screen(
            HistoryScreen(
                settings.database,
                partial(engine.history, settings),
                partial(engine.history_diff, settings),
            )
        )

    def do_fix(self) -> None:
        """Show the quick fixes of the selected change, and write the chosen one."""
        app = self.app
        row, state = app.main.plan_pane.selected, app.facts.good
        fixes = offered(app.facts, row)
        if not fixes:
            reason = None
            if row is not None and row.change is not None and state and state.schema and state.plan:
                reason = why_none(row.change, state.schema, state.plan)
            app.refuse(
                reason or f"There is nothing to fix in what is selected{self._elsewhere(row)}."
            )
            return

        def chosen(fix: Fix | None) -> None:
            if fix is not None:
                self.write_fix(fix)

        app.push_screen(FixScreen(fixes), chosen)

    def _elsewhere(self, row: PlanRow | None) -> str:
        """That something else than this row could do with a fix."""
        marks = marked_rows(self.app.main.plan_pane.changes.rows)
        if not marks or (row is not None and row.key in marks):
            return ""
        return f"; {self.app.facts.key('next_hunk')} goes to the next marked change"

    def write_fix(self, fix: Fix) -> None:
        """Make the edit; the save is seen as any other."""
        self.ask(
            partial(self.app.engine.apply_fix, self.app.settings, fix),
            partial(self._fixed, fix),
            self.say_problems,
        )

    def _fixed(self, fix: Fix, path: Path) -> None:
        app = self.app
        app.fixed.append(fix)
        key = app.facts.key("unfix")
        app.log_line("✓", f"Quick fix in {path}: {fix.title}")
        app.learn(replace(app.facts, fixed=len(app.fixed)))
        app.say(f"Written; {key} takes it back: {fix.title}.", "good", holds=True)
        if not app.facts.watching:
            app.look()

    def do_unfix(self) -> None:
        """Take the newest quick fix back, while the file is as it left it."""
        app = self.app
        fix = app.fixed[-1]
        self.ask(
            partial(app.engine.apply_fix, app.settings, fix.inverse()),
            partial(self._unfixed, fix),
            self._not_unfixed,
        )

    def _unfixed(self, fix: Fix, path: Path) -> None:
        app = self.app
        app.fixed.remove(fix)
        app.log_line("✓", f"Took back in {path}: {fix.title}")
        app.learn(replace(app.facts, fixed=len(app.fixed)))
        app.say(f"Took back in {path}: {fix.title}.", "good", holds=True)
        if not app.facts.watching:
            app.look()

    def _not_unfixed(self, _: tuple[Problem, ...]) -> None:
        app = self.app
        app.fixed.clear()
        app.learn(replace(app.facts, fixed=0))
        app.say("The file was edited since the quick fix: take it back in your editor.", "warning")

    def do_open(self) -> None:
        """Another schema, another database."""
        app = self.app

        def chosen(files: tuple[str, str] | None) -> None:
            if files is None:
                return
            named = replace(app.settings, schema_path=Path(files[0]), database=files[1])
            try:
                settings = marked(named, configs_above(named.database, Path()))
            except StudioError as error:
                self.say_problems(error.problems)
                return
            if app.facts.running is None:
                app.reopen(settings)

        app.push_screen(OpenScreen(str(app.settings.schema_path), app.settings.database), chosen)

    def do_replica(self) -> None:
        """Name a client's file, and rehearse on a copy of it too."""
        app = self.app

        def chosen(file: str | None) -> None:
            if file is None:
                return
            app.learn(replace(app.facts, replica=Path(file) if file else None))
            reason = why_no_dry_run(app.facts)
            if not file:
                app.say("No replica is rehearsed on any more.")
            elif reason is None:
                self.do("dry_run")
            else:
                app.say(reason, "warning")

        app.push_screen(ReplicaScreen(str(app.facts.replica or "")), chosen)

    def do_jump(self) -> None:
        """Labels on everything that can be gone to; the next key goes there."""
        app = self.app

        def chosen(call: Callable[[], object] | None) -> None:
            if call is not None:
                call()

        app.push_screen(JumpScreen(app.main.targets()), chosen)

    def do_choose_theme(self) -> None:
        """Any of the themes, seen while choosing."""
        self.app.search_themes()

    def do_next_step(self) -> None:
        """The tour's next step; where this one is to be applied first, or somebody's own work would
        be replaced, a second press insists."""
        app = self.app
        tour = app.tour
        if tour is None or self._keeps_edits("next_step"):
            return
        plan, step = app.facts.plan, tour.step
        pending = plan is not None and plan.status == "pending" and not app.facts.broken
        if step is not None and step.then == "apply" and pending and app.insisted is None:
            app.insisted = step.title
            keys = ", ".join((app.facts.key("dry_run"), app.facts.key("apply"), "y"))
            again = app.facts.key("next_step")
            app.say(f"This step is meant to be applied first: {keys}. {again} again goes on.")
            return
        app.insisted = None
        try:
            step = tour.next()
        except StudioError as error:
            self.say_problems(error.problems)
            return
        if step is None:
            app.say("The tour is over: from here on the demo is yours.", "good")
            return
        self._stepped(step)
        app.say("")

    def do_last_step(self) -> None:
        """The tour's step before this one. What was applied stays applied."""
        app = self.app
        if self._keeps_edits("last_step"):
            return
        app.insisted = None
        try:
            step = app.tour.back() if app.tour is not None else None
        except StudioError as error:
            self.say_problems(error.problems)
            return
        if step is not None:
            self._stepped(step)
            key = app.facts.key("undo")
            app.say(f"One step back. The database stays; {key} undoes the last apply.", holds=True)

    def _keeps_edits(self, action: str) -> bool:
        """Whether a step waits, since it would replace somebody's own work."""
        app = self.app
        edits = app.tour.edits if app.tour is not None else None
        if edits is None or app.insisted == edits:
            return False
        app.insisted = edits
        key = app.facts.key(action)
        app.say(f"schema.ts holds changes of yours. {key} again replaces them.", "warning")
        return True

    def _stepped(self, step: Step) -> None:
        app = self.app
        app.learn(replace(app.facts, tour=app.tour_place()))
        app.log_line("·", f"Tour: {step.title}")
        if app.main.single:
            app.main.go_to(PANES.index("plan"))
        if not app.facts.watching:
            app.look()
