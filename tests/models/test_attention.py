"""Attention by products against torch's own, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nlpcli.models import attention
from nlpcli.models.attention import attend


def fused(qkv: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    batch, time, width = qkv.shape
    query, key, value = (
        part.view(batch, time, heads, -1).transpose(1, 2) for part in qkv.chunk(3, dim=2)
    )
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return mixed.transpose(1, 2).reshape(batch, time, width // 3)


def drawn(batch: int, time: int, hidden: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(batch * 100 + time)
    made = torch.randn(batch, time, 3 * hidden, generator=generator, dtype=dtype)
    return made.requires_grad_()


def mask_of(*lengths: int, time: int) -> Tensor:
    return (torch.arange(time) < torch.tensor(lengths)[:, None])[:, None, None, :]


CASES = [(1, 1, 8, 1), (1, 5, 8, 1), (2, 7, 12, 3), (3, 16, 8, 8), (2, 9, 6, 1), (1, 4, 16, 4)]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("batch", "time", "hidden", "heads"), CASES)
def test_it_is_the_fused_kernels(
    batch: int, time: int, hidden: int, heads: int, masked: bool
) -> None:
    mask = mask_of(*range(1, batch + 1), time=time) if masked else None
    given = torch.randn(batch, time, hidden, dtype=torch.float64)
    found = []
    for compute in (fused, lambda *a: attend(*a, 0.0)):
        qkv = drawn(batch, time, hidden)
        mixed = compute(qkv, heads, mask)
        mixed.backward(given)
        assert qkv.grad is not None and qkv.grad.shape == qkv.shape
        found.append((mixed.detach(), qkv.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_differences(masked: bool) -> None:
    mask = mask_of(4, 2, time=4) if masked else None
    assert torch.autograd.gradcheck(lambda qkv: attend(qkv, 2, mask, 0.0), (drawn(2, 4, 4),))


def test_what_is_masked_neither_speaks_nor_learns() -> None:
    mask = mask_of(3, 6, time=6)
    one = drawn(2, 6, 8)
    other = one.detach().clone()
    other[0, 3:] = 1e6
    other.requires_grad_()
    mixed, moved = attend(one, 2, mask, 0.0), attend(other, 2, mask, 0.0)
    assert torch.equal(mixed[0, :3], moved[0, :3]) and torch.equal(mixed[1], moved[1])
    mixed[0, :3].sum().backward()
    assert one.grad is not None
    assert not one.grad[0, 3:].any() and not one.grad[1].any() and one.grad[0, :3].any()


def test_large_scores_stay_finite() -> None:
    qkv = (drawn(1, 8, 8).detach() * 1e4).requires_grad_()
    attend(qkv, 2, None, 0.0).sum().backward()
    assert qkv.grad is not None and qkv.grad.isfinite().all()


def test_bf16_is_near() -> None:
    qkv = drawn(2, 32, 16, torch.float32)
    exact = attend(qkv, 4, None, 0.0)
    rough = attend(qkv.to(torch.bfloat16), 4, None, 0.0)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, rtol=0, atol=0.03)


def test_a_frozen_or_sliced_input_is_fine() -> None:
    qkv = drawn(2, 5, 8)
    with torch.no_grad():
        frozen = attend(qkv, 2, None, 0.0)
    assert not frozen.requires_grad and torch.equal(frozen, attend(qkv, 2, None, 0.0))
    rows = drawn(4, 5, 8)
    half = attend(rows[1:3], 2, mask_of(5, 1, time=5), 0.0)
    torch.testing.assert_close(half, fused(rows[1:3], 2, mask_of(5, 1, time=5)))


def test_long_rows_and_dropout_go_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    qkv, mask = drawn(2, 6, 8), mask_of(6, 3, time=6)
    by_products = attend(qkv, 2, mask, 0.0)
    monkeypatch.setattr(attention, "LONGEST_PRODUCT", 5)
    torch.testing.assert_close(attend(qkv, 2, mask, 0.0), by_products)
    torch.manual_seed(0)
    dropped = attend(qkv, 2, mask, 0.5)
    assert not torch.allclose(dropped, by_products) and dropped.isfinite().all()
