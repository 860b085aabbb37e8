"""Pane 3: the dry run, and the apply after it: live progress, the report, and what failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message

from valet_studio.errors import Location
from valet_studio.plan.changes import Plan
from valet_studio.schema.model import Json
from valet_studio.tui.facts import Facts, why_no_dry_run
from valet_studio.tui.failure_list import FailureList
from valet_studio.tui.lines import SIDEWAYS, Lines
from valet_studio.tui.pane import Titled
from valet_studio.tui.progress import FailedDocument, Progress
from valet_studio.tui.report_text import failure_lines, run_lines, wrapped


class DryRunPane(Vertical, Titled):
    """What a rehearsal tells: phases, rows per second, counts, samples, failures."""

    heading = "3 Dry run"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", f"sideways(-{SIDEWAYS})", show=False),
        Binding("right", f"sideways({SIDEWAYS})", show=False),
        Binding("enter", "read", show=False),
    ]

    @dataclass
    class Selected(Message):
        """A failed document has the cursor, and is not known whole yet."""

        table: str
        who: str

    def __init__(self) -> None:
        super().__init__(id="dry-run", classes="pane")
        self.facts: Facts | None = None
        self.progress: Progress | None = None
        self.documents: dict[tuple[str, str], dict[str, Json] | None] = {}
        """Failed documents that were read, by table and `_id`; None for one that is gone."""
        self._drawn: tuple[object, ...] = ()
        self._drawn_width = 0

    def compose(self) -> ComposeResult:
        yield Lines(id="dry-run-text", steady=True)
        yield FailureList()
        yield Lines(id="failure-detail", steady=True)

    @property
    def report(self) -> Lines:
        """What is told of the run as a whole."""
        return self.query_one("#dry-run-text", Lines)

    @property
    def failures(self) -> FailureList:
        """The documents that failed."""
        return self.query_one(FailureList)

    @property
    def detail(self) -> Lines:
        """All about the selected failed document."""
        return self.query_one("#failure-detail", Lines)

    @property
    def entry(self) -> FailureList | Lines:
        """What the focus goes to."""
        reading = self.has_class("-reading")
        return self.failures if self.selected is not None and not reading else self.report

    @property
    def searched(self) -> Lines:
        """What text is found in."""
        return self.report if self.selected is None or self.has_class("-reading") else self.detail

    @property
    def selected(self) -> FailedDocument | None:
        """The failed document under the cursor."""
        return self.failures.selected if self.has_class("-failures") else None

    @property
    def text(self) -> str:
        """Everything in the pane, as plain text."""
        return "\n".join(part for part in (self.report.text, self.detail.text) if part)

    @property
    def copied(self) -> str:
        """What the copy key takes: the selected failure, else the report."""
        item = self.selected
        return f"{item.failure.id}\n{self.detail.text}" if item is not None else self.report.text

    @property
    def place(self) -> Location | None:
        """Where the selected document failed, or the first problem stands."""
        if self.progress is None:
            return None
        item = self.selected
        newest = self.progress.newest(item) if item is not None else None
        if newest is not None and newest.location is not None:
            return newest.location
        places = (problem.location for problem in self.progress.problems)
        return next((place for place in places if place is not None), None)

    def show(self, facts: Facts, progress: Progress | None) -> None:
        """Draw the run, or what there is to rehearse."""
        before = self.progress.plan if self.progress is not None else None
        if self.progress is not None and self.progress.ended and progress and not progress.ended:
            self.report.scroll_to(x=0, animate=False)  # Another report begins.
        self.facts, self.progress = facts, progress
        if progress is not None and progress.plan is not before:
            self.documents = {}
        self._draw()

    def show_document(self, table: str, who: str, found: dict[str, Json] | None) -> None:
        """Show a failed document whole, now that it was read."""
        self.documents[table, who] = found
        self._draw_detail()

    def scroll_detail(self, lines: int) -> None:
        """Scroll what is told of the selected document, or the report."""
        target = self.detail if self.selected is not None else self.report
        target.scroll_relative(y=lines, animate=False)

    def action_read(self) -> None:
        """Read the report, or go back to the failed documents; each has room while it is read."""
        if not self.has_class("-failures"):
            return
        reading = not self.has_class("-reading")
        self.set_class(reading, "-reading")
        (self.report if reading else self.failures).focus()

    def action_sideways(self, cells: int) -> None:
        """Scroll wide samples, and long source lines."""
        for lines in (self.report, self.detail):
            lines.action_sideways(cells)

    def on_resize(self, _: events.Resize) -> None:
        """Text is wrapped at the pane's edge."""
        self._drawn = ()
        self._draw()

    def fit(self) -> None:
        """Draw anew what was drawn for another width."""
        if self._width not in (self._drawn_width, 0):
            self._drawn = ()
            self._draw()

    @property
    def _width(self) -> int:
        """Cells that the report has; 0 while the pane is hidden. A failure's details have as many,
        and are hidden before there are some."""
        return self.report.scrollable_content_region.width

    def on_failure_list_moved(self, event: FailureList.Moved) -> None:
        """Another document: show it from its top."""
        event.stop()
        self._draw_detail()
        self.detail.scroll_to(0, 0, animate=False)

    def _draw(self) -> None:
        facts, progress = self.facts, self.progress
        if facts is None:
            return
        earlier = _earlier(facts, progress)
        reason = why_no_dry_run(facts) if progress is None else None
        drawn = (progress, earlier, reason, facts.replica)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self._draw_run(progress, earlier, reason)

    def _draw_run(self, progress: Progress | None, earlier: str | None, reason: str | None) -> None:
        self._drawn_width = self._width
        width = max(20, self._drawn_width - 1)
        assert self.facts is not None
        if progress is not None:
            self.entitle(f"3 {progress.work.capitalize()}")
            self.report.show(run_lines(progress, width, earlier, self.facts.key))
        else:
            self.entitle("3 Dry run")
            key = Content.styled(self.facts.key("dry_run"), "bold $primary")
            told = "  rehearses this plan on a copy of the database"
            replica = self.facts.replica
            told += f", and on one of {replica}." if replica is not None else "."
            text = Content.styled(reason, "$muted") if reason is not None else key + told
            self.report.show(wrapped(text, width))
        failing = progress is not None and progress.ended and bool(progress.failures)
        had = self.has_class("-failures")
        focused = self.has_pseudo_class("focus-within")
        self.set_class(failing, "-failures")
        if not failing:
            self.remove_class("-reading")
        if failing and progress is not None:
            self.failures.show(progress, self.facts.key("dry_run"))
            self._draw_detail()
        if failing != had and focused:
            self.call_after_refresh(lambda: self.entry.focus())

    def _draw_detail(self) -> None:
        item, progress = self.selected, self.progress
        if item is None or progress is None:
            self.detail.show(())
            return
        who = item.failure.id
        document: dict[str, Json] | str
        if who is None:
            document = "The error names no document."
        elif (item.table, who) in self.documents:
            document = self.documents[item.table, who] or "It is no longer there."
        else:
            document = "Reading it…"
            self.post_message(self.Selected(item.table, who))
        width = max(20, self._width - 1)
        around = max(0, (self.size.height - 20) // 3)
        told = failure_lines(progress, item, progress.sources, document, width, around)
        self.detail.show(told)


def _earlier(facts: Facts, progress: Progress | None) -> str | None:
    """That a report is not of the schema as it stands now, and what to do; None where it is."""
    plan = facts.plan
    if progress is None:
        return None
    if progress.work == "apply":
        return _applied_over(plan, progress)
    of = f"Of an earlier plan ({progress.plan.fingerprint[:8]})"
    if not progress.ended:
        changed = f"{of}: schema.ts was saved after it began."
        return None if facts.missing or facts.shows(progress.plan) else changed
    if facts.missing:
        return f"{of}: there is no schema now, see pane 1."
    if facts.unreadable:
        return "The database cannot be read now, see pane 1."
    if facts.broken:
        return f"{of}: schema.ts is broken now, see pane 1."
    if plan is None or plan.fingerprint == progress.plan.fingerprint:
        return None
    match plan.status:
        case "blocked":
            return f"{of}: the one that holds now is rejected, see pane 1."
        case "pending":
            return f"{of}: {facts.key('dry_run')} rehearses the one that holds now."
        case "in_sync":
            return f"{of}: schema and database agree now."


def _applied_over(plan: Plan | None, progress: Progress) -> str | None:
    """That what was applied is not in the database any more; it is, whatever was saved since."""
    done = progress.report
    if plan is None or done is None or done.status != "ok":
        return None
    looked_at_since = plan.fingerprint != progress.plan.fingerprint
    if not looked_at_since or plan.applied_hash == progress.plan.schema_hash:
        return None
    return "The database was changed elsewhere since: it holds another schema now."
