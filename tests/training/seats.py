"""Ranks of one process, a thread each."""

from __future__ import annotations

import threading

import torch
from torch import Tensor


class Table:
    """Where the ranks of one process, a thread each, put down what is to be added."""

    def __init__(self, size: int) -> None:
        self.values: list[Tensor] = [torch.empty(0)] * size
        self.barrier = threading.Barrier(size, timeout=20)


class Seat:
    """One of them: what Ranks does between processes."""

    def __init__(self, table: Table, rank: int, size: int) -> None:
        self._table, self.rank, self.size = table, rank, size

    def _all(self, values: Tensor) -> list[Tensor]:
        self._table.values[self.rank] = values.clone()
        self._table.barrier.wait()
        found = list(self._table.values)
        self._table.barrier.wait()
        return found

    def sum(self, values: Tensor) -> Tensor:
        found = self._all(values)
        assert len({(part.shape, part.dtype) for part in found}) == 1
        return values.copy_(torch.stack(found).sum(dim=0))

    def from_first(self, values: Tensor) -> Tensor:
        return values.copy_(self._all(values)[0])
