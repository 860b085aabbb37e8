"""The title of a pane, which tells whether the focus is in it."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget


class Titled(Widget):
    """A pane whose title lights up while it has the focus.

    By the style sheet's `border-title-color` it would, too, but a change of that has every widget
    within drawn anew, and a key that moves the focus wait for it.
    """

    heading = ""
    """What the title says."""

    def entitle(self, heading: str) -> None:
        """Say something else."""
        self.heading = heading
        self._draw_heading()

    def notify_style_update(self) -> None:
        """The focus came or went."""
        super().notify_style_update()
        self._draw_heading()

    def _draw_heading(self) -> None:
        inside = self.has_pseudo_class("focus") or self.has_pseudo_class("focus-within")
        self.border_title = Content.styled(self.heading, "bold $primary" if inside else "")
