"""What the app needs of that which begins by itself; `background.Background` is it."""

from __future__ import annotations

from typing import Protocol

from valet_studio.tui.messages import Retried, TypesChecked
from valet_studio.tui.plan_rows import PlanRow


class FollowUps(Protocol):
    """The app tells what happened; what follows from it by itself is begun here."""

    live_run: bool
    """Whether the newest dry run began by itself."""
    declined: str | None
    """Fingerprint of a plan whose live rehearsal the user stopped."""

    def saved(self) -> None:
        """There is a save that was not looked at yet."""

    def looked(self) -> None:
        """There is a new state."""

    def ended(self) -> None:
        """A run is over."""

    def selected(self, row: PlanRow | None) -> None:
        """The cursor is on another row of the plan."""

    def failure_selected(self, table: str, who: str) -> None:
        """The cursor is on another failed document."""

    def type_checked(self, message: TypesChecked) -> None:
        """The type checker has spoken."""

    def retried(self, message: Retried) -> None:
        """The failed documents were tried again."""

    def retry(self) -> None:
        """Try the documents again that failed last."""

    def set_live(self, live: bool) -> None:
        """Turn live rehearsal on or off, for the sessions to come as well."""
