"""The copy that a dry run works on: beside nobody, and beside a writer."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from valet_studio.database.copy import copy_to
from valet_studio.database.target import open_target
from valet_studio.errors import Cancelled

from .data import Place, opened
from .table import Row, medians, timed


def copies(place: Place, count: int, runs: int) -> Iterator[Row]:
    """Ours against SQLite's backup in one go and VACUUM INTO."""
    place.fresh(place.pristine("slug", count))
    size = place.database.stat().st_size / 1e9
    source = open_target(str(place.database))

    def into_fresh(work: Callable[[Path], object]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            return timed(lambda: work(Path(folder) / "copy.db"))

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
    cancels = medians(runs, ours=lambda: into_fresh_cancelled(source, into_fresh))
    yield Row("cancel of a copy", cancels["ours"], "", None, 0.1, "ours ≤")


def into_fresh_cancelled(source: object, into_fresh: Callable[..., float]) -> float:
    """Seconds from the moment of cancelling to the end of the work."""
    asked: list[float] = []
    ended: list[float] = []

    def cancelled_after(seconds: float) -> Callable[[], bool]:
        began = time.perf_counter()

        def cancelled() -> bool:
            late = time.perf_counter() - began > seconds
            if late and not asked:
                asked.append(began + seconds)
            return late

        return cancelled

    def work(path: Path) -> None:
        try:
            for _ in copy_to(source, path, cancelled_after(0.05)):  # type: ignore[arg-type]
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
