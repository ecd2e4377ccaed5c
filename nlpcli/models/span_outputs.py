"""The output layers of models/outputs.py for spans of running text, where neighbours share work.

There each true pair is an entry of its own; here the pairs of a span lie in a band: query i has
the targets i to i + 2 h, h words to each side of its own place, each with a weight. Shapes: N
queries of D dimensions, N + 2 h targets, K = 2 h + 1; blocks of b queries that share a pool of M
noise words. Gradients are those of the log-likelihood: uphill.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nlpcli.batching.labels import ragged_positions
from nlpcli.models.huffman import HuffmanTree
from nlpcli.models.outputs import softmax_gradient
from nlpcli.models.row_tables import RowMoves, RowTable

I64 = npt.NDArray[np.int64]

GROUP = 8
"""Targets whose ways in a tree are looked at together."""
BLOCK = 32
"""Queries that share a pool of noise words."""


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
        pool: int, correction: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.table, self._correction = table, correction
        self._weight = negatives / pool
        dim, device = table.weight.shape[1], table.weight.device
        blocks, width = n_queries // BLOCK, BLOCK + 2 * half
        self._blocks, self._width, n_rows = blocks, width, width + pool
        self._windows = (
            torch.arange(blocks)[:, None] * BLOCK + torch.arange(width)
        ).to(device)  # fmt: skip
        self._ids = torch.empty(blocks, n_rows, dtype=torch.int32, device=device)

        def buffer(*shape: int) -> Tensor:
            return torch.zeros(blocks, *shape, device=device)

        self._rows, self._scores = buffer(n_rows, dim), buffer(BLOCK, n_rows)
        self._weights, self._sizes = buffer(BLOCK, n_rows), buffer(BLOCK, n_rows)
        self._up, self._across = buffer(BLOCK, dim), buffer(n_rows, dim)
        self._true, self._false = buffer(BLOCK, 2 * half + 1), buffer(BLOCK, pool)
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
        each = pairs.sum(dim=2, keepdim=True).mul_(self._weight)
        loss = self._loss(pairs, each) if measured else None
        self._true.copy_(self._band).sigmoid_()  # the band itself is read a few numbers at a time
        torch.addcmul(pairs, pairs, self._true, value=-1, out=self._band_weights)
        torch.sigmoid(scores[:, :, width:], out=self._false)
        torch.mul(self._false, -each, out=self._weights[:, :, width:])
        up = torch.bmm(self._weights, rows, out=self._up)
        across = torch.bmm(self._weights.transpose(1, 2), queries, out=self._across)
        squares, lengths = _squares(queries), _squares(rows)
        # weights of true pairs are above 0, those of noise below: sizes need no absolute values
        curvature = torch.bmm(squares[:, None], self._weights).abs_()
        lengths[:, width:].neg_()
        sizes = torch.mul(self._weights, lengths[:, None], out=self._sizes).sum(dim=2)
        moves = RowMoves(ids, across.view(-1, dim), curvature.view(-1))
        return SpanLearnt(up.view(-1, dim), sizes.view(-1), moves, loss)

    def _loss(self, pairs: Tensor, each: Tensor) -> float:
        true = F.logsigmoid(self._band).mul_(pairs).sum()
        false = F.logsigmoid(-self._scores[:, :, self._width :]).mul_(each).sum()
        return -float(true + false)


class HierarchicalSoftmax:
    """The choices on the way from the root of a Huffman tree to each target (Morin & Bengio 2005;
    Mikolov et al. 2013, section 2.1). The table has a row for each inner node.

    ``GROUP`` targets side by side share the queries around them: one product has the nodes on all
    their ways against these queries, and weights of 0 where a node is of no way to a query's
    target.
    """

    def __init__(self, table: RowTable, n_queries: int, half: int, paths: TreePaths) -> None:
        self.table, self._half, self._paths, self._n = table, half, paths, n_queries
        dim, device = table.weight.shape[1], table.weight.device
        # as many groups as cover all targets, then more zeros up to the end of the last one
        self._groups = -(-(n_queries + 2 * half) // GROUP)
        self._width, n_targets = GROUP + 2 * half, self._groups * GROUP
        self._queries = torch.zeros(n_targets + 2 * half, dim, device=device)
        self._pairs = torch.zeros(n_targets + 2 * half, 2 * half + 1, device=device)
        # of each target its weight for each query of its group; a last row of zeros for no target
        self._weights = torch.zeros(n_targets + 1, self._width, device=device)
        self._slabs = -(-self._width // GROUP)
        self._buffers = [torch.empty(0, device=device) for _ in range(2)]

    def learn(
        self, queries: Tensor, targets: Tensor, pairs: Tensor, noise: Tensor, *, measured: bool
    ) -> SpanLearnt:
        """Gradients of a span; ``noise`` is not looked at."""
        (n, dim), half, groups, width = queries.shape, self._half, self._groups, self._width
        self._queries[2 * half : 2 * half + n] = queries
        self._pairs[2 * half : 2 * half + n] = pairs
        self._place_weights()
        around = self._queries.as_strided((groups, width, dim), (GROUP * dim, dim, 1))
        nodes, turns, owners = self._ways(targets)
        rows, across = self._room(*nodes.shape, dim)
        self.table.take(nodes.view(-1), rows.view(-1, dim))
        scores = torch.bmm(rows, around.transpose(1, 2))
        weights = self._weights.index_select(0, owners.view(-1)).view(scores.shape)
        loss = None
        if measured:
            loss = -float(F.logsigmoid(scores * (2 * turns - 1)[:, :, None]).mul_(weights).sum())
        found = torch.sub(turns[:, :, None], scores.sigmoid_(), out=scores).mul_(weights)
        torch.bmm(found, around, out=across)
        up = self._to_queries(torch.bmm(found.transpose(1, 2), rows))
        sizes = found.abs_()
        lengths, squares = _squares(rows), _squares(self._queries)
        beside = squares.as_strided((groups, 1, width), (GROUP, width, 1))
        curvature = self._to_queries(torch.bmm(lengths[:, None], sizes).transpose(1, 2))
        by_node = torch.mul(sizes, beside, out=weights).sum(dim=2)
        moves = RowMoves(nodes.view(-1), across.view(-1, dim), by_node.view(-1))
        return SpanLearnt(up, curvature.view(-1), moves, loss)

    def _room(self, *shape: int) -> list[Tensor]:
        """Two buffers of this shape; new memory for each step would cost more than the sums."""
        size = math.prod(shape)
        if len(self._buffers[0]) < size:
            device = self.table.weight.device
            self._buffers = [torch.empty(size * 5 // 4, device=device) for _ in range(2)]
        return [buffer[:size].view(shape) for buffer in self._buffers]

    def _place_weights(self) -> None:
        """From the pairs of queries: target p is one of the queries p - 2 h to p."""
        half, width = self._half, self._width
        n_targets, across = self._groups * GROUP, 2 * half + 1
        by_target = self._pairs.as_strided((n_targets, across), (across, across - 1), 2 * half)
        places = self._weights.as_strided(
            (self._groups, GROUP, across), (GROUP * width, width + 1, 1)
        )
        places.copy_(by_target.view(self._groups, GROUP, across))

    def _ways(self, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The choices of each group, filled to the longest: nodes, turns, and rows of weights."""
        n_targets, groups = self._groups * GROUP, self._groups
        words = np.zeros(n_targets, np.int64)
        words[: len(targets)] = targets.cpu().numpy()
        begins, sizes = self._paths.begins[words], self._paths.sizes[words]
        sizes[len(targets) :] = 0
        found = ragged_positions(begins, sizes)
        of_group = sizes.reshape(groups, GROUP).sum(axis=1)
        there = np.arange(max(1, int(of_group.max()))) < of_group[:, None]
        nodes, turns = np.zeros(there.shape, np.int32), np.zeros(there.shape, np.float32)
        owners = np.full(there.shape, n_targets, np.int32)
        nodes[there], turns[there] = self._paths.nodes[found], self._paths.turns[found]
        owners[there] = np.repeat(np.arange(n_targets, dtype=np.int32), sizes)
        device = self.table.weight.device
        made = [torch.from_numpy(part).to(device) for part in (nodes, turns, owners)]
        return made[0], made[1], made[2]

    def _to_queries(self, values: Tensor) -> Tensor:
        """Sums what the groups hold for each query: [groups, width, X] -> [N, X]."""
        size, half = values.shape[2], self._half
        total = values.new_zeros(self._groups + self._slabs, GROUP, size)
        for slab in range(self._slabs):
            part = values[:, slab * GROUP : (slab + 1) * GROUP]
            total[slab : slab + self._groups, : part.shape[1]] += part
        return total.view(-1, size)[2 * half : 2 * half + self._n]


@dataclass(frozen=True)
class TreePaths:
    """Ways to the V leaves of a tree: word i has ``nodes`` int32 and ``turns`` float32, 1 for
    right, at ``begins[i] : begins[i] + sizes[i]``, both int64 [V]."""

    begins: I64
    sizes: I64
    nodes: npt.NDArray[np.int32]
    turns: npt.NDArray[np.float32]

    @staticmethod
    def of(tree: HuffmanTree) -> TreePaths:
        """Those of a tree."""
        indptr, rows, turns = tree.paths()
        return TreePaths(indptr[:-1], np.diff(indptr), rows.astype(np.int32), turns)


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
    found: Tensor = torch.linalg.vecdot(rows, rows)
    return found
