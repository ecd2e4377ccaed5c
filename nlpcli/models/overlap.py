"""Overlapping windows of consecutive rows, so that what lies in a band is dense in small blocks.

Shapes: N places in blocks of b, each with h rows to both sides: block k sees rows k b to
(k + 1) b + 2 h of N + 2 h. Row i + h belongs to place i.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 16
"""Places of a block at least: fast products of which little is thrown away."""


class Overlap:
    """The layout of N places with h rows to both sides.

    b is ``LEAST``, doubled until it is at least 2 h. Raises ValueError where N is no multiple.
    """

    def __init__(self, n: int, half: int) -> None:
        size = LEAST
        while size < 2 * half:
            size *= 2
        if n % size:
            raise ValueError(f"{n} places are no multiple of {size}")
        self.size, self.blocks, self.width, self._half = size, n // size, size + 2 * half, half

    def windows(self, rows: Tensor) -> Tensor:
        """A view of contiguous rows [N + 2 h, X] as [N / b, b + 2 h, X]; nothing is copied."""
        x = rows.shape[1]
        return rows.as_strided((self.blocks, self.width, x), (self.size * x, x, 1))

    def band(self, blocks: Tensor) -> Tensor:
        """A view [N / b, b, 2 h + 1] of contiguous [N / b, b, b + 2 h]: what each place sees."""
        shape = (self.blocks, self.size, 2 * self._half + 1)
        return blocks.as_strided(shape, (self.size * self.width, self.width + 1, 1))

    def fold(self, parts: Tensor, out: Tensor) -> Tensor:
        """Sums [N / b, b + 2 h, X] by row, into ``out`` [N + 2 h, X], which is given back."""
        n, x = self.blocks * self.size, parts.shape[2]
        out[:n].view(self.blocks, self.size, x).copy_(parts[:, : self.size])
        if self._half:
            out[n:].zero_()
            beyond = (self.blocks, 2 * self._half, x)
            out[self.size :].as_strided(beyond, (self.size * x, x, 1)).add_(parts[:, self.size :])
        return out

    def buffer(self, *shape: int, device: torch.device) -> Tensor:
        """Zeros [N / b, ...]."""
        return torch.zeros(self.blocks, *shape, device=device)
