from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.training.device import seed_draws
from nlpcli.training.flat_parameters import ALIGNED, FlatParameters

SIZES = [[3, 5], [70], [1, 1, 1], [64], [2]]


def numbered() -> FlatParameters:
    """Names are "block.place"; the numbers say where they are."""
    return FlatParameters([
        {f"{b}.{p}": torch.full((n, 2), float(10 * b + p)) for p, n in enumerate(block)}
        for b, block in enumerate(SIZES)
    ])  # fmt: skip


def test_tensors_are_views_in_the_order_of_the_blocks() -> None:
    held = numbered()
    assert list(held.tensors) == ["0.0", "0.1", "1.0", "2.0", "2.1", "2.2", "3.0", "4.0"]
    for name, tensor in held.tensors.items():
        block, place = map(int, name.split("."))
        assert tensor.is_leaf and tensor.requires_grad and tensor.shape == (SIZES[block][place], 2)
        assert (tensor == 10 * block + place).all()
    assert all(block.start % ALIGNED == 0 for block in held.blocks)
    assert [b.stop - b.start for b in held.blocks] == [2 * sum(sizes) for sizes in SIZES]
    held.buffer[held.blocks[1]] = 7.0
    assert (held.tensors["1.0"] == 7).all() and (held.tensors["0.1"] == 1).all()


@given(st.sets(st.sampled_from(list(numbered().tensors))))
def test_runs_are_the_neighbours_and_what_lies_between_is_zero(names: set[str]) -> None:
    held = numbered()
    for name in names:
        held.give(name, torch.ones(held.tensors[name].shape))
        held.give(name, 2 * torch.ones(held.tensors[name].shape))
        held.give(name, None)
    assert set(held.with_gradient) == names
    order = list(held.tensors)
    begins = [n for i, n in enumerate(order) if n in names and (not i or order[i - 1] not in names)]
    runs = held.runs(names)
    assert len(runs) == len(begins)
    assert [run.start for run in runs] == [
        held.views(torch.arange(len(held.buffer)))[name][0, 0] for name in begins
    ]
    numbers = sum(held.tensors[name].numel() for name in names)
    assert sum(float(g.sum()) for g in held.gradients()) == 3 * numbers
    assert sum(int((g != 0).sum()) for g in held.gradients()) == numbers
    held.clear()
    assert held.with_gradient == [] and held.gradients() == [] and held.runs([]) == []


def test_a_gradient_forgets_what_the_buffer_held() -> None:
    held = numbered()
    held.give("1.0", torch.full((70, 2), torch.nan))
    held.clear()
    held.give("1.0", None)
    assert held.tensors["1.0"].grad is not None and not held.tensors["1.0"].grad.any()
    with pytest.raises(KeyError):
        held.give("nowhere", None)


def test_none_at_all() -> None:
    held = FlatParameters([])
    assert len(held.buffer) == 0 and held.tensors == {} and held.gradients() == []


def test_draws_are_those_of_torchs_seed() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(4)
    torch.rand(9)
    seed_draws(5, torch.device("cpu"))
    assert torch.equal(torch.rand(4), wanted)
