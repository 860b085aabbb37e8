"""One edit of a module that mends what a plan complains of."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, unified_diff
from io import StringIO


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
        lines = unified_diff(
            list(StringIO(self.before)),
            list(StringIO(self.after)),
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

    def made_in(self, text: str) -> str | None:
        """A file's text with the edit made, its line ends and byte order mark as they were.

        None where the file does not hold the text that the edit was made for.
        """
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        parts = re.split(r"(\r\n|\r|\n)", text.removeprefix(mark))
        lines, ends = parts[::2], parts[1::2]
        if "\n".join(lines) != self.before:
            return None
        usual = max(dict.fromkeys(ends), key=ends.count, default="\n")
        new = self.after.split("\n")
        chosen = [usual] * (len(new) - 1)
        for block in SequenceMatcher(None, lines, new, autojunk=False).get_matching_blocks():
            for offset in range(block.size):
                if block.b + offset < len(chosen) and block.a + offset < len(ends):
                    chosen[block.b + offset] = ends[block.a + offset]
        return mark + "".join(line + end for line, end in zip(new, [*chosen, ""], strict=True))


class CannotEdit(Exception):
    """No edit can be made safely; the message is a sentence that says why."""
