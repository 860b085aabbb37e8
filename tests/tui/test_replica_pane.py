"""The studio with a client's replica: the dry run shows what will happen on that client too."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest
from studio_drive import NARROW, WIDE, digest, screen_text, studio, until
from studio_fakes import FakeEngine, Saves, changes, plan_of, settings_in, state_of
from support import TRACKED_TODOS, Project, fill_todos, seed_blocks
from terminal import Terminal

from valet_studio.errors import Cancelled, IsCancelled, Problem
from valet_studio.pipeline import StudioState
from valet_studio.replica.mutations import Mutation, Unfit
from valet_studio.replica.rehearse import ReplicaReport
from valet_studio.tui.app import StudioApp
from valet_studio.tui.replica import ReplicaScreen, replica_lines, replica_outcome

BEFORE = TRACKED_TODOS
MUTATIONS = (
    'CREATE TABLE _valet_mutations (id INTEGER PRIMARY KEY, "table" TEXT, row_id TEXT,'
    " operation TEXT, document TEXT)"
)


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, and the seed's backfill to be applied."""
    project.push(BEFORE)
    fill_todos(project)
    project.write(seed_blocks()[4])
    return project


@pytest.fixture
def client(todos: Project) -> Path:
    """A replica with fewer documents, and two queued mutations of which one will not fit."""
    path = todos.root / "client.db"
    shutil.copy(todos.database, path)
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM todos WHERE rowid > 100")
    connection.execute(MUTATIONS)
    connection.execute(
        "INSERT INTO _valet_mutations VALUES"
        " (1, 'todos', 'a', 'update', '{\"priority\": \"high\"}'),"
        " (2, 'todos', 'b', 'update', '{\"gone\": 1}')"
    )
    connection.close()
    return path


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["120x36", "80x24"])
async def test_the_dry_run_tells_what_happens_on_the_client(
    todos: Project, client: Path, size: tuple[int, int]
) -> None:
    before = digest(client), digest(todos.database)
    app = StudioApp(todos.settings, replica=client)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        # The path may be long enough to stand on several lines.
        assert "client.db" in app.main.dry_run_pane.text.replace("\n", "")
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds, 30)
        told = " ".join(app.main.dry_run_pane.report.text.split())
        assert "will follow through 1 schema version." in told
        assert "todos 100 → 100 rows" in told
        assert "Backfill todos.priorityNum 100 of 100 rows filled" in told
        assert "2 queued mutations: 1 no longer fits" in told
        assert "! update of todos b: " in told
        await pilot.press("3", "end")
        await until(pilot, lambda: "update of todos b" in screen_text(app))
        log = [entry.text for entry in app.main.log_pane.entries]
        assert any("client.db will follow through 1 schema version." in text for text in log)
        await pilot.press("a")
        await until(pilot, lambda: "Apply to the database?" in screen_text(app))
    assert (digest(client), digest(todos.database)) == before


async def test_a_replica_is_named_from_within(todos: Project, client: Path) -> None:
    app = StudioApp(todos.settings)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        await pilot.press("ctrl+p", *"replica")
        await until(pilot, lambda: "Rehearse a replica …" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReplicaScreen))
        await pilot.press(*"nowhere.db", "enter")
        await pilot.pause()
        assert "There is no such file." in screen_text(app)
        await pilot.press("ctrl+u", *str(client), "enter")
        await until(pilot, lambda: app.facts.rehearsal_holds, 30)
        assert "will follow through" in " ".join(app.main.dry_run_pane.report.text.split())
        await pilot.press("R", "ctrl+u", "enter")
        await until(pilot, lambda: app.facts.replica is None)
        assert "No replica is rehearsed on any more." in screen_text(app)


async def test_a_client_behind_can_be_rehearsed_where_the_server_is_in_sync(
    todos: Project, client: Path
) -> None:
    todos.apply()
    app = StudioApp(todos.settings, replica=client)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None)
        assert app.facts.plan is not None
        assert app.facts.plan.status == "in_sync"
        await pilot.press("d")
        await until(pilot, lambda: app.progress is not None and app.progress.ended, 30)
        assert "100 of 100 rows filled" in " ".join(app.main.dry_run_pane.report.text.split())


async def test_a_replica_that_cannot_be_read_is_a_sentence_and_the_dry_run_holds(
    todos: Project,
) -> None:
    letter = todos.root / "letter.db"
    letter.write_text("This is a letter, not a database.\n" * 40, encoding="utf-8")
    app = StudioApp(todos.settings, replica=letter)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds, 30)
        told = " ".join(app.main.dry_run_pane.report.text.split())
        assert "letter.db will fail to follow." in told
        assert "is not a SQLite database" in told


async def test_cancelling_on_the_replica_cancels_the_dry_run(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    engine, saves = FakeEngine(settings, state_of(settings, plan_of(*changes()))), Saves()

    def endless(_state: StudioState, _replica: Path, cancelled: IsCancelled) -> ReplicaReport:
        while not cancelled():
            pass
        raise Cancelled()

    app = StudioApp(
        settings, engine, saves, replica=tmp_path / "client.db", rehearse_replica=endless
    )
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None and app.facts.plan.measured)
        await pilot.press("d")
        await until(pilot, lambda: "Rehearsing on a copy of the replica" in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: app.progress is not None and app.progress.ended)
        assert app.progress is not None
        assert app.progress.cancelled
        assert not app.facts.rehearsal_holds


async def test_without_a_replica_no_dry_run_speaks_of_one(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.rehearse()
        report = opened.app.main.dry_run_pane.report
        assert "eplica" not in report.text


@pytest.mark.parametrize("width", [40, 76, 120])
def test_every_outcome_fits_its_pane(width: int) -> None:
    unfit = tuple(
        Unfit(Mutation(at, "[/x]", f"row{at}", "update", "{}"), "it has no field gone")
        for at in range(60)
    )
    reports = (
        ReplicaReport("client.db", "noop"),
        ReplicaReport("client.db", "ahead", problems=(Problem("It is ahead.", "Update."),)),
        ReplicaReport("client.db", "failed", problems=(Problem("x" * 200),)),
        ReplicaReport("client.db", "ok", 3, mutations=99, unfit=unfit),
    )
    marks = {}
    for report in reports:
        drawn = replica_lines(report, width)
        assert max(line.cell_length for line in drawn) <= max(width, 30), report.status
        assert "client.db" in drawn[0].plain
        outcome = replica_outcome(report, width)
        assert max(line.cell_length for line in outcome) <= max(width, 30), report.status
        marks[report.status] = outcome[0].plain[0]
    assert marks == {"noop": "✓", "ahead": "✗", "failed": "✗", "ok": "!"}
    assert "… and 10 more" in replica_lines(reports[-1], width)[-1].plain


def test_a_replica_is_given_on_the_command_line(todos: Project, client: Path) -> None:
    with Terminal(todos.root, "--replica", client.name) as terminal:
        terminal.wait_for("4 changes", "client.db")
        terminal.press("d")
        terminal.wait_for("Dry run worked")
        terminal.press("z", "3")
        terminal.wait_for("will follow through 1 schema version")
        terminal.press("q")
        assert terminal.wait_for_end() == 0
