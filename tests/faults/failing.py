"""Each call that changes files failed once: the exit code tells, and nothing old is harmed."""

from __future__ import annotations

import errno
from pathlib import Path

from .injection import ALL, FAIL, SHORT, Done, Fault
from .operations import Operation, World, digests, leftovers

FAULTS = {
    "ENOSPC": (FAIL, errno.ENOSPC), "EIO": (FAIL, errno.EIO), "EINTR": (FAIL, errno.EINTR),
    "short": (SHORT, errno.ENOSPC),
}  # fmt: skip
ASIDE = (".tmp-", ".trash-")


def fail_each(
    world: World, operation: Operation, fault: str, only: range | None = None
) -> dict[str, object]:
    """Fails every call in turn, or those numbered in ``only``; lists what went wrong."""
    mode, error = FAULTS[fault]
    kinds = ",write," if mode == SHORT else ALL
    done, calls = world.server.calls(world.copy(), operation.arguments, kinds)
    if done.code:
        raise RuntimeError(done.err)
    wrong, failed = [], 0
    for number in only or range(1, len(calls) + 1):
        if number > len(calls):
            break
        folder = world.copy()
        before = digests(folder)
        done = world.server.run(folder, operation.arguments, Fault(mode, number, error, kinds))
        failed += 1
        call = calls[number - 1]
        problem = _judge(world, operation, folder, before, done, call.kind == "unlink")
        if problem:
            wrong.append(f"{operation.name} {fault} at {call.kind} {call.path}: {problem}")
    return {"calls": failed, "wrong": wrong}


def _judge(
    world: World,
    operation: Operation,
    folder: Path,
    before: dict[str, str],
    done: Done,
    may_leave: bool,
) -> str | None:
    """``may_leave``: what could not be removed lies there until the next run."""
    problem = world.check_readers(folder, operation)
    if problem:
        return problem
    found = digests(folder)
    left = leftovers(found, *ASIDE, *([".state"] if may_leave else []))
    if left and not may_leave:
        return f"exit {done.code}, left over: {left}"
    if done.code == 0:
        if {n: d for n, d in found.items() if n not in left} != world.wanted(operation):
            return "exit 0, and the result is not complete"
    elif done.code not in (73, 74):
        return f"exit {done.code}: {done.err}"
    elif not done.err.startswith("error: ") or len(done.err.splitlines()) > 2:
        return f"not one line: {done.err}"
    else:
        changed = sorted(n for n in {*before, *found} - {*left} if before.get(n) != found.get(n))
        whole = [n for n in changed if ".state" not in n]
        # pruning that fails half-way leaves each version whole or gone, and the new one published
        if whole and not (operation.prunes and done.code == 74):
            return f"exit {done.code}, and changed: {whole}"
    return world.check_next_run(folder, operation)
