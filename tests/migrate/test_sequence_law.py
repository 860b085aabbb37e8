"""Whatever is pushed, written and taken back in whatever order: an apply leaves nothing to do and
every old cell as it was, and an undo leaves what was there before."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_strategies import schemas, to_typescript
from support import Project, never

from valet_studio import pipeline
from valet_studio.migrate.events import Report
from valet_studio.schema.model import Schema
from valet_studio.schema.names import quote

Held: TypeAlias = dict[str, dict[str, list[Any]]]
"""Table → column → its cells with their types, by rowid."""


def held(database: Path) -> Held:
    """Every cell of every table, bookkeeping included."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found: Held = {}
        listed = connection.execute(
            "SELECT t.name, c.name FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c"
            " WHERE t.schema = 'main' AND t.type = 'table' AND t.wr = 0"
            " AND t.name NOT LIKE 'sqlite_%'"
        )
        for table, column in [(str(table), str(column)) for table, column in listed]:
            cell = quote(column)
            found.setdefault(table, {})[column] = connection.execute(
                f"SELECT rowid, typeof({cell}), {cell} FROM {quote(table)} ORDER BY rowid"
            ).fetchall()
        return found
    finally:
        connection.close()


def check_applied(before: Held, after: Held, report: Report) -> None:
    """Nothing but what backfills filled has changed."""
    filled = {(each.table, each.column) for each in report.backfills}
    for table, columns in before.items():
        if not table.startswith("_valet"):
            for column, cells in columns.items():
                if (table, column) not in filled:
                    assert after[table][column] == cells, (table, column)


@pytest.mark.parametrize("mode", ["delete", "wal"])
@settings(
    max_examples=5,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pushed=st.lists(schemas(max_tables=2), min_size=2, max_size=4), data=st.data())
def test_every_push_can_be_taken_back(
    tmp_path_factory: pytest.TempPathFactory, mode: str, pushed: list[Schema], data: st.DataObject
) -> None:
    project = Project(tmp_path_factory.mktemp("sequence"))
    project.sql(f"PRAGMA journal_mode = {mode}")
    before: dict[int, Held] = {}
    for schema in pushed:
        project.write(to_typescript(schema))
        earlier = held(project.database)
        report = project.apply()
        if report.history_id is None:
            assert held(project.database) == earlier
            continue
        before[report.history_id] = earlier
        check_applied(earlier, held(project.database), report)
        assert (project.plan().status == "in_sync") == (report.status == "ok")
        for table in schema.tables:
            for number in data.draw(st.lists(st.integers(1, 9), max_size=3, unique=True)):
                project.sql(f"INSERT OR REPLACE INTO {quote(table.name)} (_id) VALUES ('{number}')")
    while before:
        replaced = held(project.database)
        undone = pipeline.undo(project.settings, never)
        assert held(project.database) == before.pop(undone.history_id)
        assert held(undone.kept) == replaced
        assert [entry.id for entry in pipeline.history(project.settings)] == [*before][::-1]
