"""Every state at both sizes looks as its picture in screenshots/ shows it.

After a change that is meant: `python tests/screenshots.py`, and look at what changed.
"""

from __future__ import annotations

import re
from difflib import unified_diff

import pytest
from pictures import FOLDER, NAMES, picture


def lines(svg: str) -> list[str]:
    """The text of a picture, line by line, so that a difference can be read."""
    found: dict[int, str] = {}
    for y, text in re.findall(r'y="(\d+)" textLength="[\d.]+">([^<]*)<', svg):
        found[int(y)] = f"{found.get(int(y), '')} {text}".strip()
    return [found[y] for y in sorted(found)]


@pytest.mark.parametrize("name", NAMES)
async def test_a_state_looks_as_its_picture(name: str) -> None:
    kept = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    drawn = await picture(name)
    differs = "\n".join(unified_diff(lines(kept), lines(drawn), "kept", "drawn", lineterm=""))
    assert drawn == kept, differs or "the same text, drawn in other colours or places"
