"""One edit of a module that mends what a plan complains of."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Fix:
    """An edit of one file, to be shown as a diff before it is made."""

    title: str
    """What it does, as a menu would say it."""
    why: str
    """One sentence: what is better afterwards, and what to look at."""
    file: str
    """The module, as locations name it."""
    before: str
    """The file's whole text, line ends as "\\n"."""
    after: str

    def diff(self) -> str:
        """The edit as a unified diff."""
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            fromfile=self.file,
            tofile=self.file,
        )
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in lines
        )

    def inverse(self) -> Fix:
        """The edit that takes this one back."""
        return replace(self, title=f"Undo: {self.title}", before=self.after, after=self.before)


class CannotEdit(Exception):
    """No edit can be made safely; the message is a sentence that says why."""
