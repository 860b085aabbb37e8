"""The studio tells a lean copy from a full one, and how far a copy is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from valet_studio.migrate.events import Copied, CopyProgress, PhaseStarted, Report, TableRows
from valet_studio.plan.changes import Plan
from valet_studio.tui.progress import Progress, TimedEvent, advance_all
from valet_studio.tui.report_text import run_lines


@pytest.mark.parametrize(
    ("copied", "lean"),
    [
        (Copied("full", 4096, 4096), False),
        (Copied("lean", 4096, 999_999_999, ("todos", "[/x]")), True),
    ],
)
def test_a_dry_run_says_what_it_worked_on(copied: Copied, lean: bool) -> None:
    plan = Plan("new", "old", "fingerprint")
    report = Report("ok", plan, (TableRows("todos", 2, 2),), copied=copied)
    told: list[TimedEvent] = [(0.0, PhaseStarted("copy")), (1.0, CopyProgress(1, 1)), (2.0, report)]
    progress = replace(advance_all(Progress("dry run", plan, "dev.db"), told), ended=True)
    text = "\n".join(line.plain for line in run_lines(progress, 90, None, lambda action: action))
    assert ("✓ lean copy" in text) is lean
    assert ("On a lean copy of todos, [/x]; the other tables were counted." in text) is lean


def test_an_apply_shows_how_far_the_snapshot_of_a_large_database_is() -> None:
    plan = Plan("new", "old", "fingerprint")
    told: list[TimedEvent] = [(0.0, PhaseStarted("snapshot")), (1.0, CopyProgress(1, 4))]
    progress = advance_all(Progress("apply", plan, "dev.db"), told)
    text = "\n".join(line.plain for line in run_lines(progress, 90, None, lambda action: action))
    assert "● snapshot" in text
    assert "25%" in text
    small = advance_all(Progress("apply", plan, "dev.db"), [(0.0, PhaseStarted("structure"))])
    lines = run_lines(small, 90, None, lambda action: action)
    assert not any("snapshot" in line.plain for line in lines)
