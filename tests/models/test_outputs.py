from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor

from nlpcli.batching.labels import LabelBatch, LabelSets
from nlpcli.models.heads import ClusterHead, TreeHead
from nlpcli.models.outputs import (
    AdaptiveSoftmax,
    HierarchicalSoftmax,
    Learnt,
    NegativeSampling,
    OneVsAll,
    OutputLayer,
    Softmax,
)

K, D = 12, 5
NAMES = [f"l{i}" for i in range(K)]
ROWS = [("l0",), ("l3", "l7"), ("l11",), (), ("l0",), ("l2", "l3", "l4")]
CLUSTERS = np.array([0] * 4 + [1] * 3 + [2] * 5)
Tensors = tuple[Tensor, Tensor, Tensor]
COUNTS = np.array([50, 20, 9, 9, 7, 5, 4, 4, 3, 2, 1, 0.0])


def _batch(importance: bool = False) -> LabelBatch:
    weights = torch.tensor([1.0, 0.5, 2.0, 3.0, 0.0, 1.0]) if importance else None
    return LabelSets.of(ROWS, NAMES).chosen(np.arange(len(ROWS)), weights)


def _tensors(n_rows: int) -> Tensors:
    generator = torch.Generator().manual_seed(5)
    return tuple(  # type: ignore[return-value]
        torch.empty(shape).normal_(generator=generator).requires_grad_()
        for shape in ((n_rows, D), (n_rows,), (len(ROWS), D))
    )


def _dense(learnt: Learnt, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    rows, biases = torch.zeros_like(weight), torch.zeros_like(bias)
    for part in learnt.rows:
        rows[part.rows] += part.weight
        biases[part.rows] += part.bias
    return rows, biases


def _check(layer: OutputLayer, loss: Tensor, tensors: Tensors, batch: LabelBatch) -> None:
    weight, bias, hidden = tensors
    with torch.no_grad():
        learnt = layer.learn(hidden.detach(), batch)
    wanted = torch.autograd.grad(loss, tensors)
    rows, biases = _dense(learnt, weight.detach(), bias.detach())
    assert torch.allclose(learnt.loss, loss, atol=1e-5)
    assert torch.allclose(rows, wanted[0], atol=1e-5)
    assert torch.allclose(biases, wanted[1], atol=1e-5)
    assert torch.allclose(learnt.hidden, wanted[2], atol=1e-5)


def _head_loss(
    head: TreeHead | ClusterHead,
    tensors: Tensors,
    batch: LabelBatch,
) -> Tensor:
    """From the labels' log-probabilities, by finite sums over the head's own definition."""
    weight, bias, hidden = tensors
    scores = (hidden @ weight.T + bias).double()
    if isinstance(head, TreeHead):
        indptr, rows, turns = map(torch.from_numpy, head.tree.paths())
        log_p = torch.zeros(len(ROWS), K, dtype=torch.double)
        columns = []
        leaf = {int(label): i for i, label in enumerate(head.order)}
        for label in range(K):
            way = slice(int(indptr[leaf[label]]), int(indptr[leaf[label] + 1]))
            signs = turns[way].double() * 2 - 1
            columns.append(functional.logsigmoid(signs * scores[:, rows[way]]).sum(1))
        log_p = torch.stack(columns, 1)
    else:
        first = torch.log_softmax(scores[:, : head.n_first], 1)
        columns = []
        for label in range(K):
            column = first[:, int(head.first_row[label])]
            if head.structure[label]:
                block = head.tails[int(head.structure[label]) - 1]
                tail = torch.log_softmax(scores[:, block], 1)
                column = column + tail[:, int(head.row[label]) - block.start]
            columns.append(column)
        log_p = torch.stack(columns, 1)
    assert np.allclose(log_p.detach().numpy(), head.logits(scores.detach().numpy()), atol=1e-9)
    return -(batch.shares * log_p[batch.texts, batch.ids]).sum().float()


@pytest.mark.parametrize("importance", [False, True])
@pytest.mark.parametrize("head", [TreeHead(COUNTS), ClusterHead(CLUSTERS)])
def test_gradients_of_heads_are_those_autograd_finds(
    head: TreeHead | ClusterHead, importance: bool
) -> None:
    batch, tensors = _batch(importance), _tensors(head.n_rows)
    weight, bias = (t.detach() for t in tensors[:2])
    layer: OutputLayer = (
        HierarchicalSoftmax(weight, bias, head)
        if isinstance(head, TreeHead)
        else AdaptiveSoftmax(weight, bias, head)
    )
    _check(layer, _head_loss(head, tensors, batch), tensors, batch)


@pytest.mark.parametrize("importance", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_of_softmax(smoothing: float, importance: bool) -> None:
    batch, tensors = _batch(importance), _tensors(K)
    weight, bias, hidden = tensors
    shift = torch.linspace(-1, 1, K)
    log_p = torch.log_softmax(hidden @ weight.T + bias + shift, 1)
    mass = torch.zeros(len(ROWS)).index_add_(0, batch.texts, batch.shares)
    even = smoothing / K * (mass[:, None] * log_p).sum()
    loss = -((1 - smoothing) * (batch.shares * log_p[batch.texts, batch.ids]).sum() + even)
    layer = Softmax(weight.detach(), bias.detach(), shift, smoothing)
    _check(layer, loss, tensors, batch)


@pytest.mark.parametrize("importance", [False, True])
def test_gradients_of_one_vs_all(importance: bool) -> None:
    batch, tensors = _batch(importance), _tensors(K)
    weight, bias, hidden = tensors
    losses = functional.binary_cross_entropy_with_logits(
        hidden @ weight.T + bias, batch.targets, reduction="none"
    )
    scale = torch.ones(len(ROWS)) if batch.importance is None else batch.importance
    layer = OneVsAll(weight.detach(), bias.detach())
    _check(layer, (losses * scale[:, None]).sum(), tensors, batch)


def _sampling(seed: int = 1, correct: bool = True) -> tuple[NegativeSampling, Tensor]:
    weight, bias, hidden = (t.detach().clone() for t in _tensors(K))
    counts = torch.from_numpy(COUNTS)
    layer = NegativeSampling(weight, bias, counts, negatives=4, seed=seed, correct=correct)
    return layer, hidden


@pytest.mark.parametrize("correct", [False, True])
def test_gradients_of_negative_sampling(correct: bool) -> None:
    batch = _batch(importance=True)
    layer, hidden = _sampling(correct=correct)
    drawn = _sampling(correct=correct)[0]._draw(len(batch.ids))
    weight, bias = layer.weight.clone().requires_grad_(), layer.bias.clone().requires_grad_()
    hidden.requires_grad_()
    noise = torch.from_numpy(COUNTS).clamp(min=0.5).sqrt()
    expected = torch.log(4 * noise / noise.sum()).float() * correct
    scores = hidden @ weight.T + bias - expected
    loss = torch.zeros(())
    for i, (text, label) in enumerate(zip(batch.texts.tolist(), batch.ids.tolist(), strict=True)):
        share = batch.shares[i]
        loss = loss - share * functional.logsigmoid(scores[text, label])
        for other in drawn[i].tolist():
            if correct or other != label:
                loss = loss - share * functional.logsigmoid(-scores[text, other])
    _check(layer, loss, (weight, bias, hidden), batch)


def test_draws_follow_the_noise_and_are_the_same_again() -> None:
    layer, _ = _sampling()
    first, second = layer._draw(4000), layer._draw(4000)
    assert not torch.equal(first, second)
    again, _ = _sampling()
    again.memory()["draws"].copy_(torch.tensor([1]))
    assert torch.equal(again._draw(4000), second)
    noise = np.sqrt(np.maximum(COUNTS, 0.5))
    share = np.bincount(first.ravel().numpy(), minlength=K) / first.numel()
    assert np.abs(share - noise / noise.sum()).max() < 0.02


def _distribution(make: Callable[[Tensor, Tensor], OutputLayer], n_rows: int) -> np.ndarray:
    """Scores [1, R] after learning the share of labels from one constant hidden vector."""
    weight, bias = torch.zeros(n_rows, D), torch.zeros(n_rows)
    layer = make(weight, bias)
    labels = np.repeat(np.arange(K), 3 * np.maximum(COUNTS, 1).astype(int))
    sets = LabelSets(np.arange(len(labels) + 1), labels, K)
    batch = sets.chosen(np.arange(len(labels)))
    for step in range(900):
        learnt = layer.learn(torch.zeros(len(labels), D), batch)
        for part in learnt.rows:
            bias[part.rows] -= (8 if step < 600 else 1) * part.bias / len(labels)
    return bias[None].double().numpy()


def _noise(weight: Tensor, bias: Tensor) -> NegativeSampling:
    return NegativeSampling(weight, bias, torch.from_numpy(COUNTS), negatives=5, seed=1)


def test_all_layers_find_the_shares_of_the_labels() -> None:
    counts = np.maximum(COUNTS, 1)
    wanted = counts / counts.sum()
    tree, clusters = TreeHead(COUNTS), ClusterHead(CLUSTERS)
    with torch.no_grad():
        by_tree = _distribution(lambda w, b: HierarchicalSoftmax(w, b, tree), K - 1)
        by_cluster = _distribution(lambda w, b: AdaptiveSoftmax(w, b, clusters), clusters.n_rows)
        found = {
            "hs": tree.logits(by_tree),
            "adaptive": clusters.logits(by_cluster),
            "softmax": _distribution(Softmax, K),
            "ns": _distribution(_noise, K),
        }
    for name, logits in found.items():
        p = np.exp(logits[0]) / np.exp(logits[0]).sum()
        assert np.abs(p - wanted).max() < (0.03 if name == "ns" else 0.005), name
