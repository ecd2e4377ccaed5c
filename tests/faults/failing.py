"""Each call that changes files failed once: the exit code tells, and nothing old is harmed."""

from __future__ import annotations

import errno

from nlpcli.store.store import Store

from .injection import FAIL, SHORT, Fault
from .operations import OLD_OUTPUT, Operation, World, digests

FAULTS = {"ENOSPC": (FAIL, errno.ENOSPC), "EIO": (FAIL, errno.EIO), "short": (SHORT, errno.ENOSPC)}
KINDS = ",open,write,fsync,close,rename,mkdir,chmod,truncate,"


def fail_each(
    world: World, operation: Operation, fault: str, only: range | None = None
) -> dict[str, object]:
    """Fails every call in turn, or those numbered in ``only``; lists what went wrong."""
    mode, error = FAULTS[fault]
    kinds = ",write," if mode == SHORT else KINDS
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
        problem = _judge(world, operation, folder, before, done.code, done.err)
        if problem:
            call = calls[number - 1]
            wrong.append(f"{operation.name} {fault} at {call.kind} {call.path}: {problem}")
    return {"calls": failed, "wrong": wrong}


def _judge(
    world: World, operation: Operation, folder: object, before: dict[str, str], code: int, err: str
) -> str | None:
    from pathlib import Path

    assert isinstance(folder, Path)
    problem = world.check_readers(folder)
    if problem:
        return problem
    if code == 0:
        if digests(folder) != world.wanted(operation):
            return "exit 0, and the result is not complete"
    elif code not in (73, 74):
        return f"exit {code}: {err}"
    elif not err.startswith("error: ") or len(err.splitlines()) > 2:
        return f"not one line: {err}"
    elif operation.name != "prune" and Store(folder / "store").versions("m") != [1, 2]:
        if operation.name != "train-keep":
            return f"exit {code}, and the versions have changed"
    elif operation.name == "predict" and (folder / "out.csv").read_text() != OLD_OUTPUT:
        return f"exit {code}, and the old output is gone"
    lost = [n for n, d in before.items() if digests(folder).get(n) != d and "/m/2/" in n]
    if code and lost:
        return f"exit {code}, and changed: {lost}"
    return world.check_next_run(folder, operation)
