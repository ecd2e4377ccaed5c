"""A small span for tests of output layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nlpcli.batching.labels import LabelBatch
from nlpcli.models.span_outputs import SpanLearnt, SpanOutput

N, D, V, HALF = 8, 3, 7, 2
COUNTS = np.array([30, 20, 9, 8, 5, 2, 1])


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


def batch(case: Case) -> LabelBatch:
    """The pairs as the other output layers take them, each with a share of 1."""
    texts, ids = (torch.tensor(part) for part in zip(*case.entries(), strict=True))
    importance = torch.bincount(texts, minlength=N).float()
    return LabelBatch(N, V, ids, texts, importance)
