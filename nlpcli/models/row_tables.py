"""Tables of which a step reads and moves few rows, without automatic differentiation.

Shapes: R rows, D dimensions, n gradients of a step, m rows that they move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

try:
    from scipy.sparse import _sparsetools as kernels
except ImportError:  # it is scipy's own; torch does the same in more time
    kernels = None  # type: ignore[assignment]

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

STIFFEST = 4.0
"""Rate times curvature up to which a row moves at the full rate; chosen by quality, LOG.md."""


@dataclass(frozen=True)
class RowMoves:
    """Uphill moves: gradient i, float32 [n, D], is for ``rows[indptr[i] : indptr[i + 1]]``.

    ``rows`` int32 [m]; ``indptr`` int32 [n + 1], None where each gradient has one row.
    ``curvature`` float32 [n]: a bound of the second derivative along the gradient, which is
    the sum of |weight of a term| · |other vector|² over its terms.
    """

    rows: Tensor
    gradient: Tensor
    curvature: Tensor
    indptr: Tensor | None = None


class RowTable:
    """``weight`` float32 [R, D], and how a step moves its rows."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self._sums = torch.zeros(len(weight), device=weight.device)

    def take(self, rows: Tensor, out: Tensor) -> Tensor:
        """The rows, into ``out`` [n, D], which is given back. ``rows`` int32 or int64 [n]."""
        if self.weight.device.type == "cpu":  # which takes a third of index_select's time
            np.take(self.weight.numpy(), rows.numpy(), axis=0, out=out.numpy(), mode="clip")
            return out
        return torch.index_select(self.weight, 0, rows, out=out)

    def move(self, steps: Sequence[RowMoves], rate: float, part: int = 0, parts: int = 1) -> None:
        """Adds the gradients, times ``rate``, to the rows of one part: number modulo ``parts``.

        All terms of a step look at the same weights. A row that occurs hundreds of times in it
        would be moved far beyond where the sum of its terms is greatest: gradient ascent diverges
        from rate times curvature of 2 on (Nesterov 2004, Introductory Lectures on Convex
        Optimization, section 1.2.3). Such a row moves at ``STIFFEST`` / curvature instead, which
        counts all gradients of the step.
        """
        if self.weight.device.type == "cpu" and kernels is not None:
            self._move_by_kernels(steps, rate, part, parts)
        elif part == 0:
            for step in steps:
                self._move(step, rate)

    def _move_by_kernels(
        self, steps: Sequence[RowMoves], rate: float, part: int, parts: int
    ) -> None:
        n_rows, dim = self.weight.shape
        weight, sums = self.weight.numpy(), self._sums.numpy()
        chosen = [_part(step, part, parts) for step in steps]
        for step, (indptr, rows) in zip(steps, chosen, strict=True):
            ones = np.ones(len(rows), np.float32)
            curvature = step.curvature.numpy()
            kernels.csc_matvecs(n_rows, len(curvature), 1, indptr, rows, ones, curvature, sums)
        rates = []
        for _, rows in chosen:
            stiff = sums[rows]
            stiff *= rate / STIFFEST
            np.maximum(stiff, 1, out=stiff)
            rates.append(np.divide(np.float32(rate), stiff, out=stiff))
        for step, (indptr, rows), rated in zip(steps, chosen, rates, strict=True):
            sums[rows] = 0
            gradient = step.gradient.numpy()
            kernels.csc_matvecs(
                n_rows, len(gradient), dim, indptr, rows, rated, gradient.ravel(), weight.ravel()
            )

    def _move(self, step: RowMoves, rate: float) -> None:
        rows, gradient, curvature = step.rows, step.gradient, step.curvature
        if step.indptr is not None:
            sizes = step.indptr.diff()
            gradient, curvature = (
                values.repeat_interleave(sizes, dim=0) for values in (gradient, curvature)
            )
        self._sums.index_add_(0, rows, curvature)
        rates = rate / (self._sums[rows] * (rate / STIFFEST)).clamp(min=1)
        self._sums[rows] = 0
        self.weight.index_add_(0, rows, gradient * rates[:, None])


def _part(step: RowMoves, part: int, parts: int) -> tuple[I32, I32]:
    """The rows of this part, and where those of each gradient begin."""
    rows: I32 = step.rows.numpy()
    if step.indptr is None:
        indptr = np.arange(len(rows) + 1, dtype=np.int32)
    else:
        indptr = step.indptr.numpy()
    if parts == 1:
        return indptr, rows
    mine = rows % parts == part
    before = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(mine, out=before[1:])
    return (before if step.indptr is None else before[indptr]), rows[mine]
