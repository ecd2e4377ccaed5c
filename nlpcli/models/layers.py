"""Layers of a transformer encoder.

Shapes: B sequences, T positions, D hidden size, H heads, F size within the feed-forward layer.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from nlpcli.models.attention import attend
from nlpcli.models.bert_config import BertConfig


def linear(n_in: int, n_out: int) -> nn.Linear:
    """Weights [n_out, n_in] and a bias, not yet filled."""
    layer: nn.Linear = skip_init(nn.Linear, n_in, n_out)  # type: ignore[no-untyped-call]
    return layer


def layer_norm(config: BertConfig) -> nn.LayerNorm:
    """Over D (Ba et al. 2016, "Layer normalization")."""
    return nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """Elementwise; "gelu" by the error function (Hendrycks & Gimpel 2016), the others tanh."""
    if name == "relu":
        return functional.relu
    approximate = "none" if name == "gelu" else "tanh"

    def gelu(x: Tensor) -> Tensor:
        return functional.gelu(x, approximate=approximate)

    return gelu


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward layer, each with its residual and a norm behind it
    (Vaswani et al. 2017, §3.1; Devlin et al. 2019, §3)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self._heads = config.heads
        self._dropout, self._attention_dropout = config.dropout, config.attention_dropout
        self._activation = activation(config.activation)
        self.qkv = linear(config.hidden, 3 * config.hidden)
        self.attended = linear(config.hidden, config.hidden)
        self.attention_norm = layer_norm(config)
        self.widen = linear(config.hidden, config.intermediate)
        self.narrow = linear(config.intermediate, config.hidden)
        self.output_norm = layer_norm(config)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """``x`` [B, T, D]; ``mask`` bool [B, 1, 1, T], True where a position may be looked at."""
        dropout = self._attention_dropout if self.training else 0.0
        mixed = attend(self.qkv(x), self._heads, mask, dropout)
        x = self.attention_norm(x + self._drop(self.attended(mixed)))
        inner = self._activation(self.widen(x))
        normed: Tensor = self.output_norm(x + self._drop(self.narrow(inner)))
        return normed

    def _drop(self, x: Tensor) -> Tensor:
        if not self.training or not self._dropout:
            return x
        return functional.dropout(x, self._dropout)


def pool_first(pooler: nn.Linear, hidden: Tensor) -> Tensor:
    """tanh(W h + b) of the first position, [B, D], as BERT's pooler does."""
    return torch.tanh(pooler(hidden[:, 0]))
