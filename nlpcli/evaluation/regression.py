"""Numbers found against numbers there: correlations and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.evaluation.bootstrap import affordable, estimate, generator, resampled_sums, row_groups
from nlpcli.evaluation.correlation import correlations

F64 = npt.NDArray[np.float64]

METRICS = ("pearson", "spearman", "mse", "rmse", "mae")
_STREAM = 80
_GROUPS = 5000
"""Groups of rows that are drawn as one where there are more, for the means of errors."""
_RANKING_COST = 20
"""Ranking a row of a resample costs about as much as this many draws of one."""


def evaluate_regression(
    truth: F64, found: F64, *, resamples: int = 1000, seed: int = 1
) -> dict[str, Any]:
    """The document of ``eval`` for numbers, ``truth`` and ``found`` float64 [N]: Pearson's and
    Spearman's correlation, the mean squared error, its root, and the mean absolute error.

    A correlation of equal numbers, or of one, is null. Raises DataError without rows, ValueError
    for lists that differ in length.
    """
    if truth.shape != found.shape or truth.ndim != 1:
        raise ValueError(f"{truth.shape} and {found.shape}, wanted two lists of one length")
    if not len(truth):
        raise DataError("no rows to evaluate: 0, wanted at least 1")
    drawn = affordable(resamples, _RANKING_COST * len(truth)) if resamples else 0
    related = correlations(truth, found, resamples=drawn, seed=seed)
    return {
        "task": "regression",
        "n": len(truth),
        "pearson": related["pearson"],
        "spearman": related["spearman"],
        **_errors(found - truth, resamples, seed),
    }


def _errors(errors: F64, resamples: int, seed: int) -> dict[str, Any]:
    columns = np.stack([errors**2, np.abs(errors)], axis=1)
    again = np.empty((0, 2))
    if resamples:
        order, starts = row_groups(len(columns), _GROUPS, generator(seed, _STREAM))
        sizes = np.diff(np.append(starts, len(columns)))[:, None]
        grouped = np.add.reduceat(columns if order is None else columns[order], starts, axis=0)
        drawn = affordable(resamples, len(grouped))
        sums = resampled_sums(np.hstack([grouped, sizes]), drawn, generator(seed, _STREAM + 1))
        again = sums[:, :2] / sums[:, 2:]
    square, size = columns.mean(axis=0).tolist()
    return {
        "mse": estimate(square, again[:, 0], bounds=(0.0,)),
        "rmse": estimate(square**0.5, np.sqrt(again[:, 0]), bounds=(0.0,)),
        "mae": estimate(size, again[:, 1], bounds=(0.0,)),
    }


def combined_score(truth: F64, found: F64) -> float:
    """How good an epoch is: the mean of both correlations, as GLUE has it for STS-B (Wang et al.
    2019, §2); where they are not defined below -1, the more the larger the error is."""
    document = evaluate_regression(truth, found, resamples=0)
    both = [document[name]["value"] for name in ("pearson", "spearman")]
    if None not in both:
        return float(sum(both) / 2)
    return -1 - float(document["mse"]["value"]) / (1 + float(document["mse"]["value"]))
