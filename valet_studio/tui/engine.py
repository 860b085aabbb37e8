"""What the studio needs of the core: the pipeline, or a stand-in with the same functions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

from valet_studio.config import Settings
from valet_studio.database.structure import Structures
from valet_studio.errors import IsCancelled, Problem
from valet_studio.fixes.fix import Fix
from valet_studio.migrate.events import Event, Report
from valet_studio.migrate.history import HistoryEntry, MigrationId
from valet_studio.migrate.touched import Touched
from valet_studio.migrate.undo import UndoReport
from valet_studio.migrate.written import TableWrites
from valet_studio.pipeline import GeneratedFile, StudioState
from valet_studio.plan.changes import AnyChange
from valet_studio.plan.diff import SchemaChange
from valet_studio.schema.model import Json, Schema

Saves: TypeAlias = Callable[[Path], AsyncIterator[None]]
"""Yields once for each save below a directory."""


class Engine(Protocol):
    """One pass of the way of the data, and the two ways to carry out its plan.

    The module `valet_studio.pipeline` is one; its functions say what each does and raises.
    """

    def look(self, settings: Settings, cancelled: IsCancelled) -> StudioState: ...

    def measure(self, state: StudioState, cancelled: IsCancelled) -> StudioState: ...

    def generated(self, state: StudioState) -> tuple[GeneratedFile, ...]: ...

    def structures(self, state: StudioState) -> Structures | None: ...

    def dry_run(self, state: StudioState, cancelled: IsCancelled) -> Iterator[Event]: ...

    def apply(self, state: StudioState, cancelled: IsCancelled) -> Iterator[Event]: ...

    def check_types(self, state: StudioState, cancelled: IsCancelled) -> tuple[Problem, ...]: ...

    def retry_failed(
        self, state: StudioState, report: Report, cancelled: IsCancelled
    ) -> Report: ...

    def touched(
        self, state: StudioState, change: AnyChange, cancelled: IsCancelled
    ) -> Touched | None: ...

    def document(
        self, state: StudioState, table: str, who: str, cancelled: IsCancelled
    ) -> dict[str, Json] | None: ...

    def write_files(self, state: StudioState) -> tuple[Path, ...]: ...

    def apply_fix(self, settings: Settings, fix: Fix) -> Path: ...

    def applied_schema(self, state: StudioState) -> Schema | None: ...

    def history(self, settings: Settings) -> tuple[HistoryEntry, ...]: ...

    def history_diff(
        self, settings: Settings, before: int | None, after: int
    ) -> tuple[SchemaChange, ...]: ...

    def written_since(
        self, settings: Settings, cancelled: IsCancelled
    ) -> tuple[TableWrites, ...]: ...

    def undo(
        self, settings: Settings, cancelled: IsCancelled, migration: MigrationId | None
    ) -> UndoReport: ...
