"""What an encoder is fine-tuned to say about a text or a pair (Devlin et al. 2019, §4).

Shapes: B rows, T positions, D hidden size, K labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from nlpcli.models.bert import Bert, Named, Part, Weights, affine_parts
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.layers import linear
from nlpcli.models.pooling import pool_texts
from nlpcli.models.sequence_head import CLS, LINEAR, MLP_WIDTH, PREFIX

TINY = 1e-7
"""A root of 0 has no gradient."""
MLP_RATE = 1e-3
"""Least learning rate of the perceptron, two layers that begin at random: at a rate for encoders
it is far behind a linear head after an epoch. See benchmarks/LOG.md."""


class EncoderModel(Named):
    """An encoder and a head above it: (ids, segments, mask) -> what the head says, float32."""

    bert: Bert
    splits: ClassVar[bool] = False
    """Whether it is ``head`` of ``features``, of which a frozen encoder has always the same."""
    by_position: ClassVar[bool] = False
    """Whether features are of each position, [B, T, D], and not of a row, [B, D]."""
    reads_first = False
    """Whether the head looks at the first position alone."""
    remembered: dict[str, Tensor] | None = None
    """Features of rows by their content, while the encoder is frozen and they have room."""

    def features(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """What the encoder says of rows, without dropout of the head's."""
        raise NotImplementedError

    def head(self, features: Tensor) -> Tensor:
        """What is made of it, float32."""
        raise NotImplementedError

    def forward(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """What the head says, float32."""
        return self.head(self.features(ids, segments, mask))

    def rate(self, name: str, lr: float) -> float:
        """The learning rate of a parameter where the encoder has ``lr``."""
        return lr


class Mlp(nn.Module):
    """A layer of rectified units and a linear one above it, [B, D] -> [B, K]."""

    def __init__(self, hidden: int, n_outputs: int, dropout: float) -> None:
        super().__init__()
        self.dense, self.output = linear(hidden, MLP_WIDTH), linear(MLP_WIDTH, n_outputs)
        self._dropout = dropout

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Rectified units pass on the variance of what they are given (He et al. 2015, "Delving
        deep into rectifiers", §2.2)."""
        weight = self.dense.weight
        drawn = torch.empty(weight.shape)
        weight.copy_(drawn.normal_(0.0, (2 / weight.shape[1]) ** 0.5, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """What the linear layer says, [B, K]."""
        inner = functional.relu(self.dense(x))
        if self.training and self._dropout:
            inner = functional.dropout(inner, self._dropout)
        found: Tensor = self.output(inner)
        return found


def text_vectors(bert: Bert, pooling: str, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
    """A vector of each text, [B, D]."""
    seen = None if bool(mask.all()) else mask
    if pooling == CLS:
        return bert.pooled(bert(ids, segments, seen, only_first=True))
    hidden = bert(ids, segments, seen)
    return pool_texts(hidden.float(), mask, pooling).to(hidden.dtype)


class SequenceModel(EncoderModel):
    """An encoder, a vector of the text and a head above it; with a linear head and the pooled
    first position ``BertForSequenceClassification``.

    K labels, or one number for a regression. ``head`` and ``pooling`` as in ``sequence_head.py``.
    """

    splits = True

    def __init__(
        self, config: BertConfig, n_outputs: int, dropout: float, *, head: str = LINEAR,
        pooling: str = CLS,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bert = Bert(config, pooler=pooling == CLS)
        self.n_outputs = n_outputs
        self.classifier: nn.Linear | Mlp
        if head == LINEAR:
            self.classifier = linear(config.hidden, n_outputs)
        else:
            self.classifier = Mlp(config.hidden, n_outputs, dropout)
        self._pooling, self._dropout = pooling, dropout
        self.reads_first = pooling == CLS

    @torch.no_grad()
    def initialize(self, scale: float, generator: torch.Generator) -> None:
        """As of every module, but for rectified units."""
        super().initialize(scale, generator)
        if isinstance(self.classifier, Mlp):
            self.classifier.initialize(generator)

    def features(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """A vector of each text, [B, D]."""
        return text_vectors(self.bert, self._pooling, ids, segments, mask)

    def head(self, features: Tensor) -> Tensor:
        """Logits [B, K], float32."""
        if self.training and self._dropout:
            features = functional.dropout(features, self._dropout)
        precision = next(self.classifier.parameters()).dtype
        logits: Tensor = self.classifier(features.to(precision))
        return logits.float()

    def rate(self, name: str, lr: float) -> float:
        """The learning rate of a parameter where the encoder has ``lr``."""
        own = isinstance(self.classifier, Mlp) and name.startswith(PREFIX)
        return max(lr, MLP_RATE) if own else lr

    @torch.no_grad()
    def keep_head_exact(self, weights: Weights) -> None:
        """The head computes in float32 from now on, whatever the encoder does: a number that is
        far from 0, as a year is, would lose its last digits in bfloat16."""
        self.classifier.float()
        for part in self.parts():
            if part.name.startswith(PREFIX):
                part.view.copy_(torch.from_numpy(weights[part.name]))

    def parts(self) -> Iterator[Part]:
        """All parameters."""
        yield from self.bert.parts()
        if isinstance(self.classifier, Mlp):
            yield from affine_parts("classifier.dense", self.classifier.dense)
            yield from affine_parts("classifier.output", self.classifier.output)
        else:
            yield from affine_parts("classifier", self.classifier)


def sequence_loss(
    logits: Tensor, targets: Tensor, *, weights: Tensor | None, smoothing: float, focal: float
) -> Tensor:
    """The mean loss of B rows, float32.

    ``targets``: int64 [B], one label a row: cross entropy, with label ``smoothing`` (Szegedy et
    al. 2016, §7); float32 [B, K]: logistic loss of each label, summed over them; float32 [B]:
    squared error. ``weights`` float32 [B] of rows, 1 on average over all rows there are, so that
    a row weighs the same in whatever batch it comes. ``focal``: rows that are right already count
    less, by (1 - p)^focal (Lin et al. 2017, "Focal loss").
    """
    if targets.dtype == torch.int64:
        losses = functional.cross_entropy(
            logits, targets, reduction="none", label_smoothing=smoothing
        )
        if focal:
            log_p = functional.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]
            losses = losses * (1 - log_p.exp()).clamp_min(TINY) ** focal
    elif targets.ndim == 2:
        soft = targets * (1 - smoothing) + 0.5 * smoothing
        each = functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
        if focal:
            p = torch.sigmoid(logits)
            each = each * torch.where(targets > 0.5, 1 - p, p).clamp_min(TINY) ** focal
        losses = each.sum(dim=1)
    else:
        losses = (logits[:, 0] - targets) ** 2
    return (losses if weights is None else losses * weights).mean()
