"""What rows look like to a monitor: each row falls into one cell of each feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.text.known_words import KnownWords

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Cells = dict[str, I64]
FEATURES = ("label", "confidence", "length", "unknown_words")
BINS = 10
MOST_LABELS = 50
OTHERS = "(others)"
UNKNOWN_BOUNDS = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Upper bounds of the share of unknown words; the last cell is above them."""


@dataclass(frozen=True)
class Reference:
    """Rows that a model was measured on: ``counts`` of each feature's cells.

    ``labels``: names of the label cells, the last may be all others. ``bounds``: upper bounds of
    the cells of confidence and length (characters), the last cell is above them. ``known``: words
    of the training texts.
    """

    counts: dict[str, tuple[int, ...]]
    labels: tuple[str, ...]
    bounds: dict[str, tuple[float, ...]]
    known: KnownWords

    @property
    def rows(self) -> int:
        """How many there were."""
        return sum(self.counts["length"])

    def cells(self, texts: Sequence[str], answers: Sequence[str], confidence: F64) -> Cells:
        """Of new rows, int64 [B] each; ``answers``: the top label of each, ``confidence`` [B] its
        probability."""
        number = {name: at for at, name in enumerate(self.labels)}
        other = number.get(OTHERS, len(self.labels) - 1)
        lengths = np.array([len(text) for text in texts], np.float64)
        shares = np.array([self.known.unknown_share(text) for text in texts], np.float64)
        return {
            "label": np.array([number.get(name, other) for name in answers], np.int64),
            "confidence": np.searchsorted(self.bounds["confidence"], confidence, side="left"),
            "length": np.searchsorted(self.bounds["length"], lengths, side="left"),
            "unknown_words": np.searchsorted(UNKNOWN_BOUNDS, shares, side="left"),
        }

    def empty(self) -> dict[str, I64]:
        """No rows yet, by feature."""
        return {name: np.zeros(len(cells), np.int64) for name, cells in self.counts.items()}


def make_reference(
    texts: Sequence[str], answers: Sequence[str], confidence: F64, known: KnownWords
) -> Reference:
    """Of B > 0 rows that were not learnt from: their texts, top labels and confidence [B]."""
    lengths = np.array([len(text) for text in texts], np.float64)
    bounds = {"confidence": _quantiles(confidence), "length": _quantiles(lengths)}
    names, counts = np.unique(np.array(answers, dtype=object).astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    labels = [str(names[i]) for i in order[:MOST_LABELS].tolist()]
    bare = Reference({}, (*labels, OTHERS), bounds, known)
    cells = bare.cells(texts, answers, confidence)
    sizes = {
        "label": len(labels) + 1, "confidence": len(bounds["confidence"]) + 1,
        "length": len(bounds["length"]) + 1, "unknown_words": len(UNKNOWN_BOUNDS) + 1,
    }  # fmt: skip
    found = {
        name: tuple(np.bincount(cells[name], minlength=sizes[name]).tolist()) for name in FEATURES
    }
    return Reference(found, bare.labels, bounds, known)


def _quantiles(values: F64) -> tuple[float, ...]:
    """At most BINS - 1 bounds that part the values about evenly, rising strictly."""
    inner = np.quantile(values, np.arange(1, BINS) / BINS, method="lower")
    return tuple(float(v) for v in np.unique(inner) if v < values.max())


def cell_names(reference: Reference, feature: str) -> list[str]:
    """How a reader knows the cells: a label, or the upper bound of a range."""
    if feature == "label":
        return list(reference.labels)
    bounds = UNKNOWN_BOUNDS if feature == "unknown_words" else reference.bounds[feature]
    names = [f"<= {bound:.4g}" for bound in bounds]
    return [*names, f"> {bounds[-1]:.4g}" if len(bounds) else "all"]
