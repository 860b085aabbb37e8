"""A table that looks renamed gets its name back by one edit, or the reason why not."""

from __future__ import annotations

import pytest
from support import HEADER, Project, never, schema_of

from valet_studio import pipeline
from valet_studio.fixes.fix import Fix
from valet_studio.fixes.offer import fixes_for, why_none
from valet_studio.fixes.tables import TableRename, likely_table_renames

FIELDS = "{ title: v.string(), size: v.number() }"
BEFORE = schema_of(f"    todos: defineTable({FIELDS}),")


def renames(project: Project) -> list[TableRename]:
    plan = project.plan()
    return list(likely_table_renames(plan))


def offered(project: Project, kind: str, table: str) -> tuple[tuple[Fix, ...], str | None]:
    state = project.look()
    assert state.plan is not None
    assert state.schema is not None
    change = next(c for c in state.plan.changes if (c.kind, c.table) == (kind, table))
    return fixes_for(change, state.schema, state.plan), why_none(change, state.schema, state.plan)


@pytest.fixture
def todos(project: Project) -> Project:
    """One document in `todos`."""
    project.push(BEFORE)
    project.sql("INSERT INTO todos (_id, title, size) VALUES ('a', 'x', 1)")
    return project


WRITTEN = {
    "as a pair": (
        f"    // all of them\n    tasks: defineTable({FIELDS}),",
        f"    // all of them\n    todos: defineTable({FIELDS}),",
    ),
    "quoted": (f'    "tasks": defineTable({FIELDS}),', f"    todos: defineTable({FIELDS}),"),
    "referred to": (
        f"    tasks: defineTable({FIELDS}),\n    notes: defineTable({{ of: v.id('tasks') }}),",
        f"    todos: defineTable({FIELDS}),\n    notes: defineTable({{ of: v.id('todos') }}),",
    ),
}


@pytest.mark.parametrize(("after", "mended"), WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize(("kind", "table"), [("create_table", "tasks"), ("remove_table", "todos")])
def test_the_old_name_is_given_back(
    todos: Project, after: str, mended: str, kind: str, table: str
) -> None:
    todos.write(schema_of(after))
    (fix,), reason = offered(todos, kind, table)
    assert fix.title == "Call tasks todos again"
    assert reason is None
    assert fix.after == schema_of(mended)
    pipeline.apply_fix(todos.settings, fix)
    assert pipeline.check_types(todos.look(), never) == ()
    assert {c.table for c in todos.plan().changes} <= {"notes"}


def test_a_constant_is_named_anew(todos: Project) -> None:
    text = (
        f"{HEADER}const tasks = defineTable({FIELDS})\nexport default defineSchema({{ tasks }})\n"
    )
    todos.write(text)
    (fix,), _ = offered(todos, "create_table", "tasks")
    assert fix.after == text.replace("{ tasks }", "{ todos: tasks }")
    pipeline.apply_fix(todos.settings, fix)
    assert todos.plan().changes == ()


def test_a_table_of_another_module_is_named_in_schema_ts(todos: Project) -> None:
    todos.write(f"{HEADER}export const tasks = defineTable({FIELDS})\n", "tasks.ts")
    text = (
        "import * as valet from 'valet-dev/server'\nimport { tasks } from './tasks'\n"
        "export default valet.defineSchema({ tasks })\n"
    )
    todos.write(text)
    (fix,), _ = offered(todos, "remove_table", "todos")
    assert fix.after == text.replace("{ tasks })", "{ todos: tasks })")


def test_what_one_edit_cannot_mend_is_said(todos: Project) -> None:
    todos.write(
        f"{HEADER}const tables = {{ tasks: defineTable({FIELDS}) }}\n"
        "export default defineSchema(tables)\n"
    )
    assert offered(todos, "create_table", "tasks") == (
        (),
        "tasks is not written in the defineSchema of valet/schema.ts.",
    )
    todos.write(f"{HEADER}export const of = v.id('tasks')\n", "of.ts")
    todos.write(
        f"import {{ of }} from './of'\n{HEADER}export default defineSchema({{\n"
        f"    tasks: defineTable({FIELDS}), notes: defineTable({{ of }}),\n}})\n"
    )
    fixes, reason = offered(todos, "create_table", "tasks")
    assert fixes == ()
    assert reason == "valet/of.ts names tasks, too."


ALIKE = {
    "all fields": (f"tasks: defineTable({FIELDS})", [TableRename("todos", "tasks", 1)]),
    "one more field": (
        "tasks: defineTable({ title: v.string(), size: v.number(), more: v.any() })",
        [TableRename("todos", "tasks", 1)],
    ),
    "another type": ("tasks: defineTable({ title: v.string(), size: v.string() })", []),
    "other fields": ("tasks: defineTable({ name: v.string(), size: v.number(), x: v.any() })", []),
    "no fields": ("tasks: defineTable({})", []),
    "still declared": (f"todos: defineTable({FIELDS}), tasks: defineTable({FIELDS})", []),
    "the likest of two": (
        "near: defineTable({ title: v.string(), size: v.number(), more: v.any() }), "
        f"tasks: defineTable({FIELDS})",
        [TableRename("todos", "tasks", 1)],
    ),
}


@pytest.mark.parametrize(("tables", "expected"), ALIKE.values(), ids=ALIKE)
def test_tables_are_alike_by_their_fields(
    todos: Project, tables: str, expected: list[TableRename]
) -> None:
    todos.write(schema_of(tables))
    assert renames(todos) == expected
    if not expected:
        created = [c for c in todos.plan().changes if c.kind == "create_table"]
        assert [offered(todos, c.kind, c.table) for c in created] == [((), None)] * len(created)


def test_nothing_is_said_of_a_table_without_documents(todos: Project) -> None:
    todos.sql("DELETE FROM todos")
    todos.write(BEFORE.replace("todos:", "tasks:"))
    assert renames(todos) == []
