from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nlpcli.models import outputs, overlap, tree_outputs
from nlpcli.models.heads import TreeHead
from nlpcli.models.huffman import HuffmanTree
from nlpcli.models.row_tables import RowTable
from nlpcli.models.tree_outputs import HierarchicalSoftmax, TreePaths

from .span_case import COUNTS, HALF, Case, N, V, agrees, batch


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "LEAST", 4)


@pytest.fixture(params=[1, 3, 31])
def top(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Nodes at the top; the tree of the tests has 6."""
    monkeypatch.setattr(tree_outputs, "TOP", request.param)
    return min(V - 1, request.param)


@pytest.mark.usefixtures("top")
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


@pytest.mark.usefixtures("top")
def test_a_second_span_sees_nothing_of_the_first() -> None:
    case, other = Case(rows=V - 1), Case(rows=V - 1)
    other.pairs = 1 - other.pairs
    paths = TreePaths.of(HuffmanTree(COUNTS.tolist()))
    layer = HierarchicalSoftmax(RowTable(case.weight), N, HALF, paths)
    alone = case.learn(HierarchicalSoftmax(RowTable(case.weight), N, HALF, paths))
    other.learn(layer)
    after = case.learn(layer)
    assert torch.equal(alone.queries, after.queries)
    assert torch.equal(alone.moves.gradient, after.moves.gradient)


@pytest.mark.usefixtures("top")
def test_curvature_counts_every_choice() -> None:
    """The sums that RowMoves names."""
    case, tree = Case(rows=V - 1), HuffmanTree(COUNTS.tolist())
    learnt = case.learn(HierarchicalSoftmax(RowTable(case.weight), N, HALF, TreePaths.of(tree)))
    bounds, query = torch.zeros(V - 1), torch.zeros(N)
    chances = torch.sigmoid(case.queries @ case.weight.T)
    indptr, rows, turns = tree.paths()
    for i, word in case.entries():
        for at in range(int(indptr[word]), int(indptr[word + 1])):
            row = int(rows[at])
            size = abs(float(turns[at]) - chances[i, row])
            bounds[row] += size * case.queries[i].square().sum()
            query[i] += size * case.weight[row].square().sum()
    found = torch.zeros(V - 1).index_add_(0, learnt.moves.rows.long(), learnt.moves.curvature)
    assert torch.allclose(found, bounds, rtol=1e-4)
    assert torch.allclose(learnt.curvature, query, rtol=1e-4)


def test_paths_hold_every_choice(top: int) -> None:
    tree = HuffmanTree(COUNTS.tolist())
    paths, (indptr, rows, turns) = TreePaths.of(tree), tree.paths()
    for word in range(V):
        at = slice(int(indptr[word]), int(indptr[word + 1]))
        choices = dict(zip(rows[at].tolist(), turns[at].tolist(), strict=True))
        below = slice(int(paths.begins[word]), int(paths.begins[word] + paths.sizes[word]))
        found = dict(zip(paths.nodes[below].tolist(), paths.turns[below].tolist(), strict=True))
        right, met = paths.choices[paths.exits[word]].reshape(2, top)
        for node in np.flatnonzero(met).tolist():
            found[V - 1 - top + node] = float(right[node])
        assert found == choices and not right[met == 0].any()
