"""INT, TERM and HUP: an exception that cleans up, or, in a ``deferred`` block, a wish to stop.

A trainer defers while a step changes its weights and while it saves; it looks at ``pending``
between steps. The second signal in a deferred block leaves at once.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

PATIENCE = 8.0
"""Seconds between a signal and the end, unless a state is being saved."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked us to stop; an exception so that temporary files are cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """As a shell reports a death by this signal."""
        return 128 + self.number


class _State:
    """Signals arrive for the process, so there is one of these."""

    def __init__(self) -> None:
        self.depth = 0
        self.pending: int | None = None
        self.complete = False
        self.tell: Callable[[str], object] = str
        self.leave: Callable[[int], object] = int

    def handle(self, number: int, frame: FrameType | None) -> None:
        if self.depth == 0:
            signal.signal(number, signal.SIG_DFL)  # a second one ends a clean-up that hangs
            _thread.start_new_thread(self._insist, (128 + number,))
            raise Interrupted(number)
        if self.pending is not None:
            self.leave(128 + number)
        self.pending = number
        doing = "the model is saved, ending" if self.complete else "saving where it stands"
        self.tell(f"stopping: {doing}; once more to leave at once")

    def _insist(self, exit_code: int) -> None:
        """Leaves when the exception was lost: Python drops those raised in a callback."""
        time.sleep(PATIENCE)
        while self.depth:  # a state is being saved
            time.sleep(0.1)
        self.leave(exit_code)


_STATE = _State()


def install(tell: Callable[[str], object], leave: Callable[[int], object]) -> None:
    """Takes over the signals; called once, by main. A signal ignored by the parent stays so.

    ``tell`` is given a line when stopping takes a while, ``leave`` the exit code when it must not.
    """
    _STATE.tell, _STATE.leave = tell, leave
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _STATE.handle)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Signals wait until the end of the outermost block, which raises Interrupted then."""
    _STATE.depth += 1
    try:
        yield
    finally:
        _STATE.depth -= 1
    if _STATE.depth == 0 and _STATE.pending is not None:
        stop_now()


def complete() -> None:
    """What was asked for is done and there to stay: signals wait until the process ends itself."""
    if not _STATE.complete:
        _STATE.complete, _STATE.pending = True, None
        _STATE.depth += 1


def pending() -> bool:
    """Whether a signal came in this deferred block."""
    return _STATE.pending is not None


def stop_now() -> NoReturn:
    """Raises Interrupted for the signal that is pending."""
    number, _STATE.pending = _STATE.pending, None
    assert number is not None
    raise Interrupted(number)
