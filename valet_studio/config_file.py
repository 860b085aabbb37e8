"""`valet-studio.toml`: what a team says of its databases, and keys.

[databases."data/app.db"]
production = true   # ask for the database's name before it is changed
read_only = true    # never change it from here

[keys]
apply = "ctrl+a"
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from valet_studio.errors import Location, StudioError, reason_of
from valet_studio.paths import text_of

CONFIG_FILE = "valet-studio.toml"

_MARKS = ("production", "read_only")
_PORTS = {"http": 80, "https": 443, "libsql": 443, "http+libsql": 8080}
"""The port of an address that names none."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What the file says of one database."""

    production: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The whole file; one that is absent says nothing."""

    folder: Path = Path()
    """What its paths are relative to."""
    databases: Mapping[str, Marks] = field(default_factory=dict)
    keys: tuple[tuple[str, str], ...] = ()
    """Key by action, as written."""

    def marks(self, database: str) -> Marks:
        """What holds for a database: named the same, by another path to the same file, or by
        another spelling of the same server's address."""
        found = [
            marks
            for name, marks in self.databases.items()
            if name == database or self._same(name, database)
        ]
        return Marks(any(m.production for m in found), any(m.read_only for m in found))

    def _same(self, name: str, database: str) -> bool:
        if "://" in name or "://" in database:
            address = _address(database)
            return address is not None and address == _address(name)
        return _same_file(self.folder / name, Path(database))


def configs_above(database: str, folder: Path) -> Iterator[ConfigFile]:
    """The files that may speak of a database: in a directory and those above it, and in the
    database's own and those above that. A mark holds from wherever a command is run.

    Raises:
        StudioError: one of them cannot be read as such a file.
    """
    starts = [folder] if "://" in database else [folder, Path(database).parent]
    above: dict[Path, None] = {}
    for start in starts:
        with suppress(OSError, ValueError):
            here = Path(os.path.realpath(start))
            above.update(dict.fromkeys((here, *here.parents)))
    for place in above:
        yield read_config(place / CONFIG_FILE)


def read_config(path: Path) -> ConfigFile:
    """What the file says; nothing where there is none.

    Raises:
        StudioError: it is not TOML, or says what this program does not know.
    """
    try:
        text = text_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return ConfigFile()
    except UnicodeDecodeError as error:
        raise StudioError(f"{path} is not UTF-8 text.", "Save the file as UTF-8.") from error
    except OSError as error:
        raise StudioError(
            f"{path} cannot be read: {reason_of(error)}.",
            "Databases may be marked in it: check the path and its permissions.",
        ) from error
    import tomllib

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        message = str(error)[: place.start()] if place else str(error)
        line, column = (int(place[1]), int(place[2])) if place else (1, 1)
        raise StudioError(
            f"{path} is not TOML: {message}.",
            "Mend the line, or move the file away.",
            Location(str(path), line, column),
        ) from error
    _known(path, content, ("databases", "keys"), "")
    databases = {
        name: _marks(path, name, value)
        for name, value in _table(path, content, "databases").items()
    }
    keys = _table(path, content, "keys")
    for action, key in keys.items():
        if not isinstance(key, str):
            raise _wrong(path, f"keys.{action}", "the name of a key, such as 'ctrl+a'")
    return ConfigFile(
        path.parent, databases, tuple((action, str(key)) for action, key in keys.items())
    )


def _marks(path: Path, name: str, value: object) -> Marks:
    where = f'databases."{name}"'
    if not isinstance(value, dict):
        raise _wrong(path, where, "a table")
    _known(path, value, _MARKS, f"{where}.")
    for mark, given in value.items():
        if not isinstance(given, bool):
            raise _wrong(path, f"{where}.{mark}", "true or false")
    return Marks(**value)


def _table(path: Path, content: Mapping[str, object], name: str) -> dict[str, object]:
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise _wrong(path, name, "a table")
    return found


def _known(path: Path, content: Mapping[str, object], names: tuple[str, ...], where: str) -> None:
    for name in content:
        if name not in names:
            raise StudioError(
                f"{path} sets {where}{name}, which means nothing.",
                f"It may set {' and '.join(f'{where}{n}' for n in names)}.",
            )


def _wrong(path: Path, where: str, wanted: str) -> StudioError:
    return StudioError(f"{where} in {path} must be {wanted}.")


def _same_file(one: Path, other: Path) -> bool:
    try:
        return os.path.realpath(one) == os.path.realpath(other)
    except (OSError, ValueError):
        return False


def _address(url: str) -> tuple[str, str, int | None, str] | None:
    """What an address leads to, however it is spelt; None where it is none
    (https://www.rfc-editor.org/rfc/rfc3986#section-6.2)."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not (parts.scheme and parts.hostname):
        return None
    return parts.scheme, parts.hostname.rstrip("."), port, parts.path.rstrip("/")
