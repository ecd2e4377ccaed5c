"""Several tasks above one encoder, each with a head of its own (Liu et al. 2019, "Multi-task deep
neural networks", §3).

Shapes: B rows, T positions, D hidden size, K labels of a task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from nlpcli.models.bert import Bert, Part, affine_parts
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.encoder_heads import MLP_RATE, EncoderModel, Mlp, text_vectors
from nlpcli.models.layers import linear
from nlpcli.models.sequence_head import CLS, LINEAR, PREFIX, of_task


class SharedHeads(EncoderModel):
    """An encoder, a vector of the text, and above it a head for each task.

    It says the vector; ``logits`` makes of it what one task wants to know. ``n_outputs``: labels
    of each task by its name. ``head`` and ``pooling`` as of a SequenceModel, all heads alike.
    """

    splits = True

    def __init__(
        self, config: BertConfig, n_outputs: Mapping[str, int], dropout: float, *,
        head: str = LINEAR, pooling: str = CLS,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bert = Bert(config, pooler=pooling == CLS)
        self.n_outputs = dict(n_outputs)
        self.classifiers = nn.ModuleList(
            linear(config.hidden, n) if head == LINEAR else Mlp(config.hidden, n, dropout)
            for n in self.n_outputs.values()
        )
        self._pooling, self._dropout = pooling, dropout
        self.reads_first = pooling == CLS

    @torch.no_grad()
    def initialize(self, scale: float, generator: torch.Generator) -> None:
        """As of every module, but for rectified units."""
        super().initialize(scale, generator)
        for classifier in self.classifiers:
            if isinstance(classifier, Mlp):
                classifier.initialize(generator)

    def features(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """A vector of each text, [B, D]."""
        return text_vectors(self.bert, self._pooling, ids, segments, mask)

    def head(self, features: Tensor) -> Tensor:
        """The vectors that ``logits`` takes, [B, D], as precise as the encoder."""
        if self.training and self._dropout:
            return functional.dropout(features, self._dropout)
        return features

    def rate(self, name: str, lr: float) -> float:
        """The learning rate of a parameter where the encoder has ``lr``."""
        own = any(name.startswith(of_task(task, PREFIX)) for task in self.n_outputs)
        return max(lr, MLP_RATE) if own and isinstance(self.classifiers[0], Mlp) else lr

    def logits(self, vectors: Tensor, task: str) -> Tensor:
        """Of one task, [B, K], float32."""
        classifier = self.classifiers[list(self.n_outputs).index(task)]
        precision = next(classifier.parameters()).dtype
        logits: Tensor = classifier(vectors.to(precision))
        return logits.float()

    def parts(self) -> Iterator[Part]:
        """All parameters; those of heads by the names that ``of_task`` gives."""
        yield from self.bert.parts()
        for task, classifier in zip(self.n_outputs, self.classifiers, strict=True):
            own = of_task(task, PREFIX)
            if isinstance(classifier, Mlp):
                yield from affine_parts(f"{own}dense", classifier.dense)
                yield from affine_parts(f"{own}output", classifier.output)
            else:
                assert isinstance(classifier, nn.Linear)
                yield from affine_parts(own.removesuffix("."), classifier)
