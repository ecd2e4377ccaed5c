"""Bags of features -> fixed minibatches of tensors, with the transposed batch ready-made.

Which texts share a batch is drawn once; the order of the batches is drawn anew each epoch. So the
sort that turns a batch around (feature -> texts) is done once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.labels import LabelBatch, LabelSets, ragged_positions
from nlpcli.text import parallel

HELD_OUT, MOST_HELD_OUT = 0.1, 20_000
"""Share of the texts, and how many at most, that the first epochs are measured on."""
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BagBatch:
    """One minibatch of B texts, T features, U distinct features.

    Forward: ``ids`` [T], ``offsets`` [B], ``weights`` [T]. Transposed: ``rows`` [U] distinct ids,
    ``row_offsets`` [U], ``row_texts`` [T] text of each entry, ``row_weights`` [T].
    """

    ids: Tensor
    offsets: Tensor
    weights: Tensor
    rows: Tensor
    row_offsets: Tensor
    row_texts: Tensor
    row_weights: Tensor
    labels: LabelBatch

    def to(self, device: torch.device) -> BagBatch:
        """The same batch on a device."""
        return BagBatch(**{name: part.to(device) for name, part in self.__dict__.items()})


def good_batch_size(n_texts: int, n_entries: int) -> int:
    """Texts a step: about 4,096 features, at most 256 texts and a twentieth of them all."""
    short = 4096 * n_texts // max(1, n_entries)
    return max(1, min(256, max(64, short), n_texts // 20))


def gradient_batch_size(n_texts: int, n_scores: int = 1) -> int:
    """Texts a step of gradient training: 64, and up to 2,048 where there are steps enough.

    ``n_scores`` a text are held at once: at most 2^24 of them where 64 texts need not more.
    """
    return min(2048, max(64, n_texts // 256), max(64, 2**24 // n_scores))


def n_held_out(n_batches: int, batch_size: int) -> int:
    """A tenth of the batches, and no more than tell what there is to know."""
    return min(round(HELD_OUT * n_batches), -(-MOST_HELD_OUT // batch_size))


class BagBatches:
    """All minibatches of one training set; ``order`` draws an epoch."""

    def __init__(
        self,
        indptr: I64,
        ids: npt.NDArray[np.int32],
        weights: npt.NDArray[np.float32],
        labels: LabelSets,
        *,
        batch_size: int,
        seed: int,
        importance: npt.NDArray[np.float32] | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.n_texts, self.batch_size = len(indptr) - 1, batch_size
        self._order = np.random.default_rng(seed).permutation(self.n_texts)
        self._labels, self._importance = labels, importance
        self._device = device or torch.device("cpu")
        self._indptr, self._ids, self._weights = indptr, ids, weights
        with ThreadPoolExecutor(parallel.workers()) as pool:
            self._entries = list(pool.map(self._prepare, range(len(self))))

    def _prepare(self, number: int) -> tuple[Tensor, ...]:
        """The entries of a batch, forward and sorted by feature: all but labels and importance."""
        chosen = self.texts(number)
        sizes = self._indptr[chosen + 1] - self._indptr[chosen]
        at = ragged_positions(self._indptr[chosen], sizes)
        ids, weights = self._ids[at], self._weights[at]
        keys = (ids.astype(np.uint64) << np.uint64(32)) | np.arange(len(ids), dtype=np.uint64)
        keys.sort()
        turned = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
        ordered = (keys >> np.uint64(32)).astype(np.int64)
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        texts = np.repeat(np.arange(len(chosen), dtype=np.int32), sizes)
        arrays = (
            ids, (np.cumsum(sizes) - sizes).astype(np.int32), weights, ordered[starts],
            starts.astype(np.int32), texts[turned], weights[turned],
        )  # fmt: skip
        return tuple(map(torch.from_numpy, arrays))

    def __len__(self) -> int:
        return -(-len(self._order) // self.batch_size)

    @property
    def overlap(self) -> float:
        """Mean inner product of two different texts, 0 for texts that share nothing."""
        n_texts = len(self._order)
        total = np.bincount(self._ids, weights=self._weights)
        squares = float(np.square(self._weights, dtype=np.float64).sum())
        return max(0.0, (float(total @ total) - squares) / max(1, n_texts * (n_texts - 1)))

    def squares(self, n_features: int) -> Tensor:
        """Sum of the squared weights of each feature, float32 [V]."""
        squared = np.square(self._weights, dtype=np.float64)
        found = np.bincount(self._ids, weights=squared, minlength=n_features)
        return torch.from_numpy(found.astype(np.float32))

    def lengths(self, freedom: npt.NDArray[np.float32]) -> Tensor:
        """Of each text, in the order of the batches: the sum of squared weights times the freedom
        [V] of their features, float32 [N]."""
        ends = np.concatenate(([0.0], np.cumsum(np.square(self._weights) * freedom[self._ids])))
        found = np.diff(ends[self._indptr])[self._order]
        return torch.from_numpy(found.astype(np.float32))

    def order(self, generator: torch.Generator) -> list[int]:
        """The numbers of all batches in an order drawn from ``generator``."""
        numbers: list[int] = torch.randperm(len(self), generator=generator).tolist()
        return numbers

    def texts_from(self, number: int) -> I64:
        """Which texts are in this batch or a later one, int64 [S], ascending."""
        return np.sort(self._order[number * self.batch_size :])

    def texts(self, number: int) -> I64:
        """Which texts a batch holds, int64 [B]."""
        return self._order[number * self.batch_size : (number + 1) * self.batch_size]

    def batch(self, number: int) -> BagBatch:
        """One batch, on the device."""
        return self._make(number).to(self._device)

    def _make(self, number: int) -> BagBatch:
        chosen = self.texts(number)
        importance = None
        if self._importance is not None:
            importance = torch.from_numpy(self._importance[chosen])
        ids, offsets, weights, rows, row_offsets, row_texts, row_weights = self._entries[number]
        return BagBatch(
            ids, offsets, weights, rows, row_offsets, row_texts, row_weights,
            self._labels.chosen(chosen, importance),
        )  # fmt: skip
