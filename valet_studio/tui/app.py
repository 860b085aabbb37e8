"""The studio: one app that holds the facts, starts the work and hears what workers tell."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual.binding import BindingType
from textual.command import Provider
from textual.driver import Driver
from textual.message import Message
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES, Theme

from valet_studio import pipeline, watch
from valet_studio.config import Settings
from valet_studio.tour import Tour
from valet_studio.tui import looking, messages
from valet_studio.tui.actions import action_named
from valet_studio.tui.background import Background
from valet_studio.tui.commands import Commands
from valet_studio.tui.engine import Engine, Saves
from valet_studio.tui.fitted import fitted
from valet_studio.tui.output import lasting
from valet_studio.tui.palette import ActionsProvider
from valet_studio.tui.remembered import memory_path, recall, remember
from valet_studio.tui.replica import Rehearse, rehearse
from valet_studio.tui.running import Running
from valet_studio.tui.screen import MainScreen
from valet_studio.tui.text import problem_plain
from valet_studio.tui.theme import THEMES, in_sixteen, starting_theme
from valet_studio.tui.window import Window
from valet_studio.typescript import warm

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that end the studio. Ctrl-C comes as a key while it has the terminal."""
SWITCH_SECONDS = 0.001
"""How long a worker thread computes while a key waits; a fifth of what Python does by itself."""
DRAW_SECONDS = 0.1
"""How often the progress of a run is drawn. A key that comes meanwhile waits for it."""


def run(settings: Settings, tour: Tour | None = None, replica: Path | None = None) -> None:
    """Open the studio and return when the user leaves it.

    Args:
        settings: what to work on.
        tour: the demo's tour, at its first step.
        replica: a client's file that each dry run rehearses on too.

    Raises:
        Exception: a defect ended it; the terminal is as it was before.
        SystemExit: a signal ended it; the same holds.
    """
    if not os.environ.get("NO_COLOR", "set"):
        del os.environ["NO_COLOR"]  # Empty is as good as not set (https://no-color.org).
    app = StudioApp(settings, memory=memory_path(), tour=tour, replica=replica)
    if app.console.color_system == "standard":
        app.keep_to_sixteen()
    warm.keep()
    # Collecting garbage among all that was imported, and among the widgets and the first plan,
    # would stop the keys for 50 ms now and then.
    gc.freeze()
    # A worker that computes gives way to a key this soon.
    sys.setswitchinterval(SWITCH_SECONDS)
    app.settled = gc.freeze
    try:
        app.run()
    finally:
        app.window.leave()
    if app.defect is not None:
        raise app.defect
    if app.return_code:
        raise SystemExit(app.return_code)


class StudioApp(Running):
    """Watch, look, rehearse, apply."""

    TITLE = "Valet Studio"
    CSS_PATH = "studio.tcss"
    BINDINGS: ClassVar[list[BindingType]] = []
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {ActionsProvider}

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
        super().__init__(settings, engine, saves, memory, tour, replica, rehearse_replica)
        self.commands = Commands(self)
        """What the keys do."""
        self.background: Background = Background(self)
        self.window = Window(os.environ, self._to_terminal)
        for theme in THEMES:
            self.register_theme(theme)
        remembered = recall(memory).theme if memory is not None else None
        if remembered not in self.available_themes:
            remembered = None
        self.theme = starting_theme(os.environ, remembered)

    def get_theme(self, theme_name: str) -> Theme | None:
        """A theme by its name; Textual's own are fitted to the studio."""
        if theme_name in BUILTIN_THEMES:
            return fitted(theme_name)
        return super().get_theme(theme_name)

    def refresh_css(self, animate: bool = True) -> None:
        """Before there is a screen, note the theme's colours alone: rules are read with it."""
        if not self.screen_stack:
            self.stylesheet.set_variables(self.get_css_variables())
        else:
            super().refresh_css(animate)

    def get_driver_class(self) -> type[Driver]:
        """Textual's own, which outlives its terminal."""
        return lasting(super().get_driver_class())

    def get_default_screen(self) -> Screen[None]:
        """The four panes."""
        return MainScreen()

    def on_mount(self) -> None:
        """Paint first, then read."""
        self.call_after_refresh(self._begin)

    def keep_to_sixteen(self) -> None:
        """Use no more colours than that."""
        self.sixteen = True
        self.theme = in_sixteen(self.theme)

    def _remember_theme(self, theme: Theme) -> None:
        if self.memory is not None:
            remember(self.memory, replace(recall(self.memory), theme=theme.name))

    def _begin(self) -> None:
        self.facts = replace(self.facts, in_browser=self.is_web)
        self.draw()
        for item in self.key_problems:
            self.log_line("!", problem_plain(item))
        if self.key_problems:
            self.say(f"{self.key_problems[0].message} See the log.", "warning")
        if not (self.is_headless or self.is_web):
            self._hear_signals()
        self.theme_changed_signal.subscribe(self, self._remember_theme)
        self.begin_watching()
        self.set_interval(DRAW_SECONDS, self.advance_run)
        self.set_interval(looking.DATABASE_SECONDS, self.look_at_database)

    def _hear_signals(self) -> None:
        """Let what ends other programs end this one with the terminal as it was before."""
        loop = asyncio.get_running_loop()
        for name in ENDING:
            number = getattr(signal, name, None)
            if number is not None:
                with suppress(NotImplementedError, ValueError):
                    loop.add_signal_handler(number, self._end, number)

        if hasattr(signal, "SIGTSTP"):
            with suppress(NotImplementedError, ValueError):
                loop.add_signal_handler(signal.SIGTSTP, self.rest)

    def _end(self, number: signal.Signals) -> None:
        self.cancel.set()
        self.exit(return_code=128 + number)

    def _to_terminal(self, sequence: str) -> None:
        if self.is_headless or self.is_web:
            return
        if self._driver is not None and self._running:
            self._driver.write(sequence)
            self._driver.flush()
        elif sys.__stderr__ is not None:
            sys.__stderr__.write(sequence)
            sys.__stderr__.flush()

    def _handle_exception(self, error: Exception) -> None:
        """Keep it for `run`, which raises it where the terminal can show a sentence."""
        if self.defect is None:
            self.defect = error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End without a traceback over the screen."""
        self._close_messages_no_wait()

    async def _on_message(self, message: Message) -> None:
        """Hear nothing from workers while the panes, which would show it, are taken down."""
        if self.is_running or not isinstance(message, messages.WorkerMessage):
            await super()._on_message(message)

    def on_unmount(self) -> None:
        """Whatever ends the app ends its work."""
        self.cancel.set()
        self.generation += 1
        self.background.leave()

    def action_perform(self, name: str) -> None:
        """Do what a key of the registry stands for, or say why it is off."""
        reason = action_named(name).reason(self.facts)
        if reason is None or name != "cancel":
            self.choose(name)

    def choose(self, name: str) -> None:
        """Do an action of the registry, or say why it is off."""
        reason = action_named(name).reason(self.facts)
        if reason is None:
            self.forgive()
            self.commands.do(name)
        else:
            self.refuse(reason)

    async def action_quit(self) -> None:
        """Textual's own ways to quit ask as `q` does."""
        self.action_perform("quit")

    def action_help_quit(self) -> None:
        """Ctrl-C is for copying in many terminals: say how to leave."""
        self.say(f"{self.facts.key('quit')} leaves the studio.")
