"""What an encoder says of spans, and of pairs of spans (Lee et al. 2017, "End-to-end neural
coreference resolution", §4; Eberts & Ulges 2020, "SpERT"; Zhong & Chen 2021, "PURE").

Shapes: B rows, T positions, D hidden size, F size of a span's vector, S spans of a row at most;
P pairs of spans; K labels and R relations. Class 0 is none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nlpcli.models.bert import Bert, Named, Part, Weights
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.encoder_heads import EncoderModel
from nlpcli.models.span_config import PREFIX, SpanConfig, span_head_shapes

HEAD_RATE = 4e-3
"""Least learning rate of the head, all of which begins at random."""

NONE_AT_FIRST = 4.0
"""The logit of none for all spans before training."""


@dataclass(frozen=True)
class SpanPlaces:
    """int64 [B, S] each: position of the first and of the last piece, number of words; ``mask``
    bool [B, S]: False for what only fills a row up, whose places are 0 and width 1."""

    first: Tensor
    last: Tensor
    width: Tensor
    mask: Tensor


@dataclass(frozen=True)
class SpanPairs:
    """int64 [P] each: the row, and the numbers of head and tail among its spans."""

    row: Tensor
    head: Tensor
    tail: Tensor


class SpanHead(Named):
    """Vectors of spans, and logits of them and of their pairs, all float32.

    ``boundary``: the first and the last piece and the mean of all. ``attention``: first and last
    through a feed-forward layer each, and a mean weighed by attention within the span. Above both
    with the span's width a feed-forward layer: as it is linear up to its activation, it is applied
    to positions and its results are summed by span, so that a span costs F numbers, not 3 D.
    """

    def __init__(
        self, config: SpanConfig, hidden: int, n_labels: int, n_relations: int, dropout: float
    ) -> None:
        super().__init__()
        self.config, self.n_relations, self._dropout = config, n_relations, dropout
        self._names = span_head_shapes(config, hidden, n_labels, n_relations)
        for name, shape in self._names.items():
            self.register_parameter(_plain(name), nn.Parameter(torch.empty(shape)))

    def parts(self) -> Iterator[Part]:
        """All parameters."""
        for name in self._names:
            parameter = getattr(self, _plain(name))
            assert isinstance(parameter, nn.Parameter)
            yield Part(name, parameter)

    @torch.no_grad()
    def initialize(self, scale: float, generator: torch.Generator) -> None:
        """Tables as an encoder's weights, matrices so that numbers stay of one size (LeCun et al.
        1998, "Efficient backprop", §4.6): two small ones in a row would learn slowly. A span begins
        as none, as nearly all are (Lin et al. 2017, "Focal loss", §4.1)."""
        super().initialize(scale, generator)
        for part in self.parts():
            if part.name.endswith(".weight"):
                part.view.mul_(part.view.shape[1] ** -0.5 / scale)
        self.get_parameter("label_bias")[0] = NONE_AT_FIRST

    def vectors(self, hidden: Tensor, spans: SpanPlaces) -> Tensor:
        """Of each span, [B, S, F]; ``hidden`` [B, T, D]."""
        x = self._drop(hidden.float())
        start, end, inside = x, x, self._affine("inside", x)
        if self.config.head == "attention":
            start = functional.gelu(self._affine("start_inner", x))
            end = functional.gelu(self._affine("end_inner", x))
            scores = self._affine("attention", functional.gelu(self._affine("attention_inner", x)))
            pooled = attended(inside, scores[:, :, 0], spans)
        else:
            pooled = means(inside, spans.first, spans.last + 1)
        width = self.get_parameter("width").float()
        total = pooled + at_places(self._affine("start", start), spans.first)
        total = total + at_places(self._affine("end", end), spans.last)
        return self._drop(functional.gelu(total + functional.embedding(spans.width - 1, width)))

    def labels(self, vectors: Tensor) -> Tensor:
        """Logits [..., K + 1] of spans; ``vectors`` [..., F]."""
        return self._affine("label", vectors)

    def relations(
        self, hidden: Tensor, vectors: Tensor, spans: SpanPlaces, pairs: SpanPairs
    ) -> Tensor:
        """Logits [P, R + 1] of pairs: both vectors, the mean of the pieces between the two, and
        whether the head comes first, behind, or overlaps the tail."""
        row, head, tail = pairs.row, pairs.head, pairs.tail
        first_h, last_h = spans.first[row, head], spans.last[row, head]
        first_t, last_t = spans.first[row, tail], spans.last[row, tail]
        begin = torch.minimum(last_h, last_t) + 1
        behind = torch.maximum(first_h, first_t)
        between = self._affine("between", self._drop(hidden.float()))
        sums = _running(between)
        count = (behind - begin).clamp_min(0)
        middle = (sums[row, begin + count] - sums[row, begin]) / count.clamp_min(1)[:, None]
        order = torch.where(last_h < first_t, 0, torch.where(last_t < first_h, 1, 2))
        total = middle + functional.embedding(order, self.get_parameter("order").float())
        total = total + self._affine("relation_head", vectors)[row, head]
        total = total + self._affine("relation_tail", vectors)[row, tail]
        return self._affine("relation", self._drop(functional.gelu(total)))

    def _affine(self, name: str, x: Tensor) -> Tensor:
        weight, bias = (self.get_parameter(f"{name}_{kind}") for kind in ("weight", "bias"))
        return functional.linear(x, weight.float(), bias.float())

    def _drop(self, x: Tensor) -> Tensor:
        if not self.training or not self._dropout:
            return x
        return functional.dropout(x, self._dropout)


def _plain(name: str) -> str:
    """As torch may call a parameter of its own."""
    return name.removeprefix(PREFIX).replace(".", "_")


def at_places(table: Tensor, places: Tensor) -> Tensor:
    """Vectors [B, S, F] of ``table`` [B, T, F] at positions [B, S]."""
    n_rows, length, size = table.shape
    offset = torch.arange(n_rows, device=places.device)[:, None] * length
    return table.reshape(-1, size)[places + offset]


def _running(table: Tensor) -> Tensor:
    """Sums of all positions before each, [B, T + 1, F]."""
    return functional.pad(table.cumsum(dim=1), (0, 0, 1, 0))


def means(table: Tensor, begin: Tensor, behind: Tensor) -> Tensor:
    """Of positions ``begin`` to below ``behind``, both [B, S]: [B, S, F]."""
    sums = _running(table)
    return (at_places(sums, behind) - at_places(sums, begin)) / (behind - begin)[:, :, None]


def attended(table: Tensor, scores: Tensor, spans: SpanPlaces) -> Tensor:
    """Means [B, S, F] of the positions of each span, weighed by the softmax of their ``scores``
    [B, T] within it (Lee et al. 2017, §4)."""
    place = torch.arange(table.shape[1], device=table.device)
    within = (place >= spans.first[:, :, None]) & (place <= spans.last[:, :, None])
    weights = scores[:, None, :].masked_fill(~within, float("-inf")).softmax(dim=2)
    return weights @ table


class SpanModel(EncoderModel):
    """An encoder without pooler, and ``spans``, a head that is asked about its positions."""

    splits = by_position = True

    def __init__(
        self, config: BertConfig, spans: SpanConfig, n_labels: int, n_relations: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bert = Bert(config, pooler=False)
        self.spans = SpanHead(spans, config.hidden, n_labels, n_relations, dropout)

    def features(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """Hidden states of the last layer, [B, T, D]."""
        hidden: Tensor = self.bert(ids, segments, None if bool(mask.all()) else mask)
        return hidden

    def head(self, features: Tensor) -> Tensor:
        """What ``spans`` is given: the same, for which spans there are is not the model's to
        know."""
        return features

    def parts(self) -> Iterator[Part]:
        """Those that transformers has a place for."""
        return self.bert.parts()

    def all_parts(self) -> Iterator[Part]:
        """Those of the head, too."""
        yield from self.parts()
        yield from self.spans.parts()

    def initialize(self, scale: float, generator: torch.Generator) -> None:
        """The encoder, then the head."""
        super().initialize(scale, generator)
        self.spans.initialize(scale, generator)

    def rate(self, name: str, lr: float) -> float:
        """The learning rate of a parameter where the encoder has ``lr``."""
        return max(lr, HEAD_RATE) if name.startswith(PREFIX) else lr

    def load_all(self, weights: Weights, head: Weights) -> None:
        """Takes both. Raises ValueError for one missing or of another shape."""
        self.load(weights)
        self.spans.load(head)
