"""Rows that move lazily, against torch's AdamW where nothing is lazy."""

from __future__ import annotations

import pytest
import torch

from nlpcli.training.encoder_optimizers import BETAS, EPSILON
from nlpcli.training.lazy_rows import LazyRows


def gradients(steps: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(5, 4, generator=generator) for _ in range(steps)]


def test_rows_that_occur_in_each_step_move_as_by_adamw() -> None:
    start = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    wanted = start.clone().requires_grad_(True)
    adamw = torch.optim.AdamW([wanted], lr=1.0, betas=BETAS, eps=EPSILON, weight_decay=0.0)
    lazy = LazyRows(start.clone())
    for step, gradient in enumerate(gradients(20)):
        rate = 0.1 / (step + 1)
        for group in adamw.param_groups:
            group["lr"] = rate
        wanted.grad = gradient.clone()
        adamw.step()
        order = torch.randperm(5, generator=torch.Generator().manual_seed(step))
        lazy.step(order, gradient[order], rate)
    torch.testing.assert_close(lazy.table, wanted.detach(), rtol=0, atol=2e-6)


def test_a_row_counts_its_own_steps_and_others_stay() -> None:
    start = torch.ones(5, 4)
    lazy, alone = LazyRows(start.clone()), LazyRows(start[2:3].clone())
    for step, gradient in enumerate(gradients(6)):
        if step % 2:
            lazy.step(torch.tensor([4]), gradient[4:], 0.1)
        else:
            lazy.step(torch.tensor([2]), gradient[2:3], 0.1)
            alone.step(torch.tensor([0]), gradient[2:3], 0.1)
    assert torch.equal(lazy.table[2], alone.table[0])
    assert torch.equal(lazy.table[[0, 1, 3]], start[[0, 1, 3]])
    assert not torch.equal(lazy.table[4], start[4])


def test_a_state_in_the_middle() -> None:
    whole, half = LazyRows(torch.zeros(5, 4)), LazyRows(torch.zeros(5, 4))
    steps = [(torch.tensor([i % 5, (i + 2) % 5]), g[:2]) for i, g in enumerate(gradients(8))]
    for rows, gradient in steps[:4]:
        whole.step(rows, gradient, 0.1)
        half.step(rows, gradient, 0.1)
    again = LazyRows(half.table.clone())
    again.load({name: array.copy() for name, array in half.state().items()})
    for rows, gradient in steps[4:]:
        whole.step(rows, gradient, 0.1)
        again.step(rows, gradient, 0.1)
    assert torch.equal(whole.table, again.table)
    with pytest.raises(ValueError, match="shape"):
        LazyRows(torch.zeros(6, 4)).load(half.state())
