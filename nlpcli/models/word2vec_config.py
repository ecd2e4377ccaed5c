"""Configuration of word vectors learnt by prediction; no torch, so that a command can validate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from nlpcli.batching.subsampling import SampleFormula

Algorithm = Literal["skipgram", "cbow"]
ALGORITHMS: tuple[Algorithm, ...] = ("skipgram", "cbow")
Loss = Literal["ns", "hs", "nce", "softmax"]
LOSSES: tuple[Loss, ...] = ("ns", "hs", "nce", "softmax")
SAMPLED: tuple[Loss, ...] = ("ns", "nce")
"""Losses that draw noise words."""
SAMPLE_FORMULAS: tuple[SampleFormula, ...] = ("word2vec", "paper")
MOST_SOFTMAX = 20_000
"""Words up to which a full softmax is computed: a step costs as many products a word."""
DEFAULT_RATES: dict[Loss, float] = {"ns": 0.03, "hs": 0.025, "nce": 0.03, "softmax": 0.025}
CBOW_RATE = 0.035
"""With negatives. All chosen by quality, see LOG.md."""
LOWEST_RATE = 1e-4
"""Share of the learning rate that is left at the end; word2vec.c's."""
_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("dim", 1, 4096), ("window", 1, 64), ("negatives", 1, 1000), ("sample", 0.0, 1.0),
    ("noise_power", 0.0, 2.0), ("epochs", 1, 10_000), ("lr", 1e-6, 10.0),
    ("min_n", 0, 32), ("max_n", 0, 32), ("buckets", 1, 2**31),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Word2VecConfig:
    """Sizes and training recipe; the names are those of Mikolov et al. 2013.

    ``window``: words on each side at most; each word draws its own from 1 to that. ``sample``: the
    frequency above which words are dropped at random, 0 for none, None for the usual one (see
    batching/subsampling.py). ``negatives`` noise words for each pair, drawn by count to the
    ``noise_power``. ``lr`` falls linearly to ``LOWEST_RATE`` of itself. ``max_n`` above 0: a word
    is the mean of itself and its character n-grams of ``min_n`` to ``max_n``, hashed into
    ``buckets``
    (Bojanowski et al. 2017).
    """

    algorithm: Algorithm = "skipgram"
    loss: Loss = "ns"
    dim: int = 100
    window: int = 5
    negatives: int = 5
    sample: float | None = None
    sample_formula: SampleFormula = "word2vec"
    noise_power: float = 0.75
    epochs: int = 5
    lr: float = 0.025
    min_n: int = 0
    max_n: int = 0
    buckets: int = 500_000

    def __post_init__(self) -> None:
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name}: {value}, not {low} to {high}")
        for name, names in (
            ("algorithm", ALGORITHMS), ("loss", LOSSES), ("sample_formula", SAMPLE_FORMULAS),
        ):  # fmt: skip
            if getattr(self, name) not in names:
                raise ValueError(f"{name}: {getattr(self, name)!r}, not one of {', '.join(names)}")
        if self.max_n and not 1 <= self.min_n <= self.max_n:
            raise ValueError(f"min_n, max_n: {self.min_n}, {self.max_n}, not 1 <= min <= max")

    @property
    def subwords(self) -> bool:
        """Whether words are made of character n-grams."""
        return self.max_n > 0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)
