"""The panes over the real pipeline: retrying, type checks, live rehearsal, narrowings."""

from __future__ import annotations

import pytest
from studio_drive import WIDE, digest, opened, save, screen_text, until
from support import SEED_TODOS, Project, fill_todos, seed_blocks

from valet_studio.migrate import rehearsal
from valet_studio.tui.app import StudioApp

SEED = seed_blocks()[4]
MAPPED = "return mapping[row.priority as string] ?? 1"
LINE = SEED[: SEED.index(MAPPED)].count("\n") + 1
LOUD = SEED.replace(MAPPED, "return mapping[(row.priority as string).toLowerCase()] ?? 1")


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, of which two have no priority; the seed's backfill waits in schema.ts."""
    project.push(SEED_TODOS)
    fill_todos(project)
    project.sql("UPDATE todos SET priority = NULL WHERE _id IN ('t0007', 't0050')")
    project.write(SEED)
    return project


async def test_find_why_a_backfill_fails_mend_it_and_try_again(todos: Project) -> None:
    todos.write(LOUD)
    async with opened(todos) as (app, pilot):
        before = digest(todos.database)
        await pilot.press("d")
        await until(pilot, lambda: app.facts.failing)
        await pilot.press("3")
        pane = app.main.dry_run_pane
        await until(pilot, lambda: '"Todo 7"' in pane.detail.text)
        assert "toLowerCase" in pane.detail.text
        assert f"▶ {LINE} │" in pane.detail.text
        assert "null" in pane.detail.text
        # The list tells what was read, and the reason without what is said above.
        assert "✗ t0007  priority null  TypeError: Cannot" in screen_text(app)
        await pilot.press("down")
        await until(pilot, lambda: '"Todo 50"' in pane.detail.text)
        save(todos, LOUD.replace("(row.priority as string)", "(row.priority as string ?? '')"))
        await until(pilot, lambda: any("Saved in" in e.text for e in app.main.log_pane.entries))
        await pilot.press("D")
        await until(pilot, lambda: "all work now" in screen_text(app))
        assert "✓ t0007  priority null  works now" in screen_text(app)
        assert digest(todos.database) == before
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)


async def test_what_failed_is_not_tried_again_where_the_plan_no_longer_runs_it(
    todos: Project,
) -> None:
    todos.write(LOUD)
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.failing)
        failed = app.facts.plan
        save(todos, SEED_TODOS.replace("userId: v", "note: v.optional(v.string()), userId: v"))
        await until(pilot, lambda: app.facts.plan is not failed)
        assert "retry failed" not in screen_text(app)
        await pilot.press("D")
        assert "The backfill that failed is not in this plan; d rehearses what is." in (
            app.main.notice
        )
        assert app.progress is not None
        assert app.progress.retried is None


async def test_a_rare_reason_is_not_lost_behind_a_common_one(todos: Project) -> None:
    rare = "if (row.title === 'Todo 99') throw new Error('rare')"
    todos.sql("UPDATE todos SET priority = NULL WHERE title != 'Todo 99'")
    todos.write(LOUD.replace("const mapping", f"{rare}\n        const mapping"))
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.failing)
        named = [item.failure.id for item in app.main.dry_run_pane.failures.items]
        assert named[:4] == ["t0000", "t0099", "t0001", "t0002"]
        assert "Document t0000 · 140 others failed so too" in app.main.dry_run_pane.detail.text
        logged = [
            e.text for e in app.main.log_pane.entries if "failed: " in e.text and e.mark == "✗"
        ]
        assert [text.partition(":")[0] for text in logged[1:]] == ["t0000 and 140 others", "t0099"]
        assert not any("Further failing" in entry.text for entry in app.main.log_pane.entries)


async def test_the_log_says_where_more_failures_are_than_it_holds(todos: Project) -> None:
    todos.write(SEED.replace(MAPPED, "throw new Error(String(row.title))"))
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.failing)
        assert "Further failing documents are in pane 3." in [
            entry.text for entry in app.main.log_pane.entries
        ]


@pytest.mark.type_check
async def test_a_wrong_field_name_is_shown_a_moment_after_the_save(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        save(todos, SEED.replace("row.priority as", "row.prioriti as"))
        await until(pilot, lambda: app.facts.type_errors, 30)
        assert "prioriti" in app.facts.type_errors[0].message
        assert "1 type error" in screen_text(app).split("\n")[0]
        await pilot.press("end")
        assert f"valet/schema.ts:{LINE}:" in screen_text(app)
        save(todos, SEED)
        await until(pilot, lambda: not app.facts.type_errors, 30)


async def test_live_rehearsal_follows_each_save(todos: Project) -> None:
    app = StudioApp(todos.settings)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.facts.plan is not None)
        before = digest(todos.database)
        await pilot.press("r")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        first = app.facts.rehearsed
        save(todos, SEED.replace("?? 1", "?? 9"))
        await until(pilot, lambda: app.facts.rehearsed not in (None, first))
        await until(pilot, lambda: app.facts.rehearsal_holds)
        assert "9" in app.main.dry_run_pane.text
        assert digest(todos.database) == before


async def test_saves_in_quick_succession_leave_the_newest_rehearsed(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        slow = SEED.replace(
            "return mapping",
            "for (let i = 0; i < 3000000; i++) mapping.x = i\n            return mapping",
        )
        await pilot.press("r")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        for at in range(3):
            save(todos, slow.replace("?? 1", f"?? {at + 2}"))
            await pilot.pause(0.15)
        save(todos, SEED.replace("?? 1", "?? 8"))
        await until(pilot, lambda: app.facts.rehearsal_holds and app.facts.running is None)
        await until(pilot, lambda: "8" in app.main.dry_run_pane.text)
        assert "Of an earlier plan" not in app.main.dry_run_pane.text


async def test_a_narrowing_shows_the_documents_that_break_it(todos: Project) -> None:
    todos.push(SEED_TODOS.replace("priority: v.string()", "priority: v.optional(v.string())"))
    todos.write(SEED_TODOS)
    async with opened(todos) as (app, pilot):
        await pilot.press("end")
        await until(pilot, lambda: "2 null · 140 with a value" in screen_text(app))
        text = screen_text(app)
        assert "✗ 2 break the promise" in text
        assert '"t0007"' in text
        assert "▶ priority" in text


async def test_a_narrowing_tells_what_the_documents_hold_that_break_it(todos: Project) -> None:
    words = "v.union(v.literal('high'), v.literal('low'))"
    todos.write(SEED_TODOS.replace("priority: v.string()", f"priority: {words}"))
    todos.sql("UPDATE todos SET priority = 'low' WHERE priority IS NULL")
    todos.sql("UPDATE todos SET priority = ' HIGH' WHERE _id = 't0001'")
    [(medium,)] = todos.sql("SELECT count(*) FROM todos WHERE priority = 'medium'")
    async with opened(todos) as (app, pilot):
        await pilot.press("end")
        await until(pilot, lambda: "break the promise" in screen_text(app))
        await until(pilot, lambda: f'{medium} × "medium"' in screen_text(app))
        assert ' 1 × " HIGH"' in screen_text(app)


async def test_what_fails_since_the_dry_run_is_rehearsed_anew_before_an_apply(
    todos: Project,
) -> None:
    todos.sql("UPDATE todos SET priority = 'low' WHERE priority IS NULL")
    todos.write(LOUD)
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        before = todos.meta()
        await pilot.press("a")
        todos.sql("UPDATE todos SET priority = NULL WHERE _id = 't0007'")
        await pilot.press("y")
        await until(pilot, lambda: "none did in the dry run: t0007:" in screen_text(app))
        assert "Nothing was applied." in " ".join(app.main.dry_run_pane.text.split())
        assert not app.facts.rehearsal_holds
        assert todos.meta() == before
        assert "priorityNum" not in [name for _, name, *_ in todos.sql("PRAGMA table_info(todos)")]


async def test_an_apply_whose_backfill_fails_says_what_was_applied(todos: Project) -> None:
    todos.sql("UPDATE todos SET priority = 'low' WHERE priority IS NULL")
    todos.write(LOUD)
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        assert app.facts.plan is not None
        # As where a server rehearsed it: nobody knows the values any more.
        rehearsal.close(rehearsal.take(todos.database, app.facts.plan.fingerprint))
        todos.sql("UPDATE todos SET priority = NULL WHERE _id = 't0007'")
        await pilot.press("a", "y")
        await until(pilot, lambda: "rolled back" in app.main.notice)
        pane = app.main.dry_run_pane
        await pilot.press("3")
        await until(pilot, lambda: '"Todo 7"' in pane.detail.text)
        assert "The rest of the plan was applied." in " ".join(pane.text.split())
        assert "earlier plan" not in pane.text
        assert "The rest of the plan was applied." in app.main.notice
        assert "✓ commit" in pane.text
        assert "✗ backfill" in pane.text
        assert "Reading it" not in pane.detail.text
        assert [name for _, name, *_ in todos.sql("PRAGMA table_info(todos)")][-1] == "priorityNum"


async def test_what_only_the_data_rejects_is_said(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        optional = SEED_TODOS.replace("priority: v.string()", "priority: v.optional(v.string())")
        todos.push(optional)
        save(todos, optional.replace("title: v.string()", "title: v.string(), more: v.any()"))
        await until(pilot, lambda: "more" in screen_text(app))
        save(todos, SEED_TODOS)
        await until(
            pilot, lambda: app.facts.plan is not None and app.facts.plan.status == "blocked"
        )
        await until(pilot, lambda: "break the promise" in app.main.notice)
        assert any("The data rejects the plan" in e.text for e in app.main.log_pane.entries)


async def test_what_was_applied_is_not_called_old_after_the_next_save(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        await pilot.press("a", "y")
        await until(pilot, lambda: "in sync" in screen_text(app).split("\n")[0])
        save(
            todos, SEED.replace("title: v.string()", "title: v.string(), more: v.optional(v.any())")
        )
        await until(pilot, lambda: "1 change" in screen_text(app).split("\n")[0])
        assert "Apply done" in app.main.dry_run_pane.text
        assert "earlier" not in app.main.dry_run_pane.text


async def test_the_question_names_what_was_written_since_the_dry_run(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        await pilot.press("a")
        assert "not rehearsed" not in screen_text(app)
        await pilot.press("escape")
        todos.sql("INSERT INTO todos (_id, title) VALUES ('late', 'x')")
        await until(
            pilot, lambda: app.facts.plan and any(c.rows == 143 for c in app.facts.plan.pending)
        )
        await pilot.press("a")
        assert "! 1 document was written since, and not rehearsed." in screen_text(app)


async def test_a_foreign_trigger_is_shown_as_it_was_made(todos: Project) -> None:
    made = "CREATE TRIGGER mailed AFTER INSERT ON todos BEGIN SELECT 'done'; END"
    todos.sql(made)
    async with opened(todos) as (app, pilot):
        await pilot.press("end")
        await until(pilot, lambda: "Trigger mailed on todos is in no schema" in screen_text(app))
        assert "In the database" in screen_text(app)
        assert "CREATE TRIGGER mailed AFTER INSERT ON todos" in screen_text(app)
        await pilot.press("c")
        assert app.clipboard == f"{made};"


async def test_header_and_receipt_call_the_schema_and_the_plan_alike(todos: Project) -> None:
    async with opened(todos) as (app, pilot):
        plan = app.facts.plan
        assert plan is not None
        assert f"plan {plan.fingerprint[:8]}" in screen_text(app).split("\n")[0]
        await pilot.press("d")
        await until(pilot, lambda: app.facts.rehearsal_holds)
        await pilot.press("a")
        await until(pilot, lambda: f"Plan      {plan.fingerprint[:8]}" in screen_text(app))
        await pilot.press("y")
        await until(pilot, lambda: app.facts.plan and app.facts.plan.status == "in_sync")
        named = plan.schema_hash[:12]
        assert f"✓ in sync · schema {named}" in screen_text(app).split("\n")[0]
        assert f"Schema     {named}" in app.main.dry_run_pane.text


async def test_a_schema_that_changes_no_table_is_not_said_to_agree(todos: Project) -> None:
    todos.push(SEED)
    backfill = SEED.index(".backfill")
    todos.write(SEED[:backfill].rstrip() + ",\n})\n")
    async with opened(todos) as (app, _):
        shown = screen_text(app)
        assert "~ schema only" in shown.split("\n")[0]
        assert "No table changes: only the schema is to be recorded." in shown
        assert "d  rehearses that; a records it." in shown
        assert "agree" not in shown


async def test_an_older_schema_is_told_by_the_migration_that_applied_it(todos: Project) -> None:
    todos.push(SEED)
    todos.push(SEED.replace("userId: v", "note: v.optional(v.string()), userId: v", 1))
    todos.write(SEED)
    async with opened(todos) as (app, pilot):
        await until(pilot, lambda: "as in migration 2, 2" in screen_text(app))
        assert "This is migration 2's schema; 1 migration came after it. h shows them." in (
            app.main.notice
        )
        save(todos, SEED.replace("userId: v", "other: v.optional(v.string()), userId: v", 1))
        await until(pilot, lambda: "as in migration" not in screen_text(app))
