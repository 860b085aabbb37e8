"""Stopping the studio as a job of the shell that started it; the shell's `fg` goes on with it."""

from __future__ import annotations

import os
import signal
import subprocess
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


def wait_for(process: subprocess.Popen[bytes]) -> int:
    """Wait for a program that was given the terminal; the code with which it ended.

    Where it is stopped, as vim is by ctrl+z, this process stops with it until the shell goes on
    with both; where no shell could, it goes on at once. For the main thread only.
    """
    if sys.platform == "win32":
        return process.wait()
    handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    try:
        while True:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode
            if why_no_stop() is None:
                os.kill(os.getpid(), signal.SIGSTOP)
            process.send_signal(signal.SIGCONT)
    finally:
        signal.signal(signal.SIGTSTP, handler)


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
