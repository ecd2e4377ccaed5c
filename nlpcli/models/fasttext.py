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
from nlpcli.models.heads import ClusterHead, Head, TreeHead
from nlpcli.models.outputs import (
    AdaptiveSoftmax,
    HierarchicalSoftmax,
    NegativeSampling,
    OneVsAll,
    OutputLayer,
    Softmax,
)


class FastText(torch.nn.Module):
    """``weight`` [V, K or D], ``output`` [R, D] when ``dim`` > 0, ``bias`` [R].

    ``counts`` float [K]: how often each label occurs; the sparse losses need it. ``head``: the one
    of a model that is gone on from. ``shift`` [K]: added to the logits in training, where the loss
    has a logit a label. R is K where ``head`` is None.
    """

    weight: Tensor
    bias: Tensor
    output: Tensor | None

    def __init__(
        self,
        config: FastTextConfig,
        n_features: int,
        n_labels: int,
        generator: torch.Generator,
        *,
        counts: Tensor | None = None,
        head: Head | None = None,
        shift: Tensor | None = None,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.config = config
        self.n_labels = n_labels
        if counts is None:
            counts = torch.ones(n_labels)
        self.head = head or _head(config, counts)
        n_rows = n_labels if self.head is None else self.head.n_rows
        if config.dim:
            bound = 1 / config.dim
            weight = torch.empty(n_features, config.dim).uniform_(
                -bound, bound, generator=generator
            )
            output = torch.empty(n_rows, config.dim).normal_(0, 0.3, generator=generator)
            self.register_buffer("output", output)
        else:
            weight = torch.zeros(n_features, n_labels)
            self.output = None
        self.register_buffer("weight", weight)
        self.register_buffer("bias", torch.zeros(n_rows))
        self._counts, self._shift, self._seed = counts, shift, seed

    def output_layer(self) -> OutputLayer:
        """The layer that learns from hidden vectors; make it once the model is on its device."""
        config, output, bias = self.config, self.output, self.bias
        if config.loss == "one-vs-all":
            return OneVsAll(output, bias, self._shift)
        if config.loss == "softmax":
            return Softmax(output, bias, self._shift, config.label_smoothing)
        assert output is not None
        if config.loss == "ns":
            return NegativeSampling(
                output, bias, self._counts, negatives=config.negatives, seed=self._seed,
                correct=config.bias,
            )  # fmt: skip
        if isinstance(self.head, TreeHead):
            return HierarchicalSoftmax(output, bias, self.head)
        assert isinstance(self.head, ClusterHead)
        return AdaptiveSoftmax(output, bias, self.head)

    def hidden(self, ids: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        """Weighted sum of feature rows, [B, K or D]."""
        return F.embedding_bag(ids, self.weight, offsets, mode="sum", per_sample_weights=weights)

    def forward(self, ids: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        """Scores [B, R]."""
        hidden = self.hidden(ids, offsets, weights)
        return (hidden if self.output is None else hidden @ self.output.T) + self.bias

    def row_gradient(self, gradient: Tensor, batch: BagBatch) -> Tensor:
        """Gradient of the batch's distinct feature rows, [U, K or D], from the hidden vectors'."""
        return F.embedding_bag(
            batch.row_texts,
            gradient,
            batch.row_offsets,
            mode="sum",
            per_sample_weights=batch.row_weights,
        )


def _head(config: FastTextConfig, counts: Tensor) -> Head | None:
    if config.loss == "hs":
        return TreeHead(counts.double().clamp(min=1).round().numpy())
    return ClusterHead.of(counts.double().numpy()) if config.loss == "adaptive" else None
