"""Settings: what a run works on. A flag wins over the environment, that over `.env`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from valet_studio.typescript.limits import Limits

Language: TypeAlias = Literal["ts", "python"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a command or the studio needs to know, resolved once at the start."""

    schema_path: Path = Path("valet/schema.ts")
    database: str = ".valet/dev.db"
    """A path, or a URL of a remote target."""
    output_dir: Path = Path("_generated/valet")
    languages: tuple[Language, ...] = ("ts",)
    strict: bool = False
    """Whether a non-deterministic backfill is an error and not a warning."""
    limits: Limits = field(default_factory=Limits)
