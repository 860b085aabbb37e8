"""The values of a backfill: a table of sampled documents, a chart of what came out. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from math import ceil, log10

from textual.content import Content

from valet_studio.migrate.events import BackfillReport, Bin
from valet_studio.tui.text import count, number, rule, shortened, value

SHOWN_VALUES = 8
"""Different values that a bar chart has room for; of more numbers a histogram is drawn."""
MOST_NAMED = 40
"""Cells of a span of numbers."""
MOST_CELLS = 32
"""Cells of a sample's column; longer values are cut."""


def samples(report: BackfillReport, source: str) -> list[Content]:
    """A table: what the backfill reads, the column before and after, then the other fields.

    `→` stands where a document's value changes, `=` where it does not.
    """
    names = list(dict.fromkeys(name for sample in report.samples for name in sample.row))
    names = [name for name in names if name not in ("_id", "_version", report.column)]
    words = set(re.findall(r"[\w$]+", source))
    read = [name for name in names if name in words]
    others = [name for name in names if name not in words]
    heads = ["_id", *read, "before", "", "after", *others]
    table: list[list[str]] = []
    for sample in report.samples:
        changes = "=" if sample.before == sample.after else "→"
        cells = {name: value(sample.row.get(name)) for name in names}
        before, after = value(sample.before), value(sample.after)
        row = [
            sample.id if sample.id is not None else "null",
            *(cells[name] for name in read),
            before,
            changes,
            after,
        ]
        table.append([*row, *(cells[name] for name in others)])
    widths = [
        min(MOST_CELLS, max(Content(row[at]).cell_length for row in (heads, *table)))
        for at in range(len(heads))
    ]
    parts = [rule("  ".join(cell(head, cells) for head, cells in zip(heads, widths, strict=True)))]
    after_at = len(read) + 3
    for row in table:
        drawn = [cell(text, cells) for text, cells in zip(row, widths, strict=True)]
        changed = row[after_at - 1] == "→"
        styles = ["$muted", *("" for _ in read), "", "bold $primary", "bold", *others]
        if not changed:
            styles[after_at - 2 : after_at + 1] = ["$muted", "$muted", "$muted"]
        styles[after_at + 1 :] = ["$muted"] * len(others)
        line = Content("  ").join(
            Content.styled(text, style) for text, style in zip(drawn, styles, strict=True)
        )
        parts.append(line)
    return parts


def distribution(report: BackfillReport, width: int) -> list[Content]:
    """The values that came most often, each with its number and a bar."""
    shown = report.distribution[:SHOWN_VALUES]
    texts = [value(item.value) for item in shown]
    counts = [f"{item.count:,}" for item in shown]
    most = max(item.count for item in shown)
    parts = [rule("New values")]
    parts += _bars(texts, counts, [item.count / most for item in shown], width)
    rest = len(report.distribution) - len(shown)
    if rest > 0:
        parts.append(Content.styled(f"and {count(rest, 'other value')}", "$muted"))
    return parts


def histogram(bins: Sequence[Bin], width: int) -> list[Content]:
    """Spans of numbers with the part of all that lie in each."""
    ends = _told_apart([bins[0].low, *(item.high for item in bins)])
    texts = [f"{low} – {high}" for low, high in pairwise(ends)]
    told = [f"{item.part:.0%}" if item.part >= 0.005 or not item.part else "<1%" for item in bins]
    most = max(item.part for item in bins)
    drawn = _bars(texts, told, [item.part / most for item in bins], width, MOST_NAMED)
    return [rule("New values (from – to below)"), *drawn]


def _told_apart(ends: Sequence[float]) -> list[str]:
    """Numbers in rising order for people, with as many digits as it takes to tell them apart."""
    told = [number(end) for end in ends]
    if len(set(told)) == len(told):
        return told
    step = ends[1] - ends[0]
    decimals = 1 + ceil(-log10(step)) if step < 1 else 0
    return [f"{end:,.{decimals}f}" for end in ends]


def _bars(
    texts: Sequence[str],
    counts: Sequence[str],
    parts: Sequence[float],
    width: int,
    most_named: int = 26,
) -> list[Content]:
    """A line each: name, number, and a bar for its part of the longest, between 0 and 1."""
    names = min(most_named, max(Content(text).cell_length for text in texts))
    numbers = max(len(told) for told in counts)
    room = max(4, min(30, width - names - numbers - 6))
    drawn = []
    for text, told, part in zip(texts, counts, parts, strict=True):
        full = max(1, round(part * room)) if part else 0
        head = f"{cell(text, names)}  {told:>{numbers}}  "
        drawn.append(Content.assemble(head, ("▇" * full, "$primary")))
    return drawn


def cell(text: str, width: int) -> str:
    """The text in exactly that many cells."""
    cut = shortened(text, width)
    return cut + " " * (width - Content(cut).cell_length)
