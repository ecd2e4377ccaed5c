"""An encoder that says something about each word (Devlin et al. 2019, §5.3)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional

from nlpcli.models.bert import Bert, Part, affine_parts
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.crf import Crf
from nlpcli.models.encoder_heads import EncoderModel
from nlpcli.models.layers import linear

CRF_RATE = 0.01
"""Least learning rate of the field: its few scores begin at 0 and have far to go, and at a rate
for encoders they would hardly move in an epoch."""


class TokenModel(EncoderModel):
    """An encoder without pooler and a linear layer above each position, K tags:
    ``BertForTokenClassification``; ``crf`` above it, if any, looks at the words of a sentence."""

    splits = by_position = True

    def __init__(
        self, config: BertConfig, n_labels: int, dropout: float, crf: Crf | None = None
    ) -> None:
        super().__init__()
        self.bert = Bert(config, pooler=False)
        self.classifier = linear(config.hidden, n_labels)
        self.crf = crf
        self._dropout = dropout

    def features(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """Hidden states of the last layer, [B, T, D]."""
        hidden: Tensor = self.bert(ids, segments, None if bool(mask.all()) else mask)
        return hidden

    def head(self, features: Tensor) -> Tensor:
        """Logits [B, T, K], float32."""
        if self.training and self._dropout:
            features = functional.dropout(features, self._dropout)
        logits: Tensor = self.classifier(features)
        return logits.float()

    def parts(self) -> Iterator[Part]:
        """Those that transformers has a place for."""
        yield from self.bert.parts()
        yield from affine_parts("classifier", self.classifier)

    def all_parts(self) -> Iterator[Part]:
        """Those of the field, too."""
        yield from self.parts()
        if self.crf is not None:
            yield from self.crf.parts()

    def rate(self, name: str, lr: float) -> float:
        """The learning rate of a parameter where the encoder has ``lr``."""
        return max(lr, CRF_RATE) if name.startswith("crf.") else lr
