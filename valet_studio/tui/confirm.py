"""Questions before what cannot be taken back lightly. Cancel has the focus; `y` says yes.

What could do harm that an undo does not mend asks for the database's name instead of a key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from valet_studio.config import Settings
from valet_studio.migrate.target import DatabaseInfo
from valet_studio.plan.changes import Plan, Risk, RunBackfill, by_table
from valet_studio.tui.progress import Progress
from valet_studio.tui.text import BLANK, SIGN_STYLES, count, filled, hanging, lines, size
from valet_studio.tui.typed_input import TypedInput

SHOWN_CHANGES = 50
FRAME = 4
"""Lines of a box that are its border and padding."""
BOX_WIDTH = 76


class QuestionScreen(ModalScreen[bool]):
    """A question with two answers. Enter answers what has the focus, and that is "no".

    Args:
        typed: what has to be typed before "yes" can be chosen; None where a key is enough.
        why_typed: why a key is not.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("n,q", "answer(False)", show=False),
        Binding("escape", "answer(False)", show=False),
        Binding("space", "press", show=False),
        Binding("left,right,tab,shift+tab", "other", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup,home", "scroll(-10)", show=False),
        Binding("pagedown,end", "scroll(10)", show=False),
    ]

    def __init__(
        self,
        title: str,
        body: Content,
        yes: str,
        no: str,
        typed: str | None = None,
        why_typed: str = "",
    ) -> None:
        super().__init__()
        self.why_typed = why_typed
        self.question, self.body, self.yes, self.no = title, body, yes, no
        self.typed = typed

    def compose(self) -> ComposeResult:
        with Vertical(id="question") as box:
            box.border_title = Content(self.question)
            with VerticalScroll(can_focus=False, id="question-body"):
                yield Static(self.body, markup=False)
            if self.typed is not None:
                yield Static(self._asked(), markup=False, id="typed-label")
                yield TypedInput(id="typed", compact=True)
            with Horizontal(id="answers"):
                key = "" if self.typed is not None else "  y"
                yield Button(Content(f"{self.no}  esc"), id="no", compact=True)
                yield Button(
                    Content(f"{self.yes}{key}"),
                    id="yes",
                    compact=True,
                    disabled=self.typed is not None,
                )

    def on_mount(self) -> None:
        """The harmless answer has the focus, or the line to type into."""
        self.query_one("#no" if self.typed is None else "#typed").focus()
        self.call_after_refresh(self._tell_scrolling)

    def on_resize(self) -> None:
        """The answers are always in sight; the body has the room that they leave."""
        others = FRAME + 2 + (0 if self.typed is None else 3)
        body = self.query_one("#question-body")
        body.styles.max_height = max(1, int(self.size.height * 0.9) - others)
        self.call_after_refresh(self._tell_scrolling)

    def _tell_scrolling(self) -> None:
        longer = self.query_one("#question-body").max_scroll_y > 0
        self.query_one("#question").border_subtitle = "↑ ↓ scrolls" if longer else ""

    @property
    def may(self) -> bool:
        """Whether "yes" can be chosen now."""
        return self.typed is None or self.query_one("#typed", Input).value.strip() == self.typed

    def on_input_changed(self, event: Input.Changed) -> None:
        """The name is whole, or not yet."""
        event.stop()
        self.query_one("#yes").disabled = not self.may
        self._tell_typed()

    def on_descendant_focus(self) -> None:
        """The name was entered, or is typed again."""
        if self.typed is not None:
            self._tell_typed()

    def _tell_typed(self) -> None:
        if self.focused is self.query_one("#yes"):
            told = Content.assemble(("enter", "bold $primary"), f" once more: {self.yes}.")
        elif self.may:
            told = Content.assemble(("enter", "bold $primary"), f" goes on to {self.yes}.")
        else:
            told = self._asked()
        self.query_one("#typed-label", Static).update(told)

    def _asked(self) -> Content:
        why = f"{self.why_typed}; " if self.why_typed else ""
        return Content.assemble(
            "Type ", (self.typed or "", "bold"), " to go on:", (f"  ({why}esc cancels)", "$muted")
        )

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes from the typed name to the answer, where it takes another enter."""
        event.stop()
        if self.may:
            self.query_one("#yes").focus()
        else:
            wrong = Content.styled("That is not the name. ", "bold $warning")
            self.query_one("#typed-label", Static).update(wrong + self._asked())

    def action_answer(self, yes: bool) -> None:
        """Close with this answer; yes only where it may be chosen by a key."""
        if not yes or self.typed is None:
            self.dismiss(yes)

    def action_press(self) -> None:
        """Choose the answer that has the focus, as enter does."""
        if isinstance(self.focused, Button):
            self.focused.press()

    def action_other(self) -> None:
        """Move between the answers, and the line to type into."""
        self.focus_next()

    def action_scroll(self, step: int) -> None:
        """Scroll a body that is longer than the box."""
        self.query_one("#question-body").scroll_relative(y=step, animate=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The focused or clicked answer."""
        event.stop()
        yes = event.button.id == "yes"
        self.dismiss(yes and self.may)


class TextScreen(ModalScreen[None]):
    """Something to read, with no answer to give; `c` copies it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,space,y,n", "dismiss", show=False),
        Binding("c", "copy", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
    ]

    def __init__(self, title: str, body: Content) -> None:
        super().__init__()
        self.headline, self.body = title, body

    def compose(self) -> ComposeResult:
        with Vertical(id="told") as box:
            box.border_title = Content(self.headline)
            box.border_subtitle = Content("c copies · esc closes")
            with VerticalScroll(can_focus=False, id="told-body"):
                yield Static(self.body, markup=False)

    def on_resize(self) -> None:
        """It has the room of the screen, and scrolls beyond."""
        room = max(1, int(self.size.height * 0.9) - FRAME)
        self.query_one("#told-body").styles.max_height = room

    def action_scroll(self, step: int) -> None:
        """Scroll what is longer than the box."""
        self.query_one("#told-body").scroll_relative(y=step, animate=False)

    def action_copy(self) -> None:
        """Copy all of it."""
        self.app.copy_to_clipboard(self.body.plain)

    def on_click(self, event: events.Click) -> None:
        """A click closes it too."""
        event.stop()
        self.dismiss()


def box_width(width: int) -> int:
    """Cells for text in a box on a screen of that width."""
    return min(BOX_WIDTH, int(width * 0.96)) - 7


def must_type(plan: Plan, settings: Settings) -> bool:
    """Whether an apply asks for the database's name: it is marked, or values are overwritten."""
    overwriting = any(
        isinstance(change, RunBackfill) and change.overwrites for change in plan.pending
    )
    return settings.production or overwriting


def apply_question(
    plan: Plan,
    database: DatabaseInfo,
    rehearsal: Progress | None,
    width: int,
    settings: Settings,
    type_errors: int = 0,
) -> QuestionScreen:
    """What will be done, to which database, and what the rehearsal and the type checker told."""
    width = box_width(width)
    state = "" if database.size is None else f"  {size(database.size)}"
    if not database.exists:
        state = "  will be made"
    mark = ("  PRODUCTION", "bold $error") if settings.production else ("", "")
    pending = plan.pending
    parts = [
        Content.assemble(
            ("Database  ", "$muted"), (database.label, "bold"), (state, "$muted"), mark
        ),
        Content.assemble(
            ("Plan      ", "$muted"),
            plan.fingerprint[:8],
            (f"  {count(len(pending), 'change')}", "$muted"),
        ),
        *_rehearsed(plan, rehearsal, width),
        BLANK,
    ]
    # As pane 1 has them, but that what needs a look comes first.
    ordered = [change for _, changes in by_table(pending) for change in changes]
    ordered.sort(key=lambda change: change.risk is Risk.SAFE)
    for change in ordered[:SHOWN_CHANGES]:
        sign = change.shown_sign
        warns = change.risk is Risk.WARNING and sign != "!"
        head = Content.assemble(
            ("!" if warns else " ", "bold $warning"), (f"{sign} ", f"bold {SIGN_STYLES[sign]}")
        )
        parts.append(hanging(head, change.summary, width))
    if len(pending) > SHOWN_CHANGES:
        rest = len(pending) - SHOWN_CHANGES
        parts.append(Content.styled(f"  and {rest:,} more; pane 1 lists all", "$muted"))
    if not pending:
        parts.append(Content("No table changes: only the schema is recorded."))
    parts += [
        hanging(Content.styled("! ", "bold $warning"), text, width, "$warning")
        for text in dict.fromkeys(item.message for item in plan.warnings[:SHOWN_CHANGES])
    ]
    if type_errors:
        told = f"! schema.ts has {count(type_errors, 'type error')}."
        parts.append(Content.styled(told, "bold $warning"))
    typed = settings.database_name if must_type(plan, settings) else None
    why = "it is in production" if settings.production else "values are overwritten"
    return QuestionScreen("Apply to the database?", lines(parts), "Apply", "Cancel", typed, why)


def _rehearsed(plan: Plan, rehearsal: Progress | None, width: int) -> list[Content]:
    report = rehearsal.report if rehearsal is not None else None
    if report is None:
        return []
    held = count(sum(item.rows_before for item in report.tables), "row")
    any_filled = any(item.updated for item in report.backfills)
    told = f"{filled(report.backfills)} filled, " if any_filled else ""
    if unchanged := sum(item.unchanged or 0 for item in report.backfills):
        told += f"{unchanged:,} of them unchanged, "
    told += f"all {held} kept"
    parts = [hanging(Content.styled("Dry run   ", "$muted"), told, width)]
    tried = {(item.table, item.column): item.rows for item in report.backfills}
    grown = [
        (change.rows or 0) - tried.get((change.table, change.declared.column), 0)
        for change in plan.pending
        if isinstance(change, RunBackfill) and plan.measured
    ]
    if (more := max(grown, default=0)) > 0:
        verb = "was" if more == 1 else "were"
        told = f"! {count(more, 'document')} {verb} written since, and not rehearsed."
        parts.append(Content.styled(f"          {told}", "$warning"))
    varied = rehearsal.varied if rehearsal is not None else None
    if varied:
        head = Content.styled("          ! ", "bold $warning")
        parts.append(hanging(head, f"{varied}.", width, "bold $warning"))
    return parts


class QuitQuestion(QuestionScreen):
    """Leaving while an apply runs: at once, when it is done, or not. It is never left half done.

    Args:
        later: is called for "when it is done"; the question is then closed as with "no".
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "later", show=False)]

    def __init__(self, later: Callable[[], object]) -> None:
        body = lines(
            (
                Content(
                    "An apply is running. Leaving now stops it, and everything is rolled back."
                ),
                Content.assemble(("q", "bold $primary"), "  lets it finish, then leaves."),
                Content.assemble(("esc", "bold $primary"), "  stays."),
            )
        )
        super().__init__("Leave during the apply?", body, "Stop and leave", "Stay")
        self.later = later

    def action_later(self) -> None:
        """Leave when it is done."""
        self.dismiss(False)
        self.later()
