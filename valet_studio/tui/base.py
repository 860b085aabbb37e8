"""What the parts of the studio share: the facts, the screen that they are drawn on, the log."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from textual.app import App

from valet_studio import pipeline, watch
from valet_studio.config import Settings
from valet_studio.fixes.fix import Fix
from valet_studio.migrate.history import Earlier
from valet_studio.tour import STEPS, Tour
from valet_studio.tui import messages
from valet_studio.tui.actions import USUAL_KEYS
from valet_studio.tui.diff import TypesView
from valet_studio.tui.engine import Engine, Saves
from valet_studio.tui.facts import Facts, TourPlace
from valet_studio.tui.follow_ups import FollowUps
from valet_studio.tui.keys import bound
from valet_studio.tui.log_pane import Entry, LogPane, Mark
from valet_studio.tui.progress import Progress, TimedEvent
from valet_studio.tui.remembered import recall
from valet_studio.tui.replica import Rehearse, rehearse
from valet_studio.tui.screen import MainScreen
from valet_studio.tui.server_watch import ServerWatch
from valet_studio.tui.status import Tone
from valet_studio.tui.window import Window
from valet_studio.watch import Stamp


class StudioBase(App[None]):
    """Holds what is known, and draws it. Workers compute and post messages; only handlers draw."""

    background: FollowUps
    """What begins by itself."""
    window: Window
    """The terminal's title and progress."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine = pipeline,
        saves: Saves = watch.saves,
        memory: Path | None = None,
        tour: Tour | None = None,
        replica: Path | None = None,
        rehearse_replica: Rehearse = rehearse,
    ) -> None:
        # Without colours Textual draws in greys, but where it leaves colours to the terminal.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.settings = settings
        self.engine = engine
        self.saves = saves
        self.memory = memory
        """Where options are remembered; None where they are not."""
        chosen, self.key_problems = bound(settings.keys)
        self.facts = Facts(
            settings,
            live=memory is not None and recall(memory).live,
            keys={**USUAL_KEYS, **chosen},
            replica=replica,
        )
        self.progress: Progress | None = None
        """The newest dry run or apply."""
        self.types: TypesView | None = None
        self.generation = 0
        """Counts looks; what an older one tells is dropped."""
        self.looked = 0
        """The newest look that ended."""
        self.waiting: deque[TimedEvent] = deque()
        """What the run told and was not drawn yet; the worker appends."""
        self.cancel = threading.Event()
        self.leaving = False
        self.rereading = False
        """Whether the user asked for the look that runs, and waits for an answer."""
        self.now: Callable[[], datetime] = datetime.now
        """What the log's times are read from."""
        self.notice_holds = False
        """Whether what was said last speaks of the next plan."""
        self.refused: str | None = None
        """Why a key did nothing, as long as that was said last."""
        self.not_measured: str | None = None
        """What was said of counts that could not be read, until they can."""
        self.rejected: str | None = None
        """Fingerprint of the plan of which the log says last that the data rejects it."""
        self.earlier: Earlier | None = None
        """What was said last of a schema that the database has gone on from."""
        self.settled: Callable[[], object] | None = None
        """Called once, when the first plan is there with its counts."""
        self.defect: Exception | None = None
        """What no handler expected; the app is ending."""
        self.database_seen: Stamp | None = None
        """The database's files as they were at the newest look."""
        self.server_watch = ServerWatch()
        self.rest_until = 0.0
        """When the database may be read again unasked: a slow count is not repeated at once."""
        self.fixed: list[Fix] = []
        """Quick fixes that were written, oldest first."""
        self.tour = tour
        self.rehearse_replica = rehearse_replica
        self.sixteen = False
        """Whether the terminal has no more than sixteen colours."""
        self.insisted: str | None = None
        """What the tour's next step was put off for when it was asked for first."""
        self.facts = replace(self.facts, tour=self.tour_place())
        self.set_keymap({action: ",".join(keys) for action, keys in chosen.items()})

    @property
    def main(self) -> MainScreen:
        """The screen with the panes, below any question."""
        screen = self.screen_stack[0]
        assert isinstance(screen, MainScreen)
        return screen

    @property
    def closing(self) -> bool:
        """Whether the panes are gone: what workers still tell is no longer shown."""
        return not self.screen_stack or not self.main.query(LogPane)

    def tour_place(self) -> TourPlace | None:
        """Where the tour is; None where there is none, or before its first step."""
        if self.tour is None or self.tour.step is None:
            return None
        left = self.tour.left
        return TourPlace(self.tour.step, len(STEPS) - left, left)

    def draw(self) -> None:
        """Draw everything from the facts."""
        if self.closing:
            return
        self.main.show(self.facts, self.progress, self.types)
        self.window.show(self.facts, self.progress)

    def learn(self, facts: Facts) -> None:
        """Know this from now on, and show it."""
        self.facts = facts
        self.draw()

    def say(self, text: str, tone: Tone = "plain", *, holds: bool = False) -> None:
        """Answer the user in the line above the keys.

        It stands until there is something else to say, or another plan; with `holds` the next
        plan is what it speaks of, and only the one after that takes it away.
        """
        self.notice_holds = holds
        if not self.closing:
            self.main.say(text, tone)

    def refuse(self, reason: str) -> None:
        """Say why a key did nothing; it stands until a key does something."""
        self.say(reason, "warning")
        self.refused = reason

    def forgive(self) -> None:
        """A key does something: why another one did nothing need not be said any longer."""
        if self.refused is not None and not self.closing and self.main.notice == self.refused:
            self.say("")
        self.refused = None

    def hush(self) -> None:
        """There is another plan: what was said of the old one is of no use."""
        if self.notice_holds:
            self.notice_holds = False
        else:
            self.say("")

    def log_line(self, mark: Mark, *texts: str, at_once: bool = True) -> None:
        """Append to the log; not `at_once` where what follows must not wait for the paint."""
        if self.closing:
            return
        now = self.now()
        self.main.log_pane.add(*(Entry(now, mark, text) for text in texts), at_once=at_once)

    def on_answered(self, message: messages.Answered) -> None:
        """Take in what a worker was asked for."""
        message.call()
