from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nlpcli.batching.labels import LabelBatch
from nlpcli.models import outputs, overlap
from nlpcli.models.heads import TreeHead
from nlpcli.models.huffman import HuffmanTree
from nlpcli.models.row_tables import RowTable
from nlpcli.models.span_outputs import (
    HierarchicalSoftmax,
    NegativeSampling,
    Softmax,
    SpanLearnt,
    SpanOutput,
    TreePaths,
)

N, D, V, HALF = 8, 3, 7, 2
COUNTS = np.array([30, 20, 9, 8, 5, 2, 1])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "LEAST", 4)


class Case:
    """A span of made-up numbers."""

    def __init__(self, half: int = HALF, rows: int = V) -> None:
        draw = torch.Generator().manual_seed(half)
        self.queries = torch.randn(N, D, generator=draw)
        self.weight = torch.randn(rows, D, generator=draw)
        self.targets = torch.randint(0, V, (N + 2 * half,), generator=draw, dtype=torch.int32)
        self.pairs = (torch.rand(N, 2 * half + 1, generator=draw) < 0.6).float()
        self.noise = torch.randint(0, V, (2, 3), generator=draw, dtype=torch.int32)

    def entries(self) -> list[tuple[int, int]]:
        """Query and word of each true pair."""
        return [(i, int(self.targets[i + o])) for i, o in self.pairs.nonzero().tolist()]

    def learn(self, layer: SpanOutput) -> SpanLearnt:
        return layer.learn(self.queries, self.targets, self.pairs, self.noise, measured=True)


def moved(learnt: SpanLearnt, rows: int) -> Tensor:
    """The gradient of each row of the table."""
    found = torch.zeros(rows, D)
    return found.index_add_(0, learnt.moves.rows.long(), learnt.moves.gradient)


def agrees(learnt: SpanLearnt, case: Case, loss: Tensor, queries: Tensor, weight: Tensor) -> None:
    """With automatic differentiation of the loss."""
    down = torch.autograd.grad(loss, [queries, weight])
    assert learnt.loss == pytest.approx(float(loss.detach()), rel=1e-5)
    assert torch.allclose(learnt.queries, -down[0], atol=1e-5)
    assert torch.allclose(moved(learnt, len(weight)), -down[1], atol=1e-5)


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
def test_the_tree_is_that_of_the_other_output_layer(half: int) -> None:
    case = Case(half, rows=V - 1)
    tree = HuffmanTree(COUNTS.tolist())
    paths = TreePaths.of(tree)
    learnt = case.learn(HierarchicalSoftmax(RowTable(case.weight), N, half, paths))
    queries, weight = (t.clone().requires_grad_() for t in (case.queries, case.weight))
    indptr, rows, turns = tree.paths()
    loss = torch.zeros(())
    for i, word in case.entries():
        at = slice(int(indptr[word]), int(indptr[word + 1]))
        scores = weight[torch.from_numpy(rows[at])] @ queries[i]
        truth = torch.from_numpy(turns[at])
        loss = loss + F.binary_cross_entropy_with_logits(scores, truth, reduction="sum")
    agrees(learnt, case, loss, queries, weight)
    plain = outputs.HierarchicalSoftmax(case.weight, torch.zeros(V - 1), TreeHead(COUNTS))
    same = plain.learn(case.queries, batch(case))
    assert learnt.loss == pytest.approx(float(same.loss), rel=1e-5)
    assert torch.allclose(learnt.queries, -same.hidden, atol=1e-5)


def batch(case: Case) -> LabelBatch:
    """The pairs as the other output layers take them, each with a share of 1."""
    texts, ids = (torch.tensor(part) for part in zip(*case.entries(), strict=True))
    importance = torch.bincount(texts, minlength=N).float()
    return LabelBatch(N, V, ids, texts, importance)


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


def test_paths_hold_every_choice() -> None:
    tree = HuffmanTree([5, 3, 1])
    paths = TreePaths.of(tree)
    indptr, rows, turns = tree.paths()
    assert paths.begins.tolist() == indptr[:-1].tolist()
    assert paths.sizes.tolist() == np.diff(indptr).tolist()
    assert paths.nodes.tolist() == rows.tolist() and paths.turns.tolist() == turns.tolist()
