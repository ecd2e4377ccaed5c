"""A training run in several processes: rank 0 reads and saves, the others follow."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nlpcli.errors import NlpcliError
from nlpcli.runs import interrupts
from nlpcli.runs.interrupts import Interrupted

if TYPE_CHECKING:
    from nlpcli.training.ranks import Ranks

READY, END, LEFT = "ready", "end", "left"
"""What is told: that training can begin, rank 0's exit code, and that a rank has heard it."""
LOOK_SECONDS = 0.05
FAREWELL_SECONDS = 5.0
LAST_WORD_SECONDS = 1.0
"""Time for rank 0 to say what went wrong: torchrun ends all when the first one fails."""


def joined(rank: int, size: int) -> Ranks | None:
    """The process group; None for a process that is alone. Raises Unavailable."""
    if size == 1:
        return None
    from nlpcli.training.ranks import Ranks

    return Ranks(rank, size)


@contextlib.contextmanager
def leading(ranks: Ranks | None) -> Iterator[None]:
    """A block of rank 0, at the end of which the others are told how it ended."""
    code = 0
    try:
        yield
    except BaseException as error:
        code = getattr(error, "exit_code", 70)
        raise
    finally:
        if ranks is not None:
            with contextlib.suppress(NlpcliError), interrupts.deferred():
                _farewell(ranks, code)


def threads_of_rank(asked: int | None, ranks: int) -> int:
    """Threads of each of so many processes; by default all cores, shared out."""
    from nlpcli.text import parallel

    return asked or max(1, parallel.workers() // ranks)


def _farewell(ranks: Ranks, code: int) -> None:
    ranks.tell(END, str(code))
    ranks.leave()
    until = time.monotonic() + FAREWELL_SECONDS
    others = [f"{LEFT}-{rank}" for rank in range(1, ranks.size)]
    while time.monotonic() < until and not all(ranks.heard(key) for key in others):
        time.sleep(LOOK_SECONDS)


def tell_folder(folder: Path, ranks: Ranks) -> None:
    """Rank 0 has read the corpus, which the others take from files in ``folder``."""
    tell_ready(str(folder.resolve()), ranks)


def tell_ready(what: str, ranks: Ranks) -> None:
    """Rank 0 has read its data; ``what`` the others need to know of them."""
    ranks.tell(READY, json.dumps(what))


def follow(ranks: Ranks, train: Callable[[str], None]) -> int:
    """Trains as another rank than 0, which has the data and saves; gives its exit code.

    ``train`` is called with what rank 0 told of the data, signals deferred.
    """
    try:
        told = _awaited(ranks)
        if told is not None:
            train(told)
    except (Interrupted, NlpcliError):  # rank 0 says why, if it can
        pass
    with interrupts.deferred():
        ranks.leave()
        until = float("inf")
        while (code := ranks.heard(END)) is None and time.monotonic() < until:
            if interrupts.pending():  # rank 0 may be gone without a word
                until = min(until, time.monotonic() + interrupts.PATIENCE)
            time.sleep(LOOK_SECONDS)
        ranks.tell(f"{LEFT}-{ranks.rank}", "1")
        if code != "0":
            time.sleep(LAST_WORD_SECONDS)
    return int(code or 0)  # without a word, it is the signal that ends this process


def _awaited(ranks: Ranks) -> str | None:
    """What rank 0 told of its data; None when it ended before."""
    while (told := ranks.heard(READY)) is None:
        if ranks.heard(END) is not None:
            return None
        time.sleep(LOOK_SECONDS)
    return str(json.loads(told))
