"""The lines around the panes: status above, tabs, notice and keys below."""

from __future__ import annotations

from typing import Literal, TypeAlias

from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.widget import Widget

from valet_studio.tui.actions import ACTIONS, Action, action_named
from valet_studio.tui.facts import Facts
from valet_studio.tui.text import count, path_shortened, pending, shortened, size

Tone: TypeAlias = Literal["plain", "good", "warning", "bad"]
TONES: dict[Tone, tuple[str, str]] = {
    "plain": ("", ""),
    "good": ("✓ ", "$success"),
    "warning": ("! ", "$warning"),
    "bad": ("✗ ", "$error"),
}


LEAST_PATHS = 40
"""Cells that the paths of schema and database must be left with."""
LEAST_NAMES = 20
"""Cells below which only the database is named."""


class _FactsLine(Widget):
    """A line that is drawn from the facts."""

    facts: Facts | None = None

    def show(self, facts: Facts) -> None:
        """Draw what is known now."""
        self.facts = facts
        self.refresh()


class StatusLine(_FactsLine):
    """Schema and watching, database and size, the plan's state, its fingerprint, its rehearsal."""

    def __init__(self) -> None:
        super().__init__(id="status")

    def render(self) -> RenderResult:
        """One line; the paths give way first."""
        if self.facts is None:
            return Content("")
        return status_text(self.facts, self.size.width)


def status_text(facts: Facts, width: int) -> Content:
    """The status line in that many cells."""
    state = facts.good or facts.state
    paused = "" if facts.watching else " paused"
    live = "  live" if facts.live else ""
    database = facts.settings.database
    about = ""
    if facts.unreadable:
        about = " unreadable"
    elif state is not None:
        database = state.database.label
        if not state.database.exists:
            about = " (not made yet)"
        elif state.database.size is not None:
            about = f" {size(state.database.size)}"
        if state.database.read_only:
            about += " read-only"
    production = " PRODUCTION" if facts.settings.production else ""
    right = _plan_part(facts, whole=True, named=True)
    if right.cell_length > width - LEAST_PATHS - len(about):
        right = _plan_part(facts, whole=True, named=False)
    if right.cell_length > width - LEAST_PATHS:
        right = _plan_part(facts, whole=False, named=False)
    room = width - right.cell_length - len(paused) - len(live) - len(about) - len(production) - 9
    if room < LEAST_NAMES:
        left = _narrow(facts, database, about.endswith(" read-only"), width - right.cell_length)
        return left + " " * max(1, width - left.cell_length - right.cell_length - 1) + right
    schema = str(facts.settings.schema_path)
    if len(schema) + len(database) > room:
        half = max(10, room // 2)
        schema = path_shortened(schema, max(half, room - len(database)))
        database = path_shortened(database, max(10, room - len(schema)))
    left = Content.assemble(
        " ",
        _watching(facts),
        (schema, "bold"),
        (paused, "$warning"),
        (live, "bold $primary"),
        ("  │ ", "$border-idle"),
        (database, "bold"),
        (about, "$muted"),
        (production, "bold $error"),
    )
    gap = max(2, width - left.cell_length - right.cell_length - 1)
    return Content.assemble(left, " " * gap, right)


def _watching(facts: Facts) -> tuple[str, str]:
    return ("● ", "$success") if facts.watching else ("‖ ", "$warning")


def _narrow(facts: Facts, database: str, read_only: bool, width: int) -> Content:
    """The line's left part where there is little room: the database's name must be seen."""
    production = " PRODUCTION" if facts.settings.production else ""
    name = path_shortened(database, max(4, width - len(production) - 5))
    spare = width - len(name) - len(production) - 5
    fitting = {}
    # What must not be overlooked comes first.
    for what, text in (
        ("read-only", " read-only" if read_only else ""),
        ("paused", "" if facts.watching else "paused "),
        ("live", "live " if facts.live else ""),
        ("schema", f"{facts.settings.schema_path.name}  "),
    ):
        fitting[what] = text if len(text) <= spare else ""
        spare -= len(fitting[what])
    return Content.assemble(
        " ",
        _watching(facts),
        (fitting["schema"], "bold"),
        (fitting["paused"], "$warning"),
        (fitting["live"], "bold $primary"),
        (name, "bold"),
        (fitting["read-only"], "$muted"),
        (production, "bold $error"),
    )


def _plan_part(facts: Facts, *, whole: bool, named: bool) -> Content:
    """The plan's state; what it is called, too, where the `whole` of it fits: where nothing is
    pending, the schema by its hash, as receipts and history call it. `named`: in a word, which."""
    plan = facts.plan
    if facts.state is None or (facts.reading and not whole):
        return Content.styled("reading…", "$muted")
    if facts.missing:
        return Content.styled("! no schema", "bold $warning")
    if facts.broken:
        what = "✗ database unreadable" if facts.unreadable else "✗ broken"
        return Content.styled(what, "bold $error")
    if plan is None:
        return Content("")
    said = {
        "in_sync": ("✓ in sync", "bold $success"),
        "pending": (pending(plan), "bold $primary"),
        "blocked": ("✗ rejected", "bold $error"),
    }[plan.status]
    parts = [Content.styled(*said)]
    if facts.reading:
        parts.insert(0, Content.styled("reading a save…", "bold $warning"))
    if whole:
        synced = plan.status == "in_sync"
        word = ("schema " if synced else "plan ") if named else ""
        called = plan.schema_hash[:12] if synced else plan.fingerprint[:8]
        parts.append(Content.styled(f"{word}{called}", "$muted"))
    if facts.type_errors:
        errors = count(len(facts.type_errors), "type error")
        parts.insert(1, Content.styled(f"✗ {errors}", "bold $error"))
    if facts.running is not None:
        earlier = facts.running == "dry run" and facts.carried_out != plan.fingerprint
        of = " of an earlier plan" if earlier and whole else " (earlier)" if earlier else ""
        parts.append(Content.styled(f"● {facts.running}{of}", "bold $primary"))
    elif plan.status == "pending":
        if facts.rehearsal_holds:
            parts.append(Content.styled("✓ dry run", "$success"))
        elif plan.fingerprint == facts.failed:
            parts.append(Content.styled("✗ dry run", "$error"))
        else:
            parts.append(Content.styled("no dry run", "$muted"))
    return Content.styled(" · ", "$border-idle").join(parts)


class Notice(Widget):
    """One line that says what the last key did, or why it did nothing."""

    def __init__(self) -> None:
        super().__init__(id="notice")
        self.text = ""
        self.tone: Tone = "plain"

    def say(self, text: str, tone: Tone = "plain") -> None:
        """Show this until the next thing is said."""
        self.text, self.tone = text, tone
        self.refresh()

    def render(self) -> RenderResult:
        """The mark carries the tone, colour repeats it."""
        mark, style = TONES[self.tone]
        return Content.assemble(
            " ", (mark, f"bold {style}"), (shortened(self.text, self.size.width - 4), style)
        )


class KeyLine(_FactsLine):
    """The keys that work now, as many as fit; apply stays, dimmed, while it is off."""

    def __init__(self) -> None:
        super().__init__(id="keys")
        self.shown: tuple[str, ...] = ()

    def render(self) -> RenderResult:
        """Key and label, in the registry's order; `?` always fits."""
        if self.facts is None:
            return Content("")
        text, self.shown = keys_text(self.facts, self.size.width)
        return text

    async def on_click(self, event: events.Click) -> None:
        """A click on a key does what the key does."""
        if self.facts is None:
            return
        at = 1
        for name in self.shown:
            action = action_named(name)
            off = action.reason(self.facts) is not None
            end = at + len(self.facts.key(name)) + len(_label(action, self.facts, off)) + 3
            if at <= event.x < end:
                await self.app.run_action(f"perform('{name}')")
                return
            at = end


def keys_text(facts: Facts, width: int) -> tuple[Content, tuple[str, ...]]:
    """The line of keys in that many cells, and the ids of the actions in it."""
    able: list[tuple[Action, bool]] = []
    for action in ACTIONS:
        off = action.reason(facts) is not None
        wanted = action.in_footer and action.wanted(facts)
        if wanted and (not off or (action.always_shown and _wants_dry_run(facts))):
            able.append((action, off))
    wide = {
        action.id: len(facts.key(action.id)) + len(_label(action, facts, off)) + 3
        for action, off in able
    }
    room = width - 1 - wide["help"] - wide["quit"]
    shown: set[str] = {"help", "quit"}
    for action, _ in able:
        if action.id in shown:
            continue
        if wide[action.id] > room:
            break
        room -= wide[action.id]
        shown.add(action.id)
    parts: list[Content] = [Content(" ")]
    for action, off in able:
        if action.id in shown:
            label = _label(action, facts, off)
            key = Content.styled(facts.key(action.id), "$muted" if off else "bold $primary")
            parts.append(Content.assemble(key, " ", (label, "$muted" if off else ""), "  "))
    return Content.assemble(*parts), tuple(a.id for a, _ in able if a.id in shown)


def _label(action: Action, facts: Facts, off: bool) -> str:
    if off:
        if facts.good is not None and facts.good.database.read_only:
            return f"{action.label} (read-only)"
        failed = facts.plan is not None and facts.plan.fingerprint == facts.failed
        return f"{action.label} ({'dry run failed' if failed else 'dry run first'})"
    if action.id == "live" and facts.live:
        return "live off"
    if action.id == "watch" and not facts.watching:
        return "resume"
    return action.label


def _wants_dry_run(facts: Facts) -> bool:
    return (
        facts.plan is not None
        and facts.plan.status == "pending"
        and not facts.broken
        and facts.running is None
    )


class Tabs(Widget):
    """The four panes' names, where only one of them fits."""

    NAMES = ("Plan", "Types", "Dry run", "Log")

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self.current = 0

    def show(self, current: int) -> None:
        """Mark the pane that is shown."""
        self.current = current
        self.refresh()

    def render(self) -> RenderResult:
        """The current one stands in brackets: colour only repeats it."""
        parts: list[Content] = [Content(" ")]
        for at, text in enumerate(self._texts()):
            style = "bold $primary" if at == self.current else "$muted"
            parts.append(Content.styled(text, style))
            parts.append(Content("  "))
        return Content.assemble(*parts)

    def _texts(self) -> list[str]:
        """The names as they are drawn; the others' numbers alone where not all names fit."""
        fit = 1 + sum(len(name) + 6 for name in self.NAMES) <= self.size.width + 2
        return [
            f"[{at} {name}]" if at == self.current + 1 else f" {at} {name} " if fit else f" {at} "
            for at, name in enumerate(self.NAMES, start=1)
        ]

    def start(self, pane: int) -> int:
        """Where a pane's name begins, in cells from the left."""
        return 1 + sum(len(text) + 2 for text in self._texts()[:pane])

    async def on_click(self, event: events.Click) -> None:
        """A click on a name shows its pane."""
        at = 1
        for number, text in enumerate(self._texts(), start=1):
            end = at + len(text) + 2
            if at <= event.x < end:
                await self.app.run_action(f"perform('pane_{number}')")
                return
            at = end
