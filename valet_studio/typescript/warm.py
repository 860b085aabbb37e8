"""One process that waits, started and with its libraries loaded, for the next schema.ts.

Off until `keep` is called: a command that evaluates once has no use for a next one, and calls
`begin`. A waiting process has run nothing of the user's; it gets the modules, and runs them, as a
new one would.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from valet_studio.errors import SandboxError
from valet_studio.typescript.child import Child
from valet_studio.typescript.limits import Limits
from valet_studio.typescript.modules import Modules

REST_SECONDS = 0.25
"""After a `take`, until the next process is started: before, it would take a processor from the
one that was taken, and from whoever shows what comes of it."""

_lock = threading.Lock()
_kept = False
_waiting: Child | None = None
_begun: threading.Thread | None = None
_next: threading.Timer | None = None


def keep() -> None:
    """From now on have a process wait soon after each `take`; it ends with this program."""
    global _kept
    _kept = True


def begin(read: Callable[[], Modules], limits: Limits) -> None:
    """Start a process for the next `take`, while this program still loads its own modules.

    Args:
        read: reads the modules; what it raises is left to be raised again by whoever needs them.
        limits: what they may use up.
    """
    global _begun

    def prepare() -> None:
        with contextlib.suppress(Exception):
            _prepare(read(), limits)

    _begun = threading.Thread(target=prepare)
    _begun.start()


def take(sources: Modules, limits: Limits) -> Child:
    """A process for these modules: the one that waits where it fits, else a new one.

    Raises:
        SandboxError: Deno is missing or cannot be started.
    """
    global _begun, _waiting
    if _begun is not None:
        _begun.join()
        _begun = None
    with _lock:
        found, _waiting = _waiting, None
    child = None
    if found is not None:
        if found.adopt(sources, limits):
            child = found
        else:
            found.close()
    child = child or Child(sources, limits)
    if _kept:
        _prepare_soon(sources, limits)
    return child


def give_back(child: Child) -> None:
    """End a process that was taken; where others are kept waiting, nobody waits for its end.

    Elsewhere nothing may go on beside a question: a thread that runs when Ctrl-C comes can keep
    it from whoever waits for the answer.
    """
    if _kept:
        child.close_beside()
    else:
        child.close()


def _prepare_soon(sources: Modules, limits: Limits) -> None:
    global _next
    soon = threading.Timer(REST_SECONDS, _prepare, (sources, limits))
    soon.daemon = True
    with _lock:
        before, _next = _next, soon
    if before is not None:
        before.cancel()
    soon.start()


def _prepare(sources: Modules, limits: Limits) -> None:
    """Start a process in the hope that the next modules have the same names."""
    global _waiting
    with contextlib.suppress(SandboxError):
        child = Child(sources, limits)
        with _lock:
            before, _waiting = _waiting, child
        if before is not None:
            before.close()
