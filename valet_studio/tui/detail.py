"""The area below the plan's tree: the selected change, the problems, or the empty state. Pure."""

from __future__ import annotations

from textual.content import Content

from valet_studio.errors import Problem
from valet_studio.plan.changes import AnyChange, RunBackfill
from valet_studio.schema.model import Sources, Table
from valet_studio.tui.facts import Facts
from valet_studio.tui.text import BLANK, SIGN_STYLES, code, count, excerpt, lines, problem, rule


def change_detail(change: AnyChange, sources: Sources, width: int) -> Content:
    """What, why, where and with which SQL."""
    style = SIGN_STYLES[change.shown_sign]
    parts = [
        Content.assemble((f"{change.shown_sign} ", f"bold {style}"), (change.summary, "bold")),
        Content.styled(change.rule, "$muted"),
    ]
    if change.rows is not None or change.offending is not None:
        counted = _counts(change)
        if counted.plain:
            parts.append(counted)
    if change.sql:
        parts += [BLANK, rule("SQL"), *(code(f"{sql.rstrip(';')};", "sql") for sql in change.sql)]
    if change.location is not None:
        parts += [BLANK, rule(str(change.location))]
        if isinstance(change, RunBackfill):
            rest = len(change.declared.code.splitlines())
            around = excerpt(sources, change.location, width, before=0, after=max(0, rest - 1))
        else:
            around = excerpt(sources, change.location, width)
        if around is not None:
            parts.append(around)
    return lines(parts)


def _counts(change: AnyChange) -> Content:
    said = []
    if change.rows is not None and f"{change.rows:,}" not in change.summary:
        said.append(count(change.rows, "document"))
    if change.offending is not None:
        said.append(f"{change.offending:,} of them break the promise")
    text = Content(", ".join(said))
    if change.examples:
        text += Content.styled(f" (for example {', '.join(change.examples[:5])})", "$muted")
    return text


def warning_detail(item: Problem, sources: Sources, width: int) -> Content:
    """A warning of the plan: what, what to do, where."""
    parts = [Content.assemble(("! ", "bold $warning"), (item.message, "bold"))]
    if item.hint is not None:
        parts.append(Content.assemble(("→ ", "bold $primary"), item.hint))
    if item.location is not None:
        parts += [BLANK, rule(str(item.location))]
        around = excerpt(sources, item.location, width)
        if around is not None:
            parts.append(around)
    return lines(parts)


def problems_detail(problems: tuple[Problem, ...], width: int) -> Content:
    """All that is wrong, one below the other."""
    return Content("\n\n").join(problem(item, width) for item in problems)


def empty_detail(facts: Facts) -> Content:
    """What to say where there is no change to show: always the next key or what goes on."""
    path = str(facts.settings.schema_path)
    if facts.missing:
        return lines(
            (
                Content.styled(f"There is no {path} yet.", "bold"),
                BLANK,
                Content.assemble(("i", "bold $primary"), "  makes a starting schema there."),
                Content.styled("Or write one: it is read as soon as it is saved.", "$muted"),
            )
        )
    if facts.state is None:
        return Content.styled(f"Reading {path}…", "$muted")
    watching = f"Watching {path}." if facts.watching else "Watching is paused; w resumes it."
    parts = [
        Content.assemble(("✓ ", "bold $success"), ("Schema and database agree.", "bold")),
        Content.styled(watching, "$muted"),
    ]
    if facts.stale_files:
        parts += [
            BLANK,
            Content("The generated types are out of date."),
            Content.assemble(("g", "bold $primary"), "  writes them."),
        ]
    tables = facts.good.schema.tables if facts.good and facts.good.schema else ()
    if tables:
        parts += [BLANK, rule(count(len(tables), "table"))]
        width = max(Content(table.name).cell_length for table in tables)
        parts += [_table(table, width) for table in tables]
    return lines(parts)


def _table(table: Table, width: int) -> Content:
    """One table of the schema in a line: its name and what it declares."""
    old = sum(field.deprecated for field in table.fields)
    told = [count(len(table.fields), "field") + (f" ({old} deprecated)" if old else "")]
    indexes = len(table.indexes) + len(table.search_indexes)
    if indexes:
        told.append(f"{indexes} index" + ("" if indexes == 1 else "es"))
    if table.backfills:
        told.append(count(len(table.backfills), "backfill"))
    told.append("no sync" if table.sync.mode == "none" else f"{table.sync.mode} sync")
    name = table.name + " " * (width - Content(table.name).cell_length)
    return Content.assemble(name, (f"  {', '.join(told)}", "$muted"))
