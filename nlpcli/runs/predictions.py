"""Predictions made elsewhere -> the metrics document of ``eval``, as if a model had made them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.predictions import Predictions
from nlpcli.evaluation.abstention import risk_document
from nlpcli.evaluation.metrics import evaluate_answers
from nlpcli.evaluation.multilabel import evaluate_multilabel
from nlpcli.evaluation.multilabel_ranking import METRICS, multilabel_ranking

F64 = npt.NDArray[np.float64]


def score_predictions(
    found: Predictions, *, separator: str | None = None, resamples: int = 1000, seed: int = 1
) -> dict[str, Any]:
    """The contract's document. ``separator``: of several labels in a cell.

    A blank prediction of one label is an abstention, which is counted, and wrong, but no label.
    """
    if separator is not None:
        return _score_sets(found, separator, resamples, seed)
    others = sorted({*found.truths, *found.answers} - set(found.labels))
    names = [*found.labels, *others]
    position = {name: i for i, name in enumerate(names)}
    true = np.array([position[name] for name in found.truths])[found.true]
    predicted = np.array([position[name] for name in found.answers])[found.predicted]
    # one column for several labels is no distribution
    whole = None if len(found.labels) == 1 and len(names) > 1 else found.probabilities
    sure = confidence_of(found)
    document = evaluate_answers(
        true, predicted, names, probabilities=whole,
        confidence=None if sure is None else np.nan_to_num(sure), silence=position.get(""),
        resamples=resamples, seed=seed,
    )  # fmt: skip
    if sure is not None:
        kept = ~np.isnan(sure)
        document |= risk_document(sure[kept], (true == predicted)[kept], n_rows=len(true))
    return document


def confidence_of(found: Predictions) -> F64 | None:
    """In what was predicted, [B]: its own column, else the probability of that label, 0 where no
    column has it; NaN of a blank prediction; None where there is neither."""
    silent = np.array([not name for name in found.answers], np.bool_)[found.predicted]
    if found.confidence is not None:
        return np.where(silent, np.nan, found.confidence)
    if found.probabilities is None:
        return None
    place = {name: i for i, name in enumerate(found.labels)}
    known = np.array([place.get(name, -1) for name in found.answers], np.int64)[found.predicted]
    picked = found.probabilities[np.arange(len(known)), known]
    return np.where(silent, np.nan, np.where(known >= 0, picked, 0.0))


def label_sets(cells: list[str], separator: str) -> list[tuple[str, ...]]:
    """The labels of each cell."""
    return [
        tuple(dict.fromkeys(part for part in map(str.strip, cell.split(separator)) if part))
        for cell in cells
    ]


def _score_sets(found: Predictions, separator: str, resamples: int, seed: int) -> dict[str, Any]:
    sets = [label_sets(cells, separator) for cells in (found.truths, found.answers)]
    seen = {name for cells in sets for cell in cells for name in cell}
    names = [*found.labels, *sorted(seen - set(found.labels))]
    position = {name: i for i, name in enumerate(names)}
    tables = []
    for cells, rows in zip(sets, (found.true, found.predicted), strict=True):
        table = np.zeros((len(cells), max(len(names), 1)), dtype=bool)
        for i, cell in enumerate(cells):
            table[i, [position[name] for name in cell]] = True
        tables.append(table[rows])
    true, predicted = tables
    names = names or [""]
    document = evaluate_multilabel(
        true, predicted.astype(np.float64), 0.5, names, ks=(), resamples=resamples, seed=seed
    )
    document["threshold"] = None
    nothing = {"value": None, "low": None, "high": None}
    ranking: dict[str, Any] = {name: dict(nothing) for name in METRICS}
    if found.probabilities is not None:
        ranking = multilabel_ranking(true, found.probabilities, intervals=resamples > 0)
    return {**document, **ranking}
