"""Configuration of the fastText-like classifier; no torch here, so that a command can validate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Loss = Literal["squared-hinge", "softmax", "one-vs-all", "hs", "ns", "adaptive"]
LOSSES: tuple[Loss, ...] = ("squared-hinge", "softmax", "one-vs-all", "hs", "ns", "adaptive")
SPARSE: tuple[Loss, ...] = ("hs", "ns", "adaptive")
"""Steps touch few rows of the output matrix, so there must be one."""
INDEPENDENT: tuple[Loss, ...] = ("squared-hinge", "one-vs-all")
"""Each label is decided by itself."""
SPARSE_LR = 0.1
"""Rate of the sparse losses, whose steps are larger; chosen on held-out rows, see LOG.md."""
MOST_DIM = 4096
NEGATIVES = 20
DIM = 100
"""Of embeddings, where a loss needs them and none is asked for; fastText's."""


@dataclass(frozen=True, kw_only=True)
class FastTextConfig:
    """Sizes and training recipe.

    ``dim`` 0 gives every feature its logits directly (no bottleneck); else embeddings of ``dim``
    numbers and an output matrix (Joulin et al. 2017, section 2). ``loss``: softmax over labels,
    one-vs-all logistic, one-vs-all squared hinge with an L2 penalty (a linear SVM, no bottleneck),
    whose ``cost`` is liblinear's C (Fan et al. 2008) and whose penalty follows the labels to the
    power ``freedom`` (see training/freedom.py; 0: it is the same for all weights); and with a
    bottleneck, for many labels: ``hs`` hierarchical softmax, ``ns`` negative sampling with
    ``negatives`` draws, ``adaptive`` softmax (see models/outputs.py). ``lr`` falls linearly to
    ``lr * lr_end`` and is not used by the squared hinge; ``label_smoothing`` (Szegedy et al. 2016,
    section 7) only by softmax.
    ``bias`` False: none is learnt. ``batch_size`` None: from the data.
    """

    dim: int = 0
    loss: Loss = "squared-hinge"
    epochs: int = 5
    cost: float = 1.0
    freedom: float = 0.25
    lr: float = 0.2
    lr_end: float = 0.3
    batch_size: int | None = None
    label_smoothing: float = 0.1
    negatives: int = NEGATIVES
    bias: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (
            ("dim", 0, MOST_DIM),
            ("epochs", 1, 10_000),
            ("cost", 1e-6, 1e6),
            ("freedom", 0.0, 1.0),
            ("lr", 1e-6, 100.0),
            ("lr_end", 0.0, 1.0),
            ("label_smoothing", 0.0, 0.9),
            ("negatives", 1, 10_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}: {value}, not {low} to {high}")
        if self.batch_size is not None and not 1 <= self.batch_size <= 65_536:
            raise ValueError(f"batch_size: {self.batch_size}, not 1 to 65536")
        if self.loss not in LOSSES:
            raise ValueError(f"loss: {self.loss!r}, not one of {', '.join(LOSSES)}")
        if self.loss == "squared-hinge" and self.dim:
            raise ValueError(f"loss: squared-hinge has no bottleneck, dim is {self.dim}")
        if self.loss in SPARSE and not self.dim:
            raise ValueError(f"loss: {self.loss} needs a bottleneck, dim is 0")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)
