"""Saves are seen however the editor writes them, and through a deleted directory."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from valet_studio.typescript.modules import EXTENSIONS
from valet_studio.watch import saves


def write(path: Path) -> None:
    path.write_text(f"{path.stat().st_size if path.exists() else 0}x", encoding="utf-8")


def replace(path: Path) -> None:
    temporary = path.with_suffix(".swp")
    temporary.write_text("new", encoding="utf-8")
    temporary.replace(path)


def move_away_and_write(path: Path) -> None:
    path.rename(path.with_suffix(".bak"))
    path.write_text("again", encoding="utf-8")


def make_anew(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    path.write_text("new", encoding="utf-8")


def in_subfolder(path: Path) -> None:
    (path.parent / "parts").mkdir(exist_ok=True)
    (path.parent / "parts" / "todos.ts").write_text("x", encoding="utf-8")


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "valet" / "schema.ts"
    path.parent.mkdir()
    path.write_text("", encoding="utf-8")
    return path


@pytest.mark.parametrize("save", [write, replace, move_away_and_write, make_anew, in_subfolder])
async def test_every_save_is_seen(schema: Path, save: Callable[[Path], None]) -> None:
    stream = saves(schema.parent)
    save(schema)
    async with asyncio.timeout(10):
        await anext(stream)
        for action in (replace, make_anew, replace):
            action(schema)
            await anext(stream)


@pytest.mark.parametrize("extension", EXTENSIONS)
async def test_all_that_a_schema_may_import_is_seen(schema: Path, extension: str) -> None:
    stream = saves(schema.parent)
    write(schema.parent / f"levels{extension}")
    async with asyncio.timeout(10):
        await anext(stream)


async def test_a_directory_may_come_later(tmp_path: Path) -> None:
    stream = saves(tmp_path / "valet")
    first = asyncio.ensure_future(anext(stream))
    await asyncio.wait([first], timeout=0.1)
    assert not first.done()
    (tmp_path / "valet").mkdir()
    (tmp_path / "valet" / "schema.ts").write_text("x", encoding="utf-8")
    async with asyncio.timeout(10):
        await first


async def test_other_files_are_no_saves(schema: Path) -> None:
    stream = saves(schema.parent)
    first = asyncio.ensure_future(anext(stream))
    for name in ("schema.ts.swp", "4913", ".schema.ts", "notes.md"):
        (schema.parent / name).write_text("x", encoding="utf-8")
    await asyncio.wait([first], timeout=0.8)
    assert not first.done()
    write(schema)
    async with asyncio.timeout(10):
        await first


async def test_a_watch_ends_with_its_task(schema: Path) -> None:
    async def watch() -> None:
        async for _ in saves(schema.parent):
            pass

    task = asyncio.ensure_future(watch())
    await asyncio.wait([task], timeout=0.2)
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task
