"""The area below the plan's tree: the selected change, the problems, or the empty state. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from valet_studio.errors import Problem
from valet_studio.migrate.touched import Touched
from valet_studio.pipeline import GeneratedFile
from valet_studio.plan.changes import AnyChange, Drift, HeldValue, NarrowField, Risk, RunBackfill
from valet_studio.report import SHOWN_HELD, sql_notes
from valet_studio.schema.model import Json, Sources, Table
from valet_studio.tui.facts import Facts
from valet_studio.tui.text import (
    BLANK,
    SIGN_STYLES,
    code,
    count,
    excerpt,
    hanging,
    lines,
    one_line,
    problem,
    rule,
    shortened,
    value,
)


def change_detail(
    change: AnyChange,
    sources: Sources,
    width: int,
    touched: Touched | None = None,
    facts: Facts | None = None,
) -> Content:
    """What, why, what would mend it, the data it touches, the SQL, and where, with what the type
    checker says there.

    `touched` is None until the database was asked. Of `facts`, the quick fixes are this change's.
    """
    style = SIGN_STYLES[change.shown_sign]
    parts = [
        Content.assemble((f"{change.shown_sign} ", f"bold {style}"), (change.summary, "bold")),
        Content.styled(change.rule, "$muted"),
    ]
    if change.risk is Risk.WARNING and not isinstance(change, Drift):
        parts.append(Content.styled("! Look at this before you apply it.", "bold $warning"))
    for fix in facts.fixes if facts is not None else ():
        key = Content.styled(f"{facts.key('fix')}  ", "bold $primary") if facts else Content("")
        parts.append(hanging(key, f"{fix.title}: {fix.why}", width))
    data = _data(change, touched, width)
    if data:
        parts += [BLANK, rule("Data"), *data]
    notes = sql_notes(change)
    if statements := statements_of(change):
        of = "In the database" if isinstance(change, Drift) else "SQL"
        parts += [BLANK, rule(of), *(code(sql, "sql") for sql in statements)]
    elif notes:
        parts += [BLANK, rule("SQL")]
        parts += [Content.styled(f"-- {note}", "$muted") for note in notes[: not change.sql]]
    if change.location is not None:
        parts += [BLANK, rule(str(change.location))]
        errors = facts.type_errors if facts is not None else ()
        if isinstance(change, RunBackfill):
            rest = max(0, len(change.declared.code.splitlines()) - 1)
            around = excerpt(sources, change.location, width, 0, rest, errors)
        else:
            around = excerpt(sources, change.location, width, notes=errors)
        if around is not None:
            parts.append(around)
    return lines(parts)


def statements_of(change: AnyChange) -> list[str]:
    """What apply runs for a change; for what no schema explains, what made it."""
    made = (change.made_by,) if isinstance(change, Drift) and change.made_by else ()
    return [f"{sql.rstrip(';')};" for sql in (*change.sql, *made)]


def _data(change: AnyChange, touched: Touched | None, width: int) -> list[Content]:
    """What the table and the column hold now, and the documents that break a promise."""
    rows = touched.rows if touched is not None else change.rows
    said = [f"{count(rows, 'document')} in {change.table}"] if rows is not None else []
    if touched is not None and touched.nulls is not None and touched.rows:
        said.append(f"{touched.nulls:,} null")
        said.append(f"{touched.rows - touched.nulls:,} with a value")
    parts = [Content(" · ".join(said))] if said else []
    if change.offending:
        parts.append(Content.styled(f"✗ {change.offending:,} break the promise", "bold $error"))
    if isinstance(change, NarrowField):
        parts += _held(change.values, width)
    whole = touched.documents if touched is not None else ()
    if whole:
        for found in whole:
            parts += [BLANK, *whole_document(found, width, change.column)]
        of = change.offending or (change.rows if change.examples else 0) or 0
        left = of - len(whole)
        if left > 0:
            parts.append(Content.styled(f"and {count(left, 'more document')}", "$muted"))
    elif change.examples:
        parts.append(Content.styled(f"for example {', '.join(change.examples[:5])}", "$muted"))
    return parts


def _held(values: Sequence[HeldValue], width: int) -> list[Content]:
    """What breaks a promise, a line for each value."""
    if [each.value for each in values] == [None]:
        return []  # How many hold null stands above.
    listed = values[:SHOWN_HELD]
    counts = max((len(f"{each.count:,}") for each in listed), default=0)
    drawn = [
        Content(shortened(f"  {each.count:>{counts},} × {value(each.value)}", width))
        for each in listed
    ]
    others = [Content.styled("  and other values", "$muted")] if len(values) > SHOWN_HELD else []
    return [*drawn, *others]


def whole_document(found: dict[str, Json], width: int, marked: str | None = None) -> list[Content]:
    """A whole document, a line a field; the marked field follows its `_id` and begins with `▶`."""
    names = min(24, max((Content(name).cell_length for name in found), default=0))
    drawn = []
    ordered = found if marked is None else sorted(found, key=lambda n: (n != "_id", n != marked))
    for name in ordered:
        cell, here = found[name], name == marked
        label = shortened(name, names)
        gap = " " * (names - Content(label).cell_length)
        text = shortened(value(cell), max(8, width - names - 5))
        drawn.append(
            Content.assemble(
                ("▶ " if here else "  ", "bold $error"),
                (f"{label}{gap}", "bold" if here else "$muted"),
                "  ",
                (text, "bold" if here else ""),
            )
        )
    return drawn


def table_detail(
    name: str, counted: str, table: Table | None, sources: Sources | None, width: int
) -> Content:
    """A table of the plan as a whole: what it declares, and where."""
    parts = [Content.assemble((name, "bold"), (f"  {counted.strip()}", "$muted"))]
    if table is not None:
        parts.append(_table(table, Content(table.name).cell_length))
    if table is not None and table.location is not None and sources is not None:
        parts += [BLANK, rule(str(table.location))]
        around = excerpt(sources, table.location, width, 0, 8 + len(table.fields))
        if around is not None:
            parts.append(around)
    return lines(parts)


def warning_detail(item: Problem, sign: str, sources: Sources, width: int) -> Content:
    """A warning of the plan, or what the type checker found: what, what to do, where."""
    head = (f"{sign} ", f"bold {SIGN_STYLES[sign]}")
    parts = [Content.assemble(head, (item.message, "bold"))]
    if item.hint is not None:
        parts.append(Content.assemble(("→ ", "bold $primary"), item.hint))
    if item.location is not None:
        parts += [BLANK, rule(str(item.location))]
        around = excerpt(sources, item.location, width)
        if around is not None:
            parts.append(around)
    return lines(parts)


def _stale(files: Sequence[GeneratedFile]) -> str:
    if all(file.before is None for file in files):
        return "The types were not generated yet."
    return "The generated types are out of date."


def no_match_detail(words: str, hidden: str, key: str) -> Content:
    """That a filter hides every change."""
    return lines(
        (
            Content.assemble("No change matches ", (one_line(words.strip()), "bold"), "."),
            Content.styled(f"{hidden} hidden; {key} clears the filter.", "$muted"),
        )
    )


def problems_detail(problems: tuple[Problem, ...], width: int) -> Content:
    """All that is wrong, one below the other."""
    return Content("\n\n").join(problem(item, width) for item in problems)


def empty_detail(facts: Facts) -> Content:
    """What to say where there is no change to show: always the next key or what goes on."""
    path = str(facts.settings.schema_path)
    if facts.missing:
        gone = facts.good is not None
        said = f"{path} is gone: put it back to go on." if gone else f"There is no {path} yet."
        filled = facts.state is not None and facts.state.database.exists
        of_what = ", of what the database holds." if filled else "."
        return lines(
            (
                Content.styled(said, "bold"),
                BLANK,
                Content.assemble(
                    (facts.key("init"), "bold $primary"),
                    f"  makes a starting schema there{of_what}",
                ),
                Content.styled("Or write one: it is read as soon as it is saved.", "$muted"),
            )
        )
    if facts.state is None:
        return Content.styled(f"Reading {path}…", "$muted")
    paused = f"Watching is paused; {facts.key('watch')} resumes it."
    watching = f"Watching {path}." if facts.watching else paused
    head = Content.assemble(("✓ ", "bold $success"), ("Schema and database agree.", "bold"))
    parts = [head, Content.styled(watching, "$muted")]
    if facts.plan is not None and facts.plan.status == "pending":
        said = "No table changes: only the schema is to be recorded."
        then = f"  rehearses that; {facts.key('apply')} records it."
        parts = [
            Content.assemble(("~ ", "bold $primary"), (said, "bold")),
            Content.assemble((facts.key("dry_run"), "bold $primary"), then),
        ]
    if facts.stale_files:
        parts += [
            BLANK,
            Content(_stale(facts.stale_files)),
            Content.assemble((facts.key("write_files"), "bold $primary"), "  writes them."),
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
