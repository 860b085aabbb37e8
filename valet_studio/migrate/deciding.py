"""Finds out whether the documents' inputs decide the values of a backfill, and which ones do."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from valet_studio.migrate.by_input import ByInput, FoundOut, Learner
from valet_studio.migrate.column_writer import MOST_BRANCHES
from valet_studio.migrate.computed import Computed
from valet_studio.migrate.evaluators import Stopped
from valet_studio.migrate.work import Work


class Deciding:
    """What decides the values of one backfill.

    Where it is known, no document has to be compared with what it was when its value was computed,
    and other writers wait a shorter time.
    """

    def __init__(self, work: Work) -> None:
        self._work = work

    def certain(self) -> ByInput | None:
        """What decides the values, where it is certain that the documents hold no other inputs;
        the tally then tells the whole."""
        work, known = self._work, self._work.known
        if known is not None:
            found = self._known_inputs(known)
            if found is not None or known.pieces or known.tally.failed:
                return found
            work.known, work.tally = None, work.fresh_tally()
        found = self._learned(Learner.learn) if self._guessed is not None else None
        if found is not None:
            self.adopt_tally()
        return found

    def hoped_for(self) -> ByInput | None:
        """What most likely decides the values, where writing them will show whether it does.

        Values that were computed before others wrote were decided by known inputs; else the first
        documents are learnt from.
        """
        work = self._work
        if work.settled or not work.untouched:
            return None
        if work.known is None:
            found = self._guessed
        else:
            inputs = work.known.outcomes.by_input
            if not inputs or len(inputs) > MOST_BRANCHES:
                return None
            found = ByInput.of(work.documents, work.backfill.column, inputs)
        return found if found is not None and found.path and not found.reads_itself else None

    def adopt_tally(self) -> None:
        """Let the work know what was seen of the documents that were learnt from, if any were."""
        if self._work.known is None and self._learner is not None:
            self._work.tally = self._learner.tally

    @cached_property
    def _learner(self) -> Learner | None:
        """For what is proved to be pure; nothing is known yet."""
        work = self._work
        if not work.is_large_and_pure:
            return None
        work.choose()
        return Learner(
            work.documents, work.backfill, work.evaluators, work.fresh_tally(), work.cancelled
        )

    @cached_property
    def _guessed(self) -> ByInput | None:
        return self._learned(Learner.guess)

    def _learned(self, step: Callable[[Learner], ByInput | None]) -> ByInput | None:
        learner = self._learner
        if learner is None:
            return None
        try:
            return step(learner)
        except FoundOut:
            self._work.shared = False
        except Stopped as stopped:
            told = learner.tally.values
            self._work.stop(stopped, told.total() if told else 0)
        return None

    def _known_inputs(self, known: Computed) -> ByInput | None:
        work, inputs = self._work, known.outcomes.by_input
        if not inputs or len(inputs) > MOST_BRANCHES:
            return None
        found = ByInput.of(work.documents, work.backfill.column, inputs)
        if found is not None and not work.settled:
            counts = found.counted()
            if counts is None:
                return None
            work.tally.recount(counts)
        return found
