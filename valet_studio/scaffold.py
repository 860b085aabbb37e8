"""Projects to begin with: a commented schema, and the demo with its documents."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from valet_studio import pipeline
from valet_studio.config import SCHEMA_FILE, Settings
from valet_studio.database.errors import database_errors
from valet_studio.database.held import held
from valet_studio.database.inspect import inspect
from valet_studio.database.target import open_target
from valet_studio.errors import Cancelled, StudioError, never, reason_of
from valet_studio.fixes.adopt import sources_for
from valet_studio.paths import is_there, write_atomically
from valet_studio.schema.model import Sources

IGNORED = ("_generated/", ".valet/")
_PATIENCE = 2.0
"""Seconds that a database is read for: the studio waits for it."""
DEMO_DOCUMENTS = 142
"""As many as the seed's output text says."""

STARTER = """\
// The schema of your database. Save it, and `valet-studio` shows what the change will do.
import { defineSchema, defineTable, v } from 'valet-dev/server'

export default defineSchema({
    // Besides these fields each document has an _id, which Valet gives it, and a _version.
    todos: defineTable({
        title: v.string(),
        completed: v.boolean(),
        userId: v.string(),
        dueDate: v.optional(v.string()), // a field that a document may lack
    })
        .index('by_user', ['userId', 'completed'])
        // Which documents a client receives.
        .sync({
            filter: (q, ctx) => q.eq('userId', ctx.auth.userId),
            mode: 'full',
        }),
})
"""

DEMO_BEFORE = """\
import { defineSchema, defineTable, v } from 'valet-dev/server'

export default defineSchema({
    todos: defineTable({
        title: v.string(),
        completed: v.number(),
        userId: v.string(),
        priority: v.string(),
    }).sync({
        filter: (q, ctx) => q.eq('userId', ctx.auth.userId),
        mode: 'full',
    }),
})
"""

DEMO_AFTER = """\
import { defineSchema, defineTable, v } from 'valet-dev/server'

export default defineSchema({
    todos: defineTable({
        title: v.string(),
        completed: v.number(),
        userId: v.string(),
        priority: v.string().deprecated(),
        priorityNum: v.number(),
    })
        .sync({
            filter: (q, ctx) => q.eq('userId', ctx.auth.userId),
            mode: 'full',
        })
        .backfill('priorityNum', (row) => {
            const mapping: Record<string, number> = {
                high: 3,
                medium: 2,
                low: 1,
            }
            return mapping[row.priority as string] ?? 1
        }),
})
"""


def init(settings: Settings) -> tuple[Path, ...]:
    """Make the settings' schema, and a .gitignore beside its directory.

    It begins with what the database holds, or else with an example. Returns the files that it
    wrote; one that exists is left as it is.

    Raises:
        StudioError: a file cannot be read or written.
    """
    written = []
    schema = settings.schema_path
    valet_dir = schema.parent
    if not is_there(schema):
        for path, text in _beginning(settings):
            if not is_there(path):
                write_atomically(path, text)
                written.append(path)
    ignoring = valet_dir.parent / ".gitignore"
    if _ignore(ignoring):
        written.append(ignoring)
    return tuple(written)


def _holds_something(folder: Path) -> bool:
    """Whether it is no new or empty directory; one that may not be looked into is none."""
    try:
        return any(folder.iterdir())
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _beginning(settings: Settings) -> Iterator[tuple[Path, str]]:
    """The modules that a schema begins with, schema.ts as the last."""
    sources = _of_database(settings.database)
    schema = settings.schema_path
    if sources is None:
        yield schema, STARTER
        return
    folder = schema.parent
    for name, text in sources.files.items():
        path = Path(os.path.normpath(folder / name))
        if name != sources.entry and path.is_relative_to(os.path.normpath(folder)):
            yield path, text
    yield schema, sources.files[sources.entry]


def _of_database(database: str) -> Sources | None:
    """What a database file tells of its schema; None where it tells nothing in time."""
    deadline = time.monotonic() + _PATIENCE
    sources = None
    # A look follows, and says what is wrong with the database.
    with (
        suppress(Cancelled, StudioError),
        open_target(database).reading(lambda: time.monotonic() > deadline) as connection,
        connection,  # one moment
    ):
        state = inspect(connection)
        sources = sources_for(state, held(connection, state))
    return sources


def demo_settings(folder: Path) -> Settings:
    """The settings of a demo project in a directory."""
    return replace(
        Settings(),
        schema_path=folder / "valet" / SCHEMA_FILE,
        database=str(folder / ".valet" / "dev.db"),
        output_dir=folder / "_generated" / "valet",
    )


def demo(folder: Path) -> bool:
    """Make the seed's todos project with its documents and a pending migration.

    Returns whether it was made: a demo that stands there already is left as it is.

    Raises:
        StudioError: the directory holds something else.
    """
    settings = demo_settings(folder)
    if is_there(settings.schema_path) and is_there(Path(settings.database)):
        return False
    if _holds_something(folder):
        raise StudioError(
            f"{folder} exists already and is no demo project.",
            "Name another directory: `valet-studio demo DIR`.",
        )
    write_atomically(settings.schema_path, DEMO_BEFORE)
    _ignore(folder / ".gitignore")
    state = pipeline.look(settings)
    for _ in pipeline.apply(state, never):
        pass
    pipeline.write_files(state)
    target = open_target(settings.database)
    with database_errors(target.label), target.writing() as connection, connection:
        connection.executemany(
            "INSERT INTO todos (_id, title, completed, userId, priority) VALUES (?, ?, ?, ?, ?)",
            documents(),
        )
    write_atomically(settings.schema_path, DEMO_AFTER)
    return True


def documents() -> list[tuple[str, str, int, str, str]]:
    """The demo's todos, always the same: `_id`, title, completed, userId, priority."""
    chance = random.Random(DEMO_DOCUMENTS)
    verbs = ("Buy", "Call", "Clean", "Fix", "Order", "Paint", "Plan", "Read", "Repair", "Write")
    things = (
        *("the bike", "the garden", "the kitchen shelf", "a birthday card", "the tax return"),
        *("tickets for June", "the landlord", "the README", "a present for Mika", "the dentist"),
        *("the team's retrospective", "the water filter", "the summer holidays", "the shed"),
        "the newsletter",
    )
    titles = chance.sample(
        [f"{verb} {thing}" for verb in verbs for thing in things], DEMO_DOCUMENTS
    )
    priorities = chance.choices(
        ("high", "medium", "low", "urgent", "someday"), (30, 52, 46, 8, 6), k=len(titles)
    )
    return [
        (
            f"todo{number:04d}",
            title,
            int(chance.random() < 0.4),
            chance.choice(("ada", "grace", "linus")),
            priority,
        )
        for number, (title, priority) in enumerate(zip(titles, priorities, strict=True), start=1)
    ]


def _ignore(path: Path) -> bool:
    """Append what git should not keep to a .gitignore; False where it was all there."""
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise StudioError(f"{path} cannot be read.", "Check that it is a text file.") from error
    present = {line.strip().strip("/") for line in text.splitlines()}
    missing = [line for line in IGNORED if line.strip("/") not in present]
    if missing:
        # Appended, since the file may be a link, and its lines may end in another way.
        newline = "\r\n" if "\r\n" in text else "\n"
        lines = [] if not text or text.endswith("\n") else [""]
        added = newline.join([*lines, *missing, ""])
        try:
            with path.open("ab") as file:
                file.write(added.encode())
        except OSError as error:
            raise StudioError(
                f"{path} cannot be written: {reason_of(error)}.", "Check that you may write it."
            ) from error
    return bool(missing)
