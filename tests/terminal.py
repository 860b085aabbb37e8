"""A real pseudo-terminal with the studio in it, and a screen to read."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pexpect
import pyte

PATIENCE = 30.0
"""Seconds after which a screen that did not come is a failure."""
STUDIO = (sys.executable, "-m", "valet_studio")


class Terminal:
    """A program in a pseudo-terminal of a given size; the screen is emulated by pyte."""

    def __init__(
        self,
        cwd: Path,
        *arguments: str,
        columns: int = 120,
        rows: int = 36,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = STUDIO,
    ):
        own = ("NO_COLOR", "COLUMNS", "LINES")
        environment = {
            **{name: value for name, value in os.environ.items() if name not in own},
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            # What whoever runs the tests had remembered is none of theirs.
            "XDG_STATE_HOME": str(cwd / ".state"),
            **(environment or {}),
        }
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.said = b""
        """Every byte that the program wrote."""
        self.process = pexpect.spawn(
            program[0],
            [*program[1:], *arguments],
            cwd=str(cwd),
            env=environment,
            dimensions=(rows, columns),
            timeout=None,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.close(force=True)

    @property
    def text(self) -> str:
        """The screen as lines of text."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, *keys: str) -> None:
        """Send keys as a terminal would."""
        for key in keys:
            self.process.send(key)

    def drain(self) -> None:
        """Read until the program has been silent for a moment, or has talked for a while."""
        deadline = time.monotonic() + 1
        silent = b""
        while self.said != silent and time.monotonic() < deadline:
            silent = self.said
            self._read(0.1)

    def resize(self, columns: int, rows: int) -> None:
        """Make the terminal another size."""
        self.screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def _read(self, seconds: float) -> bool:
        """Feed what the program wrote to the screen; False at its end."""
        try:
            told = self.process.read_nonblocking(65536, timeout=seconds)
            self.said += told
            self._stream.feed(told)
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        return True

    def wait_for(self, *texts: str, without: str | None = None, after: str = "") -> str:
        """The screen once it shows all of `texts` behind the last `after`, and not `without`."""
        deadline = time.monotonic() + PATIENCE
        while True:
            shown = self.text.rpartition(after)[2] if after else self.text
            if all(text in shown for text in texts) and (without is None or without not in shown):
                return self.text
            if time.monotonic() > deadline or not self._read(0.05):
                raise AssertionError(f"{texts} did not come; the screen shows:\n{self.text}")

    def wait_for_bytes(self, told: bytes, times: int) -> None:
        """Wait until the program wrote that so many times; pyte knows no alternate screen."""
        deadline = time.monotonic() + PATIENCE
        while self.said.count(told) < times:
            if time.monotonic() > deadline or not self._read(0.05):
                raise AssertionError(f"{told!r} did not come {times} times: {self.said[-500:]!r}")

    def wait_for_end(self) -> int:
        """The exit status once the program has ended by itself."""
        deadline = time.monotonic() + PATIENCE
        while self._read(0.05):
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not end; the screen shows:\n{self.text}")
        self.process.wait()
        return int(self.process.exitstatus or 0)
