"""What an undo would take back, and what it did. Pure, but for the `Question` it makes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from valet_studio.config import Settings
from valet_studio.migrate.history import HistoryEntry
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.written import TableWrites
from valet_studio.tui.confirm import Question, box_width
from valet_studio.tui.text import BLANK, count, hanging, lines, one_line


def undo_question(
    last: HistoryEntry, written: Sequence[TableWrites], width: int, settings: Settings
) -> Question:
    """Which migration, and which documents were written since."""
    width = box_width(width)
    mark = ("  PRODUCTION", "bold $error") if settings.production else ("", "")
    parts = [
        Content.assemble(("Database   ", "$muted"), (settings.database, "bold"), mark),
        Content.assemble(
            ("Migration  ", "$muted"), (f"{last.id}", "bold"), (f"  {when(last)}", "$muted")
        ),
        hanging(Content(" " * 11), one_line(last.summary), width),
        BLANK,
    ]
    if written:
        total = sum(item.total for item in written)
        parts.append(
            Content.styled(
                f"! {count(total, 'document')} written since go with it:", "bold $warning"
            )
        )
        parts += _counted(written)
    else:
        parts.append(Content("No document was written since."))
    parts += [
        BLANK,
        hanging(
            Content(""),
            "The database is put back as it was before that migration. What it holds now is kept "
            "in a file beside the snapshots.",
            width,
            "$muted",
        ),
    ]
    typed = settings.database_name if settings.production else None
    return Question("Undo the last migration?", lines(parts), "Undo", "Cancel", typed)


def _counted(written: Sequence[TableWrites]) -> list[Content]:
    names = max(5, *(Content(item.table).cell_length for item in written))
    head = f"  {'Table':<{names}}  {'new':>8}  {'changed':>8}  {'deleted':>8}"
    drawn = [Content.styled(head, "bold $muted")]
    for item in written:
        name = item.table + " " * (names - Content(item.table).cell_length)
        drawn.append(
            Content(f"  {name}  {item.inserted:>8,}  {item.updated:>8,}  {item.deleted:>8,}")
        )
    return drawn


def undone_text(report: UndoReport, width: int) -> Content:
    """What was put back, and where what it replaced is kept."""
    width = box_width(width)
    return lines(
        (
            Content.styled(f"✓ Migration {report.history_id} is undone.", "bold $success"),
            hanging(Content(""), f"{report.label} is as it was before it.", width),
            BLANK,
            Content.styled("What it held until now is kept in", "$muted"),
            Content.styled(report.kept_in, "bold"),
        )
    )


def when(entry: HistoryEntry) -> str:
    """When it was applied, as a person would write it, in UTC."""
    return entry.applied_at[:16].replace("T", " ") + " UTC"
