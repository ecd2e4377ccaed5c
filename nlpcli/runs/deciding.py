"""What a classifier's probabilities are good for: sets of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nlpcli.store.classifier import Classifier

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


def true_numbers(model: Classifier, labels: list[tuple[str, ...]]) -> I64:
    """The number of each row's label, [B]; the number of labels for one that is not known."""
    place = {name: i for i, name in enumerate(model.labels)}
    return np.array([place.get(names[0], len(place)) for names in labels], np.int64)


def label_set_document(
    model: Classifier, probabilities: F64, true: I64, level: float, quantile: float, rows: int
) -> dict[str, Any]:
    """Sets of labels with a score up to ``quantile``, which came from so many ``rows``;
    probabilities: [B, K]; true: [B], K for a label that is not known."""
    from nlpcli.evaluation.conformal import label_sets, measured_sets

    sets = label_sets(probabilities, quantile)
    coverage, about = measured_sets(sets, true, model.labels)
    return {
        "conformal_coverage": coverage,
        "conformal": {
            "level": level, "rows": rows, "from_probability": max(0.0, 1 - quantile), **about
        },
    }  # fmt: skip
