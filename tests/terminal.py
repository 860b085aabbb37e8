"""A real pseudo-terminal with the studio in it, and a screen to read."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import TracebackType

import pexpect
import pyte


class Terminal:
    """A program in a pseudo-terminal of a given size; the screen is emulated by pyte."""

    def __init__(self, cwd: Path, *arguments: str, columns: int = 120, rows: int = 36):
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
        }
        environment.pop("NO_COLOR", None)
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.process = pexpect.spawn(
            sys.executable,
            ["-m", "valet_studio", *arguments],
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

    def _read(self, seconds: float) -> bool:
        """Feed what the program wrote to the screen; False at its end."""
        try:
            self._stream.feed(self.process.read_nonblocking(65536, timeout=seconds))
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        return True

    def wait_for(self, *texts: str, without: str | None = None, seconds: float = 20) -> str:
        """The screen once it shows all of `texts` (and not `without`); fails after `seconds`."""
        deadline = time.monotonic() + seconds
        while not (
            all(text in self.text for text in texts)
            and (without is None or without not in self.text)
        ):
            if time.monotonic() > deadline or not self._read(0.05):
                raise AssertionError(f"{texts} did not come; the screen shows:\n{self.text}")
        return self.text

    def wait_for_end(self, seconds: float = 20) -> int:
        """The exit status once the program has ended by itself."""
        deadline = time.monotonic() + seconds
        while self._read(0.05):
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not end; the screen shows:\n{self.text}")
        self.process.wait()
        return int(self.process.exitstatus or 0)
