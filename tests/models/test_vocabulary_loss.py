"""The loss over a vocabulary in slices against torch's cross entropy."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nlpcli.models import vocabulary_loss as module
from nlpcli.models.vocabulary_loss import slice_rows, vocabulary_loss, vocabulary_scores

V, D = 40, 6


def made(rows: int, dtype: torch.dtype, scale: float = 1.0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(rows)
    shapes = ((rows, D), (V, D), (V,))
    floats = [
        (scale * torch.randn(shape, generator=generator, dtype=dtype)).requires_grad_()
        for shape in shapes
    ]
    return *floats, torch.randint(0, V, (rows,), generator=generator)


def plain(hidden: Tensor, table: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(hidden @ table.t() + bias, targets, reduction="sum")


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_NUMBERS", 16 * V)


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [0, 1, 15, 16, 17, 32, 50])
def test_it_is_cross_entropy(rows: int, dtype: torch.dtype) -> None:
    assert slice_rows(torch.empty(V, D)) == 16
    found = []
    for compute in (plain, vocabulary_loss):
        inputs = made(rows, dtype)
        loss = compute(*inputs)
        (0.25 * loss).backward()
        found.append([loss.detach().to(torch.float32), *(part.grad for part in inputs[:3])])
    for one, other in zip(*found, strict=True):
        assert one is not None and other is not None and one.dtype == other.dtype
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("small_slices")
def test_in_double_precision_gradients_are_exact() -> None:
    inputs = made(37, torch.float64)
    plain(*inputs).backward()
    wanted = [part.grad for part in inputs[:2]]
    again = made(37, torch.float64)
    vocabulary_loss(*again).backward()
    for one, other in zip(wanted, (part.grad for part in again[:2]), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)


def test_a_table_of_two_losses_gets_both_gradients() -> None:
    hidden, table, bias, targets = made(20, torch.float32)
    twice = made(20, torch.float32)
    (plain(hidden, table, bias, targets) + plain(hidden.flip(0), table, bias, targets)).backward()
    loss = vocabulary_loss(*twice) + vocabulary_loss(twice[0].flip(0), *twice[1:])
    loss.backward()
    for one, other in zip((hidden, table, bias), twice[:3], strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-5, atol=1e-5)


def test_certain_and_hopeless_targets_stay_finite() -> None:
    hidden, table, bias, targets = made(30, torch.float32, scale=30.0)
    loss = vocabulary_loss(hidden, table, bias, targets)
    loss.backward()
    assert loss.isfinite() and loss > 0
    for part in (hidden, table, bias):
        assert part.grad is not None and part.grad.isfinite().all()
    inputs = made(30, torch.float32, scale=30.0)
    plain(*inputs).backward()
    torch.testing.assert_close(hidden.grad, inputs[0].grad, rtol=1e-3, atol=1e-3)


def test_what_is_not_a_number_is_not_hidden() -> None:
    hidden, table, bias, targets = made(3, torch.float32)
    with torch.no_grad():
        hidden[1, 0] = torch.nan
    loss = vocabulary_loss(hidden, table, bias, targets)
    loss.backward()
    assert hidden.grad is not None and hidden.grad[1].isnan().all()
    assert not hidden.grad[0].isnan().any() and not loss.isfinite()


def test_it_can_be_gone_back_through_once() -> None:
    loss = vocabulary_loss(*made(3, torch.float32))
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError):
        loss.backward()


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("rows", [0, 1, 16, 33])
def test_scores_are_losses_of_each_and_hits(rows: int) -> None:
    inputs = made(rows, torch.float32)
    losses, right = vocabulary_scores(*inputs)
    logits = inputs[0] @ inputs[1].t() + inputs[2]
    wanted = functional.cross_entropy(logits, inputs[3], reduction="none")
    torch.testing.assert_close(losses, wanted.detach(), rtol=1e-5, atol=1e-5)
    assert right.dtype == torch.bool and torch.equal(right, logits.argmax(1) == inputs[3])
    inputs[3][:] = logits.argmax(1)
    assert vocabulary_scores(*inputs)[1].all()


def test_bf16_is_near() -> None:
    exact, rough = made(64, torch.float32, 0.3), made(64, torch.float32, 0.3)
    vocabulary_loss(*exact).backward()
    halves = [part.detach().to(torch.bfloat16).requires_grad_() for part in rough[:3]]
    loss = vocabulary_loss(*halves, rough[3])
    loss.backward()
    assert loss.dtype == torch.float32
    assert abs(loss.item() / vocabulary_loss(*exact).item() - 1) < 0.01
    for one, other in zip(exact[:3], halves, strict=True):
        assert one.grad is not None and other.grad is not None
        away = (other.grad.float() - one.grad).norm() / one.grad.norm()
        assert away < 0.02
