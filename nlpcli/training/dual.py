"""Dual coordinate ascent on minibatches: the linear SVM of LIBLINEAR in a few passes, no rate.

For each label k the weights w_k minimise |w_k|²/2 + C · sum_i max(0, 1 - y_ik f_k(x_i))² over the
texts i, with y_ik = ±1 (L2-loss SVM; Fan et al. 2008, section 2.2). In the dual, w_k is the sum
of alpha_ik y_ik x_i with alpha_ik ≥ 0, and one alpha at a time has its optimum in closed form
(Hsieh et al. 2008, section 3). All alphas of a batch and all labels are moved at once; texts of a
batch overlap, so the curvature is raised by a factor ``sigma`` (Takáč et al. 2013, section 3). The
bias is not penalised and follows the gradient with Adagrad, from the best constant answer.
``freedom`` [V] divides the penalty on the weights of each feature: x_i is then as if its features
were multiplied by the root of it, and so are the weights.

A finished model is gone on from by keeping near its weights: |w_k - v_k|² weighed for each feature
by how much of it was seen before, a diagonal stand-in for the loss of the old texts (as Kirkpatrick
et al. 2017, section 2). The labels it did not know begin without that. ``shift`` [K] is the
logarithm of how much more likely each label is in the new rows alone; it is added to the logits in
training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nlpcli.batching.bags import BagBatch, BagBatches
from nlpcli.models.fasttext import FastText
from nlpcli.training.optim import RowwiseAdagrad, add_rows

BIAS_RATE = 0.03
MEMORY = 0.5
"""Weight of what was seen before, per squared input; chosen on held-out rows, see LOG.md."""
SHIFT = 0.4
"""Of a logarithm of label shares, in margins; chosen in the same way."""
TINY_COST = 1e-12


@dataclass(frozen=True)
class Seen:
    """What a finished model was trained on: ``squares`` [V] sum of squared inputs of a feature,
    ``labels`` bool [K]."""

    squares: Tensor
    labels: Tensor


@dataclass(frozen=True)
class DualMove:
    """The alphas to be and the signs of the labels, [B, K]; the gradient at the bias [K]."""

    alpha: Tensor
    signs: Tensor
    pull: Tensor


class DualUpdate:
    """Ascent steps for ``model``; holds alpha, float32 [N, K] in the order of the batches."""

    def __init__(
        self,
        model: FastText,
        batches: BagBatches,
        seen: Seen | None = None,
        shift: Tensor | None = None,
        freedom: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """``freedom`` is for a model that is trained from nothing, without ``seen``."""
        self.model = model
        self._every = slice(0, len(model.bias))
        self._shift = 0.0 if shift is None else shift * SHIFT
        device = model.weight.device
        self.inputs = batches.squares(len(model.weight)).to(device)
        self._freedom: Tensor | None = None
        self._lengths: Tensor | None = None
        self._yielding: Tensor | None = None
        if freedom is not None:
            self._freedom = torch.from_numpy(freedom).to(device)
            self._lengths = batches.lengths(freedom).to(device)
        if seen is not None:
            self._known = seen.labels
            self._yielding = 1 / (1 + MEMORY * model.config.cost * seen.squares)
            self.inputs += seen.squares
        self.alpha = torch.zeros(batches.n_texts, model.n_labels, device=device)
        self.bias = RowwiseAdagrad(model.bias[:, None])
        # half of what is safe for texts that all pull in one direction
        self.sigma = max(1.0, 1 + (batches.batch_size - 1) * batches.overlap / 2)
        self._batch_size = batches.batch_size

    def gradient(self, batch: BagBatch, number: int) -> tuple[Tensor, DualMove]:
        """Summed loss (scalar), and what ``apply`` needs."""
        signs = batch.labels.targets.mul_(2).sub_(1)
        importance = batch.labels.importance
        logits = self.model(batch.ids, batch.offsets, batch.weights) + self._shift
        slack = 1 - signs * logits
        losses = slack.clamp(min=0).square_()
        cost: Tensor | float = self.model.config.cost
        if importance is not None:
            losses *= importance[:, None]
            cost = (cost * importance[:, None]).clamp(min=TINY_COST)
        alpha = self._of(batch, number)
        curvature = self._curvature(batch, number)
        step = (slack - alpha / (2 * cost)) / (curvature + 1 / (2 * cost))
        pull = -slack.clamp_(min=0).mul_(signs)
        if importance is not None:
            pull *= importance[:, None]
        return losses.sum(), DualMove((alpha + step).clamp_(min=0), signs, pull.sum(0))

    def apply(self, batch: BagBatch, number: int, move: DualMove, lr: float) -> None:
        """Moves alphas, weights and bias; ``lr`` is not used."""
        old = self._of(batch, number)
        rows = F.embedding_bag(
            batch.row_texts,
            (move.alpha - old).mul_(move.signs),
            batch.row_offsets,
            mode="sum",
            per_sample_weights=batch.row_weights,
        )
        if self._freedom is not None:
            rows *= self._freedom[batch.rows, None]
        if self._yielding is not None:
            rows *= torch.where(self._known, self._yielding[batch.rows, None], 1.0)
        add_rows(self.model.weight, batch.rows, rows)
        self.bias.step(self._every, move.pull[:, None], BIAS_RATE)
        old.copy_(move.alpha)

    def _curvature(self, batch: BagBatch, number: int) -> Tensor | float:
        """Of the dual at each alpha: [B, K], [B, 1] or one number, as texts have length one."""
        if self._lengths is not None:
            first = number * self._batch_size
            return self.sigma * self._lengths[first : first + len(batch.offsets), None]
        if self._yielding is None:
            return self.sigma
        inner = F.embedding_bag(
            batch.ids,
            self._yielding[:, None],
            batch.offsets,
            mode="sum",
            per_sample_weights=batch.weights.square(),
        )
        return self.sigma * torch.where(self._known, inner, 1.0)

    def _of(self, batch: BagBatch, number: int) -> Tensor:
        first = number * self._batch_size
        return self.alpha[first : first + len(batch.offsets)]

    def squares(self) -> dict[str, Tensor]:
        """By the name of the table: sums of squared inputs, and of the bias's gradients."""
        return {"weight": self.inputs, "bias": self.bias.squares}

    def memory(self) -> dict[str, Tensor]:
        """What else a run needs to go on."""
        return {"alpha": self.alpha}
