"""Stopping the studio as a job of the shell that started it; the shell's `fg` goes on with it."""

from __future__ import annotations

import os
import signal
import sys


def why_no_stop() -> str | None:
    """Why this process cannot be stopped so that somebody can go on with it; None where it can."""
    if sys.platform == "win32":
        return "Windows has no way to stop a program and go on with it."
    parent = os.getppid()
    # Without a parent in its session it is no shell's job, as when a terminal was opened with it.
    if os.getpgrp() == os.getpid() and (parent == 0 or os.getsid(parent) != os.getsid(0)):
        return "No shell started the studio that could bring it back."
    return None


def stop() -> None:
    """Stop this process and those of its job, such as the script that started it.

    Returns once the shell goes on with them; at once where no shell could, since the system then
    ignores the signal. For the main thread only.
    """
    if sys.platform != "win32":
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            os.kill(0, signal.SIGTSTP)
        finally:
            signal.signal(signal.SIGTSTP, handler)
