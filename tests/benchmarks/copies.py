"""The copies that a dry run works on, full and lean: beside nobody, and beside a writer."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import apsw

from valet_studio.database.copy import copy_to
from valet_studio.database.lean import CopyScope, copy_lean
from valet_studio.database.target import FileTarget, open_target
from valet_studio.errors import Cancelled

from .data import Place, fill, opened
from .table import Row, medians, timed


def copies(place: Place, count: int, runs: int) -> Iterator[Row]:
    """Ours against SQLite's backup in one go and VACUUM INTO."""
    place.fresh(place.pristine("slug", count))
    size = place.database.stat().st_size / 1e9
    source = open_target(str(place.database))

    def ours(path: Path) -> None:
        for _ in copy_to(source, path, lambda: False):
            pass

    def backup(path: Path) -> None:
        with opened(place.database) as live, opened(path) as copy:
            copy.execute("PRAGMA synchronous = OFF")
            with copy.backup("main", live, "main") as running:
                running.step(-1)

    def vacuum(path: Path) -> None:
        with opened(place.database) as live:
            live.execute("PRAGMA synchronous = OFF")
            live.execute("VACUUM INTO ?", (str(path),))

    found = medians(
        runs,
        ours=lambda: into_fresh(ours),
        backup=lambda: into_fresh(backup),
        vacuum=lambda: into_fresh(vacuum),
        beside=lambda: beside_a_writer(place, lambda: into_fresh(ours)),
    )
    better = min(found["backup"], found["vacuum"])
    label = "backup in one go" if better == found["backup"] else "VACUUM INTO"
    yield Row(f"copy of {size:.2f} GB", found["ours"], label, better, 1.2, "ours/peer ≤")
    yield Row(
        f"copy of {size:.2f} GB beside a writer that commits every 10 ms",
        found["beside"],
        f"{label}, beside nobody",
        better,
        1.2,
        "ours/peer ≤",
    )
    cancels = medians(runs, ours=lambda: cancelled(partial(copy_to, source)))
    yield Row("cancel of a copy", cancels["ours"], "", None, 0.1, "ours ≤")
    yield from lean(place, count, runs)


LEFT_OUT = 19
"""Documents that the plan does not touch, to each one that it does."""


def lean(place: Place, count: int, runs: int) -> Iterator[Row]:
    """A lean copy against a full one: where the plan touches a twentieth, and where it touches
    all; the second is why a lean copy is made of small parts alone."""
    place.fresh(place.pristine("slug", count // (LEFT_OUT + 1)))
    with opened(place.database) as live:
        live.execute("PRAGMA synchronous = OFF")
        tables = live.execute("SELECT sql FROM sqlite_master WHERE name = 'todos'").get
        live.execute(tables.replace("todos", "events"))
        fill(live, count // (LEFT_OUT + 1) * LEFT_OUT, "events")
    size = place.database.stat().st_size
    source = open_target(str(place.database))

    def full(path: Path) -> None:
        for _ in copy_to(source, path, lambda: False):
            pass

    def part(rows: Iterable[str], counts: tuple[str, ...], path: Path) -> None:
        wanted = CopyScope(frozenset(rows), frozenset(), counts)
        for _ in copy_lean(source, path, wanted, size, lambda: False):
            pass
        assert path.exists()

    small = partial(part, ["todos", "_valet_meta"], ("events",))
    found = medians(
        runs,
        full=lambda: into_fresh(full),
        lean=lambda: into_fresh(small),
        beside=lambda: beside_a_writer(place, lambda: into_fresh(small)),
        whole=lambda: into_fresh(partial(part, ["todos", "events", "_valet_meta"], ())),
    )
    of = f"{size / 1e9:.2f} GB"
    for case, name in (
        (f"lean copy of {of}, {1 / (LEFT_OUT + 1):.0%} touched", "lean"),
        (f"lean copy of {of}, {1 / (LEFT_OUT + 1):.0%} touched, beside a writer", "beside"),
    ):
        yield Row(case, found[name], "full copy", found["full"], 1, "ours/peer ≤")
    yield Row(
        f"lean copy of {of}, all touched", found["whole"], "full copy", found["full"], None, ""
    )
    wanted = CopyScope(frozenset(["todos", "events"]), frozenset(), ())
    making = partial(_lean_into, source, wanted, size)
    cancels = medians(runs, ours=lambda: cancelled(making))
    yield Row("cancel of a lean copy", cancels["ours"], "", None, 0.1, "ours ≤")


def _lean_into(
    source: FileTarget, wanted: CopyScope, most: int, path: Path, stop: Callable[[], bool]
) -> Iterator[object]:
    return copy_lean(source, path, wanted, most, stop)


def into_fresh(work: Callable[[Path], object]) -> float:
    """Seconds of a work that makes a new file."""
    with tempfile.TemporaryDirectory() as folder:
        os.sync()  # What the one before wrote is not to be written by this one.
        return timed(lambda: work(Path(folder) / "copy.db"))


def cancelled(copying: Callable[[Path, Callable[[], bool]], Iterator[object]]) -> float:
    """Seconds from the moment of cancelling to the end of the work."""
    asked: list[float] = []
    ended: list[float] = []

    def cancelled_after(seconds: float) -> Callable[[], bool]:
        began = time.perf_counter()

        def asks() -> bool:
            late = time.perf_counter() - began > seconds
            if late and not asked:
                asked.append(began + seconds)
            return late

        return asks

    def work(path: Path) -> None:
        try:
            for _ in copying(path, cancelled_after(0.05)):
                pass
        except Cancelled:
            ended.append(time.perf_counter())

    into_fresh(work)
    return ended[0] - asked[0] if ended else 0.0


def beside_a_writer(place: Place, work: Callable[[], float]) -> float:
    """Run it while another connection commits every 10 ms."""
    stop = threading.Event()

    def commit_often() -> None:
        with opened(place.database) as connection:
            while not stop.is_set():
                try:
                    connection.execute(
                        "UPDATE todos SET completed = completed + 1 "
                        "WHERE _id = (SELECT _id FROM todos LIMIT 1)"
                    )
                except apsw.BusyError:
                    continue
                time.sleep(0.01)

    writer = threading.Thread(target=commit_often)
    writer.start()
    try:
        return work()
    finally:
        stop.set()
        writer.join()
