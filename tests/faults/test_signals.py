"""TERM and INT that come right after a call that changes files."""

from __future__ import annotations

import signal

import pytest

from nlpcli.store.store import Store

from .injection import KILL_AFTER, Call, Fault
from .operations import OPERATIONS, Operation, World

TERM, INT = signal.SIGTERM, signal.SIGINT


def calls_of(world: World, operation: Operation) -> list[Call]:
    done, calls = world.server.calls(world.copy(), operation.arguments)
    assert done.code == 0, done.err
    return calls


def check_signal(world: World, operation: Operation, number: int, sent: signal.Signals) -> None:
    """It ends with the signal's code, harms nothing, and the next run goes on."""
    folder = world.copy()
    done = world.server.run(folder, operation.arguments, Fault(KILL_AFTER, number, sent))
    where = f"{operation.name} {sent.name} after call {number}"
    assert done.code in (0, 128 + sent), where
    assert "Traceback" not in done.err and len(done.err.splitlines()) <= 2, where
    assert world.check_readers(folder, operation) is None, where
    assert world.check_next_run(folder, operation) is None, where


@pytest.mark.parametrize("sent", [TERM, INT])
@pytest.mark.parametrize("name", ["predict", "prune", "train", "train-path"])
def test_a_signal_here_and_there(world: World, name: str, sent: signal.Signals) -> None:
    operation = OPERATIONS[name]
    count = len(calls_of(world, operation))
    for number in range(1, count + 1, max(1, count // 4)):
        check_signal(world, operation, number, sent)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [TERM, INT])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_signal_after_every_call(world: World, name: str, sent: signal.Signals) -> None:
    operation = OPERATIONS[name]
    for number in range(1, len(calls_of(world, operation)) + 1):
        check_signal(world, operation, number, sent)


def test_a_run_that_has_published_is_not_undone_by_a_signal(world: World) -> None:
    operation = OPERATIONS["train"]
    calls = calls_of(world, operation)
    rename = next(i for i, call in enumerate(calls, 1) if call.kind == "rename")
    for number in range(rename, len(calls) + 1):
        folder = world.copy()
        done = world.server.run(folder, operation.arguments, Fault(KILL_AFTER, number, TERM))
        assert (done.code, done.out) == (0, f"{folder}/store/m/3\n")
        assert Store(folder / "store").versions("m") == [1, 2, 3]
        assert not list(folder.rglob("*.state"))


@pytest.mark.parametrize("name", ["predict", "pin"])
def test_a_signal_leaves_no_temporary_file(world: World, name: str) -> None:
    operation = OPERATIONS[name]
    calls = calls_of(world, operation)
    made = next(i for i, c in enumerate(calls, 1) if c.kind == "open" and ".tmp-" in c.path)
    folder = world.copy()
    done = world.server.run(folder, operation.arguments, Fault(KILL_AFTER, made, TERM))
    assert done.code == 128 + TERM
    assert [p.name for p in folder.rglob(".*.tmp-*")] == []
