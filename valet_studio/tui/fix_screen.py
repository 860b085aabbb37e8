"""Quick fixes of one change: choose, see the edit as a diff, write it into schema.ts."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from valet_studio.fixes.fix import Fix
from valet_studio.tui.text import code, lines


class FixScreen(ModalScreen[Fix | None]):
    """Ends with the fix to write, or None. Nothing is written here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "write", show=False),
        Binding("n,q,escape", "close", show=False),
        Binding("left,right,tab,shift+tab", "other", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
        Binding("shift+down,pagedown", "scroll(5)", show=False),
        Binding("shift+up,pageup", "scroll(-5)", show=False),
        Binding("c", "copy", show=False),
    ]

    def __init__(self, fixes: tuple[Fix, ...]) -> None:
        super().__init__()
        self.fixes = fixes
        self.at = 0

    def compose(self) -> ComposeResult:
        with Vertical(id="fix") as box:
            several = len(self.fixes) > 1
            box.border_title = Content(f"Quick fix of {self.fixes[0].file}")
            if several:
                box.border_subtitle = Content("↑ ↓ chooses · enter writes · c copies the diff")
                yield OptionList(
                    *(Option(Content(fix.title)) for fix in self.fixes),
                    id="fix-list",
                    markup=False,
                )
            else:
                yield Static(Content.styled(self.fixes[0].title, "bold"), markup=False)
            yield Static(id="fix-why", markup=False)
            with VerticalScroll(id="fix-diff", can_focus=False):
                yield Static(id="fix-text", markup=False)
            with Horizontal(id="answers"):
                yield Button(Content("Cancel  esc"), id="no", compact=True)
                yield Button(Content("Write it  y"), id="yes", compact=True)

    def on_mount(self) -> None:
        """The list has the focus where there is a choice, else the button that writes."""
        self.query_one("#fix-list" if len(self.fixes) > 1 else "#yes").focus()

    def on_resize(self) -> None:
        """Lines are as wide as the box."""
        self.call_after_refresh(self._show)

    @property
    def fix(self) -> Fix:
        """The chosen one."""
        return self.fixes[self.at]

    def _show(self) -> None:
        self.query_one("#fix-why", Static).update(Content.styled(self.fix.why, "$muted"))
        width = self.query_one("#fix-diff").scrollable_content_region.width
        self.query_one("#fix-text", Static).update(edit_drawn(self.fix, max(30, width)))
        self.query_one("#fix-diff").scroll_home(animate=False)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the edit under the cursor."""
        event.stop()
        self.at = event.option_index
        self._show()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter on a fix writes it, as it does where there is but one."""
        event.stop()
        self.dismiss(self.fixes[event.option_index])

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The focused or clicked answer."""
        event.stop()
        self.dismiss(self.fix if event.button.id == "yes" else None)

    def action_write(self) -> None:
        """Choose the shown fix."""
        self.dismiss(self.fix)

    def action_close(self) -> None:
        """Choose none."""
        self.dismiss(None)

    def action_other(self) -> None:
        """Move between list and buttons."""
        self.focus_next()

    def action_scroll(self, step: int) -> None:
        """Scroll the diff."""
        self.query_one("#fix-diff").scroll_relative(y=step, animate=False)

    def action_copy(self) -> None:
        """Copy the diff."""
        self.app.copy_to_clipboard(self.fix.diff())


def edit_drawn(fix: Fix, width: int) -> Content:
    """The edit as a diff, coloured; signs carry the meaning. A longer line goes on below, further
    to the right than it began."""
    drawn: list[Content] = []
    for line in fix.diff().splitlines()[2:]:
        sign, text = line[:1], line[1:]
        if sign == "@":
            if drawn:
                drawn.append(Content.styled("  ⋯", "$muted"))
            continue
        if sign == "\\":
            continue
        style = {"+": "on $added-line", "-": "on $removed-line"}.get(sign, "")
        mark = {"+": "bold $success", "-": "bold $error"}.get(sign, "")
        text = text.expandtabs(4)
        indent = min(len(text) - len(text.lstrip()) + 4, width // 2)
        first, *more = wrapped_code(code(text, "typescript"), width - 2, indent)
        rows = [Content.assemble((f"{sign} ", mark), first), *(Content("  ") + m for m in more)]
        drawn += [row.stylize_before(style) if style else row for row in rows]
    return lines(drawn)


def wrapped_code(line: Content, width: int, indent: int) -> list[Content]:
    """One line of code as lines of at most that many cells, all but the first indented."""
    parts: list[Content] = []
    while line.cell_length > (room := width - (indent if parts else 0)):
        at = line.plain.rfind(" ", room // 2, room)
        at = at + 1 if at >= 0 else room
        parts.append(line[:at])
        line = line[at:]
    parts.append(line)
    return [parts[0], *(Content(" " * indent) + part for part in parts[1:])]
