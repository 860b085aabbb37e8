"""How fast a plan is made: by a whole process, against a large database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

from valet_studio import pipeline
from valet_studio.database.target import open_target
from valet_studio.migrate.target import LocalTarget

from .backfills import finish, never
from .data import HEADER, Place, before_text, schema_text
from .table import Row, medians, timed


def commands(place: Place, runs: int) -> Iterator[Row]:
    """Whole processes."""
    applied(place, before_text("map"))
    place.write(schema_text("map"))
    studio = [sys.executable, "-m", "valet_studio"]
    given = ["--schema", str(place.settings.schema_path), "--db", str(place.database)]
    found = medians(
        max(runs, 9),
        help=lambda: timed(lambda: _run([*studio, "--help"])),
        plan=lambda: timed(lambda: _run([*studio, *given, "plan"])),
    )
    yield Row("--help, whole process", found["help"], "", None, 0.10, "ours ≤")
    yield Row("plan on the seed, whole process", found["plan"], "", None, 0.20, "ours ≤")


def many_tables(place: Place, runs: int) -> Iterator[Row]:
    """Inspecting and comparing, without counts."""
    applied(place, large(1000, 5))
    schema = pipeline.look(place.settings).schema
    assert schema is not None

    def plan() -> float:
        began = time.perf_counter()
        LocalTarget(open_target(str(place.database))).planner(strict=False)(schema)
        return time.perf_counter() - began

    plan()
    found = medians(max(runs, 9), ours=plan)
    yield Row("plan against 1,000 tables, no counts", found["ours"], "", None, 0.05, "ours ≤")


def large(tables: int, fields: int) -> str:
    """A schema.ts of so many tables and fields."""
    kinds = ("string", "number", "boolean")
    written = ",\n".join(
        f"t{i}: defineTable({{ {', '.join(f'f{j}: v.{kinds[j % 3]}()' for j in range(fields))} }})"
        ".sync({ mode: 'full' })"
        for i in range(tables)
    )
    return f"{HEADER}export default defineSchema({{\n{written} }})\n"


def applied(place: Place, text: str) -> None:
    """A new database that the schema was applied to."""
    place.database.unlink(missing_ok=True)
    place.write(text)
    finish(pipeline.apply(pipeline.look(place.settings), never))


def _run(command: list[str]) -> None:
    environment = {**os.environ, "NO_COLOR": "1"}
    # An installed program is compiled once, not at every start.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr.decode()
