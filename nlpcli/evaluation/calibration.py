"""Probability metrics of single-label classifiers: log loss, Brier score, calibration, top k.

Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017) for
the expected calibration error, Nixon et al., "Measuring Calibration in Deep Learning" (2019) for
bins of equal mass; Brier (1950) for the score of that name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpcli.errors import DataError
from nlpcli.evaluation.bootstrap import (
    UNIT,
    Estimate,
    FloatArray,
    Floats,
    IntArray,
    estimate,
    estimate_of_distance,
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
TOP = (3, 5)
"""The k of top-k accuracy."""
SHARES = (*(f"top_{k}_accuracy" for k in TOP), "selective_accuracy")
"""Of rows that are right."""
PROBABILITY_METRICS = ("log_loss", "brier", "top_3_accuracy", "top_5_accuracy", "ece",
                       "ece_adaptive")  # fmt: skip


def confidence_bins(confidence: FloatArray, bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each confidence: bin m holds (m/bins, (m+1)/bins]; 0 falls into bin 0.

    confidence: (B,). Returns (B,) in [0, bins). Guo et al. 2017, section 2.
    """
    inner = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    return np.searchsorted(inner, confidence.astype(np.float64), side="left").astype(np.int64)


def adaptive_bins(confidence: FloatArray, bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each confidence between quantiles, so that bins hold equally many rows.

    confidence: (B,), B > 0. Returns (B,) in [0, bins); equal confidences share a bin, which reaches
    from above one quantile to the next, as in scikit-learn's ``calibration_curve``.
    """
    wide = confidence.astype(np.float64)
    inner = np.percentile(wide, np.linspace(0.0, 1.0, bins + 1)[1:-1] * 100)
    return np.searchsorted(inner, wide, side="left").astype(np.int64)


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


def true_ranks(true: IntArray, probabilities: FloatArray) -> Floats:
    """How many labels go before the true one, by probability, ties by column: (B,), (B, K) to (B,).

    Infinite for a label that the model does not know.
    """
    rows, columns = probabilities.shape
    out = np.full(rows, np.inf)
    step = max(1, CHUNK_ELEMENTS // columns)
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        block, label = probabilities[part], true[part]
        known = np.flatnonzero(label < columns)
        block, label = block[known], label[known]
        of_true = block[np.arange(len(label)), label][:, None]
        earlier = (block == of_true) & (np.arange(columns) < label[:, None])
        out[start + known] = (block > of_true).sum(axis=1) + earlier.sum(axis=1)
    return out


def probability_metrics(
    true: IntArray,
    predicted: IntArray,
    probabilities: FloatArray,
    *,
    confidence: FloatArray | None = None,
    resamples: int,
    seed: int,
) -> dict[str, Estimate]:
    """log_loss, ece, ece_adaptive, brier and top_k_accuracy with their intervals.

    true, predicted: (B,), B > 0; probabilities: (B, K); confidence: (B,) in what was predicted,
    else the largest probability. Undefined log loss (a true label
    the model does not know) is null throughout, and so is a top k of all labels. Up to LARGE rows
    the bootstrap is over rows; beyond, over LARGE_GROUPS random groups with at most
    LARGE_RESAMPLES resamples.
    """
    loss, brier, top = row_scores(true, probabilities)
    ranks, nothing = true_ranks(true, probabilities), np.full(len(true), np.nan)
    hits: dict[str, Floats] = {f"top_{k}_accuracy": nothing for k in TOP}
    for k in TOP:
        if k < probabilities.shape[1]:
            hits[f"top_{k}_accuracy"] = (ranks < k).astype(np.float64)
    means: dict[str, Floats] = {"log_loss": loss, "brier": brier, **hits}
    sure = top if confidence is None else confidence
    return mean_estimates(means, sure, true == predicted, resamples=resamples, seed=seed)


def mean_estimates(
    means: dict[str, Floats],
    top: FloatArray,
    correct: NDArray[np.bool_],
    *,
    resamples: int,
    seed: int,
) -> dict[str, Estimate]:
    """Means over rows, and both calibration errors, with their intervals.

    means: name to (B,), NaN where it is not defined; top: (B,) the probability of the label that
    was given; correct: (B,).
    """
    rows, first = len(top), 1 + len(means)
    rng = generator(seed, 1)
    large = rows > LARGE
    order, starts = row_groups(rows, LARGE_GROUPS if large else rows, rng)
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, rows)))
    if order is not None:
        group[order] = group.copy()
    grouped = np.empty((len(starts), first + 2 * BINS), dtype=np.float64)
    grouped[:, 0] = np.bincount(group)
    for at, values in enumerate(means.values(), 1):
        grouped[:, at] = np.bincount(group, np.nan_to_num(values))
    gap: Floats = correct - top.astype(np.float64)
    for begin, bins in ((first, confidence_bins(top)), (first + BINS, adaptive_bins(top))):
        sums = np.bincount(group * BINS + bins, gap, minlength=len(starts) * BINS)
        grouped[:, begin : begin + BINS] = sums.reshape(-1, BINS)
    whole = grouped.sum(axis=0)[None, :]
    drawn = resampled_sums(grouped, min(resamples, LARGE_RESAMPLES) if large else resamples, rng)
    out = {
        name: estimate(
            float(values.mean()),
            drawn[:, at] / drawn[:, 0],
            share_of=rows if name in SHARES else None,
            bounds=(0.0,) if name == "log_loss" else UNIT,
        )
        for at, (name, values) in enumerate(means.items(), 1)
    }
    for name, begin in (("ece", first), ("ece_adaptive", first + BINS)):
        gaps, again = (sums[:, begin : begin + BINS] / sums[:, :1] for sums in (whole, drawn))
        value, samples, noise = (
            np.abs(part).sum(axis=1) for part in (gaps, again, again - gaps)
        )  # fmt: skip
        out[name] = estimate_of_distance(float(value[0]), samples, noise)
    return out
