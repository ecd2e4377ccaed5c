"""Sizes of a BERT encoder (Devlin et al. 2019, §3)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nlpcli.errors import DataError, shown

SIZES: dict[str, tuple[int, int]] = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
}
"""Layers and hidden size of each name (Turc et al. 2019, table 1); a head has 64 numbers."""
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
"""Of the feed-forward layers; the second and third are one tanh approximation."""
HEAD = 64
_MOST = {
    "vocab_size": 10_000_000, "n_layers": 200, "hidden": 65_536, "heads": 1024,
    "intermediate": 1_000_000, "max_positions": 1_000_000, "type_vocab": 1024,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """Of an encoder with learned positions, two segments and layer norms after the residual.

    ``dropout`` of hidden states, ``attention_dropout`` of attention weights, while training.
    ``initializer_range``: standard deviation of weights that begin at random. Raises ValueError.
    """

    vocab_size: int
    n_layers: int
    hidden: int
    heads: int
    intermediate: int
    max_positions: int = 512
    type_vocab: int = 2
    activation: str = "gelu"
    layer_norm_eps: float = 1e-12
    dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02
    pad_id: int = 0

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{name}: {value!r}, wanted a whole number from 1 to {most:,}")
        if self.hidden % self.heads:
            raise ValueError(f"hidden: {self.hidden} is not divisible by {self.heads} heads")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: {self.activation!r}, not {', '.join(ACTIVATIONS)}")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)!r}, wanted 0 to below 1")
        for name in ("layer_norm_eps", "initializer_range"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)!r}, wanted between 0 and 1")
        if type(self.pad_id) is not int or not 0 <= self.pad_id < self.vocab_size:
            raise ValueError(f"pad_id: {self.pad_id!r}, wanted an id of the vocabulary")

    @property
    def n_parameters(self) -> int:
        """Numbers of the encoder with its pooler, without heads."""
        width, inner = self.hidden, self.intermediate
        tables = (self.vocab_size + self.max_positions + self.type_vocab) * width
        square = width * (width + 1)  # of a dense layer, its bias with it
        layer = 4 * square + inner * (width + 1) + width * (inner + 1) + 4 * width
        return tables + 2 * width + self.n_layers * layer + square

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(values: Any, where: str) -> BertConfig:
        """The inverse. Raises DataError."""
        try:
            return BertConfig(**values)
        except (TypeError, ValueError) as error:
            raise DataError(f"{where}: {shown(str(error), 160)}") from None
