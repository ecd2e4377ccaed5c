"""Every cut and every flipped bit of our own files is found, before anything is answered."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from nlpcli.store.states import RunState, RunStates

from ..cli.conftest import run_program
from .corrupting import corrupt, corrupt_states, damages
from .tiny import store, tiny  # noqa: F401


@pytest.mark.parametrize("name", ["plain", "wide"])
def test_damaged_models_are_refused(tiny: Path, name: str) -> None:  # noqa: F811
    found = corrupt(tiny / name / "1", cuts=60, flips=400, seed=1)
    assert found["slowest_s"] < 1
    assert found | {"slowest_s": 0} == {
        "cut": 60, "flip": 400, "refused": 460, "accepted": 0, "untyped": 0, "badly_told": 0,
        "slowest_s": 0,
    }  # fmt: skip


@pytest.mark.slow
def test_damaged_models_are_refused_at_length(models: Path) -> None:
    found = corrupt(models / "reviews" / "1", cuts=500, flips=10_000, seed=2)
    assert (found["refused"], found["accepted"]) == (10_500, 0)
    assert found["slowest_s"] < 1


def test_the_program_refuses_and_answers_nothing(store: Path) -> None:  # noqa: F811
    files = sorted((store / "plain" / "1").iterdir())
    drawn = random.Random(3)
    chosen = drawn.sample(list(damages(files, 40, 40, 3)), 10)
    for _, path, data in chosen:
        whole = path.read_bytes()
        path.write_bytes(data)
        done = run_program(store, "predict", "-m", "plain@1", "--only", stdin="text\ngood\n")
        path.write_bytes(whole)
        assert (done.code, done.out) == (65, ""), (path.name, len(data))
        assert done.err.startswith(f"error: {path.parent}")
        assert len(done.err.splitlines()) == 1
    assert run_program(store, "predict", "-m", "plain@1", stdin="text\ngood\n").code == 0


def two_states(folder: Path) -> Path:
    """Steps 5 and 9 of a run."""
    states = RunStates(folder)
    for step in (5, 9):
        arrays = {"weight": np.full((7, 2), step, np.float32), "order": np.arange(24)}
        states.save(step, RunState({"seed": 1, "lr": 0.2}, arrays, {"step": step}))
    return folder


def test_the_state_before_a_damaged_one_is_used(tmp_path: Path) -> None:
    found = corrupt_states(two_states(tmp_path / "s"), cuts=60, flips=400, seed=1)
    assert (found["cut"], found["flip"], found["refused"]) == (60, 400, 460)
    assert found["slowest_s"] < 1


@pytest.mark.slow
def test_the_state_before_a_damaged_one_is_used_at_length(tmp_path: Path) -> None:
    folder = two_states(tmp_path / "s")
    size = (folder / "9.state").stat().st_size
    found = corrupt_states(folder, cuts=size, flips=10_000, seed=2)
    assert found["refused"] == size + 10_000


def test_without_a_whole_state_there_is_none(tmp_path: Path) -> None:
    folder = two_states(tmp_path / "s")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    state, warnings = RunStates(folder).newest()
    assert state is None
    assert [name in w for name, w in zip(("9.state", "5.state"), warnings, strict=True)] == [
        True, True,
    ]  # fmt: skip
