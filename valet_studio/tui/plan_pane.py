"""Pane 1: the plan as a tree by table, and below it all about the selected change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from valet_studio.errors import Location
from valet_studio.migrate.touched import Touched
from valet_studio.plan.changes import AnyChange
from valet_studio.tui.detail import (
    change_detail,
    empty_detail,
    no_match_detail,
    problems_detail,
    table_detail,
    warning_detail,
)
from valet_studio.tui.facts import Facts
from valet_studio.tui.pane import Titled
from valet_studio.tui.plan_rows import PlanRow, plan_rows, signs_counted
from valet_studio.tui.plan_tree import PlanTree
from valet_studio.tui.text import count
from valet_studio.tui.typed_input import TypedInput

LEAST_HEIGHT = 12
"""Lines below which a plan and a problem do not both have room."""


class FilterLine(TypedInput):
    """What the plan is filtered by: esc clears it, enter goes back to the plan."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave(True)", show=False),
        Binding("enter,down", "leave(False)", show=False),
    ]

    @dataclass
    class Left(Message):
        """The user is done with it."""

        cleared: bool

    def __init__(self) -> None:
        super().__init__(
            id="plan-filter", placeholder="table, column, kind or words; esc clears", compact=True
        )

    def action_leave(self, cleared: bool) -> None:
        """Go back to the plan."""
        self.post_message(self.Left(cleared))


class PlanPane(Vertical, Titled):
    """The plan. While schema.ts is broken the last good one stays, dimmed, above the error."""

    heading = "1 Plan"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear_filter", show=False)]

    @dataclass
    class Selected(Message):
        """Another change has the cursor."""

        moved: bool = False
        """Whether the user put it there."""

    def __init__(self) -> None:
        super().__init__(id="plan", classes="pane")
        self.facts: Facts | None = None
        self._subtitle = ""
        self._drawn_width = 0
        self.touched: tuple[AnyChange, Touched | None] | None = None
        """What the database holds where a change is, once it was read."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="plan-filter-line"):
            yield Static("/", markup=False)
            yield FilterLine()
        yield PlanTree()
        with VerticalScroll(id="detail", can_focus=False):
            yield Static(id="detail-text", markup=False)

    @property
    def changes(self) -> PlanTree:
        """The tree of changes."""
        return self.query_one(PlanTree)

    @property
    def entry(self) -> PlanTree:
        """What the focus goes to."""
        return self.changes

    @property
    def selected(self) -> PlanRow | None:
        """The row under the cursor."""
        return self.changes.selected

    @property
    def place(self) -> Location | None:
        """Where an editor should open: at the first problem, else at the selected change."""
        if self.facts is None:
            return None
        if self.facts.broken:
            places = [item.location for item in self.facts.problems if item.location is not None]
            return places[0] if places else None
        return self.selected.location if self.selected is not None else None

    def show(self, facts: Facts) -> None:
        """Draw what is known now."""
        before, self.facts = self.facts, facts
        plan = facts.plan
        errors_before = before.type_errors if before is not None else ()
        good_before = before.good if before is not None else None
        if good_before is not facts.good or errors_before is not facts.type_errors:
            good, errors = facts.good, facts.type_errors
            key = self.selected.key if self.selected is not None else None
            self.changes.show_rows(plan_rows(good, errors) if good is not None else ())
            if self.selected is not None and self.selected.key != key:
                self.query_one("#detail").scroll_home(animate=False)
            self.post_message(self.Selected())
        rows = self.changes.rows
        self.set_class(facts.broken, "-broken")
        self.set_class(not rows, "-empty")
        subtitle = ""
        if facts.missing:
            subtitle = "no schema"
        elif facts.broken:
            subtitle = count(len(facts.problems), "problem")
            subtitle += " · last good plan, dimmed" if rows else ""
        elif plan is not None:
            subtitle = {
                "in_sync": "in sync",
                "pending": signs_counted(plan),
                "blocked": f"{signs_counted(plan)}  nothing is applied",
            }[plan.status]
        earlier = facts.good.earlier if facts.good is not None and not facts.broken else None
        if earlier is not None:
            subtitle = f"as in migration {earlier.entry.id}, {earlier.entry.when} · {subtitle}"
        self._subtitle = subtitle
        self._draw_subtitle()
        self.show_detail()

    def _draw_subtitle(self) -> None:
        """What the plan comes to; of a filtered one how much is in sight."""
        told = self._subtitle
        if self.changes.filter.strip() and self.changes.rows:
            shown = sum(not row.heading for row in self.changes.shown)
            total = sum(not row.heading for row in self.changes.rows)
            told = f"{shown:,} of {total:,} shown · esc clears"
        self.border_subtitle = Content(told) if told else None

    def on_resize(self, event: events.Resize) -> None:
        """Code is cut at the pane's edge; in a low one, a problem takes the plan's room."""
        self.set_class(event.size.height < LEAST_HEIGHT, "-low")
        self.show_detail()

    def fit(self) -> None:
        """Draw the details anew where they were drawn for another width."""
        if self._width not in (self._drawn_width, 0):
            self.show_detail()

    @property
    def _width(self) -> int:
        """Cells that details have; 0 while the pane is hidden."""
        return self.query_one("#detail").scrollable_content_region.width

    def show_detail(self) -> None:
        """Draw the area below the tree."""
        if self.facts is None:
            return
        row = self.selected
        self._drawn_width = self._width
        width = max(20, self._drawn_width)
        schema = self.facts.good.schema if self.facts.good is not None else None
        sources = schema.sources if schema is not None else None
        if self.facts.missing:
            drawn = empty_detail(self.facts)
        elif self.facts.broken:
            drawn = problems_detail(self.facts.problems, width)
        elif row is not None and row.change is not None and sources is not None:
            known = self.touched
            touched = known[1] if known is not None and known[0] is row.change else None
            drawn = change_detail(row.change, sources, width, touched, self.facts)
        elif row is not None and row.problem is not None and sources is not None:
            drawn = warning_detail(row.problem, row.sign, sources, width)
        elif row is not None:
            table = schema.table_named(row.key[0]) if schema is not None else None
            drawn = table_detail(row.text, row.counted, table, sources, width)
        elif self.changes.rows:
            hidden = [row for row in self.changes.rows if not row.heading]
            noun = "change" if all(row.change is not None for row in hidden) else "line"
            drawn = no_match_detail(self.changes.filter, count(len(hidden), noun), "esc")
        else:
            drawn = empty_detail(self.facts)
        self.query_one("#detail-text", Static).update(drawn)

    def show_touched(self, change: AnyChange, found: Touched | None) -> None:
        """Show what the database holds where the selected change is."""
        self.touched = (change, found)
        self.show_detail()

    def show_fixes(self, facts: Facts) -> None:
        """Show what would mend the selected change."""
        self.facts = facts
        self.show_detail()

    def start_filter(self) -> None:
        """Type what to filter by; the filter that is on can be edited."""
        self.add_class("-filtered")
        self.query_one(FilterLine).focus()

    def clear_filter(self) -> bool:
        """Show all changes again; False where no filter was on."""
        had = self.has_class("-filtered")
        self.remove_class("-filtered")
        self.query_one(FilterLine).value = ""
        return had

    def action_clear_filter(self) -> None:
        """Show all changes again; where no filter is on, the key means something else."""
        if not self.clear_filter():
            raise SkipAction

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as the user types."""
        event.stop()
        self.changes.show_filtered(event.value)
        self._draw_subtitle()

    def on_filter_line_left(self, event: FilterLine.Left) -> None:
        """Back to the plan, filtered or not."""
        event.stop()
        if event.cleared or not self.changes.filter.strip():
            self.clear_filter()
        self.changes.focus()

    def on_plan_tree_moved(self, event: PlanTree.Moved) -> None:
        """The cursor moved: show that row's detail from its top."""
        event.stop()
        self.show_detail()
        self.query_one("#detail").scroll_home(animate=False)
        self.post_message(self.Selected(moved=True))

    def scroll_detail(self, lines: int) -> None:
        """Scroll the area below the tree."""
        self.query_one("#detail").scroll_relative(y=lines, animate=False)
