"""The output layers of models/outputs.py for spans of running text, where neighbours share work.

There each true pair is an entry of its own; here the pairs of a span lie in a band: query i has
the targets i to i + 2 h, h words to each side of its own place, each with a weight. Shapes: N
queries of D dimensions, N + 2 h targets, K = 2 h + 1; blocks of b queries that share a pool of M
noise words. Gradients are those of the log-likelihood: uphill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nlpcli.models.huffman import HuffmanTree
from nlpcli.models.outputs import softmax_gradient
from nlpcli.models.row_tables import RowMoves, RowTable

BLOCK = 32
"""Queries that share a pool of noise words."""
POOL = 32
"""Noise words of a pool, whatever the number of negatives, which their weight makes up for."""


@dataclass(frozen=True)
class SpanLearnt:
    """``queries``: gradient [N, D] and ``curvature`` [N] (see RowMoves) at the queries; ``moves``
    of the output table; ``loss``: summed negative log-likelihood, None where not asked for."""

    queries: Tensor
    curvature: Tensor
    moves: RowMoves
    loss: float | None


class SpanOutput(Protocol):
    """An output layer over a table; one object for each thread, as it keeps its buffers."""

    table: RowTable

    def learn(
        self, queries: Tensor, targets: Tensor, pairs: Tensor, noise: Tensor, *, measured: bool
    ) -> SpanLearnt:
        """Gradients of a span; nothing is moved.

        ``queries`` float32 [N, D], ``targets`` int32 [N + 2 h], ``pairs`` float32 [N, K] weights,
        ``noise`` int32 [N / b, M]. ``measured``: with the loss.
        """


class NegativeSampling:
    """True pairs against noise words (Mikolov et al. 2013, "Distributed Representations", 2.2).

    The sum over pairs of log s(q·t) and of ``negatives`` expected terms log s(-q·n), n drawn by
    its noise. The M words of a block's pool stand for the draws of all its pairs, each weighted by
    negatives · pairs / M, so that the expectation is that of a draw for each pair (as in Ji et
    al. 2016, arXiv 1604.04661, section 3). ``correction`` [R]: log(negatives · noise share) is
    taken off the scores, which is noise-contrastive estimation with a normaliser of 1 (Mnih & Teh
    2012, section 3).
    """

    def __init__(
        self, table: RowTable, n_queries: int, half: int, *, negatives: int,
        correction: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.table, self._negatives, self._correction = table, negatives, correction
        dim, device = table.weight.shape[1], table.weight.device
        blocks, width = n_queries // BLOCK, BLOCK + 2 * half
        self._blocks, self._width, n_rows = blocks, width, width + POOL
        self._windows = (
            torch.arange(blocks)[:, None] * BLOCK + torch.arange(width)
        ).to(device)  # fmt: skip
        self._ids = torch.empty(blocks, n_rows, dtype=torch.int32, device=device)

        def buffer(*shape: int) -> Tensor:
            return torch.zeros(blocks, *shape, device=device)

        self._rows, self._scores = buffer(n_rows, dim), buffer(BLOCK, n_rows)
        self._weights, self._sizes = buffer(BLOCK, n_rows), buffer(BLOCK, n_rows)
        self._up, self._across = buffer(BLOCK, dim), buffer(n_rows, dim)
        self._true, self._false = buffer(BLOCK, 2 * half + 1), buffer(BLOCK, POOL)
        # places of the true pairs: zeros beside them stay
        self._band, self._band_weights = (
            values.as_strided(self._true.shape, (BLOCK * n_rows, n_rows + 1, 1))
            for values in (self._scores, self._weights)
        )

    def learn(
        self, queries: Tensor, targets: Tensor, pairs: Tensor, noise: Tensor, *, measured: bool
    ) -> SpanLearnt:
        """Gradients of a span."""
        blocks, width = self._blocks, self._width
        dim = queries.shape[1]
        queries, pairs = queries.view(blocks, BLOCK, dim), pairs.view(self._true.shape)
        self._ids[:, :width] = targets[self._windows]
        self._ids[:, width:] = noise
        ids, rows, scores = self._ids.view(-1), self._rows, self._scores
        self.table.take(ids, rows.view(-1, dim))
        torch.bmm(queries, rows.transpose(1, 2), out=scores)
        if self._correction is not None:
            scores -= self._correction[ids].view(blocks, 1, -1)
        each = pairs.sum(dim=2, keepdim=True).mul_(self._negatives / POOL)
        loss = self._loss(pairs, each) if measured else None
        torch.sigmoid(self._band, out=self._true)
        torch.addcmul(pairs, pairs, self._true, value=-1, out=self._band_weights)
        torch.sigmoid(scores[:, :, width:], out=self._false)
        torch.mul(self._false, -each, out=self._weights[:, :, width:])
        up = torch.bmm(self._weights, rows, out=self._up)
        across = torch.bmm(self._weights.transpose(1, 2), queries, out=self._across)
        sizes = torch.abs(self._weights, out=self._sizes)
        squares, lengths = _squares(queries), _squares(rows)
        return SpanLearnt(
            up.view(-1, dim),
            torch.bmm(sizes, lengths[:, :, None]).view(-1),
            RowMoves(
                ids, across.view(-1, dim), torch.bmm(squares[:, None], sizes).view(-1)
            ),
            loss,
        )  # fmt: skip

    def _loss(self, pairs: Tensor, each: Tensor) -> float:
        true = F.logsigmoid(self._band).mul_(pairs).sum()
        false = F.logsigmoid(-self._scores[:, :, self._width :]).mul_(each).sum()
        return -float(true + false)


class HierarchicalSoftmax:
    """The choices on the way from the root of a Huffman tree to each target (Morin & Bengio 2005;
    Mikolov et al. 2013, section 2.1). The table has a row for each inner node."""

    def __init__(self, table: RowTable, n_queries: int, half: int, paths: TreePaths) -> None:
        self.table, self._half, self._paths = table, half, paths
        dim, device = table.weight.shape[1], table.weight.device
        self._queries = torch.zeros(n_queries + 4 * half, dim, device=device)
        self._pairs = torch.zeros(n_queries + 4 * half, 2 * half + 1, device=device)
        self._rows = torch.empty(n_queries + 2 * half, paths.depth, dim, device=device)

    def learn(
        self, queries: Tensor, targets: Tensor, pairs: Tensor, noise: Tensor, *, measured: bool
    ) -> SpanLearnt:
        """Gradients of a span; ``noise`` is not looked at."""
        (n, dim), half = queries.shape, self._half
        width, n_targets = 2 * half + 1, len(targets)
        self._queries[2 * half : 2 * half + n] = queries
        self._pairs[2 * half : 2 * half + n] = pairs
        # target p is one of the queries p - 2 h to p, which lie side by side
        around = self._queries.as_strided((n_targets, width, dim), (dim, dim, 1))
        weights = self._pairs.as_strided((n_targets, width, 1), (width, width - 1, 1), 2 * half)
        places = targets.long()
        nodes, turns = self._paths.nodes[places], self._paths.turns[places]
        there = self._paths.there[places]
        rows = self._rows
        self.table.take(nodes.view(-1), rows.view(-1, dim))
        scores = torch.bmm(around, rows.transpose(1, 2))
        loss = None
        if measured:
            signed = scores * (2 * turns - 1)[:, None]
            loss = -float((F.logsigmoid(signed) * weights * there[:, None]).sum())
        found = scores.sigmoid_().neg_().add_(turns[:, None]).mul_(weights).mul_(there[:, None])
        across = torch.bmm(found.transpose(1, 2), around)
        up = _to_queries(torch.bmm(found, rows), n, half)
        sizes = found.abs_()
        lengths, squares = _squares(rows), _squares(self._queries)
        curvature = _to_queries(torch.bmm(sizes, lengths[:, :, None]), n, half).view(-1)
        beside = squares.as_strided((n_targets, 1, width), (1, 1, 1))
        moves = RowMoves(nodes.view(-1), across.view(-1, dim), torch.bmm(beside, sizes).view(-1))
        return SpanLearnt(up, curvature, moves, loss)


@dataclass(frozen=True)
class TreePaths:
    """Ways to the V leaves of a tree, at most L choices: ``nodes`` int32, ``turns`` 1 for right
    and ``there`` 1 up to the way's end, float32, all [V, L]; row 0 beyond the end."""

    nodes: Tensor
    turns: Tensor
    there: Tensor

    @property
    def depth(self) -> int:
        """Choices of the longest way."""
        return self.nodes.shape[1]

    @staticmethod
    def of(tree: HuffmanTree, device: torch.device) -> TreePaths:
        """Those of a tree, on a device."""
        indptr, rows, turns = tree.paths()
        sizes = np.diff(indptr)
        there = np.arange(max(1, int(sizes.max(initial=0)))) < sizes[:, None]
        nodes, right = np.zeros(there.shape, np.int32), np.zeros(there.shape, np.float32)
        nodes[there], right[there] = rows, turns
        found = (nodes, right, there.astype(np.float32))
        return TreePaths(*(torch.from_numpy(part).to(device) for part in found))


class Softmax:
    """Softmax over all words (Bengio et al. 2003), for small vocabularies."""

    def __init__(self, table: RowTable, n_queries: int, half: int) -> None:
        device = table.weight.device
        self.table, self._half = table, half
        self._every = torch.arange(len(table.weight), dtype=torch.int32, device=device)

    def learn(
        self, queries: Tensor, targets: Tensor, pairs: Tensor, noise: Tensor, *, measured: bool
    ) -> SpanLearnt:
        """Gradients of a span; ``noise`` is not looked at."""
        weight = self.table.weight
        texts, offsets = pairs.nonzero(as_tuple=True)
        truth = targets[texts + offsets].long()
        loss, down = softmax_gradient(queries @ weight.T, texts, truth, pairs[texts, offsets])
        sizes = down.abs()
        moves = RowMoves(self._every, -(down.T @ queries), _squares(queries) @ sizes)
        value = float(loss) if measured else None
        return SpanLearnt(-(down @ weight), sizes @ _squares(weight), moves, value)


def _squares(rows: Tensor) -> Tensor:
    """Squared lengths along the last axis."""
    return torch.linalg.vecdot(rows, rows)


def _to_queries(values: Tensor, n: int, half: int) -> Tensor:
    """Sums what targets hold for each of their queries: [N + 2 h, K, X] -> [N, X]."""
    width, size = values.shape[1:]
    by_query = values.as_strided(
        (n, width, size), (width * size, (width - 1) * size, 1), (width - 1) * size
    )
    return by_query.sum(dim=1)
