"""How many threads work on chunks at once; numpy lets go of the interpreter."""

from __future__ import annotations

import os

MOST_WORKERS = 4


def workers() -> int:
    """As many as this process has cores, few."""
    affinity = getattr(os, "sched_getaffinity", None)  # not everywhere
    return min(MOST_WORKERS, len(affinity(0)) if affinity else (os.cpu_count() or 1))
