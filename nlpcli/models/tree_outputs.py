"""A Huffman tree as the output layer of spans of running text.

Shapes: N queries of D dimensions, N + 2 h targets, K = 2 h + 1 (see models/span_outputs.py); T
nodes at the top of the tree, U other nodes that a span meets, E choices of a query below the top.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from torch import Tensor

from nlpcli.batching.labels import ragged_positions
from nlpcli.models.huffman import HuffmanTree
from nlpcli.models.overlap import Overlap
from nlpcli.models.row_tables import RowMoves, RowTable
from nlpcli.models.span_outputs import SpanLearnt, squared_lengths

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

TOP = 31
"""Nodes next to the root, which are on so many ways that every query is multiplied with all."""


@dataclass(frozen=True)
class TreePaths:
    """Ways from the root to the V leaves of a tree, cut where they leave its top.

    The top are the ``top`` last rows of the table: the root is the last one, and no row comes
    after that of the node above it. Below it word i has ``nodes`` int32 and ``turns`` float32, 1
    for right, at ``begins[i] : begins[i] + sizes[i]``, both int64 [V]. ``exits`` int64 [V]: where
    a way leaves the top, a row of ``choices`` float32 [2 T, 2 T]: for each of the T nodes a 1 if
    the way turns right there, then for each a 1 if the way comes there at all.
    """

    top: int
    exits: I64
    choices: F32
    begins: I64
    sizes: I64
    nodes: I32
    turns: F32

    @staticmethod
    def of(tree: HuffmanTree) -> TreePaths:
        """Those of a tree."""
        indptr, rows, turns = tree.paths()
        n_rows = max(1, tree.n_leaves - 1)
        top = min(TOP, n_rows)
        owners = np.repeat(np.arange(tree.n_leaves), np.diff(indptr))
        high = rows >= n_rows - top
        # a way begins in the top: its last node there tells all before
        exits = np.zeros(tree.n_leaves, np.int64)
        exits[owners[high]] = 2 * (rows[high] - (n_rows - top)) + turns[high].astype(np.int64)
        choices = np.zeros((2 * top, 2 * top), np.float32)
        at, node = exits[owners[high]], rows[high] - (n_rows - top)
        choices[at, node], choices[at, top + node] = turns[high], 1
        sizes = np.bincount(owners[~high], minlength=tree.n_leaves)
        begins = np.cumsum(sizes) - sizes
        return TreePaths(
            top, exits, choices, begins, sizes, rows[~high].astype(np.int32), turns[~high]
        )


class HierarchicalSoftmax:
    """The choices on the way from the root of a Huffman tree to each target (Morin & Bengio 2005;
    Mikolov et al. 2013, section 2.1). The table has a row for each inner node.

    The top of the tree is a dense product with every query, as half of all choices fall there.
    Below it the choices of a query are a row of a sparse matrix, nodes of the span by queries: its
    scores are computed at those places only, and gradients are its products.
    """

    def __init__(self, table: RowTable, n_queries: int, half: int, paths: TreePaths) -> None:
        self.table, self._paths, self._half = table, paths, half
        n_rows = len(table.weight)
        device, top = table.weight.device, paths.top
        self._choices = torch.from_numpy(paths.choices).to(device)
        self._high = torch.arange(n_rows - top, n_rows, dtype=torch.int32, device=device)
        self._overlap = Overlap(n_queries, half)
        self._mask = self._overlap.buffer(
            self._overlap.size, self._overlap.width, device=device
        )  # beside the band it stays zero
        _quieten()
        self._met, self._number = np.zeros(n_rows, bool), np.zeros(n_rows, np.int32)

    def learn(
        self, queries: Tensor, targets: Tensor, pairs: Tensor, noise: Tensor, *, measured: bool
    ) -> SpanLearnt:
        """Gradients of a span; ``noise`` is not looked at. ``pairs`` are 0 or 1."""
        lengths = squared_lengths(queries)
        words = targets.cpu().numpy()
        high = self._learn_top(queries, lengths, words, pairs, measured=measured)
        low = self._learn_below(queries, lengths, words, pairs, measured=measured)
        moves = RowMoves(
            torch.cat((self._high, low.moves.rows)),
            torch.cat((high.moves.gradient, low.moves.gradient)),
            torch.cat((high.moves.curvature, low.moves.curvature)),
        )
        loss = (high.loss or 0.0) + (low.loss or 0.0) if measured else None
        return SpanLearnt(
            high.queries.add_(low.queries), high.curvature.add_(low.curvature), moves, loss
        )

    def _learn_top(
        self, queries: Tensor, lengths: Tensor, words: I32, pairs: Tensor, *, measured: bool
    ) -> SpanLearnt:
        top, overlap = self._paths.top, self._overlap
        rows = self.table.weight[len(self.table.weight) - top :]
        band = overlap.band(self._mask)
        band.copy_(pairs.view(band.shape))
        exits = torch.from_numpy(self._paths.exits[words]).to(rows.device)
        chosen = overlap.windows(self._choices.index_select(0, exits))
        found = torch.bmm(self._mask, chosen).view(len(queries), 2 * top)
        right, met = found[:, :top], found[:, top:]
        scores = queries @ rows.T
        loss = None
        if measured:
            both = right * F.logsigmoid(scores) + (met - right) * F.logsigmoid(-scores)
            loss = -float(both.sum())
        chance = scores.sigmoid_()
        weights = torch.addcmul(right, met, chance, value=-1)
        # |1 - p| where it turned right, |0 - p| where it turned left
        sizes = torch.addcmul(right, met.sub_(right, alpha=2), chance)
        moves = RowMoves(self._high, weights.T @ queries, sizes.T @ lengths)
        return SpanLearnt(weights @ rows, sizes @ squared_lengths(rows), moves, loss)

    def _learn_below(
        self, queries: Tensor, lengths: Tensor, words: I32, pairs: Tensor, *, measured: bool
    ) -> SpanLearnt:
        nodes, columns, turns, indptr = self._choices_below(words, pairs)
        device = queries.device
        ids, at, borders, truth = (
            torch.from_numpy(part).to(device) for part in (nodes, columns, indptr, turns)
        )
        rows = self.table.take(ids, queries.new_empty(len(nodes), queries.shape[1]))
        scores = _scores_at(queries, rows, borders, at)
        loss = None
        if measured:
            loss = -float(F.logsigmoid(scores * (2 * truth - 1)).sum())
        weights = truth.sub_(scores.sigmoid_())
        up = _sums(rows, at, borders, weights)
        matrix = csr_matrix(
            (weights.cpu().numpy(), columns, indptr), shape=(len(queries), len(nodes))
        )
        across = matrix.tocsc()
        down, members, back = (
            torch.from_numpy(part).to(device)
            for part in (across.indptr, across.indices, across.data)
        )
        gradient = _sums(queries, members, down, back)
        np.abs(matrix.data, out=matrix.data)
        np.abs(across.data, out=across.data)
        curvature = torch.from_numpy(matrix @ squared_lengths(rows).cpu().numpy())
        by_node = torch.from_numpy(across.T @ lengths.cpu().numpy())
        moves = RowMoves(ids, gradient, by_node.to(device))
        return SpanLearnt(up, curvature.to(device), moves, loss)

    def _choices_below(self, words: I32, pairs: Tensor) -> tuple[I32, I32, F32, I32]:
        """Nodes of the span int32 [U]; the numbers among them of each query's choices, and their
        turns, [E]; where those of a query begin, int32 [N + 1]."""
        paths, across = self._paths, pairs.shape[1]
        begins, sizes = paths.begins[words], paths.sizes[words]
        found = ragged_positions(begins, sizes)
        of_words, turns = paths.nodes[found], paths.turns[found]
        self._met[of_words] = True
        nodes = np.flatnonzero(self._met).astype(np.int32)
        self._met[nodes] = False
        self._number[nodes] = np.arange(len(nodes), dtype=np.int32)
        numbers = self._number[of_words]
        there = np.flatnonzero(pairs.cpu().numpy().ravel() > 0)
        who = there // across
        target = who + there % across
        at_words = np.cumsum(sizes) - sizes
        n_choices = sizes[target]
        each = ragged_positions(at_words[target], n_choices)
        ends = np.concatenate(([0], np.cumsum(n_choices)))
        first = np.searchsorted(who, np.arange(len(pairs) + 1))
        return nodes, numbers.take(each), turns.take(each), ends[first].astype(np.int32)


def _quieten() -> None:
    """Has torch say now, where nobody hears it, what it says of the first sparse tensor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        none = torch.zeros(2, dtype=torch.int32)
        torch.sparse_csr_tensor(none, none[:0], torch.empty(0), (1, 1), check_invariants=False)


def _scores_at(queries: Tensor, rows: Tensor, indptr: Tensor, columns: Tensor) -> Tensor:
    """Products of queries [N, D] with the rows [U, D] that a sparse matrix has an entry for."""
    crowded = len(columns) > len(queries) * len(rows)  # torch takes no more: a tiny vocabulary
    found: Tensor
    if queries.device.type != "cpu" or crowded:
        owners = torch.repeat_interleave(indptr.diff().long())
        found = torch.linalg.vecdot(queries[owners], rows[columns])
        return found
    # zeros: torch multiplies by beta what stands there, and 0 times NaN is NaN
    nothing, shape = torch.zeros(len(columns)), (len(queries), len(rows))
    places = torch.sparse_csr_tensor(indptr, columns, nothing, shape, check_invariants=False)
    found = torch.sparse.sampled_addmm(places, queries, rows.T, beta=0.0).values()
    return found


def _sums(rows: Tensor, ids: Tensor, indptr: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of rows, one for each run of ``ids``."""
    found: Tensor = F.embedding_bag(
        ids, rows, indptr, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
    return found
