"""Merge conflicts that a module still holds.

Deno's parser passes over the marker lines, so that both sides would be declared at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from valet_studio.errors import Location, Problem
from valet_studio.schema.model import Sources
from valet_studio.schema.syntax import parse
from valet_studio.typescript.modules import shown_path

_MARKER = re.compile(rb"^(?:<{7}|\|{7}|={7}|>{7})(?=[ \r\n]|\Z)", re.MULTILINE)
_TEXT = ("comment", "template_string", "string_fragment")
"""Where such a line is text as any other."""


def merge_conflicts(sources: Sources) -> Iterator[Problem]:
    """One problem for each conflict; for each line that is left of one whose beginning is gone."""
    for file, text in sources.files.items():
        lines = [*_markers(file, text)]
        begins = [(line, mark) for line, mark in lines if mark == "<<<<<<<"]
        for line, mark in begins or lines:
            place = Location(shown_path(sources.folder, file), line, 1)
            yield Problem(
                "A merge conflict begins here: both of its sides would be declared."
                if begins
                else f"{mark} is left over from a merge conflict.",
                "Keep what is right of both, and delete the lines of <<<<<<<, ======= and >>>>>>>.",
                place,
                sources.line(place),
            )


def _markers(file: str, text: str) -> Iterator[tuple[int, str]]:
    """The marker lines of a module: number and marker."""
    data = text.encode()
    for match in _MARKER.finditer(data):
        node = None if file.endswith(".json") else parse(text)
        if node is not None:
            node = node.descendant_for_byte_range(match.start(), match.start() + 1)
        if node is None or node.type not in _TEXT:
            yield data.count(b"\n", 0, match.start()) + 1, match[0].decode()
