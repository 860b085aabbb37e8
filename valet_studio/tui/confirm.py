"""Questions before what cannot be taken back lightly. Cancel has the focus; `y` says yes."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from valet_studio.pipeline import DatabaseInfo
from valet_studio.plan.changes import Plan, Risk
from valet_studio.tui.progress import Progress
from valet_studio.tui.text import BLANK, SIGN_STYLES, count, hanging, lines, size

SHOWN_CHANGES = 50


class Question(ModalScreen[bool]):
    """A question with two answers. Enter answers what has the focus, and that is "no"."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("n,escape,q", "answer(False)", show=False),
        Binding("left,right,tab,shift+tab", "other", show=False),
    ]

    def __init__(self, title: str, body: Content, yes: str, no: str) -> None:
        super().__init__()
        self.question, self.body, self.yes, self.no = title, body, yes, no

    def compose(self) -> ComposeResult:
        with Vertical(id="question") as box:
            box.border_title = Content(self.question)
            with VerticalScroll(can_focus=False, id="question-body"):
                yield Static(self.body, markup=False)
            with Horizontal(id="answers"):
                yield Button(Content(f"{self.no}  esc"), id="no", compact=True)
                yield Button(Content(f"{self.yes}  y"), id="yes", compact=True)

    def on_mount(self) -> None:
        """The harmless answer has the focus."""
        self.query_one("#no").focus()

    def action_answer(self, yes: bool) -> None:
        """Close with this answer."""
        self.dismiss(yes)

    def action_other(self) -> None:
        """Move between the two answers."""
        self.focus_next(Button)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The focused or clicked answer."""
        event.stop()
        self.dismiss(event.button.id == "yes")


def apply_question(
    plan: Plan, database: DatabaseInfo, rehearsal: Progress | None, width: int
) -> Question:
    """What will be done, to which database, and what the rehearsal told."""
    width = min(76, int(width * 0.96)) - 7
    state = "" if database.size is None else f"  {size(database.size)}"
    if not database.exists:
        state = "  will be made"
    parts = [
        Content.assemble(("Database  ", "$muted"), (database.label, "bold"), (state, "$muted")),
        Content.assemble(("Plan      ", "$muted"), (plan.fingerprint[:8], "")),
        BLANK,
    ]
    for change in plan.pending[:SHOWN_CHANGES]:
        sign = change.shown_sign
        rows = (
            f" ({count(change.rows, 'row')})"
            if change.rows and f"{change.rows:,}" not in change.summary
            else ""
        )
        parts.append(
            hanging(
                Content.styled(f"{sign} ", f"bold {SIGN_STYLES[sign]}"),
                f"{change.summary}{rows}",
                width,
            )
        )
    if len(plan.pending) > SHOWN_CHANGES:
        rest = len(plan.pending) - SHOWN_CHANGES
        parts.append(Content.styled(f"  and {rest:,} more; pane 1 lists all", "$muted"))
    if not plan.pending:
        parts.append(Content("Only the schema's hash is recorded."))
    report = rehearsal.report if rehearsal is not None else None
    if report is not None:
        filled = sum(item.updated for item in report.backfills)
        held = sum(item.rows_before for item in report.tables)
        parts += [
            BLANK,
            Content(f"The dry run filled {count(filled, 'row')} and kept all {held:,} rows.")
            if filled
            else Content(f"The dry run kept all {count(held, 'row')}."),
        ]
    warned = [change.summary for change in plan.pending if change.risk is Risk.WARNING]
    warnings = list(dict.fromkeys((*warned, *(item.message for item in plan.warnings))))
    for text in warnings[:SHOWN_CHANGES]:
        parts.append(hanging(Content.styled("! ", "bold $warning"), text, width, "$warning"))
    return Question("Apply to the database?", lines(parts), "Apply", "Cancel")


def quit_question() -> Question:
    """Leaving while an apply runs."""
    body = lines(
        (
            Content("An apply is running. Leaving stops it, and everything is rolled back."),
            Content.styled("Staying lets it finish.", "$muted"),
        )
    )
    return Question("Leave during the apply?", body, "Stop and leave", "Stay")
