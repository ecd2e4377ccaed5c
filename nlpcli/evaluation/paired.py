"""How far two models are apart, on the same rows, in a metric that is a function of sums over rows.

F1 of counts, errors, perplexity and Pearson's correlation are such. Intervals are by the paired
bootstrap (Efron & Tibshirani 1993, chapter 16), both models on the same resamples; p is by
randomization: under the hypothesis the two answers to a row are as likely the other way round (Yeh,
"More accurate tests for the statistical significance of result differences", 2000). What a row adds
to a metric is its influence (Hampel, "The influence curve and its role in robust estimation",
1974).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nlpcli.evaluation.bootstrap import (
    Estimate,
    Floats,
    affordable,
    estimate,
    generator,
    resampled_sums,
    row_groups,
)
from nlpcli.evaluation.correlation import spearman_samples
from nlpcli.evaluation.metrics import ratio

ALPHA = 0.05
MOST_GROUPS = 20_000
"""Groups of rows that are drawn as one where there are more."""
_STREAM = 80
_STEP = 1e-5
"""Of a derivative, as a share of what varies."""
_RANKING_COST = 20
"""Ranking a row of a resample costs about as much as this many draws of one."""


@dataclass(frozen=True)
class Sums:
    """A metric of B rows: ``value`` of the sums of ``columns`` (B, C), from (R, C) to (R,), NaN
    where it is not defined. ``less``: less is better. ``samples``: (resamples, seed) -> (R,), the
    metric on resamples where that is no function of such sums."""

    columns: Floats
    value: Callable[[Floats], Floats]
    less: bool = False
    samples: Callable[[int, int], Floats] | None = None

    def whole(self) -> float:
        """Of all rows."""
        return float(self.value(self.columns.sum(axis=0)[None, :])[0])


def f1_sums(counts: Floats) -> Sums:
    """F1 of all rows together; counts: (B, 3) hits, truth and guesses of a row."""
    return Sums(counts, lambda sums: ratio(2 * sums[:, 0], sums[:, 1] + sums[:, 2]))


def mean_sums(values: Floats, *, less: bool = False) -> Sums:
    """The mean of (B,)."""
    return ratio_sums(values, np.ones(len(values)), less=less)


def ratio_sums(
    above: Floats, below: Floats, *, less: bool = False,
    then: Callable[[Floats], Floats] | None = None,
) -> Sums:  # fmt: skip
    """The sum of one (B,) over that of another, and ``then`` a function of that."""

    def value(sums: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share: Floats = sums[:, 0] / sums[:, 1]
            return share if then is None else then(share)

    return Sums(np.stack([above, below], axis=1).astype(np.float64), value, less)


def pearson_sums(truth: Floats, found: Floats) -> Sums:
    """Pearson's correlation of two (B,). Models are brought to one scale first, which changes no
    correlation: else swapped rows would be of two scales. 0 where all answers are alike, so that
    such a model compares."""
    x, y = _standard(truth), _standard(found)
    return Sums(np.stack([np.ones(len(x)), x, x * x, y, y * y, x * y], axis=1), _correlation)


def spearman_sums(truth: Floats, found: Floats) -> Sums:
    """Spearman's correlation of two (B,); resamples are ranked anew, swapped rows keep their ranks
    among those of their model."""
    from scipy.stats import rankdata

    def samples(resamples: int, seed: int) -> Floats:
        drawn = affordable(resamples, _RANKING_COST * len(truth))
        return spearman_samples(truth, found, resamples=drawn, seed=seed)

    ranked = pearson_sums(rankdata(truth), rankdata(found))
    return Sums(ranked.columns, ranked.value, samples=samples)


def _standard(values: Floats) -> Floats:
    """With mean 0 and deviation 1; zeros where they are all equal, rounding aside."""
    apart = values - values[:1]
    if not len(values) or np.abs(apart).max() <= 1e-13 * np.abs(values).max():
        return np.zeros(len(values))
    apart = apart - apart.mean()
    out: Floats = apart / apart.std()
    return out


def _correlation(sums: Floats) -> Floats:
    n, x, xx, y, yy, xy = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        truth, answers = np.maximum(xx - x * x / n, 0), np.maximum(yy - y * y / n, 0)
        varies = np.sqrt(truth * answers)
        found = np.where(varies > 1e-9 * n, (xy - x * y / n) / varies, 0.0)
    # one answer to everything tells nothing, which 0 means; of one truth nothing can be told
    found = np.where(truth > 1e-9 * n, found, np.nan)
    return np.asarray(np.clip(found, -1, 1), dtype=np.float64)


def fewest_swaps(pairs: int) -> int:
    """So many random swaps that the least p, corrected for the pairs, is half of ALPHA."""
    return math.ceil(2 * pairs / ALPHA)


def swaps_drawn(swaps: int, rows: int) -> int:
    """How many of the swaps asked for are drawn of so many rows."""
    return affordable(swaps, min(rows, MOST_GROUPS))


def sum_difference(
    first: Sums, second: Sums, resamples: int, seed: int, swaps: int | None = None
) -> tuple[Estimate, float]:
    """The metric of the second less that of the first, with its interval and p; 1 where it is not
    defined. swaps: random ones behind p, by default as many as resamples."""
    order, starts = row_groups(len(first.columns), MOST_GROUPS, generator(seed, _STREAM))
    both = np.hstack([first.columns, second.columns]).astype(np.float64)
    grouped = np.add.reduceat(both if order is None else both[order], starts, axis=0)
    swaps = swaps_drawn(resamples if swaps is None else swaps, len(first.columns))
    width = first.columns.shape[1]

    def gaps(sums: Floats) -> Floats:
        found: Floats = second.value(sums[:, width:]) - first.value(sums[:, :width])
        return found

    total = grouped.sum(axis=0)
    seen = float(gaps(total[None, :])[0])
    if not math.isfinite(seen):
        return estimate(math.nan, np.empty(0)), 1.0
    if first.samples is None or second.samples is None:
        drawn = affordable(resamples, len(grouped))
        samples = gaps(resampled_sums(grouped, drawn, generator(seed, _STREAM + 1)))
    else:
        samples = second.samples(resamples, seed) - first.samples(resamples, seed)
    rng, apart = generator(seed, _STREAM + 5), grouped[:, width:] - grouped[:, :width]
    extreme = 0
    for _ in range(swaps):
        moved = rng.integers(0, 2, len(grouped)) @ apart
        gap = float(gaps((total + np.concatenate([moved, -moved]))[None, :])[0])
        extreme += not abs(gap) < abs(seen) - 1e-12  # what is not defined counts against it
    return estimate(seen, samples), (1 + extreme) / (1 + swaps)


def f1_difference(
    first: Floats, second: Floats, resamples: int, seed: int
) -> tuple[Estimate, float]:
    """The same of F1; first, second: (B, 3) hits, truth and guesses."""
    return sum_difference(f1_sums(first), f1_sums(second), resamples, seed)


def influence(metric: Sums) -> Floats:
    """How much each row moves the metric from where the others have it, times their number: (B,)
    with mean 0. Of a mean it is the row's distance from it."""
    columns = metric.columns
    n, total = len(columns), columns.sum(axis=0)
    varies = columns.std(axis=0)
    steps = _STEP * np.maximum(np.abs(total), n * varies)
    slope = np.zeros(len(total))
    for column in np.flatnonzero(varies > 0).tolist():
        aside = np.zeros((2, len(total)))
        aside[:, column] = steps[column], -steps[column]
        up, down = metric.value(total + aside).tolist()
        slope[column] = (up - down) / (2 * steps[column])
    found: Floats = n * ((columns - total / n) @ slope)
    return found


def row_spread(first: Sums, second: Sums) -> float:
    """The standard deviation, about 0, of what a row adds to the difference; NaN where it is not
    defined."""
    gap = second.whole() - first.whole()
    with np.errstate(invalid="ignore"):
        rows = influence(second) - influence(first) + gap
    return float(np.sqrt((rows**2).mean()))
