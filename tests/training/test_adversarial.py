"""The change of word vectors that raises a row's loss most."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nlpcli.batching.framing import padded
from nlpcli.training.adversarial import shifted, turn_against
from nlpcli.training.answers import SequenceObjective

from .small_bert import SPECIALS, small_model, small_rows


def batch(chosen: list[int]) -> tuple[torch.Tensor, ...]:
    made = padded(small_rows()[0], np.array(chosen), SPECIALS)
    return tuple(map(torch.from_numpy, (made.ids, made.segments, made.mask)))


def shift_of(chosen: list[int], epsilon: float) -> tuple[torch.Tensor, float, float]:
    """The shift of some rows, and their loss without and with it."""
    model, objective = small_model(), SequenceObjective(small_rows()[1])
    inputs, rows = batch(chosen), np.array(chosen)
    with shifted(model.bert, inputs[0]) as shift:
        before = objective.loss(model(*inputs), rows)
        before.backward()  # type: ignore[no-untyped-call]
        assert shift.grad is not None
        turn_against(shift, epsilon)
        after = objective.loss(model(*inputs), rows)
    assert model.bert.shift is None
    return shift.detach(), float(before.detach()), float(after.detach())


def test_each_row_moves_by_epsilon_and_its_loss_rises() -> None:
    for epsilon in (0.01, 0.1):
        shift, before, after = shift_of(list(range(20)), epsilon)
        torch.testing.assert_close(shift.flatten(1).norm(dim=1), torch.full((20,), epsilon))
        assert after > before
    assert not shift.requires_grad and shift.grad is None


def test_no_other_direction_raises_the_loss_more() -> None:
    model, objective = small_model(), SequenceObjective(small_rows()[1])
    shift, before, after = shift_of([3], 0.01)
    inputs = batch([3])
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        other = torch.randn(shift.shape, generator=generator)
        model.bert.shift = 0.01 * other / other.norm()
        assert float(objective.loss(model(*inputs), np.array([3])).detach()) < after
    model.bert.shift = -shift
    assert float(objective.loss(model(*inputs), np.array([3])).detach()) < before


@pytest.mark.parametrize("others", [[5, 9], [0, 1, 2, 7, 11]])
def test_a_row_moves_alike_in_any_company(others: list[int]) -> None:
    alone, together = shift_of([4], 0.3)[0], shift_of([4, *others], 0.3)[0]
    torch.testing.assert_close(together[0, : alone.shape[1]], alone[0], atol=1e-5, rtol=1e-4)


def test_a_row_without_a_gradient_stays() -> None:
    shift = torch.zeros(2, 3, 4, requires_grad=True)
    (shift[0] * 1e-12).sum().backward()  # type: ignore[no-untyped-call]
    turn_against(shift, 1.0)
    assert float(shift[0].norm()) == pytest.approx(1.0) and not shift[1].any()
