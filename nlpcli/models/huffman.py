"""Huffman trees over labels or words, for the hierarchical softmax; numpy, no torch.

Frequent labels lie near the root, so that a step costs about their entropy in nodes instead of
all labels (Morin & Bengio 2005; Mikolov et al. 2013, "Distributed Representations", section 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

UNBUILT = 10**15
"""Count of a node that is not made yet: greater than that of any that is."""


class HuffmanTree:
    """The tree over K leaves from their counts, which fall; built as the fastText program does.

    Leaves are nodes 0 … K-1, inner nodes K … 2K-2 in the order they are made; the last is the
    root. Row ``node - K`` of an output matrix belongs to an inner node: the probability of going
    right there is the logistic function of its score.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        n_leaves = self.n_leaves = len(counts)
        weights = [*counts] + [UNBUILT] * (n_leaves - 1)
        self.left, self.right = (np.empty(max(n_leaves - 1, 0), dtype=np.int64) for _ in range(2))
        leaf, node = n_leaves - 1, n_leaves
        for made in range(n_leaves, 2 * n_leaves - 1):
            pair = []
            for _ in range(2):
                if leaf >= 0 and weights[leaf] < weights[node]:
                    pair.append(leaf)
                    leaf -= 1
                else:
                    pair.append(node)
                    node += 1
            weights[made] = weights[pair[0]] + weights[pair[1]]
            self.left[made - n_leaves], self.right[made - n_leaves] = pair
        self.levels = self._by_depth()
        """Rows of the inner nodes, level by level from the root."""

    def _by_depth(self) -> list[I64]:
        """Numbers of the inner nodes (their rows), level by level from the root."""
        levels = []
        level = np.array([self.n_leaves - 2] if self.n_leaves > 1 else [], dtype=np.int64)
        while len(level):
            levels.append(level)
            below = np.concatenate((self.left[level], self.right[level])) - self.n_leaves
            level = below[below >= 0]
        return levels

    def paths(self) -> tuple[I64, I64, F32]:
        """The way from the root to each leaf in CSR form: indptr int64 [K + 1], rows of inner
        nodes int64, 1 where it goes right and 0 where left, float32."""
        n_leaves = self.n_leaves
        parent, turn = np.full(2 * n_leaves - 1, -1), np.zeros(2 * n_leaves - 1, np.float32)
        inner = np.arange(n_leaves, 2 * n_leaves - 1)
        parent[self.left], parent[self.right], turn[self.right] = inner, inner, 1
        leaves = at = np.arange(n_leaves)
        steps: list[tuple[I64, I64, F32]] = []
        while len(leaves):
            climbing = parent[at] >= 0
            leaves, at = leaves[climbing], at[climbing]
            steps.append((leaves, parent[at] - n_leaves, turn[at]))
            at = parent[at]
        owners, rows, turns = (np.concatenate(part) for part in zip(*reversed(steps), strict=True))
        order = np.argsort(owners, kind="stable")
        sizes = np.bincount(owners, minlength=n_leaves)
        return np.concatenate(([0], np.cumsum(sizes))), rows[order], turns[order]

    def log_probabilities(self, scores: F64) -> F64:
        """Of each leaf, float64 [B, K], from the scores of inner nodes [B, K - 1]."""
        # node by node, so that a level is rows that lie together
        reached = np.zeros((2 * self.n_leaves - 1, len(scores)))
        for level in self.levels:
            score = scores[:, level].T
            above = reached[level + self.n_leaves]
            small = np.log1p(np.exp(-np.abs(score)))
            reached[self.right[level]] = above + np.minimum(score, 0) - small
            reached[self.left[level]] = above - np.maximum(score, 0) - small
        return np.ascontiguousarray(reached[: self.n_leaves].T)
