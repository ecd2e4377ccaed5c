"""Probabilities and true labels -> the metrics document, for trainers and eval alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.evaluation.metrics import evaluate_single
from nlpcli.evaluation.multilabel import evaluate_multilabel

if TYPE_CHECKING:
    from nlpcli.store.classifier import Classifier


def score(
    model: Classifier,
    probabilities: npt.NDArray[np.float64],
    labels: list[tuple[str, ...]],
    *,
    threshold: float | None = None,
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any]:
    """The contract's document; labels the model does not know are appended to its own."""
    unknown = sorted({name for row in labels for name in row} - set(model.labels))
    names = model.labels + unknown
    position = {name: i for i, name in enumerate(names)}
    if not model.multi_label:
        true = np.array([position[row[0]] for row in labels], dtype=np.int64)
        predicted = probabilities.argmax(axis=1)
        return evaluate_single(
            true, predicted, probabilities, names, resamples=resamples, seed=seed
        )
    sets = np.zeros((len(labels), len(names)), dtype=bool)
    for i, row in enumerate(labels):
        sets[i, [position[name] for name in row]] = True
    limit = model.limit(threshold)
    return evaluate_multilabel(sets, probabilities, limit, names, resamples=resamples, seed=seed)


def plain_metrics(document: dict[str, Any]) -> dict[str, float | None]:
    """The values alone, without intervals."""
    return {k: v["value"] for k, v in document.items() if isinstance(v, dict) and "value" in v}
