"""Dropout by bytes: how much goes, and that what stays makes up for it."""

import pytest
import torch

from nlpcli.models.dropout import dropout, kept


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_as_much_goes_as_was_asked_for(p: float) -> None:
    torch.manual_seed(3)
    stays, scale = kept((400, 501), p)
    assert stays.float().mean().item() == pytest.approx(1 / scale, abs=4e-3)
    assert 1 / scale == pytest.approx(1 - p, abs=1 / 512)
    columns = stays.float().mean(dim=0)  # no byte of a word is drawn otherwise
    assert columns.std().item() < 2 * (p * (1 - p) / 400) ** 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_stay_the_same_on_average(dtype: torch.dtype) -> None:
    torch.manual_seed(4)
    x = torch.ones(3, 7, 5000, dtype=dtype, requires_grad=True)
    out = dropout(x, 0.1)
    assert out.float().mean().item() == pytest.approx(1, abs=0.01)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None and torch.equal(x.grad, out.detach())


def test_one_seed_is_one_draw_and_none_is_none() -> None:
    x = torch.randn(4, 9)
    assert dropout(x, 0.0) is x
    torch.manual_seed(5)
    one = dropout(x, 0.3)
    torch.manual_seed(5)
    assert torch.equal(one, dropout(x, 0.3))
