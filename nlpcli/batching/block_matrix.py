"""A sparse matrix in pieces, none of which is ever copied into a larger one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Csr = Any
"""scipy.sparse.csr_matrix of float32, indices ascending in each row."""


@dataclass(frozen=True)
class Block:
    """``values`` stand from ``row`` and ``column`` on."""

    row: int
    column: int
    values: Csr

    @property
    def rows(self) -> slice:
        """Which rows of the whole it fills."""
        return slice(self.row, self.row + self.values.shape[0])

    @property
    def columns(self) -> slice:
        """Which columns of the whole it fills."""
        return slice(self.column, self.column + self.values.shape[1])

    def row_numbers(self) -> I64:
        """The row of each entry in the block, int64 [nnz]."""
        return np.repeat(np.arange(self.values.shape[0]), np.diff(self.values.indptr))


@dataclass(frozen=True)
class BlockMatrix:
    """R × C; zero outside of ``blocks``, which do not overlap."""

    shape: tuple[int, int]
    blocks: list[Block]

    @property
    def nnz(self) -> int:
        """Entries that are stored."""
        return sum(block.values.nnz for block in self.blocks)

    def row_sums(self) -> F64:
        """float64 [R]."""
        return self._summed(0, lambda block: (block.row_numbers(), block.values.data))

    def column_sums(self) -> F64:
        """float64 [C]."""
        return self._summed(1, lambda block: (block.values.indices, block.values.data))

    def filled_columns(self) -> F64:
        """In how many columns each row has an entry, float64 [R]."""
        return self._summed(0, lambda block: (block.row_numbers(), np.ones(block.values.nnz)))

    def _summed(self, axis: int, entries: Callable[[Block], tuple[I64, Any]]) -> F64:
        sums = np.zeros(self.shape[axis])
        for block in self.blocks:
            at = block.rows if axis == 0 else block.columns
            numbers, values = entries(block)
            sums[at] += np.bincount(numbers, weights=values, minlength=block.values.shape[axis])
        return sums

    def times(self, right: F32, workers: int) -> F32:
        """The product with a dense matrix [C, K], float32 [R, K]."""
        return self._product(right, workers, transposed=False)

    def transposed_times(self, right: F32, workers: int) -> F32:
        """The product of the transpose with a dense matrix [R, K], float32 [C, K]."""
        return self._product(right, workers, transposed=True)

    def _product(self, right: F32, workers: int, *, transposed: bool) -> F32:
        found = np.zeros((self.shape[1 if transposed else 0], right.shape[1]), np.float32)

        def some_columns(chosen: slice) -> None:
            part = np.ascontiguousarray(right[:, chosen])
            for block in self.blocks:
                if transposed:
                    found[block.columns, chosen] += block.values.T @ part[block.rows]
                else:
                    found[block.rows, chosen] += block.values @ part[block.columns]

        # every column of the result is computed alone: threads change nothing
        edges = np.linspace(0, right.shape[1], max(1, workers) + 1).astype(int).tolist()
        parts = [slice(a, b) for a, b in pairwise(edges) if a < b]
        with ThreadPoolExecutor(max(1, workers)) as pool:
            list(pool.map(some_columns, parts))
        return found
