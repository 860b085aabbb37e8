"""The caption of the tour: which step of the demo is shown, and what there is to see."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from valet_studio.tui.facts import Facts, TourPlace
from valet_studio.tui.text import hanging, lines


class TourBar(Static):
    """Hidden where there is no tour."""

    def __init__(self) -> None:
        super().__init__(id="tour", markup=False)
        self.facts: Facts | None = None
        self.drawn: tuple[TourPlace, int] | None = None

    def show(self, facts: Facts) -> None:
        """Draw the step that was saved last."""
        self.set_class(facts.tour is not None, "-shown")
        self.facts = facts
        self._draw()

    def on_resize(self) -> None:
        """Its lines break at the terminal's width."""
        self._draw()

    def _draw(self) -> None:
        if self.facts is None or self.facts.tour is None:
            return
        width = max(40, self.app.size.width - 4)
        if (self.facts.tour, width) != self.drawn:
            self.drawn = self.facts.tour, width
            keys = self.facts.key("next_step"), self.facts.key("last_step")
            self.update(tour_text(self.facts.tour, keys, width))


def tour_text(place: TourPlace, keys: tuple[str, str], width: int) -> Content:
    """Number, title and caption; the keys that go on and back."""
    step = place.step
    more = f"{keys[0]} next" if place.left else "the last step"
    more += f" · {keys[1]} back" if place.number > 1 else ""
    head = Content.assemble(
        (f" {place.number}/{place.number + place.left} ", "bold reverse"),
        (f"  {step.title}", "bold"),
    )
    section = Content.styled(f'   in "{step.section}"', "$muted")
    if head.cell_length + section.cell_length + len(more) + 2 <= width:
        head += section
    gap = max(2, width - head.cell_length - len(more))
    return lines(
        (
            Content.assemble(head, " " * gap, (more, "bold $primary")),
            hanging(Content(" "), step.caption, width),
        )
    )
