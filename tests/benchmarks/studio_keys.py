"""How long the studio keeps a key waiting over a plan of 1,800 changes in 200 tables.

    python tests/benchmarks/studio_keys.py

For each thing done: the longest that the event loop was away, and the processor time of its
thread in that while. The goal is 50 ms; a busy machine shows in the first number only.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from studio_drive import Studio, studio
from studio_fakes import changes, plan_of, state_of

from valet_studio.plan.changes import Plan

TABLES, COLUMNS = 200, 3
REST = 0.4
"""Seconds after each thing, in which what it began in the background comes to its end."""


def large_plan(fingerprint: str, first: int) -> Plan:
    """Each table three times the seed's changes, for columns numbered from `first` on."""
    return plan_of(
        *(
            replace(
                change,
                column=f"{change.column}{number}",
                summary=change.summary.replace("priority", f"priority{number}"),
            )
            for table in range(TABLES)
            for number in range(first, first + COLUMNS)
            for change in changes(table=f"table{table:03d}")
        ),
        fingerprint=fingerprint,
    )


async def measured(name: str, doing: Callable[[], Awaitable[object]]) -> None:
    """Do it while a heart beats, and print the longest beat."""
    worst = [0.0, 0.0]

    async def beat() -> None:
        while True:
            wall, processor = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            worst[0] = max(worst[0], time.perf_counter() - wall - 0.001)
            worst[1] = max(worst[1], time.thread_time() - processor)

    heart = asyncio.create_task(beat())
    await doing()
    await asyncio.sleep(REST)
    heart.cancel()
    print(f"{name:24} {worst[0] * 1000:6.1f} ms   {worst[1] * 1000:6.1f} ms of processor")


async def main() -> None:
    """Save, move, fold, filter, rehearse, look at types, resize."""
    plans = [large_plan(f"plan{at}0000", at) for at in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        async with studio(Path(folder), plans[0]) as opened:
            states = [state_of(opened.engine.settings, plan) for plan in plans]
            gc.freeze()  # as the studio does

            async def save(number: int) -> None:
                opened.engine.state = states[number]
                await opened.save()

            await measured("save, other changes", lambda: save(1))
            await measured("save, yet others", lambda: save(2))
            await measured("twenty rows down", lambda: opened.press(*["down"] * 20))
            await measured("to the end and back", lambda: opened.press("end", "home"))
            await measured("fold and unfold", lambda: opened.press("left", "right"))
            await measured("type a filter", lambda: opened.press("slash", *"priority2"))
            await measured("clear the filter", lambda: opened.press("escape"))
            await measured("dry run", opened.rehearse)
            await measured("types, tab by tab", lambda: opened.press("2", *["right"] * 4))
            await measured("to 80x24 and back", lambda: resized(opened))


async def resized(opened: Studio) -> None:
    """One pane, then four again."""
    await opened.pilot.resize_terminal(80, 24)
    await opened.pilot.resize_terminal(120, 36)


if __name__ == "__main__":
    asyncio.run(main())
