"""From the top label's probability to the share of such answers that are right, by rising steps.

Isotonic regression (Zadrozny & Elkan 2002, "Transforming Classifier Scores into Accurate
Multiclass Probability Estimates"), by pooling adjacent violators (Ayer et al. 1955). Blocks are
taken at their mean and joined by lines (Oron & Flournoy 2017, centred isotonic regression), so
that of two unequal probabilities between the blocks the order stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nlpcli.evaluation.bootstrap import Floats

MOST_POINTS = 100


def fit_isotonic(confidence: Floats, correct: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    """Points (probability, share that is right), both rising, at most ``MOST_POINTS``.

    confidence: (B,), B > 0, the top label's; correct: (B,) whether it is true. No share is nearer
    to 0 or 1 than one row in B + 2, so that a few rows claim no certainty.
    """
    from scipy.optimize import isotonic_regression

    values, group = np.unique(confidence, return_inverse=True)
    counts = np.bincount(group).astype(np.float64)
    shares = np.bincount(group, weights=correct) / counts
    fitted = isotonic_regression(shares, weights=counts)
    starts = fitted.blocks[:-1]
    middles = np.add.reduceat(values * counts, starts) / np.add.reduceat(counts, starts)
    least = 1 / (len(confidence) + 2)
    heights = np.clip(fitted.x[starts], least, 1 - least)
    at = np.unique(np.linspace(0, len(starts) - 1, MOST_POINTS).astype(int))
    pairs = zip(middles[at].tolist(), heights[at].tolist(), strict=True)
    return tuple((float(x), float(y)) for x, y in pairs)
