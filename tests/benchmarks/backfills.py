"""Backfills against better-sqlite3, plain SQL and boa; memory; the write lock; reuse."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from unittest.mock import patch

from valet_studio import pipeline
from valet_studio.database.inspect import inspect
from valet_studio.database.written_early import written_early
from valet_studio.migrate import work
from valet_studio.migrate.backfill import BackfillRun
from valet_studio.migrate.documents import Documents
from valet_studio.migrate.evaluators import Evaluators
from valet_studio.migrate.events import Event
from valet_studio.migrate.migration import CACHE_KIB
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.sources import read_sources
from valet_studio.typescript.limits import Limits

from . import peers
from .data import PURE_SQL, Place, opened, schema_text
from .table import Row, medians, timed

BOA_ROWS = 200_000
TARGETS = {
    "ours": {
        ("map", "loop"): 2.5,
        ("map", "udf"): 1.0,
        ("slug", "loop"): 2.5,
        ("slug", "udf"): 1.3,
        ("slug", "sql"): 0.8,
    },
    "memo": {("map", "udf"): 1.3, ("map", "sql"): 0.8},
}
"""How many times the peer's time is to be ours, at least."""


def never() -> bool:
    """Nothing is cancelled here."""
    return False


def finish(events: Iterator[Event]) -> None:
    """Run long work to its end."""
    for _event in events:
        pass


def ours(database: Path, place: Place) -> float:
    """Seconds from open to COMMIT; as with the peers, the start of a JavaScript process is not
    counted, and everything that it does is. How many documents there are is known, as an apply
    knows it from its plan."""
    schema = evaluate(read_sources(place.settings.schema_path))
    table = schema.tables[0]
    with opened(database) as connection:
        total = int(connection.execute("SELECT count(*) FROM todos").get)
    with Evaluators(schema.sources, Limits(), twice=False) as evaluators:
        evaluators.choose("todos", "out")
        began = time.perf_counter()
        with opened(database) as connection, written_early(database):
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            triggers = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall()
            connection.execute("BEGIN IMMEDIATE")
            for name, _ in triggers:
                connection.execute(f'DROP TRIGGER "{name}"')
            held = inspect(connection).table_named("todos")
            assert held is not None
            documents = Documents(connection, table, held)
            task = work.Work(
                documents, table.backfills[0], evaluators, never, untouched=True, total=total
            )
            for _event in BackfillRun(task).write():
                pass
            for _, sql in triggers:
                connection.execute(str(sql))
            connection.execute("COMMIT")
            return time.perf_counter() - began


def for_each_document(database: Path, place: Place) -> float:
    """The same where the function runs for every document, although once for each input would
    be enough."""
    with patch.object(work, "WORTHWHILE", sys.maxsize):
        return ours(database, place)


def pure(database: Path, case: str) -> float:
    """Seconds that one UPDATE in SQL alone takes, COMMIT included."""
    with opened(database) as connection:
        return timed(lambda: connection.execute(f"UPDATE todos SET out = {PURE_SQL[case]}"))


def against_peers(
    place: Place, count: int, runs: int, mode: str, triggers: bool, missing: dict[str, str]
) -> Iterator[Row]:
    """Every backfill against what a user would pick instead."""
    name = f"{count:,} documents, {mode}, {'with' if triggers else 'no'} triggers"
    for case in ("map", "slug", "all"):
        pristine = place.pristine(case, count, mode, triggers)
        place.write(schema_text(case))

        def on_fresh(
            run: Callable[[Path], float], pristine: Path = pristine
        ) -> Callable[[], float]:
            return lambda: run(place.fresh(pristine))

        measured = {"ours": on_fresh(lambda path: ours(path, place))}
        if case == "map":
            measured["memo"] = measured["ours"]
            measured["ours"] = on_fresh(lambda path: for_each_document(path, place))
        if "better-sqlite3" not in missing:
            for method in ("loop", "udf"):
                measured[method] = on_fresh(
                    lambda path, m=method, c=case: peers.better_sqlite3(m, c, path)  # type: ignore[misc]
                )
        if case in PURE_SQL:
            measured["sql"] = on_fresh(lambda path, c=case: pure(path, c))  # type: ignore[misc]
        found = medians(runs, **measured)
        labels = {
            "loop": "better-sqlite3 row loop",
            "udf": "better-sqlite3 SQL function",
            "sql": "pure SQL UPDATE",
        }
        for mine, said in (("ours", case), ("memo", f"{case}, once for each input")):
            for peer, label in labels.items():
                if mine in found and peer in found:
                    target = TARGETS[mine].get((case, peer))
                    yield Row(
                        f"{said}, {name}", found[mine], label, found[peer], target, "peer/ours ≥"
                    )


def against_boa(place: Place, runs: int) -> Iterator[Row]:
    """The original's engine on a smaller table: it is slow."""
    for case in ("map", "slug"):
        pristine = place.pristine(case, BOA_ROWS, "delete", False)
        place.write(schema_text(case))
        found = medians(
            runs,
            ours=lambda p=pristine: ours(place.fresh(p), place),  # type: ignore[misc]
            boa=lambda p=pristine, c=case: peers.boa(c, place.fresh(p)),  # type: ignore[misc]
        )
        yield Row(
            f"{case}, {BOA_ROWS:,} documents",
            found["ours"],
            "boa",
            found["boa"],
            10,
            "peer/ours ≥",
        )


def memory(place: Place, small: int, large: int, runs: int) -> Iterator[Row]:
    """Ten times the documents: the time, and the most memory that both processes held."""
    seconds = {}
    for count in (small, large):
        pristine = place.pristine("slug", count)
        found = []
        for _ in range(runs):
            place.fresh(pristine)
            place.write(schema_text("slug"))
            done = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.backfills", str(place.root)],
                check=True,
                capture_output=True,
                text=True,
            )
            taken, megabytes = map(float, done.stdout.split())
            found.append((taken, megabytes))
        seconds[count] = median(taken for taken, _ in found)
        yield Row(
            f"slug, apply of {count:,} documents: memory of all processes",
            max(megabytes for _, megabytes in found),
            "",
            None,
            400,
            "ours ≤",
            "MB",
        )
    times = large / small
    yield Row(
        f"slug, apply of {large:,} documents",
        seconds[large],
        f"{times:g} × the time of {small:,}",
        times * seconds[small],
        1.15,
        "ours/peer ≤",
    )


def lock(place: Place, count: int, runs: int, mode: str) -> Iterator[Row]:
    """How long a writer that commits every 10 ms waits at most."""
    pristine = place.pristine("map", count, mode)

    def waited(work: Callable[[], object]) -> float:
        stop, longest = threading.Event(), [0.0]

        def again(_tries: int) -> bool:
            time.sleep(0.002)
            return True

        def commit_often() -> None:
            with opened(place.database) as connection:
                # SQLite's own handler waits up to 100 ms between two tries.
                connection.set_busy_handler(again)
                number = 0
                while not stop.is_set():
                    number += 1
                    began = time.perf_counter()
                    connection.execute(
                        "UPDATE todos SET completed = ? WHERE _id = (SELECT _id FROM todos LIMIT 1)",
                        (number,),
                    )
                    longest[0] = max(longest[0], time.perf_counter() - began)
                    time.sleep(0.01)

        writer = threading.Thread(target=commit_often)
        writer.start()
        time.sleep(0.05)
        work()
        stop.set()
        writer.join()
        return longest[0]

    def by_apply() -> float:
        place.fresh(pristine)
        place.write(schema_text("map"))
        state = pipeline.look(place.settings)
        return waited(lambda: finish(pipeline.apply(state, never)))

    def by_update() -> float:
        place.fresh(pristine)
        with opened(place.database) as connection:
            for trigger in ("insert", "update", "delete"):
                connection.execute(f'DROP TRIGGER "todos_valet_{trigger}"')
        return waited(lambda: pure(place.database, "map"))

    found = medians(runs, apply=by_apply, update=by_update)
    yield Row(
        f"longest wait of another writer during an apply of map, {count:,} documents, {mode}",
        found["apply"],
        "during a pure SQL UPDATE",
        found["update"],
        1.3,
        "ours/peer ≤",
    )


def reuse(place: Place, count: int, runs: int) -> Iterator[Row]:
    """An apply straight after a dry run."""
    pristine = place.pristine("slug", count)

    def run(rehearsed: bool) -> float:
        place.fresh(pristine)
        place.write(schema_text("slug"))
        state = pipeline.look(place.settings)
        if rehearsed:
            finish(pipeline.dry_run(state, never))
        return timed(lambda: finish(pipeline.apply(state, never)))

    found = medians(runs, ours=lambda: run(True), alone=lambda: run(False))
    yield Row(
        f"slug, apply after a dry run, {count:,} documents (no JavaScript runs)",
        found["ours"],
        "apply alone",
        found["alone"],
        None,
        "ours/peer ≤",
    )


def _apply_and_tell(root: str) -> None:
    """Apply, then print the seconds and the megabytes of this process and its children."""
    place = Place(Path(root))
    state = pipeline.look(place.settings)
    seconds = timed(lambda: finish(pipeline.apply(state, never)))
    kilobytes = _most_held() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(seconds, kilobytes / 1000)


def _most_held() -> int:
    """The most kilobytes that this program held. Linux counts in `ru_maxrss` what its parent held
    when it started it, too."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])


if __name__ == "__main__":
    _apply_and_tell(sys.argv[1])
