"""How well scores rank rows for each label, and labels for each row, where a row has several.

Macro means are over the labels for which a value is defined; the ranking precision of labels is
that of Tsoumakas, Katakis & Vlahavas, "Mining Multi-label Data" (2010), as in scikit-learn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nlpcli.evaluation.bootstrap import Estimate, FloatArray, Floats
from nlpcli.evaluation.ranking import (
    MOST_ELEMENTS,
    Ranked,
    average_precision,
    estimate_of,
    mean_of,
    sampled_area,
    sorted_column,
)

METRICS = (
    "macro_roc_auc", "macro_average_precision", "micro_average_precision",
    "label_ranking_average_precision",
)  # fmt: skip


def label_ranking_precision(true: NDArray[np.bool_], scores: FloatArray) -> Floats:
    """Of each row the mean, over its labels, of the share of its labels among all ranked as high.

    true, scores: (B, L). Returns (B,); a row with none or all of the labels has 1.
    """
    rows, labels = true.shape
    order = np.argsort(scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    hits = np.take_along_axis(true, order, axis=1)
    new = np.ones((rows, labels), dtype=bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    first = np.maximum.accumulate(np.where(new, np.arange(labels), 0), axis=1)
    as_high = np.take_along_axis(np.cumsum(hits[:, ::-1], axis=1)[:, ::-1], first, axis=1)
    size = true.sum(axis=1)
    shares = np.where(hits, as_high / (labels - first), 0.0).sum(axis=1) / np.maximum(size, 1)
    return np.where((size == 0) | (size == labels), 1.0, shares)


def multilabel_ranking(
    true: NDArray[np.bool_], scores: FloatArray, *, intervals: bool = True
) -> dict[str, Estimate]:
    """``METRICS``; true: (B, L), scores: (B, K), K <= L, finite.

    A label that the model does not know, and some row has, makes all of them undefined. Beyond
    MOST_ELEMENTS they are left out.
    """
    rows, labels = scores.shape
    if true.size > MOST_ELEMENTS:
        return {}
    if true[:, labels:].any():
        nothing = Ranked(float("nan"), np.zeros(rows))
        return {name: estimate_of(nothing) for name in METRICS}
    known = true[:, :labels]
    columns = [sorted_column(scores[:, i], known[:, i]) for i in range(labels)]
    flat = average_precision(sorted_column(scores.ravel(), known.ravel()))
    every = label_ranking_precision(known, scores)
    found = (
        mean_of([sampled_area(column) for column in columns], rows),
        mean_of([average_precision(column) for column in columns], rows),
        Ranked(flat.value, flat.influence.reshape(rows, labels).sum(axis=1)),
        Ranked(float(every.mean()), (every - every.mean()) / rows),
    )
    out = {name: estimate_of(ranked) for name, ranked in zip(METRICS, found, strict=True)}
    return out if intervals else {k: {**v, "low": None, "high": None} for k, v in out.items()}
