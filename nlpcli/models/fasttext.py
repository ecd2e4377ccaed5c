"""The additive classifier of fastText (Joulin et al. 2017), trained with gradients in closed form.

Shapes: B texts, V features, K labels, D dimensions, U distinct features of a batch. The gradient
of a bag sum is a bag sum over the transposed batch, so no autograd graph and no dense or coalesced
sparse gradient of the table is ever made. Shares its arrays with models/additive.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nlpcli.batching.bags import BagBatch
from nlpcli.models.config import FastTextConfig


class FastText(torch.nn.Module):
    """``weight`` [V, K or D], ``output`` [K, D] when ``dim`` > 0, ``bias`` [K]."""

    weight: Tensor
    bias: Tensor
    output: Tensor | None

    def __init__(
        self, config: FastTextConfig, n_features: int, n_labels: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.config = config
        self.n_labels = n_labels
        if config.dim:
            bound = 1 / config.dim
            weight = torch.empty(n_features, config.dim).uniform_(
                -bound, bound, generator=generator
            )
            output = torch.empty(n_labels, config.dim).normal_(0, 0.3, generator=generator)
            self.register_buffer("output", output)
        else:
            weight = torch.zeros(n_features, n_labels)
            self.output = None
        self.register_buffer("weight", weight)
        self.register_buffer("bias", torch.zeros(n_labels))

    def hidden(self, ids: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        """Weighted sum of feature rows, [B, K or D]."""
        return F.embedding_bag(ids, self.weight, offsets, mode="sum", per_sample_weights=weights)

    def forward(self, ids: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        """Logits [B, K]."""
        return self.project(self.hidden(ids, offsets, weights))

    def project(self, hidden: Tensor) -> Tensor:
        """Logits [B, K] from the sums of feature rows."""
        return (hidden if self.output is None else hidden @ self.output.T) + self.bias

    def loss_gradient(self, logits: Tensor, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Summed loss (scalar) and its gradient with respect to the logits [B, K]."""
        if self.config.loss == "one-vs-all":
            losses = F.binary_cross_entropy_with_logits(logits, batch.targets, reduction="none")
            gradient = torch.sigmoid(logits) - batch.targets
        else:
            smooth = self.config.label_smoothing
            targets = batch.targets * (1 - smooth) + smooth / self.n_labels
            log_p = F.log_softmax(logits, dim=1)
            losses = -(targets * log_p)
            gradient = log_p.exp() - targets
        if batch.importance is not None:
            losses = losses * batch.importance[:, None]
            gradient = gradient * batch.importance[:, None]
        return losses.sum(), gradient

    def row_gradient(self, gradient: Tensor, batch: BagBatch) -> Tensor:
        """Gradient of the batch's distinct feature rows, [U, K or D], from that of the logits."""
        back = gradient if self.output is None else gradient @ self.output
        return F.embedding_bag(
            batch.row_texts,
            back,
            batch.row_offsets,
            mode="sum",
            per_sample_weights=batch.row_weights,
        )
