"""The training loop of the additive classifier: one generator of epochs; callers save and show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from nlpcli.batching.bags import BagBatch, BagBatches
from nlpcli.errors import NegativeAnswer
from nlpcli.models.fasttext import FastText
from nlpcli.training.optim import RowwiseAdagrad

BIAS_RATE = 0.1
"""The bias moves with every text, so it learns at a tenth of the rate."""


@dataclass(frozen=True)
class Step:
    """Where training stands: ``epoch`` from 1, ``step`` of ``steps``, mean loss of the epoch."""

    epoch: int
    step: int
    steps: int
    loss: float
    end_of_epoch: bool


class FastTextUpdate:
    """One gradient step on one batch."""

    def __init__(self, model: FastText) -> None:
        self.model = model
        self.rows = RowwiseAdagrad(model.weight)
        self.output = None if model.output is None else RowwiseAdagrad(model.output)
        self.bias = RowwiseAdagrad(model.bias[:, None])

    def __call__(self, batch: BagBatch, lr: float) -> torch.Tensor:
        """Summed loss of the batch, as a scalar tensor, before the update."""
        model = self.model
        hidden = model.hidden(batch.ids, batch.offsets, batch.weights)
        loss, gradient = model.loss_gradient(model.project(hidden), batch)
        row_gradient = model.row_gradient(gradient, batch)
        if self.output is not None:
            self.output.step(None, gradient.T @ hidden, lr)
        self.bias.step(None, gradient.sum(0)[:, None], lr * BIAS_RATE)
        self.rows.step(batch.rows, row_gradient, lr)
        return loss


def train(
    model: FastText, batches: BagBatches, n_texts: int, generator: torch.Generator
) -> Iterator[Step]:
    """Trains ``model`` in place for its configured epochs; yields after every 64th step and at
    the end of each epoch. Raises NegativeAnswer when the loss is not finite."""
    config, update = model.config, FastTextUpdate(model)
    steps, done = config.epochs * len(batches), 0
    with torch.no_grad():
        for epoch in range(1, config.epochs + 1):
            total, seen = torch.zeros((), device=model.weight.device), 0
            for batch in batches.epoch(generator):
                lr = config.lr * (1 - (1 - config.lr_end) * done / steps)
                total += update(batch, lr)
                done, seen = done + 1, seen + len(batch.offsets)
                if done % 64 == 0 and seen < n_texts:
                    yield Step(epoch, done, steps, float(total) / seen, False)
            loss = float(total) / max(1, seen)
            if not torch.isfinite(total):
                raise NegativeAnswer(f"training diverged in epoch {epoch}: the loss is {loss}")
            yield Step(epoch, done, steps, loss, True)
