"""Putting an unfinished run away and taking it up again: what every trainer shares."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from nlpcli.errors import OutputFailed
from nlpcli.runs import interrupts
from nlpcli.runs.request import differences, training_part

if TYPE_CHECKING:
    from nlpcli.runs.reporting import Reporter
    from nlpcli.store.states import RunStates
    from nlpcli.store.tensors import Arrays


class Run(Protocol):
    """A training run that can be put away between steps."""

    @property
    def steps_done(self) -> int:
        """Where it stands."""

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """All that ``load`` needs."""

    def load(self, arrays: Arrays, numbers: dict[str, Any]) -> None:
        """Goes on from a state. Raises ValueError when it does not fit."""


class Resumption:
    """The states of one run: takes up the newest, saves new ones every ``minutes``."""

    def __init__(
        self, states: RunStates, record: dict[str, Any], console: Reporter, *, minutes: float
    ) -> None:
        self._states, self._console = states, console
        self._record = training_part(record)
        self._seconds, self._saved_at = minutes * 60, time.monotonic()
        self._saved_step = -1

    def take_up(self, run: Run, *, asked: bool, aloud: bool = True) -> int:
        """Loads the newest state of the same options and data, when asked to; gives its step.

        ``aloud``: says so when there is none.
        """
        state, warnings = self._states.newest()
        for warning in warnings:
            self._console.warn(warning)
        if state is None:
            if asked and aloud:
                self._console.say("--resume: no unfinished run is there; starting afresh")
            return 0
        other = differences(state.options, self._record)
        if not asked:
            if not other:
                self._console.say("an unfinished run of these options is there: see --resume")
            return 0
        if other:
            what = ", ".join(other[:6]) + (f" and {len(other) - 6} more" * (len(other) > 6))
            self._console.say(f"--resume: the unfinished run differs: {what}; starting afresh")
            return 0
        try:
            run.load(state.arrays, state.numbers)
        except (ValueError, KeyError, TypeError) as error:
            self._console.warn(f"the unfinished run does not fit: {error}; starting afresh")
            return 0
        self._saved_step = run.steps_done
        self._console.say(f"resuming after step {run.steps_done:,}")
        return run.steps_done

    def save_if_due(self, run: Run) -> None:
        """Saves when the last state is old enough."""
        if time.monotonic() - self._saved_at >= self._seconds:
            self.save(run)

    def save(self, run: Run) -> None:
        """Saves a state; a disk that is full is warned of and does not end the run."""
        from nlpcli.store.states import RunState

        if self._saved_step == run.steps_done:
            return
        with interrupts.deferred():
            arrays, numbers = run.state()
            try:
                self._states.save(run.steps_done, RunState(self._record, arrays, numbers))
                self._saved_step = run.steps_done
            except OutputFailed as error:
                self._console.warn(f"the state is not saved: {error.message}")
        self._saved_at = time.monotonic()

    @contextlib.contextmanager
    def saving(self, run: Run, *reasons: type[BaseException]) -> Iterator[None]:
        """A block at whose end a state is saved when it ends for one of the ``reasons``."""
        try:
            yield
        except reasons:
            self.save(run)
            raise

    def clear(self) -> None:
        """The run is finished."""
        self._states.clear()
