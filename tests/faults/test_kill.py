"""SIGKILL at the N-th call that changes files: nothing is lost, and the next run goes on."""

from __future__ import annotations

import signal

import pytest

from ..cli.conftest import run_program
from .injection import KILL_AFTER, KILL_BEFORE, Fault
from .killing import every_kill, kill, random_moments
from .operations import OPERATIONS, TEXTS, World


@pytest.mark.parametrize(
    ("name", "step"),
    [
        pytest.param("predict", 1, marks=pytest.mark.slow),
        pytest.param("prune", 1, marks=pytest.mark.slow),
        ("pin", 4),
        ("train", 9),
        pytest.param("train-path", 11, marks=pytest.mark.slow),
    ],
)
def test_a_kill_here_and_there(world: World, name: str, step: int) -> None:
    faults = list(every_kill(world, OPERATIONS[name]))[step // 2 :: step]
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


@pytest.mark.parametrize("name", [pytest.param("prune", marks=pytest.mark.slow), "train-path"])
def test_the_program_itself_after_a_kill(world: World, name: str) -> None:
    """What the loops judge by calls of functions, by the commands that a person types."""
    operation = OPERATIONS[name]
    faults = list(every_kill(world, operation))
    texts = "text\n" + "\n".join(TEXTS[:2]) + "\n"
    wanted = {
        model: run_program(world.seed / "store", "predict", "-m", model, stdin=texts).out
        for model in ("m@2", "./plain")
    }
    trained = world.undisturbed(operation) / "store"
    new = run_program(trained, "predict", "-m", "./plain", stdin=texts).out
    for fault in faults[len(faults) // 3 :: len(faults) // 3][:2]:
        store = world.copy() / "store"
        assert world.server.run(store.parent, operation.arguments, fault).code == -signal.SIGKILL
        assert run_program(store, "models", "verify").code == 0
        for model, said in wanted.items():
            done = run_program(store, "predict", "-m", model, stdin=texts)
            assert (done.code, done.err) == (0, "")
            assert done.out == said or (name == "train-path" and model != "m@2" and done.out == new)
        assert run_program(store, *operation.again).code == 0
        assert [p.name for p in store.parent.iterdir() if ".tmp-" in p.name] == []


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
