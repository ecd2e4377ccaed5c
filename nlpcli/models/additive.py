"""Additive classifiers in numpy: logits are weighted sums of rows; no torch needed to answer.

The logits of a text depend on that text alone, to the bit: rows are summed in the order of
their ids, and the product with ``output`` is exact integer arithmetic held in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nlpcli.models.heads import Head

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

_GRID_BITS = 20
_AT_LEAST = 16
"""Texts that are answered together, however many labels there are."""
_SHORTEST = 0.05
_BLOCK = 1 << 18
"""Floats worked on at once: they stay in the cache."""


@dataclass(frozen=True)
class AdditiveClassifier:
    """``weight`` float32 [V, K], or [V, D] with ``output`` float32 [R, D]; ``bias`` [R].

    ``head`` makes logits of the R scores; without one they are the logits, and R is K. What a bag
    lacks to the length one that bags have in training was unknown in it: its logits lie nearer
    together by as much, the bias too, so that the order of the labels stays.

    ``one_vs_all``: probabilities by the logistic function, each label for itself; else softmax.
    Probabilities are those of ``scale * logits + offset``.
    """

    weight: F32
    bias: F32
    output: F32 | None = None
    one_vs_all: bool = False
    scale: float = 1.0
    offset: float = 0.0
    head: Head | None = None

    def logits(
        self, indptr: npt.NDArray[np.int64], ids: npt.NDArray[np.int32], weights: F32
    ) -> F64:
        """Logits float64 [B, K] of B bags in CSR form; an empty bag has the bias alone."""
        hidden = bag_sums(self.weight, indptr, ids, weights)
        wide = hidden.astype(np.float64)
        scores = wide if self.output is None else _exact_product(wide, *self._grid)
        if self.head is not None:
            return self.head.logits(scores + self.bias)
        length = bag_lengths(indptr, weights)[:, None]
        bias: F64 = length * self.bias + (1 - length) * self.bias.mean(dtype=np.float64)
        return scores + bias

    def probabilities(
        self, indptr: npt.NDArray[np.int64], ids: npt.NDArray[np.int32], weights: F32
    ) -> F64:
        """Probabilities float64 [B, K]; rows sum to 1 unless ``one_vs_all``."""
        room = max(_AT_LEAST, _BLOCK // (4 * max(1, len(self.bias))))
        blocks = [
            self.activate(self.logits(indptr[first : first + room + 1], ids, weights))
            for first in range(0, len(indptr) - 1, room)
        ]
        return np.concatenate(blocks) if blocks else np.empty((0, self.n_labels))

    @cached_property
    def _grid(self) -> tuple[F64, F64]:
        """``output`` on its grid, and the grid's steps; made once, as it may be large."""
        assert self.output is not None
        return _on_grid(self.output.astype(np.float64))

    @property
    def n_labels(self) -> int:
        """K."""
        return len(self.bias) if self.head is None else len(self.head.structure)

    def contributions(self, ids: npt.NDArray[np.int32], weights: F32, label: int) -> F64:
        """What each feature of one text adds to the scaled logit of a label, float64 [T].

        Their sum and ``scale * bias + offset`` is that logit (of a text of length one). Raises
        ValueError with a ``head``, through which a logit is no sum.
        """
        if self.head is not None:
            raise ValueError("a logit is not a sum over features")
        rows = self.weight[ids].astype(np.float64)
        column = rows[:, label] if self.output is None else rows @ self.output[label]
        return self.scale * weights.astype(np.float64) * column

    def activate(self, logits: F64) -> F64:
        """Probabilities float64 [B, K] from logits."""
        scaled = logits * self.scale + self.offset
        return sigmoid(scaled) if self.one_vs_all else softmax(scaled)


def bag_lengths(indptr: npt.NDArray[np.int64], weights: F32) -> F64:
    """Euclidean length of each bag, float64 [B]: from a twentieth to 1, which an empty bag has."""
    found = np.ones(len(indptr) - 1)
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled):
        squares = np.square(weights[indptr[0] : indptr[-1]], dtype=np.float64)
        found[filled] = np.sqrt(np.add.reduceat(squares, indptr[filled] - indptr[0]))
    np.clip(found, _SHORTEST, 1, out=found)
    return found


def bag_sums(
    table: F32,
    indptr: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int32],
    weights: F32,
    block: int = _BLOCK,
) -> F32:
    """Sum of ``weights[i] * table[ids[i]]`` over each bag, float32 [B, D].

    Works on blocks of bags whose gathered rows fill about ``block`` floats, which stay in cache.
    """
    n_bags, width = len(indptr) - 1, table.shape[1]
    sums = np.zeros((n_bags, width), dtype=np.float32)
    room = max(1, block // max(1, width))
    first = 0
    while first < n_bags:
        last = int(np.searchsorted(indptr, indptr[first] + room, side="right")) - 1
        last = min(max(last, first + 1), n_bags)
        begin, end = int(indptr[first]), int(indptr[last])
        if end > begin:
            rows = table.take(ids[begin:end], axis=0)
            rows *= weights[begin:end, None]
            filled = np.flatnonzero(np.diff(indptr[first : last + 1]))
            sums[first + filled] = np.add.reduceat(rows, indptr[first + filled] - begin, axis=0)
        first = last
    return sums


def _exact_product(hidden: F64, right: F64, right_scale: F64) -> F64:
    """``hidden @ output.T`` [B, K], the same bits whatever stands in the other rows.

    Both sides are rounded to 20 bits below their largest value, so that every partial sum is an
    integer below 2^53 and the order in which a BLAS adds cannot matter.
    """
    left, left_scale = _on_grid(hidden)
    product: F64 = np.asarray(left @ right.T, dtype=np.float64)
    return product * left_scale * right_scale.T


def _on_grid(values: F64) -> tuple[F64, F64]:
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0.0)
    scale = np.exp2(np.ceil(np.log2(np.where(largest > 0, largest, 1.0))) - _GRID_BITS)
    return np.rint(values / scale), scale


def softmax(logits: F64) -> F64:
    """Softmax over the last axis, float64 [B, K]."""
    result: F64 = logits - logits.max(axis=1, keepdims=True)
    np.exp(result, out=result)
    result /= result.sum(axis=1, keepdims=True)
    return result


def sigmoid(logits: F64) -> F64:
    """Logistic function, without overflow, float64 [B, K]."""
    small = np.exp(-np.abs(logits))
    result: F64 = np.where(logits >= 0, 1 / (1 + small), small / (1 + small))
    return result
