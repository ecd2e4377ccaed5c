"""How an encoder is fine-tuned."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from nlpcli.batching.framing import Long

EMBEDDINGS, ALL = "embeddings", "all"
RATE, WIDTH = 5e-5, 768
"""A learning rate for the width of BERT-base (Devlin et al. 2019, §A.3)."""


def usual_lr(hidden: int) -> float:
    """The learning rate for an encoder of that width: matrices of Adam's steps want one inverse to
    it (Yang et al. 2022, "Tensor Programs V", table 3)."""
    return float(f"{RATE * WIDTH / hidden:.2g}")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """``batch_size`` rows a step; ``lr`` rises over the share ``warmup`` of all steps, then falls
    linearly. ``layer_decay``: each layer below has so much of the rate of the one above (Sun et
    al. 2019, §5.3.4). ``freeze``: the embeddings, the embeddings and so many layers, or all but
    the head. ``window_overlap``: pieces that windows of a long text share. ``fgm``: how far
    the vectors of a row's pieces are moved against it (Miyato et al. 2017), 0: not at all. Raises
    ValueError.
    """

    epochs: int = 3
    batch_size: int = 32
    lr: float = RATE
    warmup: float = 0.06
    weight_decay: float = 0.01
    clip: float = 1.0
    dropout: float = 0.1
    layer_decay: float = 1.0
    freeze: str = "none"
    label_smoothing: float = 0.0
    focal: float = 0.0
    fgm: float = 0.0
    max_length: int = 128
    long: Long = "truncate-tail"
    window_overlap: int = 32
    optimizer: Literal["adamw"] = "adamw"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr", "max_length"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: {getattr(self, name)!r}, wanted more than 0")
        for name in ("warmup", "dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)!r}, wanted 0 to below 1")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay: {self.layer_decay!r}, wanted above 0, at most 1")
        if self.window_overlap < 0:
            raise ValueError(f"window_overlap: {self.window_overlap!r}, wanted 0 or more")
        if not 0 <= self.fgm < float("inf"):
            raise ValueError(f"fgm: {self.fgm!r}, wanted 0 or more")
        if self.fgm and self.freeze == ALL:
            raise ValueError(f"fgm: {self.fgm!r}, and no layer learns with freeze: all")
        if self.freeze not in ("none", EMBEDDINGS, ALL) and not self.freeze.isdecimal():
            raise ValueError(f"freeze: {self.freeze!r}, not none, embeddings, all or a number")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    def frozen_layers(self, n_layers: int) -> int:
        """Layers that stay as they are, from below; -1: not even the embeddings do."""
        if self.freeze == ALL:
            return n_layers
        if self.freeze == EMBEDDINGS:
            return 0
        return -1 if self.freeze == "none" else min(int(self.freeze), n_layers)

    def share_of_rate(self, step: int, total: int) -> float:
        """What is left of the learning rate at a step from 0."""
        warm = max(1, round(self.warmup * total))
        if step < warm:
            return (step + 1) / warm
        return max(0.0, 1 - (step - warm) / max(1, total - warm))
