"""Pane 1: the plan as a tree by table, and below it all about the selected change."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static, Tree
from textual.widgets.tree import TreeNode

from valet_studio.errors import Location
from valet_studio.tui.detail import change_detail, empty_detail, problems_detail, warning_detail
from valet_studio.tui.facts import Facts
from valet_studio.tui.plan_rows import Row, RowKey, plan_rows, row_to_select, signs_counted
from valet_studio.tui.text import count, shortened


class PlanTree(Tree[Row]):
    """Tables and their changes; cursor, folding and scroll survive a new plan."""

    BINDINGS: ClassVar[list[BindingType]] = []
    show_root = False

    def __init__(self) -> None:
        super().__init__(Text("plan"), id="plan-tree")
        self.show_root = False
        self.show_guides = False
        self.guide_depth = 2
        self.nodes: dict[RowKey, TreeNode[Row]] = {}

    def show_rows(self, rows: tuple[Row, ...]) -> None:
        """Show these rows: in place where the keys are the same, else rebuilt around the cursor."""
        if list(self.nodes) == [row.key for row in rows]:
            for row in rows:
                node = self.nodes[row.key]
                node.data = row
            self.notify_style_update()  # forgets the lines that were drawn
            self.refresh()
            return
        folded = {
            key for key, node in self.nodes.items() if node.allow_expand and node.is_collapsed
        }
        order = list(self.nodes)
        node_before = self.cursor_node
        selected = node_before.data.key if node_before is not None and node_before.data else None
        offset = self.scroll_offset
        self.clear()
        self.nodes = {}
        parent = self.root
        for row in rows:
            if row.heading:
                parent = self.root.add(
                    Text(row.text), data=row, expand=row.key not in folded, allow_expand=True
                )
                self.nodes[row.key] = parent
            else:
                self.nodes[row.key] = parent.add_leaf(Text(row.text), data=row)
        if not rows:
            return
        _ = self.last_line  # lays the lines out: only then nodes know theirs
        kept = self.nodes[row_to_select(rows, selected, order)]
        self.move_cursor(kept if kept.line >= 0 else kept.parent)
        self.call_after_refresh(self._scroll_back, offset.y)

    def _scroll_back(self, y: int) -> None:
        self.scroll_to(y=y, animate=False)
        self.scroll_to_line(self.cursor_line, animate=False)

    def get_label_width(self, node: TreeNode[Row]) -> int:  # noqa: ARG002
        """One cell: labels are cut to the pane, so that the tree never scrolls sideways."""
        return 1

    def render_label(
        self,
        node: TreeNode[Row],
        base_style: Style,  # noqa: ARG002
        style: Style,
    ) -> Text:
        """Fold mark or sign, sentence, and the documents it touches at the right edge."""
        row = node.data
        if row is None:
            return Text()
        depth = 0 if row.heading else 1
        width = max(8, self.scrollable_content_region.width - 2 * depth)
        theme = self.app.current_theme
        muted = Style(color=theme.variables.get("muted"))
        sign_style = style + Style(
            bold=True,
            color={
                "+": theme.success,
                "-": theme.variables.get("muted"),
                "~": theme.primary,
                "!": theme.warning,
                "✗": theme.error,
            }.get(row.sign),
        )
        mark = ("▾ " if node.is_expanded else "▸ ") if row.heading else f"{row.sign} "
        counted = f"  {row.counted} " if row.counted else ""
        room = width - len(mark) - len(counted)
        if room < 16:
            counted, room = "", width - len(mark)
        label = Text()
        label.append(mark, style=style + muted if row.heading else sign_style)
        text_style = style + Style(bold=True) if row.heading else style
        label.append(shortened(row.text, room), style=text_style)
        label.append(" " * max(0, room - label.cell_len + len(mark)), style=style)
        label.append(counted, style=style + muted)
        return label


class PlanPane(Vertical):
    """The plan. While schema.ts is broken the last good one stays, dimmed, above the error."""

    BORDER_TITLE = "1 Plan"

    class Selected(Message):
        """Another change has the cursor."""

    def __init__(self) -> None:
        super().__init__(id="plan", classes="pane")
        self.facts: Facts | None = None

    def compose(self) -> ComposeResult:
        yield PlanTree()
        with VerticalScroll(id="detail", can_focus=False):
            yield Static(id="detail-text", markup=False)

    @property
    def changes(self) -> PlanTree:
        """The tree of changes."""
        return self.query_one(PlanTree)

    @property
    def selected(self) -> Row | None:
        """The row under the cursor."""
        node = self.changes.cursor_node
        row = node.data if node is not None else None
        return row if row is not None and row.key in self.changes.nodes else None

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
        if before is None or before.good is not facts.good:
            self.changes.show_rows(plan_rows(facts.good) if facts.good is not None else ())
        rows = self.changes.nodes
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
        self.border_subtitle = Content(subtitle) if subtitle else None
        self.show_detail()

    def on_resize(self, _: events.Resize) -> None:
        """Code is cut at the pane's edge."""
        self.show_detail()

    def show_detail(self) -> None:
        """Draw the area below the tree."""
        if self.facts is None:
            return
        row = self.selected
        width = max(20, self.query_one("#detail").scrollable_content_region.width)
        schema = self.facts.good.schema if self.facts.good is not None else None
        sources = schema.sources if schema is not None else None
        if self.facts.broken and not self.facts.missing:
            drawn = problems_detail(self.facts.problems, width)
        elif row is not None and row.change is not None and sources is not None:
            drawn = change_detail(row.change, sources, width)
        elif row is not None and row.problem is not None and sources is not None:
            drawn = warning_detail(row.problem, sources, width)
        elif row is not None:
            drawn = Content.styled(row.counted, "$muted")
        else:
            drawn = empty_detail(self.facts)
        self.query_one("#detail-text", Static).update(drawn)

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Row]) -> None:
        """The cursor moved: show that row's detail from its top."""
        event.stop()
        self.show_detail()
        self.query_one("#detail").scroll_home(animate=False)
        self.post_message(self.Selected())

    def scroll_detail(self, lines: int) -> None:
        """Scroll the area below the tree."""
        self.query_one("#detail").scroll_relative(y=lines, animate=False)
