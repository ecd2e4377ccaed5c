"""What a classifier's probabilities are good for: sets of labels, and thresholds for several."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Answered:
    """Rows with their labels, and a model's probabilities of each, [B, K]."""

    labels: list[tuple[str, ...]]
    probabilities: F64


def controlled_sets_document(
    model: Classifier, test: Answered, calibration: Answered, level: float, drawing: dict[str, int]
) -> dict[str, Any] | None:
    """Of a model that gives several labels: the threshold that finds so much of a row's true ones,
    and what it does to the ``test``. None where there are too few rows for it."""
    from nlpcli.evaluation.risk_control import controlled_document, controlled_threshold
    from nlpcli.evaluation.truths import SeveralLabels, label_truths

    both = label_truths([*calibration.labels, *test.labels], model.labels, 0.5)
    assert isinstance(both, SeveralLabels)
    n = len(calibration.labels)
    threshold = controlled_threshold(both.true[:n], calibration.probabilities, level)
    if threshold is None:
        return None
    unknown = {name for row in [*calibration.labels, *test.labels] for name in row}
    names = [*model.labels, *sorted(unknown - set(model.labels))]
    coverage, about = controlled_document(
        both.true[n:], test.probabilities, names, threshold, drawing
    )
    return {
        "conformal_coverage": coverage,
        "conformal": {"level": level, "rows": n, "from_probability": threshold, **about},
    }


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
