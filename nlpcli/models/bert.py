"""BERT (Devlin et al. 2019): ids -> a vector for each position.

Parameters have the names of Hugging Face's ``BertModel``; query, key and value are one matrix here
and three there, which ``Part`` tells apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from nlpcli.models.bert_config import BertConfig
from nlpcli.models.dropout import dropout
from nlpcli.models.layers import EncoderLayer, layer_norm, linear, pool_first

F32 = npt.NDArray[np.float32]
Weights = dict[str, F32]


@dataclass(frozen=True)
class Part:
    """Rows of a parameter that have a name of their own outside."""

    name: str
    parameter: nn.Parameter
    first: int = 0
    rows: int | None = None

    def of(self, tensor: Tensor) -> Tensor:
        """The same rows of a tensor that is shaped as the parameter: a view."""
        return tensor if self.rows is None else tensor[self.first : self.first + self.rows]

    @property
    def view(self) -> Tensor:
        """Its values, to be changed in place."""
        return self.of(self.parameter.detach())

    @property
    def gradient(self) -> Tensor | None:
        """What backward left, if anything."""
        gradient = self.parameter.grad
        return None if gradient is None else self.of(gradient)


class Named(nn.Module, ABC):
    """A module whose parameters have the names of another program's files."""

    @abstractmethod
    def parts(self) -> Iterator[Part]:
        """All parameters, in a fixed order."""

    def all_parts(self) -> Iterator[Part]:
        """Those of heads that have a file of their own, too."""
        return self.parts()

    def weights(self) -> Weights:
        """Copies of all parameters, float32."""
        return {part.name: part.view.float().cpu().numpy().copy() for part in self.parts()}

    @torch.no_grad()
    def load(self, weights: Mapping[str, F32]) -> None:
        """Takes parameters by name. Raises ValueError for one missing or of another shape."""
        for part in self.parts():
            given = weights.get(part.name)
            if given is None or given.shape != tuple(part.view.shape):
                raise ValueError(f"{part.name} is missing or of another shape")
            part.view.copy_(torch.from_numpy(np.ascontiguousarray(given)))

    @torch.no_grad()
    def initialize(self, scale: float, generator: torch.Generator) -> None:
        """Matrices from a normal distribution of that deviation, biases 0, norms 1."""
        for part in self.parts():
            if part.name.endswith("LayerNorm.weight"):
                part.view.fill_(1.0)
            elif part.view.ndim == 1:
                part.view.zero_()
            else:
                drawn = torch.empty(part.view.shape)
                part.view.copy_(drawn.normal_(0.0, scale, generator=generator))


def affine_parts(name: str, layer: nn.Module) -> Iterator[Part]:
    """Weight and bias of a linear layer or a norm."""
    for kind in ("weight", "bias"):
        parameter = getattr(layer, kind)
        assert isinstance(parameter, nn.Parameter)
        yield Part(f"{name}.{kind}", parameter)


class Bert(Named):
    """The encoder; ``pooled`` needs ``pooler``, which some files lack."""

    def __init__(self, config: BertConfig, *, pooler: bool = True) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Parameter(torch.empty(config.vocab_size, config.hidden))
        self.positions = nn.Parameter(torch.empty(config.max_positions, config.hidden))
        self.segments = nn.Parameter(torch.empty(config.type_vocab, config.hidden))
        self.norm = layer_norm(config)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.n_layers))
        self.pooler = linear(config.hidden, config.hidden) if pooler else None
        self.sparse_words = False
        """Whether backward leaves a sparse gradient of ``words``: rows that occurred."""
        self.shift: Tensor | None = None
        """Added to the vectors of the pieces of the next batches, [B, T, D], where there is one."""

    def forward(
        self, ids: Tensor, segments: Tensor | None = None, mask: Tensor | None = None, *,
        only_first: bool = False,
    ) -> Tensor:  # fmt: skip
        """Hidden states of the last layer, [B, T, D].

        ``ids`` and ``segments`` int64 [B, T], all 0 without; ``mask`` bool [B, T], True for what
        is no padding. ``only_first``: of the last layer nothing but the first position, [B, 1, D],
        is computed, which saves most of that layer.
        """
        *_, last = self._states(ids, segments, mask, only_first)
        return last

    def hidden_states(
        self, ids: Tensor, segments: Tensor | None = None, mask: Tensor | None = None
    ) -> list[Tensor]:
        """Of the embeddings and of each layer, [B, T, D] each."""
        return list(self._states(ids, segments, mask))

    def _states(
        self, ids: Tensor, segments: Tensor | None, mask: Tensor | None, only_first: bool = False
    ) -> Iterator[Tensor]:
        x = self.embed(ids, segments)
        seen = None if mask is None else mask[:, None, None, :]
        yield x
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            x = layer(x, seen, only_first=only_first and number == last)
            yield x

    def embed(self, ids: Tensor, segments: Tensor | None) -> Tensor:
        """The sum of the embeddings of piece, position and segment, normed; [B, T, D]."""
        x = functional.embedding(ids, self.words, sparse=self.sparse_words)
        if self.shift is not None:
            x = x + self.shift
        x = x + self.positions[: ids.shape[1]]
        if segments is None:
            x = x + self.segments[0]
        else:
            x = x + functional.embedding(segments, self.segments)
        x = self.norm(x)
        if self.training and self.config.dropout:
            x = dropout(x, self.config.dropout)
        return x

    def pooled(self, hidden: Tensor) -> Tensor:
        """A vector of each sequence, [B, D]."""
        assert self.pooler is not None
        return pool_first(self.pooler, hidden)

    def parts(self) -> Iterator[Part]:
        """All parameters, in the order of the files."""
        yield Part("embeddings.word_embeddings.weight", self.words)
        yield Part("embeddings.position_embeddings.weight", self.positions)
        yield Part("embeddings.token_type_embeddings.weight", self.segments)
        yield from affine_parts("embeddings.LayerNorm", self.norm)
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, EncoderLayer)
            yield from _layer_parts(f"encoder.layer.{number}", layer, self.config.hidden)
        if self.pooler is not None:
            yield from affine_parts("pooler.dense", self.pooler)


def _layer_parts(name: str, layer: EncoderLayer, hidden: int) -> Iterator[Part]:
    for place, part in enumerate(("query", "key", "value")):
        for kind in ("weight", "bias"):
            parameter = getattr(layer.qkv, kind)
            yield Part(f"{name}.attention.self.{part}.{kind}", parameter, place * hidden, hidden)
    yield from affine_parts(f"{name}.attention.output.dense", layer.attended)
    yield from affine_parts(f"{name}.attention.output.LayerNorm", layer.attention_norm)
    yield from affine_parts(f"{name}.intermediate.dense", layer.widen)
    yield from affine_parts(f"{name}.output.dense", layer.narrow)
    yield from affine_parts(f"{name}.output.LayerNorm", layer.output_norm)
