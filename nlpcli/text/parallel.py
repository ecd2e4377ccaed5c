"""How many threads work on chunks at once; numpy lets go of the interpreter."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")
MOST_WORKERS = 4


def workers() -> int:
    """As many as this process has cores, few."""
    affinity = getattr(os, "sched_getaffinity", None)  # not everywhere
    return min(MOST_WORKERS, len(affinity(0)) if affinity else (os.cpu_count() or 1))


def ahead(
    pool: ThreadPoolExecutor, most: int, work: Callable[[S], T], items: Iterable[S]
) -> Iterator[tuple[S, T]]:
    """Items and what the work makes of them, in order; ``most`` are worked on behind the first."""
    waiting: deque[tuple[S, Future[T]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > most:
                first, done = waiting.popleft()
                yield first, done.result()
        while waiting:
            first, done = waiting.popleft()
            yield first, done.result()
    finally:
        for _, done in waiting:
            done.cancel()
