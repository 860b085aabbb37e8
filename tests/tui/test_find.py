"""`/` finds text in the types, the dry run and the log, as it filters the plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio_drive import NARROW, WIDE, Studio, studio
from studio_fakes import changes, plan_of

from valet_studio.tui.find import next_match, occurrences
from valet_studio.tui.lines import Lines

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["120x36", "80x24"])


def line_of_keys_above(opened: Studio) -> str:
    return opened.screen.rstrip("\n").split("\n")[-2]


def marked(lines: Lines) -> list[str]:
    """The marked texts in sight; the one that was gone to between asterisks."""
    found = []
    for y in range(lines.size.height):
        for segment in lines.render_line(y):
            if segment.style is not None and segment.style.reverse:
                found.append(f"*{segment.text}*")
            elif segment.style is not None and segment.style.underline:
                found.append(segment.text)
    return found


@SIZES
async def test_text_is_found_in_the_types_wherever_it_stands(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, plan_of(*changes()), size) as opened:
        lines = opened.app.main.types_pane.entry
        await opened.until(lambda: lines.lines)
        await opened.press("2", "right")
        total = sum("TYPE" in line.plain.upper() for line in lines.lines)
        assert total > 2
        await opened.press("slash", *"TYPE")
        assert f"1 of {total}" in line_of_keys_above(opened)
        first = marked(lines)
        assert first[0].lower() == "*type*"
        await opened.press("enter")
        assert f"2 of {total}" in line_of_keys_above(opened)
        await opened.press("up", "up")
        assert f"{total} of {total}" in line_of_keys_above(opened)
        assert [text.lower() for text in marked(lines)].count("*type*") == 1
        here = lines.scroll_offset
        await opened.press("escape")
        assert lines.has_focus
        assert marked(lines) == []
        assert lines.scroll_offset == here
        assert "esc ends" not in opened.screen


async def test_a_find_goes_sideways_to_what_the_edge_cuts_off(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        lines = opened.app.main.types_pane.entry
        await opened.press("2", "right", "right")
        wide = next(line.plain for line in lines.lines if line.cell_length > lines.size.width + 8)
        end = wide.rstrip()[-6:]
        await opened.press("slash", *[{" ": "space", '"': "quotation_mark"}.get(c, c) for c in end])
        assert f"*{end}*" in marked(lines)


async def test_a_log_is_searched_from_its_end(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.rehearse()
        log = opened.app.main.log_pane
        holding = [at for at, e in enumerate(log.entries) if "dry run" in e.text.lower()]
        assert len(holding) > 1
        await opened.press("4", "slash", *"dry", "space", *"run")
        assert log.cursor == holding[-1]
        await opened.press("up")
        assert log.cursor == holding[-2]
        await opened.press("down", "down")
        assert log.cursor == holding[0]
        await opened.press("escape")
        assert log.has_focus
        assert log.cursor == holding[0]


async def test_a_report_is_searched(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.rehearse()
        await opened.press("3", "slash", *"backfill")
        assert "1 of " in opened.notice
        found = marked(opened.app.main.dry_run_pane.report)
        assert found[0] == "*backfill*"


async def test_of_failed_documents_the_one_under_the_cursor_is_searched(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        opened.engine.failing = 3
        await opened.rehearse()
        await opened.press("3", "slash", *"valet/schema.ts")
        assert marked(opened.app.main.dry_run_pane.detail)


async def test_what_nothing_holds_is_said_and_every_sign_is_itself(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("4", "slash", "left_square_bracket", "full_stop", "asterisk")
        assert "nothing holds this" in opened.notice
        await opened.press("enter", "up")
        assert "nothing holds this" in opened.notice


async def test_going_elsewhere_ends_a_find(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("2", "slash", *"to")
        await opened.pilot.click("#plan-tree")
        await opened.pilot.pause()
        assert "esc ends" not in opened.screen
        assert opened.app.main.pane_name == "plan"
        assert opened.app.main.plan_pane.changes.has_focus
        assert marked(opened.app.main.types_pane.entry) == []
        await opened.press("2", "slash")
        assert "text to find" in opened.notice


async def test_new_types_are_searched_as_well(tmp_path: Path) -> None:
    async with studio(tmp_path, plan_of(*changes())) as opened:
        await opened.press("2", "slash", *"title")
        await opened.save()
        await opened.press("enter")
        assert " of " in opened.notice


@pytest.mark.parametrize(
    ("at", "here", "step", "number"),
    [
        (-1, 0, 0, 0),
        (-1, 5, 0, 1),
        (-1, 21, 0, 0),
        (8, 0, 1, 2),
        (20, 0, 1, 0),
        (3, 0, -1, 2),
        (9, 0, 1, 2),
        (8, 0, 0, 1),
    ],
)
def test_matches_follow_each_other_in_a_circle(at: int, here: int, step: int, number: int) -> None:
    assert next_match([3, 8, 20], at, here, step) == number


def test_occurrences_ignore_case_and_take_signs_literally() -> None:
    assert occurrences("a.b", "A.b aXb a.B") == [(0, 3), (8, 11)]
    assert occurrences("", "anything") == []
