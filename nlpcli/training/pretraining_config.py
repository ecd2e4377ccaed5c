"""How an encoder is pre-trained."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("linear", "cosine")
RATES = {"adamw": 1e-3, "muon": 3e-3}
"""Highest learning rates for layers of ``RATE_WIDTH`` or less; chosen on rows kept apart from
english.txt.gz: LOG.md. They fall with the width, as Yang et al. 2022 ("Tensor programs V") find."""
RATE_WIDTH = 256
CONTINUED = 0.1
"""Of these, for an encoder that was trained before."""
LOWEST_SHARE = 0.0
"""Of the learning rate, at the end."""


def default_rate(optimizer: str, width: int, *, continued: bool) -> float:
    """The highest learning rate for layers of ``width``."""
    rate = RATES[optimizer] * min(1.0, RATE_WIDTH / width)
    return float(f"{rate * (CONTINUED if continued else 1.0):.2g}")


@dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """``batch_size`` rows a step, over all ranks and micro-batches. One of ``steps``, ``minutes``
    and ``epochs`` ends the run; ``minutes`` becomes a number of steps after the warm-up.

    ``lr`` rises over the share ``warmup`` of all steps, then falls by ``schedule``.
    Raises ValueError.
    """

    batch_size: int = 64
    steps: int | None = None
    minutes: float | None = None
    epochs: int | None = None
    lr: float = 3e-3
    warmup: float = 0.06
    schedule: Literal["linear", "cosine"] = "linear"
    optimizer: Literal["adamw", "muon"] = "muon"
    weight_decay: float = 0.01
    clip: float = 1.0
    dropout: float = 0.0
    evaluations: int = 10

    def __post_init__(self) -> None:
        given = [n for n in ("steps", "minutes", "epochs") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(f"steps, minutes, epochs: wanted one of them, got {given or 'none'}")
        positive = (given[0], "batch_size", "lr", "clip")
        for name in positive:
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: {getattr(self, name)!r}, wanted more than 0")
        for name in ("warmup", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)!r}, wanted 0 to below 1")
        if not 0 <= self.weight_decay < math.inf or self.evaluations < 0:
            raise ValueError("weight_decay and evaluations: wanted 0 or more")
        if self.optimizer not in OPTIMIZERS or self.schedule not in SCHEDULES:
            raise ValueError(f"{self.optimizer!r} and {self.schedule!r}: wanted names of these")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    def n_steps(self, per_epoch: int) -> int | None:
        """Of the run; None for one of so many minutes."""
        return self.steps if self.epochs is None else self.epochs * per_epoch

    def share_of_rate(self, step: int, total: int, warm: int) -> float:
        """What is left of the learning rate at a step from 0, of ``total``, ``warm`` to begin."""
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, total - warm)
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * min(1.0, done))) / 2
        return max(LOWEST_SHARE, 1 - done)
