"""Saves are seen however the editor writes them, and through a deleted directory."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from valet_studio import watch
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


def empty(path: Path) -> None:
    path.write_text("", encoding="utf-8")


@pytest.mark.parametrize("begin", [empty, Path.unlink])
async def test_a_save_that_begins_with_nothing_is_seen_once_it_is_written(
    schema: Path, monkeypatch: pytest.MonkeyPatch, begin: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(watch, "EMPTY_MS", 10_000)
    looked = asyncio.Event()
    modules = watch.modules

    def looking(folder: Path) -> Mapping[Path, watch.Stamp]:
        looked.set()
        return modules(folder)

    write(schema)
    stream = saves(schema.parent)
    first = asyncio.ensure_future(anext(stream))
    begin(schema)
    monkeypatch.setattr(watch, "modules", looking)
    async with asyncio.timeout(10):
        for _ in range(3):
            looked.clear()
            await looked.wait()
        assert not first.done()
        schema.write_text("all of it", encoding="utf-8")
        await first
    second = asyncio.ensure_future(anext(stream))
    await asyncio.wait([second], timeout=0.2)
    assert not second.done()
    second.cancel()


@pytest.mark.parametrize("begin", [empty, Path.unlink])
async def test_a_module_that_stays_empty_or_away_is_a_save(
    schema: Path, monkeypatch: pytest.MonkeyPatch, begin: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(watch, "EMPTY_MS", 20)
    write(schema)
    stream = saves(schema.parent)
    begin(schema)
    async with asyncio.timeout(10):
        await anext(stream)


async def test_a_watch_ends_with_its_task(schema: Path) -> None:
    async def watching() -> None:
        async for _ in saves(schema.parent):
            pass

    task = asyncio.ensure_future(watching())
    await asyncio.wait([task], timeout=0.2)
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task
