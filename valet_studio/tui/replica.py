"""A client's replica: rehearsing on a copy of it, what came of that, and naming one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from valet_studio import pipeline
from valet_studio.errors import IsCancelled, StudioError
from valet_studio.paths import expanded, is_file
from valet_studio.pipeline import StudioState
from valet_studio.tui.open_screen import PathSuggester
from valet_studio.tui.text import BLANK, count, hanging, problem, rule
from valet_studio.tui.typed_input import TypedInput

if TYPE_CHECKING:
    from valet_studio.replica.rehearse import ReplicaReport

Rehearse: TypeAlias = "Callable[[StudioState, Path, IsCancelled], ReplicaReport]"
"""Rehearses a state's schema on a copy of a client's file."""

SHOWN_UNFIT = 50
SHOWN_FAILURES = 5


def rehearse(state: StudioState, replica: Path, cancelled: IsCancelled) -> ReplicaReport:
    """What the state's schema will do on one client; a file that cannot follow is told so.

    Raises:
        Cancelled: the copy is deleted.
    """
    # Few studios are given a replica, and all of them are to paint soon.
    from valet_studio.replica.rehearse import ReplicaReport, rehearse_replica

    assert state.schema is not None
    try:
        target = pipeline.target_of(state.settings)
        return rehearse_replica(
            replica, target, state.schema, cancelled, limits=state.settings.limits
        )
    except StudioError as error:
        if cancelled():
            raise
        return ReplicaReport(str(replica), "failed", problems=error.problems)


def replica_lines(report: ReplicaReport, width: int) -> list[Content]:
    """What will happen on that client: rows, backfills, and mutations that no longer fit."""
    parts = [rule(f"Replica {report.label}"), *_refused(report, width)]
    names = max([5, *(Content(item.table).cell_length for item in report.tables)])
    for item in report.tables:
        name = item.table + " " * (names - Content(item.table).cell_length)
        same = item.rows_before == item.rows_after
        rows = f"  {item.rows_before:>9,} → {item.rows_after:,} rows"
        parts.append(Content.assemble(f"  {name}", (rows, "$muted" if same else "bold")))
    for backfill in report.backfills:
        told = f"{backfill.updated:,} of {count(backfill.rows, 'row')} filled"
        failed = f" · ✗ {backfill.failed:,} failed" if backfill.failed else ""
        name = f"{backfill.table}.{backfill.column}"
        parts += _wrapped(
            Content.assemble(
                ("  Backfill ", "$muted"), (name, "bold"), f"  {told}", (failed, "bold $error")
            ),
            width,
        )
        for failure in backfill.errors[:SHOWN_FAILURES]:
            head = Content.styled(f"    ✗ {failure.id}  ", "bold $error")
            parts += hanging(head, failure.message, width).split("\n")
    if report.mutations:
        fits = "all fit the new schema" if not report.unfit else ""
        unfit = f"{len(report.unfit):,} no longer fit{'s' if len(report.unfit) == 1 else ''}"
        told = f"  {count(report.mutations, 'queued mutation')}: {fits or unfit}"
        parts += _wrapped(Content.styled(told, "bold $warning" if report.unfit else ""), width)
    for left in report.unfit[:SHOWN_UNFIT]:
        mutation = left.mutation
        what = f"{mutation.operation} of {mutation.table} {mutation.row_id}: {left.reason}"
        parts += hanging(Content.styled("  ! ", "bold $warning"), what, width).split("\n")
    if len(report.unfit) > SHOWN_UNFIT:
        rest = len(report.unfit) - SHOWN_UNFIT
        parts.append(Content.styled(f"  … and {rest:,} more", "$muted"))
    for found in report.problems:
        parts += [BLANK, *_wrapped(problem(found, width), width)]
    return parts


def replica_sentence(report: ReplicaReport) -> str:
    """Whether that client follows, for the pane and the log."""
    match report.status:
        case "ok":
            steps = count(report.versions, "schema version")
            return f"Replica {report.label} will follow through {steps}."
        case "noop":
            return f"Replica {report.label} has nothing to do."
        case "ahead":
            return f"Replica {report.label} cannot follow."
        case "rejected":
            return f"Replica {report.label} will refuse this schema, for its own documents."
        case "failed":
            return f"Replica {report.label} will fail to follow."


def replica_outcome(report: ReplicaReport, width: int) -> list[Content]:
    """The same with its mark, and how many queued mutations will be lost."""
    good = report.status in ("ok", "noop")
    told = replica_sentence(report)
    if report.unfit:
        told += f" {count(len(report.unfit), 'queued mutation')} will not fit."
    mark, style = ("✓", "$success") if good else ("✗", "bold $error")
    if good and report.unfit:
        mark, style = "!", "bold $warning"
    return hanging(Content.styled(f"{mark} ", style), told, width, style).split("\n")


def _refused(report: ReplicaReport, width: int) -> list[Content]:
    """The changes that the client's own documents reject."""
    drawn: list[Content] = []
    changes = report.reports[-1].plan.changes if report.status == "rejected" else ()
    for change in changes:
        if change.shown_sign == "✗":
            head = Content.styled("  ✗ ", "bold $error")
            drawn += hanging(head, change.summary, width).split("\n")
    return drawn


def _wrapped(text: Content, width: int) -> list[Content]:
    return text.wrap(max(8, width))


class ReplicaScreen(ModalScreen[str | None]):
    """Ends with the file to rehearse on, "" for none any more, or None where nothing changes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", show=False)]

    def __init__(self, replica: str) -> None:
        super().__init__()
        self.replica = replica

    def compose(self) -> ComposeResult:
        with Vertical(id="open") as box:
            box.border_title = Content("Rehearse a replica")
            box.border_subtitle = Content("→ completes a path · enter rehearses · esc closes")
            yield Static(
                "A client's database file (empty: rehearse none)", classes="label", markup=False
            )
            suffixes = (".db", ".sqlite", ".sqlite3", ".db3")
            yield TypedInput(
                self.replica, id="replica-file", compact=True, suggester=PathSuggester(suffixes)
            )
            yield Static(id="open-told", markup=False)
            with Horizontal(id="answers"):
                yield Button(Content("Cancel  esc"), id="no", compact=True)
                yield Button(Content("Rehearse  enter"), id="yes", compact=True)

    def on_mount(self) -> None:
        """The path is typed at once."""
        self.query_one(Input).focus()

    @property
    def file(self) -> str:
        """The path that was typed, with `~` as the home directory."""
        typed = self.query_one(Input).value.strip()
        return str(expanded(typed)) if typed else ""

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what is not there: a slip is seen."""
        event.stop()
        told = "There is no such file." if self.file and not is_file(Path(self.file)) else ""
        self.query_one("#open-told", Static).update(Content.styled(told, "$warning"))

    def _choose(self) -> None:
        if not self.file or is_file(Path(self.file)):
            self.dismiss(self.file)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter rehearses."""
        event.stop()
        self._choose()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The focused or clicked answer."""
        event.stop()
        if event.button.id == "yes":
            self._choose()
        else:
            self.dismiss(None)

    def action_close(self) -> None:
        """Nothing changes."""
        self.dismiss(None)
