"""How soon the studio is there, and how soon a save and a key are seen, this one while a million
rows are rehearsed.

All in a real pseudo-terminal, from the whole process.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import ioctl
from struct import pack
from termios import TIOCSWINSZ

from .data import Place, before_text, schema_text
from .plans import applied, large
from .table import Row, medians, p95

PATIENCE = 120.0
"""Seconds after which what did not come is a failure."""
KEYS = 60
"""Keys at least whose way to the screen is timed, in as many dry runs as that takes."""
PAUSE = 2.0
"""Seconds between two saves."""
REST = 0.03
"""Seconds between two keys, as from a key that is held down."""
PAINTED = b"1 Plan"
SYNCED = b"in sync"
RUNNING = b"rows/s"
ENDED = b"Dry run worked"
TABS = ((b"4", b"[4 Log]"), (b"3", b"[3 Dry run]"))
"""Keys of a small terminal, and what is on the screen once they are seen."""
PANES = ((b"4", b"4 Log"), (b"1", b"1 Plan"))
"""The same in a large one, where a pane's frame is drawn anew as it gets the focus."""


@dataclass
class Studio:
    """A studio behind a pseudo-terminal."""

    terminal: int
    process: int
    said: bytes = b""
    """What it wrote since the last key."""

    def wait_for(self, text: bytes) -> float:
        """When the text was there, since the last key."""
        deadline = time.perf_counter() + PATIENCE
        while text not in self.said:
            left = deadline - time.perf_counter()
            if left < 0 or not select.select([self.terminal], [], [], left)[0]:
                raise AssertionError(f"{text!r} did not come")
            self.said += os.read(self.terminal, 1 << 16)
        return time.perf_counter()

    def press(self, key: bytes) -> float:
        """When the key was pressed."""
        self.forget()
        began = time.perf_counter()
        os.write(self.terminal, key)
        return began

    def forget(self) -> None:
        """Wait for what comes from now on."""
        self.drain()
        self.said = b""

    def drain(self) -> None:
        """Take in what was written until now."""
        while select.select([self.terminal], [], [], 0)[0]:
            self.said += os.read(self.terminal, 1 << 16)


@contextmanager
def studio(place: Place, columns: int, rows: int) -> Iterator[Studio]:
    """Open it, and end it with its process."""
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "XDG_STATE_HOME": str(place.root),
    }
    command = [sys.executable, "-m", "valet_studio", "--schema", str(place.settings.schema_path)]
    command += ["--db", str(place.database)]
    process, terminal = pty.fork()
    if process == 0:
        os.execve(sys.executable, command, environment)
    ioctl(terminal, TIOCSWINSZ, pack("HHHH", rows, columns, 0, 0))
    try:
        yield Studio(terminal, process)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def first_paint(place: Place, runs: int) -> Iterator[Row]:
    """From the start of the process to the first frame, and to the first plan."""
    applied(place, before_text("map"))
    place.write(schema_text("map"))

    def until(text: bytes) -> float:
        began = time.perf_counter()
        with studio(place, 120, 36) as opened:
            return opened.wait_for(text) - began

    found = medians(
        max(runs, 5), paint=lambda: until(PAINTED), plan=lambda: until(b"the backfill of out")
    )
    yield Row("studio: first paint, whole process", found["paint"], "", None, 0.55, "ours ≤")
    yield Row("studio: first plan, whole process", found["plan"], "", None, None, "")


def saves(place: Place, runs: int) -> Iterator[Row]:
    """From a save to the frame with the field that it adds: 95 of 100 are sooner."""
    for name, text, target in (
        ("the seed's schema", before_text("map"), 0.08),
        ("200 tables, 2,000 fields", large(200, 10), 0.15),
    ):
        applied(place, text)
        seconds = []
        with studio(place, 120, 36) as opened:
            opened.wait_for(SYNCED)
            for number in range(4 * runs):
                time.sleep(PAUSE)
                opened.forget()
                began = time.perf_counter()
                place.write(
                    text.replace("defineTable({ ", f"defineTable({{ added{number}: v.any(), ", 1)
                )
                seconds.append(opened.wait_for(f"added{number}".encode()) - began)
        yield Row(
            f"studio: save → plan on screen, p95, {name}", p95(seconds), "", None, target, "ours ≤"
        )


def keys(place: Place, rows: int) -> Iterator[Row]:
    """From a key to its frame while a dry run goes on: 95 of 100 are sooner."""
    place.fresh(place.pristine("map", rows))
    place.write(schema_text("map"))
    for name, columns, lines, pairs in (
        ("80x24", 80, 24, TABS),
        ("120x36", 120, 36, PANES),
    ):
        yield Row(
            f"studio: key → paint, p95, in a dry run of {rows:,} rows, {name}",
            p95(_waited(place, columns, lines, pairs)),
            "",
            None,
            0.05,
            "ours ≤",
        )


def _waited(
    place: Place, columns: int, lines: int, pairs: tuple[tuple[bytes, bytes], ...]
) -> list[float]:
    seconds: list[float] = []
    while len(seconds) < KEYS:
        # A new one each time: what an earlier run said stands in its log.
        with studio(place, columns, lines) as opened:
            opened.wait_for(b"the backfill of out")
            opened.press(b"d")
            opened.wait_for(RUNNING)
            told = b""
            while ENDED not in told:
                for key, text in pairs:
                    began = opened.press(key)
                    seconds.append(opened.wait_for(text) - began)
                    time.sleep(REST)
                    opened.drain()
                    told += opened.said
    return seconds
