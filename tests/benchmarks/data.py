"""The databases and schemas that are measured: the seed's todos, many of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from valet_studio import pipeline
from valet_studio.config import Settings
from valet_studio.database.layout import CREATE_BOOKKEEPING

HEADER = "import { defineSchema, defineTable, v } from 'valet-dev/server'\n"
FIELDS = "title: v.string(), completed: v.number(), userId: v.string(), priority: v.string(), "
SYNC = ".sync({ filter: (q, ctx) => q.eq('userId', ctx.auth.userId), mode: 'full' })"

FUNCTIONS = {
    "map": """(row) => {
        const mapping: Record<string, number> = { high: 3, medium: 2, low: 1 }
        return mapping[row.priority as string] ?? 1
    }""",
    "slug": r"(row) => `${row.title.trim().toLowerCase().replace(/\s+/g, '-')}-${row._id.slice(0, 6)}`",
    "all": "(row) => Object.values(row).join('|')",
}
"""The three backfills: one field read, two fields read, every field read."""

PURE_SQL = {
    "map": "CASE priority WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END",
    "slug": "replace(lower(trim(title)), ' ', '-') || '-' || substr(_id, 1, 6)",
}

TYPES = {"map": "number", "slug": "string", "all": "string"}


def schema_text(case: str) -> str:
    """A schema.ts whose one pending change is the backfill of `out`."""
    return (
        f"{HEADER}export default defineSchema({{ todos: defineTable({{ {FIELDS}"
        f"out: v.{TYPES[case]}() }}){SYNC}\n.backfill('out', {FUNCTIONS[case]}) }})\n"
    )


def before_text(case: str) -> str:
    """The same schema without the backfill; its column is there and empty."""
    return schema_text(case).split("\n.backfill")[0] + " })\n"


@dataclass(frozen=True)
class Place:
    """A project directory, and pristine databases to copy into it."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "dev.db"

    @property
    def settings(self) -> Settings:
        return Settings(
            schema_path=self.root / "valet" / "schema.ts",
            database=str(self.database),
            output_dir=self.root / "generated",
        )

    def write(self, text: str) -> None:
        """Save schema.ts."""
        self.settings.schema_path.parent.mkdir(parents=True, exist_ok=True)
        self.settings.schema_path.write_text(text)

    def fresh(self, pristine: Path) -> Path:
        """Put a copy of a database in place, with nothing left of the one before."""
        for beside in (self.database, *self.root.glob("dev.db-*")):
            beside.unlink(missing_ok=True)
        shutil.rmtree(self.root / ".valet", ignore_errors=True)
        shutil.copyfile(pristine, self.database)
        os.sync()  # Nobody is to be measured while the disk still writes this.
        return self.database

    def pristine(self, case: str, count: int, mode: str = "delete", triggers: bool = True) -> Path:
        """A database of `count` todos in Valet's layout whose `out` is empty; made once."""
        path = self.root / f"{TYPES[case]}-{count}-{mode}-{triggers}.db"
        if path.exists():
            return path
        self.database.unlink(missing_ok=True)
        text = before_text(case)
        self.write(text if triggers else text.replace("mode: 'full'", "mode: 'none'"))
        for _event in pipeline.apply(pipeline.look(self.settings), lambda: False):
            pass
        with opened(self.database) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            held = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in held:
                connection.execute(f'DROP TRIGGER "{name}"')
            fill(connection, count)
            for _, sql in held:
                connection.execute(str(sql))
            connection.execute(f"PRAGMA journal_mode = {mode}").fetchall()
        self.database.rename(path)
        shutil.rmtree(self.root / ".valet", ignore_errors=True)
        return path


def fill(connection: apsw.Connection, count: int, table: str = "todos") -> None:
    """Insert todos whose `_id`s come in no order, as real ones do."""
    for sql in CREATE_BOOKKEEPING:
        connection.execute(sql)
    connection.execute(
        "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < ?) "
        f"INSERT INTO {table} (_id, title, completed, userId, priority) "
        "SELECT printf('%08x%08x', i * 2654435761 % 4294967296, i), "
        "' Buy the Milk No '||i||' ', i % 2, 'user'||(i % 1000), "
        "CASE i % 4 WHEN 0 THEN 'high' WHEN 1 THEN 'medium' WHEN 2 THEN 'low' ELSE 'urgent' END "
        "FROM k",
        (count,),
    )


@contextmanager
def opened(path: Path) -> Iterator[apsw.Connection]:
    """A connection of another program."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(60_000)
    try:
        yield connection
    finally:
        connection.close()
