"""Whether two lists of numbers rise together: Pearson's and Spearman's correlation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.evaluation.bootstrap import count_blocks, estimate, generator

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_STREAM = 10
"""Of the random numbers: another than other metrics have."""


def correlations(truth: F64, guess: F64, *, resamples: int, seed: int) -> dict[str, Any]:
    """Spearman's and Pearson's correlation of two float64 [N], with bootstrap intervals.

    Spearman's is Pearson's of the ranks, equal values sharing their mean rank (Spearman 1904; as
    scipy.stats.spearmanr).
    """
    n = len(truth)
    if n < 2:
        undefined = estimate(np.nan, np.empty(0))
        return {"spearman": undefined, "pearson": undefined}
    groups = [np.unique(values, return_inverse=True)[1] for values in (truth, guess)]
    once = np.ones((1, n))
    ranked, plain = [np.empty(0)], [np.empty(0)]
    for block in count_blocks(np.ones(n, np.int64), resamples, generator(seed, _STREAM)):
        weights = block.astype(np.float64)
        ranked.append(_spearman(weights, groups))
        plain.append(_pearson(weights, truth[None], guess[None]))
    return {
        "spearman": estimate(
            float(_spearman(once, groups)[0]), np.concatenate(ranked), bounds=(-1.0, 1.0)
        ),
        "pearson": estimate(
            float(_pearson(once, truth[None], guess[None])[0]),
            np.concatenate(plain),
            bounds=(-1.0, 1.0),
        ),
    }


def spearman_samples(truth: F64, guess: F64, *, resamples: int, seed: int) -> F64:
    """Spearman's correlation on resamples of N pairs, (R,): those of ``correlations``, and the same
    rows whatever the numbers are."""
    n = len(truth)
    groups = [np.unique(values, return_inverse=True)[1] for values in (truth, guess)]
    blocks = count_blocks(np.ones(n, np.int64), resamples, generator(seed, _STREAM))
    return np.concatenate(
        [np.empty(0), *(_spearman(block.astype(np.float64), groups) for block in blocks)]
    )


def _spearman(weights: F64, groups: list[I64]) -> F64:
    """Of resamples in which pair i is there ``weights[r, i]`` times, float64 [R]."""
    ranks = [_ranks(weights, group) for group in groups]
    return _pearson(weights, ranks[0], ranks[1])


def _ranks(weights: F64, group: I64) -> F64:
    """Mean rank of each pair in each resample, [R, N]; ``group``: the place of its value."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    below = np.cumsum(sizes, axis=1) - sizes
    ranks: F64 = (below + (sizes + 1) / 2)[:, group]
    return ranks


def _pearson(weights: F64, x: F64, y: F64) -> F64:
    """Weighted correlation, [R]; NaN where one of the two does not vary."""
    total = weights.sum(axis=1, keepdims=True)
    x, y = x - x[:, :1], y - y[:, :1]  # far from 0 little would be left of how they vary
    # what is left of equal values by rounding is no variation
    smallest = 1e-13 * total[:, 0] * np.abs(x).max(axis=1) * np.abs(y).max(axis=1)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    varies = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    found = np.full(len(weights), np.nan)
    np.divide((weights * x * y).sum(axis=1), varies, out=found, where=varies > smallest)
    return np.asarray(np.clip(found, -1, 1), dtype=np.float64)
