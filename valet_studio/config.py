"""Settings: what a run works on. A flag wins over the environment, that over `.env`.

Marks of databases and key bindings come from `valet-studio.toml`; see `config_file`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from valet_studio.config_file import ConfigFile
from valet_studio.errors import Location, StudioError, reason_of
from valet_studio.paths import is_folder, text_of
from valet_studio.typescript.limits import Limits

Language: TypeAlias = Literal["ts", "python"]


SCHEMA_FILE = "schema.ts"
"""What the schema's file in a valet directory is called."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a command or the studio needs to know, resolved once at the start."""

    schema_path: Path = Path("valet/schema.ts")
    database: str = ".valet/dev.db"
    """A path, the URL of a push server, or the address of a libSQL server."""
    deploy_key: str | None = field(default=None, repr=False)
    """What a push server asks for."""
    db_token: str | None = field(default=None, repr=False)
    """What a libSQL server asks for."""
    output_dir: Path = Path("_generated/valet")
    languages: tuple[Language, ...] = ("ts",)
    strict: bool = False
    """Whether a non-deterministic backfill is an error and not a warning."""
    limits: Limits = field(default_factory=Limits)
    production: bool = False
    """Whether the database's name has to be given before it is changed."""
    read_only: bool = False
    """Whether nothing of the database may be changed from here."""
    keys: tuple[tuple[str, str], ...] = ()
    """Key bindings of the studio that the user chose: action, key."""

    @property
    def database_name(self) -> str:
        """What is asked for before a production database is changed."""
        return self.database.rstrip("/").replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; None where it says nothing."""

    schema: str | None = None
    valet_dir: str | None = None
    database: str | None = None
    output_dir: str | None = None
    languages: str | None = None
    strict: bool = False
    deploy_key: str | None = None
    production: bool = False
    read_only: bool = False
    project: bool = False
    """Whether `VALET_PROJECT_URL` names the database where no flag does, as for `codegen`."""


def resolve(
    flags: Flags, environment: Mapping[str, str], keys: tuple[tuple[str, str], ...] = ()
) -> Settings:
    """The settings of a run: flag, else environment variable, else default.

    Raises:
        StudioError: an environment variable holds what cannot be used, or is none of ours.
    """
    _check_names(environment)
    default = Settings()
    in_directory = Path(flags.valet_dir, SCHEMA_FILE) if flags.valet_dir else None
    schema = flags.schema or in_directory or environment.get("VALET_STUDIO_SCHEMA")
    languages = flags.languages or environment.get("VALET_STUDIO_LANG")
    output_dir = flags.output_dir or environment.get("VALET_STUDIO_OUTPUT_DIR")
    limits = Limits(
        evaluate_seconds=_number(environment, "VALET_STUDIO_EVALUATE_SECONDS")
        or default.limits.evaluate_seconds,
        document_seconds=_number(environment, "VALET_STUDIO_DOCUMENT_SECONDS")
        or default.limits.document_seconds,
        heap_mb=int(_number(environment, "VALET_STUDIO_HEAP_MB") or default.limits.heap_mb),
    )
    database = (
        flags.database
        or (environment.get("VALET_PROJECT_URL") if flags.project else None)
        or environment.get("VALET_STUDIO_DB")
        or default.database
    )
    return Settings(
        schema_path=Path(schema) if schema else default.schema_path,
        database=database,
        deploy_key=flags.deploy_key or environment.get("VALET_DEPLOY_KEY") or None,
        db_token=environment.get("VALET_DB_TOKEN") or None,
        output_dir=Path(output_dir) if output_dir else default.output_dir,
        languages=parse_languages(languages) if languages else default.languages,
        strict=flags.strict or _is_set(environment, "VALET_STUDIO_STRICT"),
        limits=limits,
        production=flags.production or _is_set(environment, "VALET_STUDIO_PRODUCTION"),
        read_only=flags.read_only or _is_set(environment, "VALET_STUDIO_READ_ONLY"),
        keys=keys,
    )


def marked(settings: Settings, files: Iterable[ConfigFile]) -> Settings:
    """The settings with the marks that these files make of their database.

    A mark (production, read-only) holds wherever it is made; nothing takes it away.
    """
    marks = [file.marks(settings.database) for file in files]
    return replace(
        settings,
        production=settings.production or any(mark.production for mark in marks),
        read_only=settings.read_only or any(mark.read_only for mark in marks),
    )


def parse_languages(text: str) -> tuple[Language, ...]:
    """`ts,python` as languages, in the order in which they were named.

    Raises:
        StudioError: a name is not that of a language.
    """
    known: tuple[Language, ...] = get_args(Language)
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        what = f"{unknown[0]!r} is no language" if unknown else "No language is named"
        raise StudioError(f"{what} that types can be generated for.", "Choose from ts and python.")
    return tuple(
        language for name in dict.fromkeys(wanted) for language in known if language == name
    )


def environment_with(dotenv: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment (`os.environ` where none is given) over what a `.env` file sets.

    Raises:
        StudioError: the file exists and cannot be read or is not text, a line of it that names a
            variable of ours sets none, or it sets one that is the user's alone.
    """
    try:
        # A directory of that name is somebody's virtual environment.
        text = "" if is_folder(dotenv) else text_of(dotenv)
    except UnicodeDecodeError as error:
        raise StudioError(
            f"{dotenv} is not UTF-8 text.",
            "Save it as UTF-8, or run where there is no such file.",
            Location(str(dotenv), 1, 1),
        ) from error
    except (FileNotFoundError, NotADirectoryError):
        text = ""
    except OSError as error:
        raise StudioError(
            f"{dotenv} cannot be read: {reason_of(error)}.",
            "A database may be called production in it: check the path and its permissions, or "
            "run where there is no such file.",
        ) from error
    _check_lines(dotenv, text)
    return {**parse_dotenv(text), **(os.environ if environment is None else environment)}


_ASSIGNMENT = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*
        (?: "((?:[^"\\]|\\.)*)" | '([^']*)' | ([^\r\n]*?) )
        [ \t]*(?:(?<![^\s"'=])\#[^\r\n]*)?$""",
    re.MULTILINE | re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse_dotenv(text: str) -> dict[str, str]:
    """The assignments of a `.env` file: `export`, comments, single and double quotes.

    A `#` begins a comment where white space stands before it. Escapes count in double quotes.
    """
    lines = _plain_lines(text)
    values: dict[str, str] = {}
    for name, double, single, bare in _ASSIGNMENT.findall(lines):
        unescaped = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), double, flags=re.DOTALL)
        values[name] = unescaped or single or bare
    return values


def _plain_lines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


_NOT_SET = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(VALET_\w+)(?:[ \t]+[^\s=#]|[^\s=\w])", re.MULTILINE
)


def _check_lines(dotenv: Path, text: str) -> None:
    lines = _plain_lines(text)

    def place(at: int) -> Location:
        return Location(str(dotenv), lines.count("\n", 0, at) + 1, 1)

    read = list(_ASSIGNMENT.finditer(lines))
    for named in _NOT_SET.finditer(lines):
        if not any(found.start() <= named.start() < found.end() for found in read):
            raise StudioError(
                f"{dotenv} names {named[1]}, and does not set it.",
                f"Write {named[1]}=VALUE, or make the line a comment.",
                place(named.start()),
            )
    for found in read:
        # A project's schema runs in a sandbox: its files are not to name the program that makes it.
        if found[1] == _DENO:
            raise StudioError(
                f"{dotenv} sets {_DENO}, which only the environment may.",
                f"Take it out there, and export {_DENO} in your shell.",
                place(found.start()),
            )


_PREFIX = "VALET_STUDIO_"
_DENO = f"{_PREFIX}DENO"
_NAMES = (
    "DB",
    "DENO",
    "DOCUMENT_SECONDS",
    "EVALUATE_SECONDS",
    "HEAP_MB",
    "LANG",
    "OUTPUT_DIR",
    "PRODUCTION",
    "READ_ONLY",
    "SCHEMA",
    "STRICT",
)


def _check_names(environment: Mapping[str, str]) -> None:
    """A misspelt `VALET_STUDIO_PRODUCTION` must not pass for none."""
    for name in environment:
        said = name.removeprefix(_PREFIX)
        if name.startswith(_PREFIX) and said not in _NAMES:
            from difflib import get_close_matches

            near = get_close_matches(said, _NAMES, 1)
            names = [f"{_PREFIX}{known}" for known in near or _NAMES]
            raise StudioError(
                f"The environment sets {name}, which means nothing.",
                f"Did you mean {names[0]}?" if near else f"It may set {', '.join(names)}.",
            )


_YES = ("1", "true", "yes", "on")
_NO = ("", "0", "false", "no", "off")


def _is_set(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").strip().lower()
    if text not in (*_YES, *_NO):
        raise StudioError(
            f"{name} is {environment[name]!r}, which is neither yes nor no.", "Write 1 or 0."
        )
    return text in _YES


def _number(environment: Mapping[str, str], name: str) -> float | None:
    text = environment.get(name)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise StudioError(f"{name} is {text!r}; it must be a number above zero.")
    return number
