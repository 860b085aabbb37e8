"""What the studio needs of the core: the pipeline, or a stand-in with the same five functions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

from valet_studio.config import Settings
from valet_studio.migrate.events import Event, IsCancelled
from valet_studio.pipeline import StudioState

Saves: TypeAlias = Callable[[Path], AsyncIterator[None]]
"""Yields once for each save below a directory."""


class Engine(Protocol):
    """One pass of the way of the data, and the two ways to carry out its plan.

    The module `valet_studio.pipeline` is one; its functions say what each does and raises.
    """

    def look(self, settings: Settings, cancelled: IsCancelled) -> StudioState: ...

    def measure(self, state: StudioState, cancelled: IsCancelled) -> StudioState: ...

    def dry_run(self, state: StudioState, cancelled: IsCancelled) -> Iterator[Event]: ...

    def apply(self, state: StudioState, cancelled: IsCancelled) -> Iterator[Event]: ...

    def write_files(self, state: StudioState) -> tuple[Path, ...]: ...
