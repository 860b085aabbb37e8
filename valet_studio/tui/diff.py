"""The types' difference: what stands on disk against what the schema asks for. Pure."""

from __future__ import annotations

import difflib
import re

from textual.content import Content

from valet_studio.pipeline import GeneratedFile
from valet_studio.tui.text import code, count, lines

CONTEXT = 3
MAX_LINES = 600
"""Lines of difference that are drawn; more are counted only."""
HASH_LINE = re.compile(r"(//|#) Schema hash: ")
"""Differs after every edit and says nothing about the types."""
LANGUAGES = {".ts": "typescript", ".py": "python"}


def types_diff(files: tuple[GeneratedFile, ...]) -> Content | None:
    """The stale files' differences below each other; None where every file is up to date.

    Of files that are no code (schema.json) only the name is told.
    """
    stale = [file for file in files if file.stale]
    if not stale:
        return None
    parts: list[Content] = []
    for file in (file for file in stale if file.path.suffix in LANGUAGES):
        parts += [*_file(file), Content("")]
    for file in (file for file in stale if file.path.suffix not in LANGUAGES):
        what = "is new" if file.before is None else "changes with them"
        parts.append(Content.styled(f"~ {file.path.name} {what}", "$muted"))
    return lines(parts)


def _file(file: GeneratedFile) -> list[Content]:
    before = _compared(file.before or "")
    after = _compared(file.after)
    opcodes = difflib.SequenceMatcher(None, before, after).get_grouped_opcodes(CONTEXT)
    language = LANGUAGES[file.path.suffix]
    added = removed = 0
    body: list[Content] = []
    for group in opcodes:
        if body:
            body.append(Content.styled("  ⋯", "$muted"))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                body += _block(before[i1:i2], " ", language)
                continue
            body += _block(before[i1:i2], "-", language)
            body += _block(after[j1:j2], "+", language)
            removed += i2 - i1
            added += j2 - j1
    if len(body) > MAX_LINES:
        rest = count(len(body) - MAX_LINES, "more line")
        body = [*body[:MAX_LINES], Content.styled(f"  ⋯ {rest}", "$muted")]
    if not body:
        body.append(Content.styled("  Only the schema's hash in it changes.", "$muted"))
    new = " · new file" if file.before is None else ""
    head = Content.assemble(
        (file.path.name, "bold"), ("  ", ""), (f"+{added} -{removed}{new}", "$muted")
    )
    return [head, *body]


def _compared(text: str) -> list[str]:
    return [line for line in text.splitlines() if not HASH_LINE.match(line)]


def _block(texts: list[str], sign: str, language: str) -> list[Content]:
    if not texts:
        return []
    style = {"+": "on $added-line", "-": "on $removed-line", " ": ""}[sign]
    mark = {"+": "bold $success", "-": "bold $error", " ": ""}[sign]
    drawn = []
    for text in code("\n".join(texts), language).split("\n"):
        line = Content.assemble((f"{sign} ", mark), text)
        drawn.append(line.stylize_before(style) if style else line)
    return drawn
