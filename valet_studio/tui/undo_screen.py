"""What an undo would take back, and what it did. Pure, but for the `QuestionScreen` it makes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from textual.content import Content

from valet_studio.config import Settings
from valet_studio.migrate.history import HistoryEntry
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.written import TableWrites
from valet_studio.tui.confirm import QuestionScreen, box_width
from valet_studio.tui.text import BLANK, count, hanging, lines, one_line

_SIGN = re.compile(r"([-+~!✗]) ")
"""A change's sign, which stands on the line of its name."""


def undo_question(
    last: HistoryEntry, written: Sequence[TableWrites], width: int, settings: Settings
) -> QuestionScreen:
    """Which migration, and which documents were written since."""
    width = box_width(width)
    mark = ("  PRODUCTION", "bold $error") if settings.production else ("", "")
    parts = [
        Content.assemble(("Database   ", "$muted"), (settings.database, "bold"), mark),
        Content.assemble(
            ("Migration  ", "$muted"), (f"{last.id}", "bold"), (f"  {last.when}", "$muted")
        ),
        hanging(
            Content(" " * 11), _SIGN.sub("\\1\N{NO-BREAK SPACE}", one_line(last.summary)), width
        ),
        BLANK,
    ]
    counted = [item for item in written if item.total]
    unknown = [item.not_told for item in written if item.untold]
    parts += [
        hanging(Content.styled("! ", "bold $warning"), text, width, "$warning") for text in unknown
    ]
    if counted:
        total = count(sum(item.total for item in counted), "document")
        parts.append(
            Content.styled(f"! {total} written since will be taken back too:", "bold $warning")
        )
        parts += [
            hanging(Content.assemble("  ", (item.table, "bold"), "  "), item.told, width)
            for item in counted
        ]
    else:
        of_others = " of other tables" if unknown else ""
        parts.append(Content(f"No document{of_others} was written since."))
    parts += [
        BLANK,
        hanging(
            Content(""),
            "The database is put back as it was before that migration. All that it holds now is "
            "kept in a file among the snapshots, which is named afterwards.",
            width,
            "$muted",
        ),
    ]
    typed = settings.database_name if settings.production else None
    why = "it is in production"
    return QuestionScreen("Undo the last migration?", lines(parts), "Undo", "Cancel", typed, why)


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
