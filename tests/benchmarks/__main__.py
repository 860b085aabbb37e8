"""Measure everything and print one table: `python -m tests.benchmarks`.

Peers are installed into a private cache directory when they are first needed. Nothing here
passes or fails: seconds depend on the machine, and the ratios are for people to judge.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw

from . import backfills, copies, peers, plans, studio
from .data import Place
from .table import Row, printed

PARTS = ("backfills", "boa", "lock", "reuse", "copy", "plans", "studio", "memory")


def main() -> None:
    """Parse the flags, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--all-modes", action="store_true", help="rollback and WAL, with triggers")
    parser.add_argument("--ten-million", action="store_true", help="memory with ten times the rows")
    parser.add_argument("--folder", type=Path, help="where databases are made; kept afterwards")
    given = parser.parse_args()
    print(
        f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}, "
    )
    print(f"SQLite {apsw.sqlite_lib_version()}; medians of {given.runs} runs\n")
    missing = peers.install() if {"backfills", "boa"} & set(given.only) else {}
    for name, reason in missing.items():
        print(f"{name} could not be installed: {reason}\n")
    with tempfile.TemporaryDirectory(prefix="valet-benchmarks-") as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for line in printed(_rows(given, Place(folder.absolute()), missing)):
            print(line, flush=True)


def _rows(given: argparse.Namespace, place: Place, missing: dict[str, str]) -> Iterator[Row]:
    rows, runs = given.rows, given.runs
    if "backfills" in given.only:
        yield from backfills.against_peers(place, rows, runs, "delete", False, missing)
        if given.all_modes:
            for mode, triggers in (("delete", True), ("wal", False), ("wal", True)):
                yield from backfills.against_peers(place, rows, runs, mode, triggers, missing)
    if "boa" in given.only and "boabem" not in missing:
        yield from backfills.against_boa(place, runs)
    if "lock" in given.only:
        for mode in ("delete", "wal"):
            yield from backfills.lock(place, rows, runs, mode)
    if "reuse" in given.only:
        yield from backfills.reuse(place, rows, runs)
    if "copy" in given.only:
        yield from copies.copies(place, 10 * rows if given.ten_million else rows, runs)
    if "plans" in given.only:
        yield from plans.commands(place, runs)
        yield from plans.many_tables(place, runs)
    if "studio" in given.only:
        yield from studio.first_paint(place, runs)
        yield from studio.saves(place, runs)
        yield from studio.keys(place, rows)
    if "memory" in given.only:
        large = 10 * rows if given.ten_million else rows
        yield from backfills.memory(place, large // 10, large, runs)


if __name__ == "__main__":
    main()
