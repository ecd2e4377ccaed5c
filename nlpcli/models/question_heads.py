"""An encoder that says where an answer begins and where it ends (Devlin et al. 2019, §4.2)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nlpcli.models.bert import Bert, Part, affine_parts
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.encoder_heads import TINY, EncoderModel
from nlpcli.models.layers import linear


class QuestionModel(EncoderModel):
    """An encoder without pooler and a linear layer above each position, one score for the start and
    one for the end: ``BertForQuestionAnswering``."""

    splits = by_position = True

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = Bert(config, pooler=False)
        self.qa_outputs = linear(config.hidden, 2)

    def features(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """Hidden states of the last layer, [B, T, D]."""
        hidden: Tensor = self.bert(ids, segments, None if bool(mask.all()) else mask)
        return hidden

    def head(self, features: Tensor) -> Tensor:
        """Logits [B, T, 2] of start and end, float32."""
        logits: Tensor = self.qa_outputs(features)
        return logits.float()

    def parts(self) -> Iterator[Part]:
        """All parameters."""
        yield from self.bert.parts()
        yield from affine_parts("qa_outputs", self.qa_outputs)


def place_loss(
    logits: Tensor, targets: Tensor, allowed: Tensor, *, smoothing: float, focal: float
) -> Tensor:
    """The mean cross entropy of B places, float32.

    ``logits`` [B, T]; ``targets`` int64 [B]; ``allowed`` bool [B, T]: the places that there are to
    choose from. ``smoothing`` and ``focal`` as ``sequence_loss``.
    """
    log_p = logits.masked_fill(~allowed, -torch.inf).log_softmax(dim=1)
    own = log_p.gather(1, targets[:, None])[:, 0]
    losses = -own
    if smoothing:
        even = -log_p.masked_fill(~allowed, 0.0).sum(dim=1) / allowed.sum(dim=1)
        losses = (1 - smoothing) * losses + smoothing * even
    if focal:
        losses = losses * (1 - own.exp()).clamp_min(TINY) ** focal
    return losses.mean()
