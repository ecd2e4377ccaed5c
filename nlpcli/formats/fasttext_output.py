"""fastText's output layers: logits -> probabilities, as loss.cc of fastText 0.9.2 has them.

What the program prints is 1e-5 more than these: for the hierarchical softmax, at every node.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlpcli.models.additive import sigmoid
from nlpcli.models.huffman import HuffmanTree

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

_STEPS, _LIMIT = 512, 8


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


def tree_probabilities(tree: HuffmanTree, scores: F32) -> F64:
    """Product of the choices on the way to each label, float64 [B, K], as the program has it."""
    n_labels = tree.n_leaves
    # node by node, so that a level is rows that lie together
    reached = np.ones((2 * n_labels - 1, len(scores)))
    for level in tree.levels:
        right = sigmoid(scores[:, level].T.astype(np.float64))
        above = reached[level + n_labels]
        reached[tree.right[level]] = above * right
        reached[tree.left[level]] = above * (1 - right)
    return np.ascontiguousarray(reached[:n_labels].T)
