"""Reads schema.ts and every module that it reaches, and refuses what lies outside.

What is read here is what is reviewed and what runs: nothing else is given to the child process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from valet_studio.errors import Location, Problem, SchemaError, reason_of
from valet_studio.paths import is_file, is_folder, is_there
from valet_studio.schema.conflicts import merge_conflicts
from valet_studio.schema.model import Sources
from valet_studio.schema.syntax import import_sources, location_of, parse, string_value
from valet_studio.typescript.modules import EXTENSIONS, SERVER_MODULE, resolve_module, shown_path

MEGABYTE = 1_000_000
MOST_BYTES = 8 * MEGABYTE
"""Of one module. What is larger is no schema, and takes minutes to be read as one."""


@dataclass(frozen=True, slots=True)
class _Import:
    """One import, as the module writes it."""

    specifier: str
    place: Location


def read_sources(schema_path: Path, cwd: Path | None = None) -> Sources:
    """Read a schema's modules; locations will name them as seen from `cwd`.

    Raises:
        SchemaError: schema.ts is missing, or a module imports what it may not, or a merge left
            conflicts in one, or the working directory is gone.
    """
    base = (cwd or _working_directory()).resolve()
    entry_path = base / schema_path
    shown = _shown(schema_path, base)
    folder = Path(os.path.realpath(entry_path.parent))
    sources = Sources(entry_path.name, {}, Path(shown).parent.as_posix())
    _add(sources, folder, entry_path.name, shown)
    problems: list[Problem] = []
    waiting = [entry_path.name]
    while waiting:
        importer = waiting.pop(0)
        for found in _imports(importer, sources.files[importer]):
            file = resolve_module(importer, found.specifier, lambda name: _inside(folder, name))
            if found.specifier == SERVER_MODULE:
                continue
            if file is None or not found.specifier.startswith("."):
                problems.append(_bad_import(sources, importer, found))
            elif file not in sources.files:
                _add(sources, folder, file, shown_path(sources.folder, file))
                waiting.append(file)
    problems = [*merge_conflicts(sources)] or problems
    if problems:
        raise SchemaError(problems)
    return sources


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise SchemaError(
            [
                Problem(
                    f"The working directory cannot be used: {reason_of(error)}.",
                    "It may have been deleted or made anew: go into one that is there, and run "
                    "valet-studio again.",
                )
            ]
        ) from error


def _shown(schema_path: Path, base: Path) -> str:
    """The path as the user would type it: relative to the working directory where it is below."""
    path = Path(os.path.normpath(base / schema_path))
    if path.is_relative_to(base):
        return str(path.relative_to(base))
    return os.path.normpath(schema_path)


def _inside(folder: Path, name: str) -> bool:
    path = folder / name
    return is_file(path) and Path(os.path.realpath(path)).is_relative_to(folder)


def _add(sources: Sources, folder: Path, file: str, shown: str) -> None:
    path = folder / file
    if is_there(path) and not (is_file(path) or is_folder(path)):
        raise SchemaError([Problem(f"{shown} is no file.", "Name a TypeScript file.")])
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SchemaError(
                [
                    Problem(
                        f"{shown} is too large: it has {path.stat().st_size / MEGABYTE:,.1f} MB.",
                        f"A module may have {MOST_BYTES // MEGABYTE} MB. See that nothing else was "
                        "written into it; large data belongs into the database.",
                    )
                ]
            )
        sources.files[file] = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SchemaError(
            [Problem(f"{shown} is not UTF-8 text.", "Save the file as UTF-8.")]
        ) from error
    except FileNotFoundError as error:
        raise SchemaError(
            [
                Problem(
                    f"There is no {shown}.",
                    "Run `valet-studio init` to make one, or name yours with --schema.",
                )
            ]
        ) from error
    except OSError as error:
        raise SchemaError(
            [
                Problem(
                    f"{shown} cannot be read: {reason_of(error)}.",
                    "Check the path and its permissions.",
                )
            ]
        ) from error


_FROM_SERVER = re.compile(
    rf"""^import\s*{{[^{{}}]*}}\s*from\s*(["']){re.escape(SERVER_MODULE)}\1""", re.MULTILINE
)
_MAY_IMPORT = re.compile(r"\b(import|from|require)\b")


def _imports(file: str, text: str) -> Iterator[_Import]:
    # Most schemas import the server module alone: that needs no tree, which is made while
    # JavaScript runs them.
    if not file.endswith(".json") and _MAY_IMPORT.search(_FROM_SERVER.sub("", text)):
        for source in import_sources(parse(text)):
            yield _Import(string_value(source), location_of(source, file))


def _bad_import(sources: Sources, importer: str, found: _Import) -> Problem:
    specifier = found.specifier
    where = replace(found.place, file=shown_path(sources.folder, importer))
    if specifier.startswith("."):
        message = f'"{specifier}" is no module of the valet directory.'
        hint = (
            f"Only {', '.join(EXTENSIONS[:-1])} and {EXTENSIONS[-1]} files inside the directory "
            "of schema.ts can be imported."
        )
    else:
        message = f'schema.ts and its modules cannot import "{specifier}".'
        hint = (
            f"Import from '{SERVER_MODULE}' or from a file inside the valet directory, "
            "such as './helpers'."
        )
    return Problem(message, hint, where, sources.line(where))
