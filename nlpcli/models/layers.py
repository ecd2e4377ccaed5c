"""Layers of a transformer encoder.

Shapes: B sequences, T positions, D hidden size, H heads, F size within the feed-forward layer.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nlpcli.models.attention import attend, attend_first
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.dropout import dropout
from nlpcli.models.int8_linear import Int8Linear


class Linear(nn.Linear):
    """Without the random numbers that nobody wants. (torch's ``skip_init`` does that too, and
    imports half of its compiler.)"""

    def reset_parameters(self) -> None:
        """Nothing: weights come from a file, or are drawn by ``initialize``."""

    def part(self, x: Tensor, first: int, last: int) -> Tensor:
        """Of the outputs those from ``first`` to before ``last``."""
        return functional.linear(x, self.weight[first:last], self.bias[first:last])


def linear(n_in: int, n_out: int) -> Linear:
    """Weights [n_out, n_in] and a bias, not yet filled."""
    return Linear(n_in, n_out)


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
        self.qkv: Linear | Int8Linear = linear(config.hidden, 3 * config.hidden)
        self.attended: Linear | Int8Linear = linear(config.hidden, config.hidden)
        self.attention_norm = layer_norm(config)
        self.widen: Linear | Int8Linear = linear(config.hidden, config.intermediate)
        self.narrow: Linear | Int8Linear = linear(config.intermediate, config.hidden)
        self.output_norm = layer_norm(config)

    def quantise(self) -> None:
        """Its products are of 8-bit integers from now on; it can neither learn nor be saved."""
        for name in ("qkv", "attended", "widen", "narrow"):
            setattr(self, name, Int8Linear(getattr(self, name)))

    def forward(self, x: Tensor, mask: Tensor | None, *, only_first: bool = False) -> Tensor:
        """``x`` [B, T, D]; ``mask`` bool [B, 1, 1, T], True where a position may be looked at.

        ``only_first``: [B, 1, D]; the first position's query looks at the keys and values of all,
        and nothing else of the others is computed.
        """
        if only_first:
            return self._first(x, mask)
        return self._behind(x, attend(self.qkv(x), self._heads, mask, self._p_drop()))

    def _first(self, x: Tensor, mask: Tensor | None) -> Tensor:
        hidden = x.shape[2]
        query = self.qkv.part(x[:, 0], 0, hidden)
        key_value = self.qkv.part(x, hidden, 3 * hidden)
        mixed = attend_first(query, key_value, self._heads, mask, self._p_drop())
        return self._behind(x[:, :1], mixed[:, None])

    def _p_drop(self) -> float:
        return self._attention_dropout if self.training else 0.0

    def _behind(self, x: Tensor, mixed: Tensor) -> Tensor:
        """What is behind the attention, which is ``mixed``."""
        x = self.attention_norm(x + self._drop(self.attended(mixed)))
        inner = self._activation(self.widen(x))
        normed: Tensor = self.output_norm(x + self._drop(self.narrow(inner)))
        return normed

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self._dropout) if self.training else x


def pool_first(pooler: nn.Linear, hidden: Tensor) -> Tensor:
    """tanh(W h + b) of the first position, [B, D], as BERT's pooler does."""
    return torch.tanh(pooler(hidden[:, 0]))
