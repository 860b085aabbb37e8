"""init and demo: projects to begin with."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from valet_studio import pipeline, report
from valet_studio.commands.console import run_to_report, say
from valet_studio.commands.runs import planned
from valet_studio.config import Settings
from valet_studio.database.errors import database_errors
from valet_studio.database.target import open_target
from valet_studio.errors import StudioError

IGNORED = ("_generated/", ".valet/")
DEMO_DOCUMENTS = 142
"""As many as the seed's output text says."""

STARTER = """\
// The schema of your database. Save it, and `valet-studio` shows what the change will do.
import { defineSchema, defineTable, v } from 'valet-dev/server'

export default defineSchema({
    // Each document gets its _id by itself.
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


def init(folder: Path) -> int:
    """Make valet/schema.ts and the lines of .gitignore; what exists is left as it is."""
    schema = folder / "valet" / "schema.ts"
    if schema.exists():
        say(f"{schema} exists already and is left as it is.\n")
    else:
        pipeline.write_atomically(schema, STARTER)
        say(f"Made {schema}\n")
    added = ignore(folder)
    if added:
        say(f"Added {' and '.join(added)} to {folder / '.gitignore'}\n")
    here = folder.resolve() == Path.cwd()
    say(f"\nNext:\n{'' if here else f'  cd {folder}' + chr(10)}  valet-studio\n")
    return 0


def ignore(folder: Path) -> tuple[str, ...]:
    """Append what git should not keep to .gitignore; returns the lines that were missing."""
    path = folder / ".gitignore"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise StudioError(f"{path} cannot be read.", "Check that it is a text file.") from error
    present = {line.strip().strip("/") for line in text.splitlines()}
    missing = tuple(line for line in IGNORED if line.strip("/") not in present)
    if missing:
        end = "" if not text or text.endswith("\n") else "\n"
        pipeline.write_atomically(path, f"{text}{end}" + "".join(f"{line}\n" for line in missing))
    return missing


def demo(folder: Path) -> Settings:
    """Make the seed's todos project with its documents and a pending migration.

    Raises:
        StudioError: the directory holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudioError(
            f"{folder} exists already and is not an empty directory.",
            "Name another one: valet-studio demo DIR. To open the demo that stands there: "
            f"cd {folder} && valet-studio",
        )
    settings = replace(
        Settings(),
        schema_path=folder / "valet" / "schema.ts",
        database=str(folder / ".valet" / "dev.db"),
        output_dir=folder / "_generated" / "valet",
    )
    pipeline.write_atomically(settings.schema_path, DEMO_BEFORE)
    ignore(folder)
    state, _ = planned(settings)
    run_to_report(lambda cancelled: pipeline.apply(state, cancelled), progress=False)
    pipeline.write_files(state)
    target = open_target(settings.database)
    with database_errors(target.label), target.writing() as connection, connection:
        connection.executemany(
            "INSERT INTO todos (_id, title, completed, userId, priority) VALUES (?, ?, ?, ?, ?)",
            documents(),
        )
    pipeline.write_atomically(settings.schema_path, DEMO_AFTER)
    return settings


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
    titles = chance.sample([f"{verb} {thing}" for verb in verbs for thing in things], 142)
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


def demo_made(folder: Path) -> None:
    """Say what stands where, and what to do with it."""
    say(
        f"Made {folder}: valet/schema.ts, and a database with {DEMO_DOCUMENTS} todos and a "
        "pending migration.\n"
        f"\nNext:\n  cd {folder}\n  valet-studio plan\n  valet-studio dry-run\n"
        "  valet-studio            (the studio, in a terminal)\n"
    )


def demo_shown(settings: Settings) -> None:
    """The plan and its rehearsal, for where there is no terminal to open the studio in."""
    state, found = planned(settings)
    say(f"\n{report.plan_text(found)}\n")
    done = run_to_report(lambda cancelled: pipeline.dry_run(state, cancelled), progress=False)
    say(report.report_text(done, rehearsal=True, database=settings.database))
