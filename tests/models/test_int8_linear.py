"""Products of bytes against products of numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nlpcli.models.int8_linear import ROW_LEVELS, WEIGHT_LEVELS, Int8Linear
from nlpcli.models.layers import Linear, linear
from nlpcli.training.precision import has_fast_int8

pytestmark = pytest.mark.skipif(
    not has_fast_int8(torch.device("cpu")), reason="this processor has no products of bytes"
)


def filled(n_in: int, n_out: int, seed: int = 1) -> Linear:
    generator = torch.Generator().manual_seed(seed)
    layer = linear(n_in, n_out).requires_grad_(False)
    layer.weight.normal_(0, 0.3, generator=generator)
    layer.bias.normal_(0, 1, generator=generator)
    return layer


def drawn(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(
    st.integers(1, 40), st.integers(1, 70), st.integers(1, 70),
    st.sampled_from([torch.float32, torch.bfloat16]), st.integers(0, 99),
)  # fmt: skip
def test_what_the_levels_can_say_is_said_exactly(
    n: int, n_in: int, n_out: int, precision: torch.dtype, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-ROW_LEVELS, ROW_LEVELS + 1, (n, n_in))
    weight = rng.integers(-WEIGHT_LEVELS, WEIGHT_LEVELS + 1, (n_out, n_in))
    rows[:, 0], weight[:, 0] = ROW_LEVELS, WEIGHT_LEVELS  # so that a level is worth 1
    layer = filled(n_in, n_out)
    layer.weight.copy_(torch.from_numpy(weight))
    found = Int8Linear(layer)(torch.from_numpy(rows).to(precision)).double()
    wanted = torch.from_numpy(rows @ weight.T) + layer.bias.double()
    bound = {torch.float32: 1e-6, torch.bfloat16: 0.01}[precision]
    assert float(((found - wanted).abs() / (wanted.abs() + 1)).max()) <= bound


@pytest.mark.parametrize(("precision", "bound"), [(torch.float32, 0.02), (torch.bfloat16, 0.025)])
def test_it_is_near_the_products_of_numbers(precision: torch.dtype, bound: float) -> None:
    layer, x = filled(96, 80), drawn(5, 7, 96).to(precision)
    found = Int8Linear(layer).to(precision)(x)
    wanted = layer(x.float())
    assert found.shape == (5, 7, 80) and found.dtype == precision
    assert float((found.float() - wanted).norm() / wanted.norm()) < bound


def test_one_huge_number_spoils_its_own_row_alone() -> None:
    layer, x = filled(64, 32), drawn(6, 64)
    wanted = Int8Linear(layer)(x)
    x[2, 5] = 3e4
    found = Int8Linear(layer)(x)
    assert torch.equal(found[[0, 1, 3, 4, 5]], wanted[[0, 1, 3, 4, 5]])
    assert not torch.equal(found[2], wanted[2])


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_row_does_not_hang_on_its_company(precision: torch.dtype) -> None:
    quick, x = Int8Linear(filled(48, 40)).to(precision), drawn(33, 48).to(precision)
    whole = quick(x)
    for row in (0, 1, 17, 32):
        assert torch.equal(quick(x[row : row + 1])[0], whole[row])


def test_a_part_is_a_part_of_the_whole() -> None:
    layer, x = filled(24, 30), drawn(4, 24)
    quick = Int8Linear(layer)
    for each in (layer, quick):
        torch.testing.assert_close(each.part(x, 10, 30), each(x)[:, 10:])
        torch.testing.assert_close(each.part(x, 0, 10), each(x)[:, :10])


def test_rows_and_weights_of_zeros_say_the_bias() -> None:
    layer = filled(16, 4)
    assert torch.equal(Int8Linear(layer)(torch.zeros(3, 16)), layer.bias.expand(3, 4))
    layer.weight[1] = 0
    assert torch.equal(Int8Linear(layer)(drawn(3, 16))[:, 1], layer.bias[1].expand(3))


def test_what_is_no_number_stays_none() -> None:
    x = drawn(3, 16)
    x[1, 4] = torch.nan
    x[2, 4] = torch.inf
    found = Int8Linear(filled(16, 4))(x)
    assert found[0].isfinite().all() and not found[1:].isfinite().any()
