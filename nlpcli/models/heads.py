"""What turns the scores of an output matrix into one logit a label, where they are not that
already; numpy, no torch. These logits are logarithms of probabilities.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nlpcli.models.huffman import UNBUILT, HuffmanTree

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_OVERHEAD = 256
"""Labels that a cluster of its own costs as much as."""
_GRID, _MOST_TAILS = 48, 6


class Head(Protocol):
    """Between the rows of an output matrix and labels; ``structure`` is what a model keeps."""

    name: str
    structure: npt.NDArray[np.int64]

    @property
    def n_rows(self) -> int:
        """Rows of the output matrix."""

    def logits(self, scores: F64) -> F64:
        """Logarithms of the labels' probabilities [B, K] from scores [B, n_rows]."""


class TreeHead:
    """Hierarchical softmax: ``structure`` int64 [K] holds the counts that make the tree."""

    name = "tree"

    def __init__(self, structure: npt.NDArray[Any]) -> None:
        """Raises ValueError for what are no counts."""
        self.structure = structure.astype(np.int64)
        if (self.structure < 0).any() or float(self.structure.sum(dtype=np.float64)) >= UNBUILT:
            raise ValueError("counts of labels below 0 or too large")
        self.order: I64 = np.argsort(-self.structure, kind="stable")
        """Labels from the most frequent on, as the leaves of the tree are."""
        self.tree = HuffmanTree(self.structure[self.order].tolist())

    @property
    def n_rows(self) -> int:
        """One row an inner node."""
        return len(self.structure) - 1

    def logits(self, scores: F64) -> F64:
        """Logarithms of the labels' probabilities [B, K] from scores [B, K - 1]."""
        found = np.empty((len(scores), len(self.structure)))
        found[:, self.order] = self.tree.log_probabilities(scores)
        return found


class ClusterHead:
    """Adaptive softmax (Grave et al. 2017): a softmax over the frequent labels and clusters of the
    others, then one within the cluster. ``structure`` int64 [K]: the cluster of each label, 0 for
    the frequent ones.

    Rows of the output matrix: labels of cluster 0, one row a further cluster, labels cluster by
    cluster; within a cluster by label number. Unlike in the paper all rows are as wide as the
    hidden vector, which is small here.
    """

    name = "clusters"

    def __init__(self, structure: npt.NDArray[Any]) -> None:
        """Raises ValueError for clusters that are empty or below 0."""
        self.structure = structure.astype(np.int64)
        if (self.structure < 0).any() or self.structure.max() > len(self.structure):
            raise ValueError("numbers of clusters below 0 or too large")
        sizes = np.bincount(self.structure)
        if (sizes == 0).any():
            raise ValueError("a cluster without labels")
        self.n_tails = len(sizes) - 1
        self.n_first = int(sizes[0]) + self.n_tails
        """Rows of the first softmax."""
        order = np.argsort(self.structure, kind="stable")
        self.row: I64 = np.empty(len(order), np.int64)
        """Of each label."""
        self.row[order] = np.arange(len(order))
        self.row[self.structure > 0] += self.n_tails
        self.first_row = np.where(self.structure == 0, self.row, int(sizes[0]) + self.structure - 1)
        """Of each label in the first softmax: its own, or its cluster's."""
        ends = self.n_first + np.cumsum(sizes[1:])
        self.tails = [
            slice(int(end - size), int(end)) for end, size in zip(ends, sizes[1:], strict=True)
        ]
        """Rows of the labels of cluster 1, 2, …"""

    @staticmethod
    def of(counts: npt.NDArray[np.float64]) -> ClusterHead:
        """Clusters that make a step cheapest: rows of the first softmax, and for each further
        cluster its rows as often as it is needed (section 4.2 of the paper)."""
        order = np.argsort(-counts, kind="stable")
        share = np.concatenate(([0.0], np.cumsum(counts[order]))) / max(float(counts.sum()), 1e-9)
        cuts = _best_cuts(share)
        clusters = np.zeros(len(counts), np.int64)
        for number, begin in enumerate(cuts, 1):
            clusters[order[begin:]] = number
        return ClusterHead(clusters)

    @property
    def n_rows(self) -> int:
        """One row a label and one a further cluster."""
        return len(self.structure) + self.n_tails

    def logits(self, scores: F64) -> F64:
        """Logarithms of the labels' probabilities [B, K] from scores [B, K + tails]."""
        by_row = np.empty_like(scores)
        first = by_row[:, : self.n_first] = log_softmax(scores[:, : self.n_first])
        clusters = first[:, self.n_first - self.n_tails :]
        for number, rows in enumerate(self.tails):
            by_row[:, rows] = log_softmax(scores[:, rows]) + clusters[:, number, None]
        return np.ascontiguousarray(by_row[:, self.row])


def _best_cuts(share: F64) -> list[int]:
    """Where each further cluster begins; ``share`` [K + 1] of the labels before a place."""
    n_labels = len(share) - 1
    places = np.unique(np.geomspace(1, n_labels, _GRID).astype(int))[:-1].tolist()
    # cheapest[i]: cost and cuts of the labels from places[i] on, in so many tails
    cheapest: dict[int, tuple[float, list[int]]] = {n_labels: (0.0, [])}
    best: tuple[float, list[int]] = (float(n_labels), [])
    for _ in range(_MOST_TAILS):
        longer: dict[int, tuple[float, list[int]]] = {}
        for begin in places:
            options = [
                (cost + _step_cost(share, begin, end), [begin, *cuts])
                for end, (cost, cuts) in cheapest.items()
                if end > begin
            ]
            if options:
                longer[begin] = min(options)
        best = min([best, *((cost + begin, cuts) for begin, (cost, cuts) in longer.items())])
        cheapest = longer
    return best[1]


def _step_cost(share: F64, begin: int, end: int) -> float:
    return _OVERHEAD + float(share[end] - share[begin]) * (end - begin)


def log_softmax(scores: F64) -> F64:
    """Over the last axis, float64 [B, R]; a row's result does not depend on the others."""
    shifted: F64 = np.ascontiguousarray(scores - scores.max(axis=1, keepdims=True))
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


HEADS: dict[str, type[TreeHead] | type[ClusterHead]] = {
    head.name: head for head in (TreeHead, ClusterHead)
}
