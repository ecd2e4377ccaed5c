from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nlpcli.training.encoder_optimizers import (
    BETAS,
    EPSILON,
    MOMENTUM,
    EncoderOptimizer,
    clip,
    norm_of,
)
from nlpcli.training.flat_parameters import FlatParameters
from nlpcli.training.pretraining_config import OPTIMIZERS, PretrainingConfig

SHAPES = {
    "embeddings.word_embeddings.weight": (9, 4),
    "embeddings.LayerNorm.weight": (4,),
    "encoder.layer.0.output.dense.weight": (4, 6),
    "encoder.layer.0.output.dense.bias": (4,),
    "cls.seq_relationship.weight": (2, 4),
}
MATRIX = "encoder.layer.0.output.dense.weight"


def one_each(held: dict[str, Tensor]) -> FlatParameters:
    return FlatParameters([{name: tensor} for name, tensor in held.items()])


def parameters(seed: int = 0) -> FlatParameters:
    generator = torch.Generator().manual_seed(seed)
    return one_each({n: torch.randn(s, generator=generator) for n, s in SHAPES.items()})


def made(held: FlatParameters, optimizer: Any, **more: Any) -> EncoderOptimizer:
    return EncoderOptimizer(held, PretrainingConfig(steps=1, optimizer=optimizer, **more))


def move(
    held: FlatParameters, optimizer: EncoderOptimizer, seed: int, rate: float,
    without: str = "cls.",
) -> None:  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    held.clear()
    for name, tensor in held.tensors.items():
        gradient = torch.randn(tensor.shape, generator=generator)
        if not name.startswith(without):
            held.give(name, gradient)
    optimizer.step(rate)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_it_goes_on_from_its_state_with_the_same_bits(kind: str) -> None:
    held = parameters()
    optimizer = made(held, kind)
    assert optimizer.state() == {}
    for seed in range(3):
        move(held, optimizer, seed, 0.01)
    state = {name: array.copy() for name, array in optimizer.state().items()}
    other = one_each(held.tensors)
    again = made(other, kind)
    move(other, again, 99, 0.5)  # what it remembers before is forgotten
    with torch.no_grad():
        other.buffer.copy_(held.buffer)
    again.load(state)
    for seed in range(3, 6):
        move(held, optimizer, seed, 0.02)
        move(other, again, seed, 0.02)
    assert torch.equal(held.buffer, other.buffer)
    assert not any(name.startswith("cls.") for name in state)
    for name, array in again.state().items():
        np.testing.assert_array_equal(array, optimizer.state()[name])


def test_adamw_is_the_papers() -> None:
    held = parameters()
    name = "embeddings.word_embeddings.weight"
    x = held.tensors[name].detach().double().numpy().copy()
    optimizer = made(held, "adamw", weight_decay=0.1)
    first, second = np.zeros_like(x), np.zeros_like(x)
    for step in range(1, 4):
        move(held, optimizer, step, 0.01 * step)
        found = held.tensors[name].grad
        assert found is not None
        gradient = found.double().numpy()
        first = BETAS[0] * first + (1 - BETAS[0]) * gradient
        second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
        hats = first / (1 - BETAS[0] ** step), second / (1 - BETAS[1] ** step)
        x -= 0.01 * step * 0.1 * x
        x -= 0.01 * step * hats[0] / (np.sqrt(hats[1]) + EPSILON)
    np.testing.assert_allclose(held.tensors[name].detach().numpy(), x, rtol=1e-5, atol=1e-6)


def test_it_is_torchs_adamw() -> None:
    held = parameters()
    others = [t.detach().clone().requires_grad_() for t in held.tensors.values()]
    optimizer = made(held, "adamw", weight_decay=0.1)
    groups = [
        {"params": [t for t in others if t.ndim == n], "weight_decay": decay}
        for n, decay in ((2, 0.1), (1, 0.0))
    ]
    reference = torch.optim.AdamW(groups, betas=BETAS, eps=EPSILON, fused=True)
    for seed in range(4):
        move(held, optimizer, seed, 0.01)
        for other, mine in zip(others, held.tensors.values(), strict=True):
            other.grad = mine.grad
        for group in reference.param_groups:
            group["lr"] = 0.01
        reference.step()
    for other, (name, mine) in zip(others, held.tensors.items(), strict=True):
        assert torch.equal(other, mine), name


def test_one_that_joins_later_is_corrected_by_its_own_steps() -> None:
    held, alone = parameters(), parameters()
    name = next(name for name in SHAPES if name.startswith("cls."))
    optimizer, other = made(held, "adamw"), made(alone, "adamw")
    for seed in range(3):
        move(held, optimizer, seed, 0.01)
    for seed in range(3, 6):
        move(held, optimizer, seed, 0.01, without="nothing")
        move(alone, other, seed, 0.01, without="nothing")
    assert torch.equal(held.tensors[name], alone.tensors[name])
    assert optimizer.state()[f"{name}:step"] == 3 and optimizer.state()[f"{MATRIX}:step"] == 6


def test_clipped_gradients_are_as_long_as_they_may_be() -> None:
    drawn = [torch.randn(300, 70), torch.randn(5), torch.zeros(0)]
    norm = norm_of(drawn)
    exact = np.sqrt(sum(float(g.double().square().sum()) for g in drawn))
    assert norm == pytest.approx(exact, rel=1e-6)
    before = [g.clone() for g in drawn]
    clip(drawn, norm, 2 * norm)
    assert all(torch.equal(a, b) for a, b in zip(drawn, before, strict=True))
    clip(drawn, norm, norm / 4)
    assert norm_of(drawn) == pytest.approx(exact / 4, rel=1e-5)
    assert norm_of([]) == 0.0
    assert not np.isfinite(norm_of([torch.tensor([1.0, torch.nan])]))


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5)])
def test_it_is_torchs_muon(shape: tuple[int, int]) -> None:
    name, generator = MATRIX, torch.Generator().manual_seed(1)
    held = one_each({name: torch.randn(shape, generator=generator)})
    mine = held.tensors[name]
    other = mine.detach().clone().requires_grad_()
    optimizer = made(held, "muon", weight_decay=0.1)
    reference = torch.optim.Muon(
        [other], lr=0.01, weight_decay=0.1, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(4):
        other.grad = torch.randn(shape, generator=generator)
        held.clear()
        held.give(name, other.grad)
        optimizer.step(0.01)
        reference.step()
    torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


def test_neither_imports_torchs_compiler() -> None:
    code = """
import sys, torch
from nlpcli.models.layers import linear
from nlpcli.training.encoder_optimizers import EncoderOptimizer
from nlpcli.training.flat_parameters import FlatParameters
from nlpcli.training.pretraining_config import PretrainingConfig
for kind in ("adamw", "muon"):
    held = FlatParameters([{"encoder.layer.0.x": linear(3, 3).weight}])
    optimizer = EncoderOptimizer(held, PretrainingConfig(steps=1, optimizer=kind))
    held.give("encoder.layer.0.x", torch.ones(3, 3))
    optimizer.step(0.1)
print([name for name in sys.modules if name.startswith(("torch._dynamo", "torch._inductor"))])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_only_matrices_decay(kind: str) -> None:
    held = parameters()
    before = {name: tensor.detach().clone() for name, tensor in held.tensors.items()}
    optimizer = made(held, kind, weight_decay=0.5)
    for name in held.tensors:
        held.give(name, None)
    optimizer.step(0.1)
    for name, tensor in held.tensors.items():
        share = 1 - 0.1 * 0.5 if tensor.ndim == 2 else 1.0
        torch.testing.assert_close(tensor.detach(), before[name] * share)


def test_muon_moves_the_matrices_of_layers_by_even_steps() -> None:
    held = parameters()
    before = held.tensors[MATRIX].detach().clone()
    optimizer = made(held, "muon", weight_decay=0.0)
    move(held, optimizer, 0, 0.01)
    kinds = {name.rpartition(":")[2] for name in optimizer.state() if name.startswith(MATRIX)}
    assert kinds == {"momentum_buffer"}
    assert f"{next(iter(SHAPES))}:exp_avg" in optimizer.state()
    sizes = torch.linalg.svdvals(held.tensors[MATRIX].detach() - before)
    assert sizes.min() > 0.4 * sizes.max()  # a gradient at random has a wider spread than that
    rms = (held.tensors[MATRIX].detach() - before).square().mean().sqrt()
    assert 0.1 * 0.01 < rms < 0.4 * 0.01  # as large as AdamW's, which are 0.2 to 0.4 of the rate


def spoilt(state: dict[str, Any], how: str) -> dict[str, Any]:
    name = f"{MATRIX}:exp_avg"
    if how == "shape":
        return {**state, name: state[name][:-1]}
    if how == "name":
        return {**state, "nowhere:exp_avg": state[name]}
    return {key: array for key, array in state.items() if key != name}


@pytest.mark.parametrize("how", ["shape", "name", "missing", "other optimizer"])
def test_a_state_that_does_not_fit(how: str) -> None:
    held = parameters()
    optimizer = made(held, "adamw")
    move(held, optimizer, 0, 0.01)
    other = made(parameters(), "muon" if how == "other optimizer" else "adamw")
    state = optimizer.state() if how == "other optimizer" else spoilt(optimizer.state(), how)
    with pytest.raises(ValueError):
        other.load(state)


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"steps": 1, "epochs": 1}, {"steps": 0}, {"minutes": float("nan")},
        {"minutes": float("inf")}, {"steps": 1, "lr": 0.0}, {"steps": 1, "lr": float("nan")},
        {"steps": 1, "batch_size": 0}, {"steps": 1, "warmup": 1.0}, {"steps": 1, "clip": 0.0},
        {"steps": 1, "warmup": float("nan")}, {"steps": 1, "dropout": -0.1},
        {"steps": 1, "weight_decay": -1.0}, {"steps": 1, "optimizer": "sgd"},
        {"steps": 1, "schedule": "steep"}, {"steps": 1, "evaluations": -1},
    ],
)  # fmt: skip
def test_configurations_that_make_no_run(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        PretrainingConfig(**wrong)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_rate_rises_and_falls(schedule: Any) -> None:
    config = PretrainingConfig(steps=100, schedule=schedule)
    shares = [config.share_of_rate(step, 100, 10) for step in range(100)]
    assert shares[9] == 1.0 and max(shares) == 1.0 and min(shares) > 0
    assert (np.diff(shares[:10]) > 0).all() and (np.diff(shares[10:]) < 0).all()
    assert shares[0] == 0.1 and shares[-1] < 0.02
    half = config.share_of_rate(55, 100, 10)
    assert half == pytest.approx(0.5)
    assert config.share_of_rate(200, 100, 10) == pytest.approx(0.0, abs=1e-9)
    assert config.share_of_rate(0, 1, 1) == 1.0
