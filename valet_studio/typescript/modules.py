"""How the modules of a schema find each other: the same rule for reading and for running them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Protocol

SERVER_MODULE = "valet-dev/server"

EXTENSIONS = (".ts", ".mts", ".js", ".mjs", ".json")
_TYPESCRIPT_FOR = {".js": ".ts", ".mjs": ".mts"}
_IMPLIED = (".ts", ".mts", ".js", ".mjs", "/index.ts", "/index.js")


def shown_path(folder: str, file: str) -> str:
    """A module as locations name it, given how the valet directory is named."""
    return file if folder in ("", ".") else f"{folder.rstrip('/')}/{file}"


class Modules(Protocol):
    """The modules of one schema: `schema.model.Sources` is one."""

    @property
    def entry(self) -> str:
        """The key of schema.ts in `files`."""

    @property
    def files(self) -> dict[str, str]:
        """Text by path relative to the valet directory, with forward slashes."""

    @property
    def folder(self) -> str:
        """How the valet directory is named in locations."""


def candidates(path: str) -> Iterator[str]:
    """The files that an imported path may mean, best first, as TypeScript's bundler
    resolution has it: `./a` is a.ts or a/index.ts, `./a.js` is a.ts where that exists."""
    stem, extension = posixpath.splitext(path)
    if extension in _TYPESCRIPT_FOR:
        yield stem + _TYPESCRIPT_FOR[extension]
    if extension in EXTENSIONS:
        yield path
    for implied in _IMPLIED:
        yield path + implied


def resolve_module(importer: str, specifier: str, exists: Callable[[str], bool]) -> str | None:
    """The file that a relative import means, or None where there is none inside the folder."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(importer), specifier))
    if path.startswith("../") or path == "..":
        return None
    return next((file for file in candidates(path) if exists(file)), None)


def aliases(files: dict[str, str]) -> dict[str, str]:
    """Every path by which an import may name one of `files` without being its own path."""
    names: dict[str, str] = {}
    for file in files:
        path = PurePosixPath(file)
        forms = [str(path.with_suffix(""))] if path.suffix != ".json" else []
        if path.suffix in (".ts", ".mts"):
            forms.append(str(path.with_suffix({".ts": ".js", ".mts": ".mjs"}[path.suffix])))
        if path.stem == "index" and str(path.parent) != ".":
            forms.append(str(path.parent))
        for form in forms:
            found = next((c for c in candidates(form) if c in files), None)
            if found is not None and found != form:
                names[form] = found
    return names


_JSON_IMPORT = re.compile(r"""(from\s*|import\s*)(["'])([^"']*\.json)\2\s*(with\b)?""")


def plain_json_imports(files: dict[str, str]) -> frozenset[str]:
    """The JSON files that are imported the way bundlers allow, without `with { type }`."""
    found = set()
    for importer, text in files.items():
        for match in _JSON_IMPORT.finditer(text):
            file = resolve_module(importer, match[3], files.__contains__)
            if file is not None and match[4] is None:
                found.add(file)
    return frozenset(found)
