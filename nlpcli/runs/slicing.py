"""eval --slices: in which rows a classifier is wrong more often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nlpcli.data.labelled import Labelled
    from nlpcli.store.classifier import Classifier


def find_slices(
    model: Classifier,
    probabilities: npt.NDArray[np.float64],
    rows: Labelled,
    *,
    threshold: float | None,
    min_rows: int,
) -> dict[str, Any]:
    """The ``slices`` part of the document. A row of several labels is right when all are."""
    from nlpcli.evaluation.slices import slice_document

    right = answered_right(model, probabilities, rows.labels, threshold)
    found = slice_document(right, rows.texts, rows.columns, min_rows=min_rows)
    return {**found, "metric": "subset_accuracy" if model.multi_label else "accuracy"}


def answered_right(
    model: Classifier,
    probabilities: npt.NDArray[np.float64],
    labels: list[tuple[str, ...]],
    threshold: float | None,
) -> npt.NDArray[np.bool_]:
    """Whether each row's answer is its label, or exactly its labels: bool [B]."""
    names = model.labels
    if not model.multi_label:
        best = probabilities.argmax(axis=1).tolist()
        pairs = zip(best, labels, strict=True)
        return np.array([names[i] == row[0] for i, row in pairs], dtype=np.bool_)
    chosen = probabilities >= model.limit(threshold)
    return np.array(
        [{names[i] for i in np.flatnonzero(row).tolist()} == set(true)
         for row, true in zip(chosen, labels, strict=True)], dtype=np.bool_,
    )  # fmt: skip
