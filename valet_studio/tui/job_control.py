"""Stopping the studio as a job of the shell that started it; the shell's `fg` goes on with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence


def why_no_stop() -> str | None:
    """Why this process cannot be stopped so that somebody can go on with it; None where it can."""
    if sys.platform == "win32":
        return "Windows has no way to stop a program and go on with it."
    parent = os.getppid()
    # Without a parent in its session it is no shell's job, as when a terminal was opened with it.
    if os.getpgrp() == os.getpid() and (parent == 0 or os.getsid(parent) != os.getsid(0)):
        return "No shell started the studio that could bring it back."
    return None


def run(arguments: Sequence[str]) -> int:
    """Run a program that is given the terminal; the code with which it ended.

    Where it is stopped, as vim is by ctrl+z, this process stops with it until the shell goes on
    with both; where no shell could, it goes on at once. For the main thread only.

    Raises:
        OSError: it cannot be started.
    """
    if sys.platform == "win32":
        return subprocess.call(arguments)
    gone_on = threading.Event()
    # Before the program starts: it may stop its job at once.
    before = {
        signal.SIGTSTP: signal.signal(signal.SIGTSTP, signal.SIG_DFL),
        signal.SIGCONT: signal.signal(signal.SIGCONT, lambda *_: gone_on.set()),
    }
    try:
        process = subprocess.Popen(arguments)
        while True:
            gone_on.clear()
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode
            # What stops the whole job stops this process too, often before it comes to read of
            # the program's stop: once gone on with, it must not stop again.
            if not gone_on.is_set() and why_no_stop() is None:
                os.kill(os.getpid(), signal.SIGSTOP)
            process.send_signal(signal.SIGCONT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
