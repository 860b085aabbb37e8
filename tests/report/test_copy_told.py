"""A dry run tells what it worked on."""

from __future__ import annotations

import pytest

from valet_studio import report
from valet_studio.migrate.events import Copied, Report
from valet_studio.plan.changes import Plan
from valet_studio.report_json import report_json

FULL = Copied("full", 4096, 4096)
NO_FILE = Copied("full", 4096, 0)
LEAN = Copied("lean", 50_100_000, 1_020_000_000, ("todos", "users"))


def done(copied: Copied | None) -> Report:
    return Report("ok", Plan("new", "old", "fingerprint"), seconds=1.5, copied=copied)


@pytest.mark.parametrize(
    ("copied", "told"),
    [
        (FULL, "on a full copy; dev.db was not touched."),
        (LEAN, "on a lean copy (todos, users: 50.1 MB of 1,020.0 MB); dev.db was not touched."),
        (NO_FILE, "on an empty database; dev.db was not touched."),
    ],
)
def test_the_text_says_which_copy_it_was(copied: Copied, told: str) -> None:
    text = report.report_text(done(copied), rehearsal=True, database="dev.db")
    assert text == f"Dry run succeeded in 1.5 s {told}\n"


@pytest.mark.parametrize(
    ("copied", "kind", "told"),
    [
        (FULL, "full", {"bytes": 4096, "of": 4096, "tables": None}),
        (
            LEAN,
            "lean",
            {"bytes": 50_100_000, "of": 1_020_000_000, "tables": ["todos", "users"]},
        ),
    ],
)
def test_so_does_the_json(copied: Copied, kind: str, told: dict[str, object]) -> None:
    found = report_json(done(copied))
    assert (found["copy"], found["copied"]) == (kind, told)


def test_the_json_of_an_apply_tells_of_no_copy() -> None:
    assert not {"copy", "copied"} & report_json(done(None)).keys()
