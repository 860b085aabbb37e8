"""What each action of the registry does: the method `do_` + its id."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

from textual.app import SuspendNotSupported

from valet_studio.errors import Location, StudioError, reason_of
from valet_studio.tui.actions import PANES
from valet_studio.tui.confirm import QuitQuestion, apply_question
from valet_studio.tui.detail import statements_of
from valet_studio.tui.editor import EditorCall, editor_call
from valet_studio.tui.facts import why_no_apply
from valet_studio.tui.help import HelpScreen
from valet_studio.tui.job_control import run, why_no_stop
from valet_studio.tui.screen_commands import ScreenCommands
from valet_studio.tui.text import count, problem_plain
from valet_studio.tui.theme import other_theme


class Commands(ScreenCommands):
    """The studio's actions; whether one may run was asked before."""

    def do_dry_run(self) -> None:
        """Rehearse, and show it where one pane is shown at a time."""
        self.app.start("dry run")
        if self.app.main.single:
            self.app.main.go_to(PANES.index("dry-run"))

    def do_apply(self) -> None:
        """Ask, then apply exactly what was asked about."""
        state = self.app.facts.good
        if state is None or state.plan is None:
            return
        asked = state.plan.fingerprint

        def answered(yes: bool | None) -> None:
            plan = self.app.facts.plan
            if not yes:
                if self.app.main.notice == "":
                    self.app.say("Nothing was applied.")
                return
            reason = why_no_apply(self.app.facts)
            if reason is not None or plan is None or plan.fingerprint != asked:
                self.app.say(reason or "The plan changed: nothing was applied.", "warning")
                return
            self.app.start("apply")
            if self.app.main.single:
                self.app.main.go_to(PANES.index("dry-run"))

        self.app.say("")
        self.app.push_screen(
            apply_question(
                state.plan,
                state.database,
                self.app.progress,
                self.app.size.width,
                self.app.settings,
                len(self.app.facts.type_errors),
            ),
            answered,
        )

    def do_cancel(self) -> None:
        """Stop the running work; its end says what was rolled back."""
        app = self.app
        app.cancel.set()
        if app.facts.running == "dry run" and app.facts.plan is not None:
            app.background.declined = app.facts.plan.fingerprint
        app.say(f"Cancelling the {app.facts.running}…", "warning")
        if app.progress is not None and not app.progress.ended:
            app.progress = replace(app.progress, cancelling=True)
            app.main.show_run(app.facts, app.progress)

    def do_init(self) -> None:
        """Make a starting schema and read it."""
        from valet_studio.scaffold import init

        try:
            written = init(self.app.settings)
        except StudioError as error:
            self.app.say(error.problems[0].message, "bad")
        else:
            self.app.log_line("✓", *(f"Wrote {each}" for each in written))
            self.app.look()

    def do_write_files(self) -> None:
        """Write the generated files."""
        self.app.write_files()

    def do_edit(self) -> None:
        """Open the editor at the selected change, the first problem, or the file's top."""
        app = self.app
        pane = app.main.dry_run_pane if app.main.pane_name == "dry-run" else app.main.plan_pane
        place = pane.place or app.main.plan_pane.place
        place = place or Location(str(app.settings.schema_path), 1, 1)
        try:
            call = editor_call(os.environ, place)
        except ValueError as error:
            app.say(f"$VISUAL or $EDITOR is no command: {str(error).lower()}.", "warning")
            return
        if call is None:
            app.say("No editor is set: put its command into $VISUAL or $EDITOR.", "warning")
            return
        try:
            code = self._run_editor(call)
        except OSError as error:
            app.say(f"{call.arguments[0]} could not be started: {reason_of(error)}.", "bad")
        except SuspendNotSupported:
            app.say("This terminal cannot be handed over to an editor.", "bad")
        else:
            if code:
                app.say(f"{call.arguments[0]} ended with code {code}.", "warning")
            else:
                app.say(f"Opened {place}.")

    def _run_editor(self, call: EditorCall) -> int:
        """The code with which it ended; 0 for one with a window, which goes on.

        Raises:
            OSError: it cannot be started.
            SuspendNotSupported: the terminal cannot be handed over.
        """
        if not call.in_terminal:
            subprocess.Popen(call.arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return 0
        failed: OSError | None = None
        code = 0
        with self.app.suspend():
            # Nothing may be raised in here: Textual would not take the terminal back.
            try:
                code = run(call.arguments)
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed
        return code

    def do_copy(self) -> None:
        """Copy what the focused pane has under its cursor."""
        app = self.app
        match app.main.pane_name:
            case "plan":
                row, what = app.main.plan_pane.selected, "the change's sentence"
                if app.facts.broken:
                    text = "\n\n".join(problem_plain(item) for item in app.facts.problems)
                    what = "what is wrong"
                elif row is not None and row.change is not None and statements_of(row.change):
                    text = "\n".join(statements_of(row.change))
                    what = "the change's SQL"
                else:
                    text = row.text if row is not None else ""
            case "types":
                text, what = app.main.types_pane.text, "what pane 2 shows"
            case "dry-run":
                text = app.main.dry_run_pane.copied
                failed = app.main.dry_run_pane.selected is not None
                what = "the failed document" if failed else "the report"
            case _:
                entry, what = app.main.log_pane.selected, "the log's line"
                text = entry.text if entry is not None else ""
        if not text:
            app.say("There is nothing to copy here.", "warning")
            return
        app.copy_to_clipboard(text)
        app.say(f"Copied {what}, {count(len(text.splitlines()), 'line')}, to the clipboard.")

    def do_reread(self) -> None:
        """Read again now."""
        self.app.say("Reading schema and database again…")
        self.app.rereading = True
        self.app.look()

    def do_watch(self) -> None:
        """Pause or resume; what was missed meanwhile is read."""
        app = self.app
        watching = not app.facts.watching
        app.learn(replace(app.facts, watching=watching))
        if watching:
            app.look()
        app.say("Watching again." if watching else "Watching is paused: saves are not read.")

    def do_live(self) -> None:
        """Turn live rehearsal on or off."""
        self.app.background.set_live(not self.app.facts.live)

    def do_retry(self) -> None:
        """Rehearse only what failed."""
        self.app.background.retry()

    def do_filter(self) -> None:
        """Type what to filter the plan by, or what to find in another pane."""
        if self.app.main.pane_name == "plan":
            self.app.main.plan_pane.start_filter()
        else:
            self.app.main.begin_finding()

    def do_sides(self) -> None:
        """Side by side, or below each other."""
        if not self.app.main.types_pane.toggle_sides():
            key = self.app.facts.key("zoom")
            self.app.refuse(f"Pane 2 is too narrow for two sides; {key} shows it alone.")

    def do_next_hunk(self) -> None:
        """The next difference, or marked change."""
        self._go_to_mark(1)

    def do_last_hunk(self) -> None:
        """The difference before, or marked change."""
        self._go_to_mark(-1)

    def _go_to_mark(self, step: int) -> None:
        main = self.app.main
        if main.pane_name != "plan":
            main.types_pane.go_to_hunk(step)
        elif not main.plan_pane.changes.go_to_mark(step):
            self.app.refuse("No change is marked ✗ or !.")

    def do_zoom(self) -> None:
        """One pane, or all."""
        self.app.main.zoom()

    def do_help(self) -> None:
        """Keys of the focused pane."""
        self.app.push_screen(
            HelpScreen(self.app.main.pane_name, self.app.facts, self.app.size.width)
        )

    def do_theme(self) -> None:
        """Dark or light."""
        if self.app.no_color:
            self.app.refuse("NO_COLOR is set, so there are no colours to change.")
            return
        self.app.theme = other_theme(self.app.theme, sixteen=self.app.sixteen)

    def do_suspend(self) -> None:
        """To the shell and back, where there is one."""
        reason = why_no_stop()
        if reason is not None:
            self.app.say(reason, "warning")
        else:
            self.app.rest()

    def do_quit(self) -> None:
        """Leave at once, after the dry run's copy is deleted, or after a question."""
        app = self.app
        match app.facts.running:
            case None:
                app.exit()
            case "dry run" | "retry":
                app.leaving = True
                app.cancel.set()
                app.say(f"Cancelling the {app.facts.running} and deleting its copy…", "warning")
            case "undo":
                app.leaving = True
                app.cancel.set()
                app.say("Leaving once the undo is done or given up…", "warning")
            case "apply":
                app.leaving = False

                def later() -> None:
                    app.leaving = True
                    app.say("The studio leaves when the apply is done.")
                    if app.facts.running is None:
                        app.exit()

                def answered(yes: bool | None) -> None:
                    if yes and app.facts.running is None:
                        app.exit()
                    elif yes:
                        app.leaving = True
                        app.cancel.set()
                        app.say("Stopping the apply and rolling it back…", "warning")

                app.push_screen(QuitQuestion(later), answered)

    def do_next_pane(self) -> None:
        """Round the panes."""
        self.app.main.go_to(self.app.main.current + 1)

    def do_last_pane(self) -> None:
        """Round the panes, backwards."""
        self.app.main.go_to(self.app.main.current - 1)

    def do_pane_1(self) -> None:
        """Plan."""
        self.app.main.go_to(0)

    def do_pane_2(self) -> None:
        """Types."""
        self.app.main.go_to(1)

    def do_pane_3(self) -> None:
        """Dry run."""
        self.app.main.go_to(2)

    def do_pane_4(self) -> None:
        """Log."""
        self.app.main.go_to(3)

    def do_detail_down(self) -> None:
        """Scroll the detail of the selected change, or of the selected failed document."""
        self._scroll_detail(3)

    def do_detail_up(self) -> None:
        """Scroll it back."""
        self._scroll_detail(-3)

    def _scroll_detail(self, lines: int) -> None:
        main = self.app.main
        pane = main.dry_run_pane if main.pane_name == "dry-run" else main.plan_pane
        pane.scroll_detail(lines)
