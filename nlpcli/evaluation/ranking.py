"""Metrics of how well probabilities rank rows: ROC-AUC and average precision.

Every metric comes with what each row adds to it (its influence), from one sort a label, so that
intervals need no resamples: DeLong, DeLong & Clarke-Pearson, "Comparing the Areas under Two or
More Correlated Receiver Operating Characteristic Curves" (1988) for the AUC; the infinitesimal
jackknife (Efron & Tibshirani 1993, chapter 22) for average precision. Of more than two labels the
AUC is the mean of one-vs-rest (as Provost & Domingos 2000, unweighted) or of all pairs (Hand &
Till 2001).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nlpcli.evaluation.bootstrap import Estimate, FloatArray, Floats, IntArray, finite

MOST_ELEMENTS = 50_000_000
"""Rows times labels up to which they are computed: some 20 seconds of sorting."""
METRICS = ("roc_auc", "roc_auc_ovo", "average_precision")
_Z = 1.959963984540054
"""Of the normal distribution, two-sided 95 %."""


@dataclass(frozen=True)
class Ranked:
    """A metric's value, and what each row moves it by when its weight grows, (B,), sum 0."""

    value: float
    influence: Floats


@dataclass(frozen=True)
class Column:
    """Rows in order of their score for one label: (B,) order, group; G groups of equal scores.

    hits, misses: (G,) the label's rows and the others of each group, by rising score; others of
    weight w count w. size: the label's rows. positive: (B,) in that order.
    """

    order: NDArray[np.int64]
    group: NDArray[np.int64]
    positive: NDArray[np.bool_]
    hits: Floats
    misses: Floats
    size: float


def sorted_column(scores: FloatArray, positive: NDArray[np.bool_]) -> Column:
    """scores, positive: (B,), B > 0."""
    order = np.argsort(scores, kind="stable")
    ranked, label = scores[order], positive[order]
    group = np.cumsum(np.append(False, ranked[1:] != ranked[:-1]))
    hits: Floats = np.bincount(group, weights=label).astype(np.float64)
    misses: Floats = np.bincount(group).astype(np.float64) - hits
    return Column(order, group, label, hits, misses, float(label.sum()))


def weighted(column: Column, weight: Floats) -> Column:
    """The same with the other rows weighed; weight: (B,)."""
    others = np.where(column.positive, 0.0, weight[column.order])
    misses: Floats = np.bincount(column.group, weights=others).astype(np.float64)
    return replace(column, misses=misses)


def _scattered(column: Column, of_hits: Floats, of_misses: Floats) -> Floats:
    """Values a group, one for each kind of row, back to the rows: (G,), (G,) to (B,)."""
    out = np.empty(len(column.order))
    out[column.order] = np.where(column.positive, of_hits[column.group], of_misses[column.group])
    return out


def placements(column: Column) -> Floats:
    """For a row of the label the weight of others ranked below it, for another row the share of
    the label's rows ranked above it; ties count half. (B,); DeLong's structural components."""
    below = np.cumsum(column.misses) - 0.5 * column.misses
    above = (column.size - np.cumsum(column.hits) + 0.5 * column.hits) / column.size
    return _scattered(column, below, above)


def area(column: Column) -> Ranked:
    """ROC-AUC of one label against the rest; NaN where one of both has no rows."""
    rows = len(column.order)
    others = rows - column.size
    if not column.size or not others:
        return Ranked(float("nan"), np.zeros(rows))
    found = placements(column)
    positive = np.zeros(rows, dtype=bool)
    positive[column.order] = column.positive
    shares = np.where(positive, found / others, found)
    value = float(shares[positive].mean())
    return Ranked(value, (shares - value) / np.where(positive, column.size, others))


def sampled_area(column: Column) -> Ranked:
    """``area`` with what a sample's own means take from its variance given back (DeLong's n - 1, of
    the label and of the rest); the influence of a row that is alone is NaN."""
    found, positive = area(column), np.zeros(len(column.order), dtype=np.int64)
    positive[column.order] = column.positive
    return replace(found, influence=found.influence * _sample_scale(positive))


def _sample_scale(groups: IntArray) -> Floats:
    """The root of n / (n - 1) of a row's group, NaN for one that is alone; (B,), (B,)."""
    counts = np.bincount(groups).astype(np.float64)
    scale: Floats = np.full(len(counts), np.nan)
    np.divide(counts, counts - 1, out=scale, where=counts > 1)
    return np.sqrt(scale)[groups]


def average_precision(column: Column) -> Ranked:
    """Mean precision over the label's rows, each at its own score (no interpolation, as
    scikit-learn); NaN without such rows."""
    if not column.size:
        return Ranked(float("nan"), np.zeros(len(column.order)))
    found = np.cumsum(column.hits[::-1])[::-1]
    taken = found + np.cumsum(column.misses[::-1])[::-1]
    precision = found / taken
    value = float((column.hits * precision).sum() / column.size)
    # a row counts among those taken for each hit at its score or below
    gained = np.cumsum(column.hits / taken)
    lost = np.cumsum(column.hits * precision / taken)
    return Ranked(value, _scattered(column, precision - value + gained - lost, -lost) / column.size)


def estimate_of(ranked: Ranked) -> Estimate:
    """Value and 95 % interval, on the scale of log odds so that it stays within 0 and 1; none where
    the value is 0 or 1, of which nothing can be told."""
    value = finite(ranked.value)
    if value is None:
        return {"value": None, "low": None, "high": None}
    error = float(np.sqrt((ranked.influence**2).sum()))
    if not np.isfinite(error) or not 0 < value < 1:
        return {"value": value, "low": None, "high": None}
    middle, width = np.log(value / (1 - value)), _Z * error / (value * (1 - value))
    low, high = (float(1 / (1 + np.exp(-np.clip(x, -700, 700)))) for x in
                 (middle - width, middle + width))  # fmt: skip
    return {"value": value, "low": min(low, value), "high": max(high, value)}


def mean_of(parts: list[Ranked], rows: int) -> Ranked:
    """The mean of those that are defined; NaN where none is."""
    known = [part for part in parts if np.isfinite(part.value)]
    if not known:
        return Ranked(float("nan"), np.zeros(rows))
    total = np.zeros(rows)
    for part in known:
        total += part.influence
    return Ranked(float(np.mean([part.value for part in known])), total / len(known))


def ranking_metrics(
    true: IntArray, probabilities: FloatArray, *, intervals: bool = True
) -> dict[str, Estimate]:
    """``METRICS`` of single-label data. true: (B,); probabilities: (B, K), finite.

    Of two labels the second is the one that is looked for, and roc_auc_ovo equals roc_auc; of more
    the means over labels (pairs) that are true of some row. Undefined with fewer than two of them,
    and where the model does not know a true label. Beyond MOST_ELEMENTS they are left out.
    """
    rows, labels = probabilities.shape
    if rows * labels > MOST_ELEMENTS:
        return {}
    counts = np.bincount(true, minlength=labels).astype(np.float64)
    present = np.flatnonzero(counts)
    nothing = Ranked(float("nan"), np.zeros(rows))
    if len(counts) > labels:
        return {name: estimate_of(nothing) for name in METRICS}
    if labels == 2:
        column = sorted_column(probabilities[:, 1], true == 1)
        auc, precision = sampled_area(column), average_precision(column)
        found = auc, auc, precision
    else:
        found = _many(true, probabilities, counts, present)
    out = {}
    for name, ranked in zip(METRICS, found, strict=True):
        one = estimate_of(ranked)
        out[name] = one if intervals else {"value": one["value"], "low": None, "high": None}
    return out


def _many(
    true: IntArray, probabilities: FloatArray, counts: Floats, present: NDArray[np.int64]
) -> tuple[Ranked, Ranked, Ranked]:
    """One-vs-rest AUC, one-vs-one AUC and average precision over the labels present."""
    rows = len(true)
    areas, precisions = [], []
    every = np.zeros(rows)
    total, weight = 0.0, 1.0 / counts[true]
    for label in present.tolist():
        positive = true == label
        column = sorted_column(probabilities[:, label], positive)
        areas.append(sampled_area(column))
        precisions.append(average_precision(column))
        against = placements(weighted(column, weight))
        others = np.where(positive, 0.0, against)
        pairs = np.bincount(true, weights=others, minlength=len(counts)) / np.maximum(counts, 1)
        total += float(pairs.sum())
        mean = np.where(positive, pairs.sum(), pairs[true])
        every += (against - mean) * weight
    n_pairs = len(present) * (len(present) - 1)
    every *= _sample_scale(true)
    one_vs_one = Ranked(total / n_pairs, every / n_pairs) if n_pairs else areas[0]
    return mean_of(areas, rows), one_vs_one, mean_of(precisions, rows)
