"""Processes that others started, as Linux lists them."""

from __future__ import annotations

from pathlib import Path


def deno_of(parent: int) -> list[int]:
    """The Deno processes that a process has started."""
    running = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit())
    return [child for child in running if _is_deno(child) and stat_of(child)[1:2] == [str(parent)]]


def stat_of(process: int) -> list[str]:
    """What is told of a process, from its state and its parent on; nothing where it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _is_deno(process: int) -> bool:
    try:
        return "deno" in Path(f"/proc/{process}/comm").read_text()
    except OSError:
        return False
