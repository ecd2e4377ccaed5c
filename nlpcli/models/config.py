"""Configuration of the fastText-like classifier; no torch here, so that a command can validate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class FastTextConfig:
    """Sizes and training recipe.

    ``dim`` 0 gives every feature its logits directly (no bottleneck); else embeddings of ``dim``
    numbers and an output matrix (Joulin et al. 2017, section 2). ``loss``: softmax over labels or
    one-vs-all. ``lr`` falls linearly to ``lr * lr_end``. ``label_smoothing`` as Szegedy et al.
    2016, section 7; used with softmax only.
    """

    dim: int = 0
    loss: Literal["softmax", "one-vs-all"] = "softmax"
    epochs: int = 3
    lr: float = 0.2
    lr_end: float = 0.3
    batch_size: int = 64
    label_smoothing: float = 0.1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("dim", 0, 4096),
            ("epochs", 1, 10_000),
            ("batch_size", 1, 65_536),
            ("lr", 1e-6, 100.0),
            ("lr_end", 0.0, 1.0),
            ("label_smoothing", 0.0, 0.9),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}: {value}, not {low} to {high}")
        if self.loss not in ("softmax", "one-vs-all"):
            raise ValueError(f"loss: {self.loss!r}, not softmax or one-vs-all")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)
