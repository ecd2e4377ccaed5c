"""SIGKILL at the N-th call that changes files: nothing is lost, and the next run goes on."""

from __future__ import annotations

import pytest

from .injection import KILL_AFTER, KILL_BEFORE, Fault
from .killing import every_kill, kill, random_moments
from .operations import OPERATIONS, World


@pytest.mark.parametrize(
    ("name", "step"), [("predict", 2), ("pin", 5), ("prune", 5), ("train", 9), ("train-path", 11)]
)
def test_a_kill_here_and_there(world: World, name: str, step: int) -> None:
    faults = list(every_kill(world, OPERATIONS[name]))[1::step]
    assert len(faults) >= 4
    found = kill(world, OPERATIONS[name], faults)
    assert found["lost"] == []
    assert found["kills"] == len(faults)


def test_a_kill_around_the_rename_that_publishes(world: World) -> None:
    operation = OPERATIONS["train"]
    _, calls = world.server.calls(world.copy(), operation.arguments)
    at = [i for i, call in enumerate(calls, 1) if call.kind == "rename"]
    assert len(at) == 1
    found = kill(world, operation, [Fault(KILL_BEFORE, at[0]), Fault(KILL_AFTER, at[0])])
    assert (found["kills"], found["lost"]) == (2, [])


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_kill_everywhere(world: World, name: str) -> None:
    found = kill(world, OPERATIONS[name], every_kill(world, OPERATIONS[name]))
    assert found["lost"] == []
    assert found["finished_before"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "train-states", "predict"])
def test_a_kill_at_any_time(world: World, name: str) -> None:
    found = kill(world, OPERATIONS[name], random_moments(1, 50, 0.25))
    assert found["lost"] == []
