"""True labels of texts: all of them in CSR form, and those of one minibatch as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelBatch:
    """L true labels of B texts: ``ids`` int64 [L], ``texts`` int64 [L] whose they are.

    ``importance`` float32 [B] weighs the texts in the loss; None: all alike.
    """

    n_texts: int
    n_labels: int
    ids: Tensor
    texts: Tensor
    importance: Tensor | None = None

    def to(self, device: torch.device) -> LabelBatch:
        """The same on a device."""
        importance = None if self.importance is None else self.importance.to(device)
        return LabelBatch(
            self.n_texts, self.n_labels, self.ids.to(device), self.texts.to(device), importance
        )

    @property
    def targets(self) -> Tensor:
        """A 1 for each true label, float32 [B, K]."""
        found = torch.zeros(self.n_texts, self.n_labels, device=self.ids.device)
        found[self.texts, self.ids] = 1
        return found

    @property
    def shares(self) -> Tensor:
        """Of each true label in its text's loss: importance / number of labels, float32 [L]."""
        counts = torch.bincount(self.texts, minlength=self.n_texts)
        found = 1 / counts[self.texts].float()
        return found if self.importance is None else found * self.importance[self.texts]


@dataclass(frozen=True)
class LabelSets:
    """True labels of n texts in CSR form: indptr int64 [n + 1], ids int64."""

    indptr: I64
    ids: I64
    n_labels: int

    @staticmethod
    def of(labels: list[tuple[str, ...]], names: list[str]) -> LabelSets:
        """From label names; names that are not in ``names`` are left out."""
        position = {name: i for i, name in enumerate(names)}
        sets = [[position[name] for name in row if name in position] for row in labels]
        ids = np.array([i for row in sets for i in row], dtype=np.int64)
        sizes = np.array([len(row) for row in sets], dtype=np.int64)
        return LabelSets(np.concatenate(([0], np.cumsum(sizes))), ids, len(names))

    def chosen(self, chosen: I64, importance: Tensor | None = None) -> LabelBatch:
        """Those of some texts."""
        sizes = self.indptr[chosen + 1] - self.indptr[chosen]
        at = ragged_positions(self.indptr[chosen], sizes)
        texts = torch.from_numpy(np.repeat(np.arange(len(chosen)), sizes))
        ids = torch.from_numpy(self.ids[at])
        return LabelBatch(len(chosen), self.n_labels, ids, texts, importance)

    def dense(self, chosen: I64) -> npt.NDArray[np.float32]:
        """Targets float32 [len(chosen), K]."""
        found: npt.NDArray[np.float32] = self.chosen(chosen).targets.numpy()
        return found

    def counts(self) -> npt.NDArray[np.float64]:
        """How many texts have each label, float64 [K]."""
        return np.bincount(self.ids, minlength=self.n_labels).astype(np.float64)


def ragged_positions(starts: I64, sizes: I64) -> I64:
    """Positions of the runs (start, size) one after the other: int64 [sum of sizes]."""
    begins = np.cumsum(sizes) - sizes
    positions: I64 = np.repeat(starts - begins, sizes) + np.arange(int(sizes.sum()))
    return positions
