"""Helpers for tests: a project on disk, and the code blocks of the user's own document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from libsql_servers import Sqld

from valet_studio import pipeline
from valet_studio.config import Settings
from valet_studio.errors import IsCancelled
from valet_studio.migrate.events import BackfillProgress, Event, Report
from valet_studio.plan.changes import Plan
from valet_studio.typescript.limits import Limits

DOCUMENT = Path(__file__).parent / "data" / "valet-schema-migrations.md"

EVERYWHERE = pytest.mark.parametrize("project", ["file", "server", "libsql"], indirect=True)
"""Runs a test on a database file, through a push server on that file, and on a libSQL server."""
ON_FILES = pytest.mark.parametrize("project", ["file", "server"], indirect=True)
"""The same of what only a file can do, here or behind a push server."""

HEADER = "import { defineSchema, defineTable, v } from 'valet-dev/server'\n"


def seed_blocks() -> list[str]:
    """The six TypeScript blocks of the seed document, in order, exactly as written.

    before, with a priority field, adding fields, deprecated, backfill, type change.
    """
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(r"^// valet/schema\.ts.*?^\}\)\n", text, flags=re.MULTILINE | re.DOTALL)


def schema_of(tables: str) -> str:
    """A schema.ts around the tables of `defineSchema({…})`."""
    return f"{HEADER}export default defineSchema({{\n{tables}\n}})\n"


_TODOS = (
    "todos: defineTable({ title: v.string(), completed: v.number(), userId: v.string(),"
    " priority: v.string() })"
)
TODOS = schema_of(f"{_TODOS},")
"""The seed's table as it is before its backfill, without sync."""
TRACKED_TODOS = schema_of(f"{_TODOS}.sync({{ mode: 'full' }}),")
SEED_TODOS = schema_of(
    f"{_TODOS}.sync({{ filter: (q, ctx) => q.eq('userId', ctx.auth.userId), mode: 'full' }}),"
)
SLOW_BACKFILL = seed_blocks()[4].replace(
    "return mapping", "let n = 0; for (let i = 0; i < 8e6; i++) n += i % 7; return mapping"
)
"""The seed's backfill, taking about a second for 142 documents."""
SLOW_FOR_MANY = seed_blocks()[4].replace(
    "return mapping", "for (let i = 0; i < 200000; i++) mapping.x = i\n            return mapping"
)
"""The same, taking some seconds for `add_many`."""


def never() -> bool:
    """An `IsCancelled` that lets the work run to its end."""
    return False


_PREPARED: dict[tuple[str, str, tuple[int, ...]], bytes] = {}


@dataclass(frozen=True)
class Project:
    """A directory with `valet/schema.ts` and a database, driven through the real pipeline."""

    root: Path
    strict: bool = False
    limits: Limits = Limits()
    server: str | None = None
    """The push server through which the database is reached, or the libSQL server's address."""
    deploy_key: str | None = None
    db_token: str | None = None
    libsql: Sqld | None = None
    """The libSQL server that holds the database, in place of the file."""

    @property
    def schema_path(self) -> Path:
        return self.root / "valet" / "schema.ts"

    @property
    def database(self) -> Path:
        return self.root / ".valet" / "dev.db"

    @property
    def settings(self) -> Settings:
        return Settings(
            schema_path=self.schema_path,
            database=self.server or str(self.database),
            deploy_key=self.deploy_key,
            db_token=self.db_token,
            output_dir=self.root / "_generated" / "valet",
            strict=self.strict,
            limits=self.limits,
        )

    def write(self, text: str, name: str = "schema.ts") -> None:
        """Save a module of the valet directory."""
        path = self.root / "valet" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def look(self) -> pipeline.StudioState:
        """One pass, measured; the schema and the database are expected to be readable."""
        state = pipeline.look(self.settings)
        assert not state.problems, state.problems
        return pipeline.measure(state, never)

    def plan(self) -> Plan:
        """The measured plan."""
        plan = self.look().plan
        assert plan is not None
        return plan

    def dry_run(self) -> Report:
        """Rehearse the plan that holds now."""
        return last(pipeline.dry_run(self.look(), never))

    def apply(self) -> Report:
        """Apply the plan that holds now."""
        return last(pipeline.apply(self.look(), never))

    def push(self, text: str) -> Report:
        """Save a schema and apply it."""
        self.write(text)
        return self.apply()

    def prepare(self, text: str, statement: str, *bindings: int) -> None:
        """Apply a schema to a new file and fill it; where a test did so before, copy the file."""
        key = (text, statement, bindings)
        if key not in _PREPARED:
            self.push(text)
            self.sql(statement, bindings)
            _PREPARED[key] = self.database.read_bytes()
            return
        self.write(text)
        self.database.parent.mkdir(parents=True)
        self.database.write_bytes(_PREPARED[key])

    def sql(self, statement: str, bindings: Iterable[Any] = ()) -> list[Any]:
        """Run SQL on the database as another program would; returns the rows."""
        if self.libsql is not None:
            return self.libsql.sql(statement, bindings)
        self.database.parent.mkdir(parents=True, exist_ok=True)
        connection = apsw.Connection(str(self.database))
        connection.set_busy_timeout(5_000)
        try:
            return list(connection.execute(statement, tuple(bindings)))
        finally:
            connection.close()

    def contents(self) -> Any:
        """All that the database holds, to be compared; of a file every byte."""
        return self.database.read_bytes() if self.libsql is None else self.libsql.contents()

    def meta(self) -> dict[str, str]:
        """The rows of `_valet_meta`."""
        return dict(self.sql('SELECT "key", "value" FROM _valet_meta'))

    def with_(self, **changes: Any) -> Project:
        """The same project under other settings."""
        return replace(self, **changes)


def last(events: Iterable[Event]) -> Report:
    """Run long work to its end and give its report."""
    final: Event | None = None
    for event in events:
        final = event
    assert isinstance(final, Report)
    return final


def interrupted(events: Iterator[Event], work: Callable[[], object]) -> Report:
    """Run to the end; another program works at the moment when all values are computed."""
    final: Event | None = None
    worked = False
    for event in events:
        if isinstance(event, BackfillProgress) and event.done == event.total and not worked:
            work()
            worked = True
        final = event
    assert worked
    assert isinstance(final, Report)
    return final


def fill_todos(project: Project, count: int = 142) -> None:
    """Insert documents into a `todos` table that has the seed's columns before priorityNum."""
    project.sql(
        "WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < ?1 - 1)"
        " INSERT INTO todos (_id, title, completed, userId, priority)"
        " SELECT printf('t%04d', n), 'Todo ' || n, n % 2, 'u1',"
        " CASE n % 4 WHEN 0 THEN 'high' WHEN 1 THEN 'medium' WHEN 2 THEN 'low' ELSE 'urgent' END"
        " FROM c WHERE n < ?1",
        (count,),
    )


def add_many(project: Project) -> None:
    """Insert 40,000 more: work that can be met in the middle."""
    project.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) "
        "INSERT INTO todos (_id, title, completed, userId, priority) "
        "SELECT 'n' || i, 'Todo ' || i, 0, 'u1', 'p' || i FROM n"
    )


def cancel_at(run: Callable[[IsCancelled], Iterable[Event]], kind: type) -> None:
    """Run long work and cancel it from its first event of a kind on."""
    seen: set[type] = set()
    for event in run(lambda: kind in seen):
        seen.add(type(event))
