"""What BERT is pre-trained to say: masked pieces, the next sentence, and pieces of a span from
its borders. Shapes as in layers.py; M masked positions, S positions within spans."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from nlpcli.batching.pretraining_targets import Targets
from nlpcli.models.bert import Bert, Named, Part, affine_parts
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.layers import activation, layer_norm, linear
from nlpcli.models.vocabulary_loss import vocabulary_loss, vocabulary_scores

SPAN_PLACES = 64
"""Places within a span that have an embedding; those of longer spans share the last one."""


def n_pretraining_parameters(config: BertConfig, *, span_boundary: bool) -> int:
    """Numbers of a ``PretrainingBert``."""
    width, words = config.hidden, config.vocab_size
    square = width * (width + 1)
    found = config.n_parameters + words + square + 2 * width + 2 * (width + 1)
    if span_boundary:
        found += SPAN_PLACES * width + (3 * width + 1) * width + square + 4 * width + words
    return found


class MaskedHead(nn.Module):
    """Dense, activation, norm; the table of pieces is the output layer (Devlin et al. 2019)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = linear(config.hidden, config.hidden)
        self.norm = layer_norm(config)
        self.bias = nn.Parameter(torch.empty(config.vocab_size))
        self._activation = activation(config.activation)

    def forward(self, hidden: Tensor) -> Tensor:
        """[M, D] -> [M, D], to be multiplied with the table."""
        transformed: Tensor = self.norm(self._activation(self.dense(hidden)))
        return transformed


class SpanBoundaryHead(Named):
    """A piece of a span from its two borders and its place (Joshi et al. 2020, §3.2)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.places = nn.Parameter(torch.empty(SPAN_PLACES, hidden))
        self.first, self.second = linear(3 * hidden, hidden), linear(hidden, hidden)
        self.first_norm, self.second_norm = layer_norm(config), layer_norm(config)
        self.bias = nn.Parameter(torch.empty(config.vocab_size))
        self._activation = activation(config.activation)

    def forward(self, left: Tensor, right: Tensor, place: Tensor) -> Tensor:
        """Borders [S, D] and places int64 [S] -> [S, D]: two layers of GeLU and norm, eq. (2)."""
        spot = functional.embedding(place.clamp_max(SPAN_PLACES - 1), self.places)
        x = self.first(torch.cat([left, right, spot], dim=1))
        x = self.second(self.first_norm(self._activation(x)))
        said: Tensor = self.second_norm(self._activation(x))
        return said

    def parts(self) -> Iterator[Part]:
        """All parameters."""
        yield Part("place_embeddings.weight", self.places)
        yield from affine_parts("first", self.first)
        yield from affine_parts("first.LayerNorm", self.first_norm)
        yield from affine_parts("second", self.second)
        yield from affine_parts("second.LayerNorm", self.second_norm)
        yield Part("bias", self.bias)


class PretrainingBert(Named):
    """An encoder with all heads of ``BertForPreTraining``, and perhaps one of span borders."""

    def __init__(self, config: BertConfig, *, span_boundary: bool = False) -> None:
        super().__init__()
        self.bert = Bert(config)
        self.masked = MaskedHead(config)
        self.next = linear(config.hidden, 2)
        self.spans = SpanBoundaryHead(config) if span_boundary else None

    def parts(self) -> Iterator[Part]:
        """All parameters but those of span borders, which have a file of their own."""
        yield from self.bert.parts()
        yield Part("cls.predictions.bias", self.masked.bias)
        yield from affine_parts("cls.predictions.transform.dense", self.masked.dense)
        yield from affine_parts("cls.predictions.transform.LayerNorm", self.masked.norm)
        yield from affine_parts("cls.seq_relationship", self.next)

    def all_parts(self) -> Iterator[Part]:
        """Those of span borders too, under ``span_boundary.``."""
        yield from self.parts()
        for part in self.spans.parts() if self.spans is not None else ():
            yield Part(f"span_boundary.{part.name}", part.parameter)

    def begin(self, seed: int) -> None:
        """Draws all weights (Devlin et al. 2019: normal, deviation 0.02)."""
        generator = torch.Generator().manual_seed(seed)
        scale = self.bert.config.initializer_range
        self.initialize(scale, generator)
        if self.spans is not None:
            self.spans.initialize(scale, generator)

    def losses(self, ids: Tensor, segments: Tensor | None, targets: Targets) -> dict[str, Tensor]:
        """Sums over what each objective says, float32: ``mlm``, ``nsp``, ``sbo``."""
        hidden = self.bert(ids, segments)
        flat = hidden.reshape(-1, hidden.shape[2])
        table = self.bert.words
        found = {
            "mlm": vocabulary_loss(
                self.masked(flat[targets.masked]), table, self.masked.bias, targets.pieces
            )
        }
        if targets.is_next is not None:
            logits = self.next(self.bert.pooled(hidden)).float()
            found["nsp"] = functional.cross_entropy(logits, targets.is_next, reduction="sum")
        if targets.span_pieces is not None and self.spans is not None:
            said = self._said_by_borders(flat, targets)
            found["sbo"] = vocabulary_loss(said, table, self.spans.bias, targets.span_pieces)
        return found

    @torch.no_grad()
    def scores(
        self, ids: Tensor, segments: Tensor | None, targets: Targets
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """By objective: loss of each target, float32 [n], and whether it was said right, bool."""
        hidden = self.bert(ids, segments)
        flat = hidden.reshape(-1, hidden.shape[2])
        table = self.bert.words
        found = {
            "mlm": vocabulary_scores(
                self.masked(flat[targets.masked]), table, self.masked.bias, targets.pieces
            )
        }
        if targets.is_next is not None:
            logits = self.next(self.bert.pooled(hidden)).float()
            losses = functional.cross_entropy(logits, targets.is_next, reduction="none")
            found["nsp"] = (losses, logits.argmax(dim=1) == targets.is_next)
        if targets.span_pieces is not None and self.spans is not None:
            said = self._said_by_borders(flat, targets)
            found["sbo"] = vocabulary_scores(said, table, self.spans.bias, targets.span_pieces)
        return found

    def _said_by_borders(self, flat: Tensor, targets: Targets) -> Tensor:
        assert self.spans is not None and targets.place is not None
        said: Tensor = self.spans(flat[targets.left], flat[targets.right], targets.place)
        return said
