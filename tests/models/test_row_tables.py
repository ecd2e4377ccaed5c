from __future__ import annotations

import numpy as np
import pytest
import torch

from nlpcli.models import row_tables
from nlpcli.models.row_tables import RowMoves, RowTable


def moves(seed: int, *, bags: bool) -> RowMoves:
    generator = torch.Generator().manual_seed(seed)
    gradient = torch.randn(6, 3, generator=generator)
    curvature = torch.rand(6, generator=generator)
    if not bags:
        return RowMoves(torch.tensor([0, 2, 2, 4, 1, 2], dtype=torch.int32), gradient, curvature)
    rows = torch.tensor([0, 1, 2, 2, 4, 0, 3], dtype=torch.int32)
    indptr = torch.tensor([0, 2, 2, 3, 4, 6, 7], dtype=torch.int32)
    return RowMoves(rows, gradient, curvature, indptr)


def expected(weight: torch.Tensor, steps: list[RowMoves], rate: float) -> torch.Tensor:
    """Row by row, as the docstring says."""
    total, stiff = torch.zeros_like(weight), torch.zeros(len(weight))
    for step in steps:
        indptr = range(7) if step.indptr is None else step.indptr.tolist()
        for i in range(6):
            for row in step.rows[indptr[i] : indptr[i + 1]].tolist():
                total[row] += step.gradient[i]
                stiff[row] += step.curvature[i]
    return weight + total * (rate / (rate * stiff / row_tables.STIFFEST).clamp(min=1))[:, None]


@pytest.mark.parametrize("bags", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("rate", [0.1, 20.0])
def test_rows_move_by_the_sum_of_their_gradients(bags: bool, parts: int, rate: float) -> None:
    table = RowTable(torch.randn(5, 3, generator=torch.Generator().manual_seed(9)))
    steps = [moves(1, bags=bags), moves(2, bags=bags)]
    wanted = expected(table.weight.clone(), steps, rate)
    for part in range(parts):
        table.move(steps, rate, part, parts)
    assert torch.allclose(table.weight, wanted, atol=1e-5)
    again = table.weight.clone()
    table.move(steps, 0.0)  # sums of curvatures are not carried over
    assert torch.equal(table.weight, again)


def test_stiff_rows_are_held_back() -> None:
    step = RowMoves(torch.tensor([0, 1], dtype=torch.int32), torch.ones(2, 1),
                    torch.tensor([400.0, 1.0]))  # fmt: skip
    table = RowTable(torch.zeros(2, 1))
    table.move([step], 0.1)
    assert table.weight[:, 0].tolist() == pytest.approx([row_tables.STIFFEST / 400, 0.1])


@pytest.mark.parametrize("bags", [False, True])
def test_the_way_of_other_devices_moves_as_the_kernels_do(bags: bool) -> None:
    weight = torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    one, other = RowTable(weight.clone()), RowTable(weight.clone())
    one.move([moves(1, bags=bags)], 2.0)
    other._move(moves(1, bags=bags), 2.0)
    assert torch.allclose(one.weight, other.weight, atol=1e-6)


def test_rows_are_taken() -> None:
    table = RowTable(torch.arange(6.0).view(3, 2))
    out = torch.empty(2, 2)
    assert table.take(torch.tensor([2, 0], dtype=torch.int32), out) is out
    assert np.array_equal(out.numpy(), [[4, 5], [0, 1]])
