"""Pane 3: the dry run, and the apply after it: live progress, then the report."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from valet_studio.errors import Location
from valet_studio.tui.facts import Facts, why_no_dry_run
from valet_studio.tui.progress import Progress
from valet_studio.tui.report_text import run_text


class DryRunPane(VerticalScroll):
    """What a rehearsal tells: phases, rows per second, counts, samples, failures."""

    BORDER_TITLE = "3 Dry run"

    def __init__(self) -> None:
        super().__init__(id="dry-run", classes="pane", can_focus=True)
        self.facts: Facts | None = None
        self.progress: Progress | None = None
        self.text = ""

    def compose(self) -> ComposeResult:
        yield Static(id="dry-run-text", markup=False)

    @property
    def place(self) -> Location | None:
        """Where the first failing document failed, or the first problem stands."""
        if self.progress is None:
            return None
        failures = [error for report in self.progress.backfills for error in report.errors]
        items = [*(item.location for item in failures)]
        items += [item.location for item in self.progress.problems]
        return next((place for place in items if place is not None), None)

    def show(self, facts: Facts, progress: Progress | None) -> None:
        """Draw the run, or what there is to rehearse."""
        self.facts, self.progress = facts, progress
        self._draw()

    def on_resize(self, _: events.Resize) -> None:
        """Columns are fitted to the pane."""
        self._draw()

    def _draw(self) -> None:
        facts, progress = self.facts, self.progress
        if facts is None:
            return
        self.border_title = Content("3 Dry run" if progress is None else f"3 {_title(progress)}")
        width = max(20, self.scrollable_content_region.width)
        if progress is not None:
            plan = facts.plan
            earlier = (
                progress.ended
                and plan is not None
                and plan.status == "pending"
                and plan.fingerprint != progress.plan.fingerprint
            )
            drawn = run_text(progress, width, earlier)
        else:
            reason = why_no_dry_run(facts)
            drawn = (
                Content.styled(reason, "$muted")
                if reason is not None
                else Content.assemble(
                    ("d", "bold $primary"), "  rehearses this plan on a copy of the database."
                )
            )
        self.text = drawn.plain
        self.query_one("#dry-run-text", Static).update(drawn)


def _title(progress: Progress) -> str:
    return progress.work.capitalize()
