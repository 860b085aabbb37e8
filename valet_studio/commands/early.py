"""What a command begins before it loads the rest of the program."""

from __future__ import annotations

from valet_studio.config import Settings


def start_deno(settings: Settings) -> None:
    """Let Deno start beside this program, which takes as long to load its own modules."""
    from valet_studio.schema.sources import read_sources
    from valet_studio.typescript import warm

    warm.begin(lambda: read_sources(settings.schema_path), settings.limits)
