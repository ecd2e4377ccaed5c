"""What a fine-tuned model says about rows, and what it learns to say about texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.framing import Rows, Specials, batches_of_one_width, padded
from nlpcli.models.encoder_heads import EncoderModel, SequenceModel, sequence_loss
from nlpcli.training.frozen_features import (
    gathered,
    in_parts,
    on_device,
    remembered,
    tokens_at_once,
)

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SequenceObjective:
    """``targets`` of the training rows: int64 [N] labels, float32 [N, K] labels or float32 [N]
    numbers; ``weights`` float32 [N]; the rest as ``sequence_loss``."""

    targets: npt.NDArray[Any]
    weights: npt.NDArray[np.float32] | None = None
    smoothing: float = 0.0
    focal: float = 0.0

    def loss(self, outputs: Tensor, chosen: I64) -> Tensor:
        """The mean loss of the rows ``chosen`` [B]; ``outputs`` [B, K]."""
        targets = torch.from_numpy(self.targets[chosen]).to(outputs.device)
        weights = None
        if self.weights is not None:
            weights = torch.from_numpy(self.weights[chosen]).to(outputs.device)
        return sequence_loss(
            outputs, targets, weights=weights, smoothing=self.smoothing, focal=self.focal
        )


@torch.no_grad()
def answers(model: EncoderModel, rows: Rows, specials: Specials) -> Iterator[tuple[I64, Tensor]]:
    """Row numbers int64 [B] and what the model says of these rows, [B, ...], batch by batch.

    Rows are computed with others of their own width, so they do not come in order, and what is
    said of a row does not depend on its company: in bf16 other widths round otherwise. Of a frozen
    encoder features are kept, where they have room. Raises Unavailable when a GPU's memory does not
    hold a row.
    """
    model.eval()
    device = model.bert.words.device
    kept = remembered(model, rows, specials)

    def compute(chosen: I64) -> Tensor:
        if kept is not None:
            return model.head(gathered(model, kept, rows, chosen, specials))
        found: Tensor = model(*on_device(padded(rows, chosen, specials), device))
        return found

    batches = batches_of_one_width(rows.lengths, specials, tokens_at_once(device))
    yield from in_parts(rows.lengths, batches, compute)


def logits_of(model: SequenceModel, rows: Rows, specials: Specials) -> F64:
    """Logits of all texts, float64 [N, K], in their order; of windows of a text the mean.

    The mean of logits, which is a number itself where the model gives one, and to which what is
    calibrated on dev rows applies as it is.
    """
    found = np.zeros((len(rows), model.n_outputs))
    for chosen, logits in answers(model, rows, specials):
        found[chosen] = logits.double().cpu().numpy()
    return found if rows.windows is None else rows.windows.means(found)
