"""Probability metrics of single-label classifiers: log loss, Brier score, calibration.

Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017) for
the expected calibration error; Brier (1950) for the score of that name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpcli.errors import DataError
from nlpcli.evaluation.bootstrap import (
    Estimate,
    FloatArray,
    Floats,
    IntArray,
    estimate,
    generator,
    resampled_sums,
    row_groups,
)

BINS = 15
LARGE = 50_000
"""Rows from which the bootstrap of these metrics is thinned to bound its work."""
LARGE_GROUPS = 20_000
LARGE_RESAMPLES = 200
CHUNK_ELEMENTS = 2_000_000


def confidence_bins(confidence: FloatArray, bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each confidence: bin m holds (m/bins, (m+1)/bins]; 0 falls into bin 0.

    confidence: (B,). Returns (B,) in [0, bins). Guo et al. 2017, section 2.
    """
    inner = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    return np.searchsorted(inner, confidence.astype(np.float64), side="left").astype(np.int64)


def expected_calibration_error(
    confidence: FloatArray, correct: NDArray[Any], bins: int = BINS
) -> float:
    """Expected calibration error over equal-width bins: sum of |B_m|/n |acc - conf|.

    confidence: (B,) probability of the predicted label; correct: (B,) bool, whether it is
    the true one. NaN when there are no rows. Guo et al. 2017, equation 3.
    """
    if confidence.shape != correct.shape or confidence.ndim != 1 or bins < 1:
        raise ValueError(f"shapes {confidence.shape} and {correct.shape}, {bins} bins")
    if not len(confidence):
        return float("nan")
    gaps = correct.astype(np.float64) - confidence.astype(np.float64)
    sums = np.bincount(confidence_bins(confidence, bins), weights=gaps, minlength=bins)
    return float(np.abs(sums).sum() / len(confidence))


def row_scores(true: IntArray, probabilities: FloatArray) -> tuple[Floats, Floats, Floats]:
    """Each row's log loss, Brier score and top probability, as three (B,) arrays.

    true: (B,); probabilities: (B, K). Log loss clips to [eps, 1 - eps] of the array's own
    dtype as scikit-learn does. A label >= K has probability 0 (its log loss is NaN). The
    Brier score of two labels is halved, as in scikit-learn. Values that are no numbers are
    a DataError.
    """
    rows, columns = probabilities.shape
    loss, brier, top = (np.empty(rows, dtype=np.float64) for _ in range(3))
    eps = np.finfo(probabilities.dtype).eps
    step = max(1, CHUNK_ELEMENTS // columns)
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        block, label = probabilities[part], true[part]
        _require_finite(block, start)
        known = label < columns
        of_true = block[np.arange(len(label)), np.where(known, label, 0)]
        clipped = np.clip(of_true, eps, 1 - eps).astype(np.float64)
        loss[part] = np.where(known, -np.log(clipped), np.nan)
        wide = block.astype(np.float64)
        picked = np.where(known, of_true.astype(np.float64), 0.0)
        others = np.einsum("ij,ij->i", wide, wide) - picked**2
        brier[part] = np.maximum(others, 0.0) + (1.0 - picked) ** 2
        top[part] = wide.max(axis=1)
    if columns == 2:
        brier *= 0.5
    return loss, brier, top


def _require_finite(block: FloatArray, start: int) -> None:
    """DataError naming the first row (1-based) that has a NaN or an infinity."""
    bad = ~np.isfinite(block).all(axis=1)
    if bad.any():
        row = start + int(bad.argmax()) + 1
        raise DataError(f"prediction {row}: a probability is NaN or infinite, wanted 0 to 1")


def probability_metrics(
    true: IntArray,
    predicted: IntArray,
    probabilities: FloatArray,
    *,
    resamples: int,
    seed: int,
) -> dict[str, Estimate]:
    """log_loss, ece and brier with their intervals.

    true, predicted: (B,), B > 0; probabilities: (B, K). Undefined log loss (a true label
    the model does not know) is null throughout. Up to LARGE rows the bootstrap is over
    rows; beyond, over LARGE_GROUPS random groups with at most LARGE_RESAMPLES resamples.
    """
    loss, brier, top = row_scores(true, probabilities)
    correct = true == predicted
    rows = len(true)
    columns = np.zeros((rows, 3 + BINS), dtype=np.float64)
    columns[:, 0], columns[:, 1], columns[:, 2] = 1.0, np.nan_to_num(loss), brier
    columns[np.arange(rows), 3 + confidence_bins(top)] = correct - top
    rng = generator(seed, 1)
    large = rows > LARGE
    order, starts = row_groups(rows, LARGE_GROUPS if large else rows, rng)
    grouped = columns if order is None else np.add.reduceat(columns[order], starts, axis=0)
    drawn = resampled_sums(grouped, min(resamples, LARGE_RESAMPLES) if large else resamples, rng)
    size = drawn[:, 0]
    loss_samples = drawn[:, 1] / size
    return {
        "log_loss": estimate(float(loss.mean()), loss_samples),
        "ece": estimate(
            expected_calibration_error(top, correct), np.abs(drawn[:, 3:]).sum(axis=1) / size
        ),
        "brier": estimate(float(brier.mean()), drawn[:, 2] / size),
    }
