"""The output layers of models/outputs.py for spans of running text, where neighbours share work.

There each true pair is an entry of its own; here the pairs of a span lie in a band: query i has
the targets i to i + 2 h, h words to each side of its own place, each with a weight. Shapes: N
queries of D dimensions, N + 2 h targets, K = 2 h + 1; blocks of b queries that share a pool of M
noise words. Gradients are those of the log-likelihood: uphill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nlpcli.models.outputs import softmax_gradient
from nlpcli.models.overlap import Overlap
from nlpcli.models.row_tables import RowMoves, RowTable


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
        pool: tuple[int, int], correction: Tensor | None = None,
    ) -> None:  # fmt: skip
        """``pool``: a block's queries b and its noise words M."""
        self.table, self._correction = table, correction
        self._block, self._pool = pool
        self._weight = negatives / self._pool
        dim, device = table.weight.shape[1], table.weight.device
        self._near = n_near = n_queries + 2 * half
        n_rows = n_near + n_queries // self._block * self._pool
        self._ids = torch.empty(n_rows, dtype=torch.int32, device=device)
        self._rows, self._across = (torch.zeros(n_rows, dim, device=device) for _ in "ab")
        self._sizes = torch.zeros(n_rows, device=device)
        self._up = torch.zeros(n_queries, dim, device=device)
        self._scores = torch.zeros(n_queries // self._block, *pool, device=device)
        self._true = Same() if not half else Band(n_queries, half, dim, device)

    def learn(
        self, queries: Tensor, targets: Tensor, pairs: Tensor, noise: Tensor, *, measured: bool
    ) -> SpanLearnt:
        """Gradients of a span."""
        near, ids, squares = self._near, self._ids, squared_lengths(queries)
        ids[:near], ids[near:] = targets, noise.view(-1)
        rows = self.table.take(ids, self._rows)
        lengths = squared_lengths(rows)
        bias = None if self._correction is None else self._correction[ids]
        truth = Truth(queries, squares, rows[:near], lengths[:near], pairs)
        loss, curvature = self._true.learn(
            truth, self._up, self._across[:near], self._sizes[:near],
            None if bias is None else bias[:near], measured=measured,
        )  # fmt: skip
        each = pairs.sum(dim=1).mul_(self._weight).view(-1, self._block, 1)
        shape, dim = (len(noise), self._pool), queries.shape[1]
        asked, pool = queries.view(-1, self._block, dim), rows[near:].view(*shape, dim)
        scores = torch.bmm(asked, pool.transpose(1, 2), out=self._scores)
        if bias is not None:
            scores -= bias[near:].view(-1, 1, self._pool)
        if measured:
            loss -= float(F.logsigmoid(-scores).mul_(each).sum())
        false = scores.sigmoid_().mul_(each)
        up, back = self._up.view(-1, self._block, dim), false.transpose(1, 2)
        torch.baddbmm(up, false, pool, alpha=-1, out=up)
        across = self._across[near:].view(*shape, dim)
        torch.baddbmm(across, back, asked, beta=0, alpha=-1, out=across)
        # a product with one column takes torch about twice the time
        beside = squares.view(-1, self._block, 1)
        torch.sum(false * beside, dim=1, out=self._sizes[near:].view(shape))
        curvature += false.mul_(lengths[near:].view(-1, 1, self._pool)).sum(dim=2).view(-1)
        moves = RowMoves(ids, self._across, self._sizes)
        return SpanLearnt(self._up, curvature, moves, loss if measured else None)


@dataclass(frozen=True)
class Truth:
    """``queries`` [N, D], ``rows`` [N + 2 h, D] of their targets, squared lengths of both, and the
    weights ``pairs`` [N, K]."""

    queries: Tensor
    squares: Tensor
    rows: Tensor
    lengths: Tensor
    pairs: Tensor


class Same:
    """True pairs of the query and the target of the same place: h is 0."""

    def learn(
        self, truth: Truth, up: Tensor, across: Tensor, sizes: Tensor, bias: Tensor | None,
        *, measured: bool,
    ) -> tuple[float, Tensor]:  # fmt: skip
        """Gradients at queries and at rows into ``up`` and ``across``, curvature of the rows into
        ``sizes``; gives the loss and the curvature of the queries [N]."""
        pairs = truth.pairs[:, 0]
        scores = torch.linalg.vecdot(truth.queries, truth.rows)
        if bias is not None:
            scores -= bias
        loss = -float(F.logsigmoid(scores).mul_(pairs).sum()) if measured else 0.0
        weights = scores.neg_().sigmoid_().mul_(pairs)
        torch.mul(truth.rows, weights[:, None], out=up)
        torch.mul(truth.queries, weights[:, None], out=across)
        torch.mul(weights, truth.squares, out=sizes)
        return loss, weights * truth.lengths


class Band:
    """True pairs of a query and the targets around it."""

    def __init__(self, n_queries: int, half: int, dim: int, device: torch.device) -> None:
        self._overlap = overlap = Overlap(n_queries, half)
        size, width = overlap.size, overlap.width
        self._scores, self._weights = (
            overlap.buffer(size, width, device=device) for _ in "ab"
        )  # beside the band the weights stay zero
        self._across = overlap.buffer(width, dim, device=device)

    def learn(
        self, truth: Truth, up: Tensor, across: Tensor, sizes: Tensor, bias: Tensor | None,
        *, measured: bool,
    ) -> tuple[float, Tensor]:  # fmt: skip
        """As ``Same.learn``."""
        overlap, dim = self._overlap, up.shape[1]
        queries, rows = truth.queries.view(overlap.blocks, -1, dim), overlap.windows(truth.rows)
        scores = torch.bmm(queries, rows.transpose(1, 2), out=self._scores)
        if bias is not None:
            scores -= overlap.windows(bias[:, None]).transpose(1, 2)
        found, weights = overlap.band(scores), overlap.band(self._weights)
        pairs = truth.pairs.view(found.shape)
        loss = -float(F.logsigmoid(found).mul_(pairs).sum()) if measured else 0.0
        torch.mul(torch.sigmoid(-found), pairs, out=weights)
        torch.bmm(self._weights, rows, out=up.view(queries.shape))
        back = self._weights.transpose(1, 2)
        overlap.fold(torch.bmm(back, queries, out=self._across), across)
        squares = truth.squares.view(overlap.blocks, -1, 1)
        overlap.fold(torch.bmm(back, squares), sizes[:, None])
        lengths = overlap.windows(truth.lengths[:, None])
        return loss, torch.bmm(self._weights, lengths).view(-1)


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
        moves = RowMoves(self._every, -(down.T @ queries), squared_lengths(queries) @ sizes)
        value = float(loss) if measured else None
        return SpanLearnt(-(down @ weight), sizes @ squared_lengths(weight), moves, value)


def squared_lengths(rows: Tensor) -> Tensor:
    """Squared lengths along the last axis."""
    found: Tensor = torch.linalg.vecdot(rows, rows)
    return found
