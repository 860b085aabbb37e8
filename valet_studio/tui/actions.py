"""Every action of the studio, once: keys, footer, help and palette are drawn from this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from valet_studio.tui import facts as why
from valet_studio.tui.facts import Facts

PANES = ("plan", "types", "dry-run", "log")
"""The panes in the order of their number keys."""


def _always(_: Facts) -> str | None:
    return None


def _wanted(_: Facts) -> bool:
    return True


def _settled(facts: Facts) -> bool:
    """Whether there is nothing to apply, so that the footer has room for looking back."""
    return facts.plan is not None and facts.plan.status == "in_sync"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a key does."""

    id: str
    """The app's method is `do_` + id."""
    keys: tuple[str, ...]
    """As textual names them; the first is the one shown."""
    label: str
    """One or two words for the footer."""
    help: str
    """One sentence for the help screen and the palette."""
    reason: Callable[[Facts], str | None] = _always
    """Why it does nothing now, or None where it works."""
    pane: str | None = None
    """The pane that it belongs to; None for all."""
    always_shown: bool = False
    """Whether the footer keeps it, dimmed, while it is off."""
    in_footer: bool = True
    of_tour: bool = False
    """Whether it means something in the demo's tour alone."""
    wanted: Callable[[Facts], bool] = _wanted
    """Whether the footer has a reason to show it."""


ACTIONS: tuple[Action, ...] = (
    Action(
        "cancel",
        ("x", "escape"),
        "cancel",
        "Stop the dry run or the apply, and roll back what it did.",
        why.why_no_cancel,
    ),
    Action(
        "init",
        ("i",),
        "make schema",
        "Make a starting valet/schema.ts where there is none, of what the database holds.",
        why.why_no_init,
    ),
    Action(
        "dry_run",
        ("d",),
        "dry run",
        "Rehearse the plan, backfills included, on a copy of the database.",
        why.why_no_dry_run,
    ),
    Action(
        "retry",
        ("D",),
        "retry failed",
        "Rehearse only the documents that failed, after schema.ts was mended.",
        why.why_no_retry,
    ),
    Action(
        "apply",
        ("a",),
        "apply",
        "Apply exactly the plan that was rehearsed, after a question.",
        why.why_no_apply,
        always_shown=True,
    ),
    Action(
        "next_step",
        ("n",),
        "next step",
        "Save the tour's next step into the demo's schema.ts.",
        why.why_no_step,
        of_tour=True,
        wanted=lambda facts: facts.tour is not None and facts.tour.left > 0,
    ),
    Action(
        "last_step",
        ("p",),
        "step back",
        "Save the tour's step before this one into the demo's schema.ts; the database stays.",
        why.why_no_step_back,
        in_footer=False,
        of_tour=True,
    ),
    Action(
        "write_files",
        ("g",),
        "write types",
        "Write the generated files that are stale.",
        why.why_no_files,
    ),
    Action(
        "fix",
        ("f",),
        "quick fix",
        "Show the edits of schema.ts that mend the selected change, and write one.",
        why.why_no_fix,
        wanted=lambda facts: bool(facts.fixes),
    ),
    Action(
        "unfix",
        ("F",),
        "unfix",
        "Take the newest quick fix back, while schema.ts is as it left it.",
        why.why_no_unfix,
    ),
    Action(
        "undo",
        ("u",),
        "undo",
        "Put the database back as it was before the last apply, after a question.",
        why.why_no_undo,
        wanted=_settled,
    ),
    Action(
        "history",
        ("h",),
        "history",
        "Show what was applied; compare any two.",
        why.why_no_history,
        wanted=_settled,
    ),
    Action(
        "edit",
        ("e",),
        "edit",
        "Open $VISUAL or $EDITOR at the selected change's line.",
        why.why_no_edit,
    ),
    Action("copy", ("c",), "copy", "Copy the selected change's SQL, the error, or the log line."),
    Action(
        "live",
        ("r",),
        "live rehearsal",
        "Dry-run by itself after each save, or stop doing so; remembered.",
    ),
    Action("watch", ("w",), "pause", "Pause or resume watching the schema."),
    Action("zoom", ("z",), "zoom", "Show the focused pane alone, or all four."),
    Action("help", ("question_mark", "f1"), "help", "Show what every key does."),
    Action("quit", ("q", "ctrl+q"), "quit", "Leave; a running dry run is cancelled."),
    Action(
        "suspend",
        ("ctrl+z",),
        "to the shell",
        "Go back to the shell that started the studio; fg there comes back.",
        why.why_no_suspend,
        in_footer=False,
    ),
    Action("theme", ("t",), "light/dark", "Switch between the dark and the light theme."),
    Action("reread", ("ctrl+r",), "re-read", "Read schema and database again now."),
    Action("jump", ("ctrl+o",), "jump", "Put a letter on everything that can be gone to."),
    Action(
        "open",
        ("o",),
        "open",
        "Open another schema or another database.",
        why.why_busy,
    ),
    Action(
        "replica",
        ("R",),
        "rehearse a replica …",
        "Name a client's database file: the dry run shows what will happen on that client too.",
        why.why_busy,
        in_footer=False,
    ),
    Action("choose_theme", ("T",), "themes", "Choose one of all themes.", in_footer=False),
    Action("next_pane", ("tab",), "next pane", "Go to the next pane.", in_footer=False),
    Action("last_pane", ("shift+tab",), "last pane", "Go to the pane before.", in_footer=False),
    Action("pane_1", ("1",), "plan", "Go to the plan.", in_footer=False),
    Action("pane_2", ("2",), "types", "Go to the types.", in_footer=False),
    Action("pane_3", ("3",), "dry run", "Go to the dry run.", in_footer=False),
    Action("pane_4", ("4",), "log", "Go to the log.", in_footer=False),
    Action(
        "filter",
        ("slash",),
        "filter, find",
        "Filter the plan by table, column, kind or words; find text in the other panes.",
        in_footer=False,
    ),
    Action(
        "sides",
        ("s",),
        "side by side",
        "Show differences side by side where the pane is wide enough, or below each other.",
        pane="types",
        in_footer=False,
    ),
    Action(
        "next_hunk",
        ("right_square_bracket",),
        "next mark",
        "Go to the next difference; in the plan, to the next change marked ✗, or else !.",
        in_footer=False,
    ),
    Action(
        "last_hunk",
        ("left_square_bracket",),
        "last mark",
        "Go to the difference before; in the plan, to the marked change before.",
        in_footer=False,
    ),
    Action(
        "detail_down",
        ("shift+down", "J"),
        "scroll",
        "Scroll the selected change's details down.",
        pane="plan",
        in_footer=False,
    ),
    Action(
        "detail_up",
        ("shift+up", "K"),
        "scroll",
        "Scroll the selected change's details up.",
        pane="plan",
        in_footer=False,
    ),
)

USUAL_KEYS: Mapping[str, tuple[str, ...]] = {action.id: action.keys for action in ACTIONS}
"""The keys of every action where the user chose no other."""

MOVES: dict[str, tuple[tuple[str, str], ...]] = {
    "plan": (
        ("↑ ↓ k j", "Select a change."),
        ("enter ← →", "Fold or unfold a table; - folds all, = unfolds all."),
        ("home end", "Go to the first or the last change."),
    ),
    "types": (
        ("← →", "TypeScript, Python, SQL, schema.json."),
        ("↑ ↓ pgup pgdn", "Scroll; shift+← shift+→ scroll sideways."),
    ),
    "dry-run": (
        ("↑ ↓ pgup pgdn", "Scroll the report, or select a failed document."),
        ("enter", "Read the report above the failed documents; enter goes back to them."),
        ("J K shift+↓ shift+↑", "Scroll what is told of the selected document."),
        ("← →", "Scroll sideways."),
    ),
    "log": (
        ("↑ ↓ pgup pgdn home end", "Select a line; end follows new ones."),
        ("enter", "Read the whole of a line."),
    ),
}
"""The keys that a pane's own widget handles."""


def action_named(name: str) -> Action:
    """The action of that id."""
    return next(action for action in ACTIONS if action.id == name)
