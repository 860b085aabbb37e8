"""The process in which a command runs: its standard streams, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

_SOON = 0.01
"""Seconds after which a request to end is made again that came where it cannot be heard."""


def open_streams() -> None:
    """Make the standard streams ready for any text.

    No other file gets the number of one that was closed: what is printed would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def tidy_up_when_ended() -> None:
    """Let a request to end, and a terminal that is closed, be an exit like any other. By default
    they end the program on the spot, and Deno and unfinished copies outlive it."""

    def end(number: int, frame: FrameType | None) -> None:
        if _is_dropped(frame):
            threading.Timer(_SOON, os.kill, (os.getpid(), number)).start()
            return
        # A shell that ends tells its jobs so twice.
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)
    # `nohup` has it ignored.
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        # Whatever waits for a request to end is to hear of it.
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def _is_dropped(frame: FrameType | None) -> bool:
    """Whether Python would tell of what is raised there and go on: a callback of an import."""
    while frame is not None:
        code = frame.f_code
        if (code.co_filename, code.co_name) == ("<frozen importlib._bootstrap>", "cb"):
            return True
        frame = frame.f_back
    return False
