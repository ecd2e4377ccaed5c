from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nlpcli.models import outputs, overlap
from nlpcli.models.row_tables import RowTable
from nlpcli.models.span_outputs import (
    NegativeSampling,
    Softmax,
)

from .span_case import COUNTS, HALF, Case, N, V, agrees, batch, moved


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "LEAST", 4)


@pytest.mark.parametrize("half", [0, 2])
@pytest.mark.parametrize("nce", [False, True])
def test_negative_sampling_is_the_gradient_of_its_loss(half: int, nce: bool) -> None:
    case = Case(half)
    shares = torch.from_numpy(COUNTS / COUNTS.sum()).float()
    correction = torch.log(5 * shares) if nce else None
    layer = NegativeSampling(
        RowTable(case.weight), N, half, negatives=5, pool=(4, 3), correction=correction
    )
    learnt = case.learn(layer)
    queries, weight = (t.clone().requires_grad_() for t in (case.queries, case.weight))
    scores = queries @ weight.T - (correction if correction is not None else 0)
    loss = torch.zeros(())
    for i, word in case.entries():
        loss = loss - F.logsigmoid(scores[i, word])
        for noise in case.noise[i // 4].tolist():  # 3 words stand for 5 draws
            loss = loss - 5 / 3 * F.logsigmoid(-scores[i, noise])
    agrees(learnt, case, loss, queries, weight)


def test_a_second_span_sees_nothing_of_the_first() -> None:
    layer = NegativeSampling(RowTable(Case().weight), N, HALF, negatives=5, pool=(4, 3))
    first, other = Case(), Case()
    other.pairs = 1 - other.pairs
    once = moved(Case().learn(layer), V)
    other.learn(layer)
    assert torch.equal(moved(first.learn(layer), V), once)


@pytest.mark.parametrize("half", [0, 2])
def test_softmax_is_that_of_the_other_output_layer(half: int) -> None:
    case = Case(half)
    learnt = case.learn(Softmax(RowTable(case.weight), N, half))
    queries, weight = (t.clone().requires_grad_() for t in (case.queries, case.weight))
    log_p = F.log_softmax(queries @ weight.T, dim=1)
    loss = -sum(log_p[i, word] for i, word in case.entries())
    assert isinstance(loss, Tensor)
    agrees(learnt, case, loss, queries, weight)
    same = outputs.Softmax(case.weight, torch.zeros(V)).learn(case.queries, batch(case))
    assert learnt.loss == pytest.approx(float(same.loss), rel=1e-5)


def test_curvature_bounds_how_far_a_row_may_go() -> None:
    """The sums over the terms of a row or query that its docstring names."""
    case = Case()
    layer = NegativeSampling(RowTable(case.weight), N, HALF, negatives=5, pool=(4, 3))
    learnt = case.learn(layer)
    bounds, query = torch.zeros(V), torch.zeros(N)
    scores = torch.sigmoid(case.queries @ case.weight.T)
    for i, word in case.entries():
        terms = [(word, 1 - scores[i, word])]
        terms += [(n, 5 / 3 * scores[i, n]) for n in case.noise[i // 4].tolist()]
        for row, size in terms:
            bounds[row] += size * case.queries[i].square().sum()
            query[i] += size * case.weight[row].square().sum()
    found = torch.zeros(V).index_add_(0, learnt.moves.rows.long(), learnt.moves.curvature)
    assert torch.allclose(found, bounds, rtol=1e-4)
    assert torch.allclose(learnt.curvature, query, rtol=1e-4)
