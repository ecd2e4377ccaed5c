"""Probabilities and true labels -> the metrics document, for trainers and eval alike."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.evaluation.calibration import probability_metrics
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


def given_labels(
    model: Classifier, probabilities: npt.NDArray[np.float64], threshold: float | None = None
) -> list[tuple[str, ...]]:
    """The labels that the model gives each row; of several in the order of their names."""
    if not model.multi_label:
        single = [(name,) for name in model.labels]
        return [single[i] for i in probabilities.argmax(axis=1).tolist()]
    order = np.argsort(np.array(model.labels, dtype=object))
    names, chosen = [model.labels[i] for i in order], probabilities >= model.limit(threshold)
    return [tuple(names[i] for i in np.flatnonzero(row)) for row in chosen[:, order]]


def ece_uncalibrated(
    model: Classifier,
    probabilities: npt.NDArray[np.float64],
    labels: list[tuple[str, ...]],
    *,
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any] | None:
    """What the calibration error would be without the model's scale; None where it has none."""
    from nlpcli.store.classifier import TextClassifier

    if not isinstance(model, TextClassifier) or model.multi_label or model.scorer.scale == 1:
        return None
    if model.recalibration is not None and model.recalibration.points:
        return None  # the logits cannot be told from the probabilities
    logits = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) / model.scorer.scale
    before = replace(model.scorer, scale=1.0).activate(logits)
    position = {name: i for i, name in enumerate(model.labels)}
    true = np.array([position.get(row[0], -1) for row in labels], dtype=np.int64)
    true[true < 0] = len(model.labels)
    found: dict[str, Any] = probability_metrics(
        true, before.argmax(axis=1), before, resamples=resamples, seed=seed
    )["ece"]
    return found


def plain_metrics(document: dict[str, Any]) -> dict[str, float | None]:
    """The values alone, without intervals."""
    return {k: v["value"] for k, v in document.items() if isinstance(v, dict) and "value" in v}
