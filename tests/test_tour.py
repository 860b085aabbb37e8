"""The demo's tour is walked headlessly: each step's plan is as its caption says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import DOCUMENT, last, never, seed_blocks

from valet_studio import pipeline, scaffold
from valet_studio.commands.studio import begin_tour
from valet_studio.config import Settings
from valet_studio.errors import StudioError
from valet_studio.fixes.offer import fixes_for
from valet_studio.plan.changes import AnyChange, ChangeType, Plan
from valet_studio.tour import STEPS, Step, Tour


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh demo project; the working directory is beside it."""
    monkeypatch.chdir(tmp_path)
    scaffold.demo(Path("demo"))
    return scaffold.demo_settings(Path("demo"))


def told(change: AnyChange) -> str:
    return f"{change.shown_sign} {change.kind} {change.table}.{change.column}"


def planned(settings: Settings) -> tuple[pipeline.StudioState, Plan]:
    state = pipeline.measure(pipeline.look(settings), never)
    assert state.problems == ()
    assert state.plan is not None
    return state, state.plan


def walk(settings: Settings) -> Iterator[tuple[Step, pipeline.StudioState, Plan]]:
    """Every step with its plan, applied afterwards where the tour says so."""
    tour = Tour(settings)
    while (step := tour.next()) is not None:
        state, plan = planned(settings)
        yield step, state, plan
        if step.then == "apply":
            assert last(pipeline.apply(state, never)).status == "ok"


def test_each_plan_is_as_its_step_says(demo: Settings) -> None:
    steps = []
    for step, state, plan in walk(demo):
        steps.append(step)
        assert plan.status == step.status, step.title
        assert tuple(map(told, plan.changes)) == step.changes, step.title
        assert pipeline.check_types(state, never) == () or step.status == "blocked"
    assert tuple(steps) == STEPS
    _, plan = planned(demo)
    assert plan.status == "in_sync"


def test_the_captions_numbers_are_true(demo: Settings) -> None:
    plans = {step.title: (state, plan) for step, state, plan in walk(demo)}
    replaced = plans["Replace a field"][1]
    assert "142 documents will hold null" in replaced.changes[0].summary
    removed = plans["Remove the old field"][1].changes[0]
    assert removed.rows == scaffold.DEMO_DOCUMENTS
    backfilled = plans["Backfill it"][1].changes[2]
    assert backfilled.rows == scaffold.DEMO_DOCUMENTS


def test_the_quick_fix_writes_the_step_after_the_refused_one(demo: Settings) -> None:
    for step, state, plan in walk(demo):
        if step.status == "blocked":
            assert state.schema is not None
            [change] = [c for c in plan.changes if isinstance(c, ChangeType)]
            fix = fixes_for(change, state.schema, plan)[0]
            assert fix.after == STEPS[STEPS.index(step) + 1].schema_text
            return
    pytest.fail("no step is refused")


def test_the_steps_follow_the_seeds_sections_and_blocks() -> None:
    headings = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert all(step.section in headings for step in STEPS)

    def lines(text: str) -> set[str]:
        return {line.partition("//")[0].strip() for line in text.splitlines()}

    texts = {step.title: lines(step.schema_text) for step in STEPS}
    _, _, _, deprecated, backfilled, _ = seed_blocks()
    assert lines(deprecated) <= texts["Replace a field"]
    assert lines(backfilled) <= texts["Backfill it"]


def test_it_does_not_begin_over_somebodys_own_work(demo: Settings) -> None:
    mine = scaffold.DEMO_AFTER + "// mine\n"
    demo.schema_path.write_text(mine, encoding="utf-8")
    with pytest.raises(StudioError, match="holds changes of yours"):
        begin_tour(demo)
    assert demo.schema_path.read_text(encoding="utf-8") == mine


def test_each_step_saves_the_whole_file_at_once(demo: Settings) -> None:
    tour = Tour(demo)
    assert tour.step is None
    for number, expected in enumerate(STEPS, start=1):
        assert tour.next() is expected
        assert tour.step is expected
        assert tour.left == len(STEPS) - number
        assert demo.schema_path.read_text(encoding="utf-8") == expected.schema_text
        assert [path.name for path in demo.schema_path.parent.iterdir()] == ["schema.ts"]
    assert tour.next() is None
    assert tour.step is STEPS[-1]


def test_the_tour_goes_back_as_far_as_its_first_step(demo: Settings) -> None:
    tour = Tour(demo)
    assert tour.back() is None
    for _ in STEPS:
        tour.next()
    for expected in reversed(STEPS[:-1]):
        assert tour.back() is expected
        assert tour.step is expected
        assert demo.schema_path.read_text(encoding="utf-8") == expected.schema_text
    assert tour.back() is None
    assert tour.step is STEPS[0]
    assert tour.next() is STEPS[1]


def test_going_back_plans_nothing_that_loses_data(demo: Settings) -> None:
    tour = Tour(demo)
    while (step := tour.next()) is not None:
        if step.then == "apply":
            state, _ = planned(demo)
            assert last(pipeline.apply(state, never)).status == "ok"
    while (step := tour.back()) is not None:
        _, plan = planned(demo)
        assert not any("DROP" in sql for change in plan.changes for sql in change.sql)


def test_a_step_that_cannot_be_saved_is_tried_again(demo: Settings) -> None:
    tour = Tour(demo)
    tour.next()
    demo.schema_path.unlink()
    demo.schema_path.mkdir()
    with pytest.raises(StudioError):
        tour.next()
    demo.schema_path.rmdir()
    assert tour.next() is STEPS[1]
    demo.schema_path.unlink()
    demo.schema_path.mkdir()
    with pytest.raises(StudioError):
        tour.back()
    assert tour.step is STEPS[1]
