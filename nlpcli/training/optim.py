"""Optimizers for tables of which a step touches few rows."""

from __future__ import annotations

import torch
from torch import Tensor

_FLOOR = 1e-8


class RowwiseAdagrad:
    """Adagrad (Duchi et al. 2011) with one accumulator a row: the mean square of its gradients.

    The step of a row that was seen often shrinks; a rare word still learns in one step.
    """

    def __init__(self, table: Tensor) -> None:
        self.table = table
        self.squares = torch.full((table.shape[0],), _FLOOR, device=table.device)

    def step(self, rows: Tensor | slice, gradient: Tensor, lr: float) -> None:
        """Updates rows in place with ``gradient`` [U, D]: distinct int64 [U], or a run of them."""
        squares = (gradient * gradient).mean(dim=1)
        if isinstance(rows, slice):
            seen = self.squares[rows].add_(squares)
            self.table[rows].sub_(gradient * (lr / seen.sqrt())[:, None])
            return
        squares += self.squares[rows]
        self.squares[rows] = squares
        scale = squares.sqrt_().reciprocal_().mul_(-lr)
        add_rows(self.table, rows, gradient * scale[:, None])


def add_rows(table: Tensor, rows: Tensor, amount: Tensor) -> None:
    """Adds to distinct rows of a table; unlike index_add_ it runs on all threads."""
    moved = table.index_select(0, rows)
    moved += amount
    table.index_copy_(0, rows, moved)
