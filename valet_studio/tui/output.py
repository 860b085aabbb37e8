"""Writing to a terminal that may go away: a window is closed, a connection breaks.

Textual's writing thread ends at the first error, and whoever writes or waits for it afterwards
waits for ever: the studio would stay, with its JavaScript process, and nobody would see it.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.driver import Driver


class Lasting:
    """A file to which nothing is written any more once that fails."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        """Write as far as anybody is there."""
        with suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """The same for what was kept back."""
        with suppress(OSError):
            self._file.flush()


def lasting(driver: type[Driver]) -> type[Driver]:
    """The driver of a terminal, such that its end does not keep the studio from ending."""
    if sys.platform == "win32":
        return driver
    from textual.drivers.linux_driver import LinuxDriver

    if driver is not LinuxDriver:
        return driver

    class LastingDriver(LinuxDriver):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._file = Lasting(self._file)  # type: ignore[assignment,arg-type]

    return LastingDriver
