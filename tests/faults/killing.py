"""SIGKILL at a call, or after a time, and what must hold then."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterable, Iterator

from .injection import KILL_AFTER, KILL_BEFORE, Fault
from .operations import Operation, World


def every_kill(world: World, operation: Operation) -> Iterator[Fault]:
    """Before and after each call that the operation makes."""
    done, calls = world.server.calls(world.copy(), operation.arguments)
    if done.code:
        raise RuntimeError(done.err)
    for number in range(1, len(calls) + 1):
        for mode in (KILL_BEFORE, KILL_AFTER):
            yield Fault(mode, number)


def kill(world: World, operation: Operation, faults: Iterable[Fault | float]) -> dict[str, object]:
    """Kills once a fault (a number: after so many seconds); tallies, and lists what was lost."""
    killed = late = 0
    lost: list[str] = []
    for fault in faults:
        folder = world.copy()
        if isinstance(fault, Fault):
            done = world.server.run(folder, operation.arguments, fault)
        else:
            done = world.server.run(folder, operation.arguments, kill_after=fault)
        if done.code != -signal.SIGKILL:
            late += 1
            continue
        killed += 1
        problem = world.check_readers(folder, operation) or world.check_next_run(folder, operation)
        if problem:
            lost.append(f"{operation.name} {fault}: {problem}")
    return {"kills": killed, "finished_before": late, "lost": lost}


def random_moments(seed: int, kills: int, length: float) -> Iterator[float]:
    """Seconds after the start."""
    drawn = random.Random(seed)
    for _ in range(kills):
        yield drawn.uniform(0, length)
