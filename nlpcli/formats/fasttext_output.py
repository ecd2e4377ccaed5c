"""fastText's output layers: logits -> probabilities, as loss.cc of fastText 0.9.2 has them.

What the program prints is 1e-5 more than these: for the hierarchical softmax, at every node.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlpcli.models.additive import sigmoid

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_STEPS, _LIMIT = 512, 8
UNBUILT = 10**15
"""Count of a node that is not made yet: greater than that of any that is."""


def table_sigmoid(logits: F32) -> F64:
    """The program's logistic function, float64 [B, K]: 512 steps from -8 to 8, 0 and 1 beyond."""
    at = np.arange(_STEPS + 1, dtype=np.float32) * np.float32(2 * _LIMIT / _STEPS) - _LIMIT
    table = (1 / (1 + np.exp(-at))).astype(np.float32).astype(np.float64)
    inside = np.clip(logits, -_LIMIT, _LIMIT)
    steps = ((inside + np.float32(_LIMIT)) * np.float32(_STEPS / (2 * _LIMIT))).astype(np.int64)
    result: F64 = table[steps]
    result[logits < -_LIMIT] = 0.0
    result[logits > _LIMIT] = 1.0
    return result


class HuffmanTree:
    """The tree of the hierarchical softmax, made from the labels' counts as the program does.

    Labels are nodes 0 … K-1, inner nodes K … 2K-2 in the order they are made; the last is the
    root, and row ``node - K`` of the output matrix belongs to an inner node.
    """

    def __init__(self, counts: list[int]) -> None:
        n_labels = self.n_labels = len(counts)
        weights = counts + [UNBUILT] * (n_labels - 1)
        self.left, self.right = (np.empty(max(n_labels - 1, 0), dtype=np.int64) for _ in range(2))
        leaf, node = n_labels - 1, n_labels
        for made in range(n_labels, 2 * n_labels - 1):
            pair = []
            for _ in range(2):
                if leaf >= 0 and weights[leaf] < weights[node]:
                    pair.append(leaf)
                    leaf -= 1
                else:
                    pair.append(node)
                    node += 1
            weights[made] = weights[pair[0]] + weights[pair[1]]
            self.left[made - n_labels], self.right[made - n_labels] = pair
        self._levels = self._by_depth()

    def _by_depth(self) -> list[I64]:
        """Numbers of the inner nodes (their rows), level by level from the root."""
        levels = []
        level = np.array([self.n_labels - 2] if self.n_labels > 1 else [], dtype=np.int64)
        while len(level):
            levels.append(level)
            below = np.concatenate((self.left[level], self.right[level])) - self.n_labels
            level = below[below >= 0]
        return levels

    def probabilities(self, logits: F32) -> F64:
        """Product of the choices on the way to each label, float64 [B, K]."""
        n_labels = self.n_labels
        # node by node, so that a level is rows that lie together
        reached = np.ones((2 * n_labels - 1, len(logits)))
        for level in self._levels:
            right = sigmoid(logits[:, level].T.astype(np.float64))
            above = reached[level + n_labels]
            reached[self.right[level]] = above * right
            reached[self.left[level]] = above * (1 - right)
        return np.ascontiguousarray(reached[:n_labels].T)
