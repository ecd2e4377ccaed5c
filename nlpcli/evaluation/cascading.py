"""From which probability on a small model may answer in the place of a large one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Z = 1.6449
"""Standard normal deviates below which 95 % lie."""
_DIGITS = 1e6


@dataclass(frozen=True)
class CascadePoint:
    """The small model answers from the probability ``above`` on, infinite for never: that is
    ``share`` of the rows. ``small``, ``large`` and ``together``: accuracies of each model on all
    rows and of both. ``most_loss``: what is lost against the large one in all, with 95 %
    confidence at most."""

    above: float
    share: float
    small: float
    large: float
    together: float
    most_loss: float


def choose_threshold(
    sure: npt.NDArray[np.float64],
    small: npt.NDArray[np.bool_],
    large: npt.NDArray[np.bool_],
    loss: float,
) -> CascadePoint:
    """The lowest probability at which accuracy is at most ``loss`` below the large model's.

    ``sure`` float64 [N]: the small model's probability of its answer; ``small`` and ``large`` bool
    [N]: whether each is right; N >= 1. Of equal probabilities all rows go one way. The least of
    many thresholds on these rows: others will lose somewhat more.
    """
    order = np.argsort(-sure, kind="stable")
    values = sure[order]
    gained = np.cumsum(small[order].astype(np.int64) - large[order])
    ends = np.append(values[1:] < values[:-1], True)  # with this row its equals are all in
    good = np.flatnonzero(ends & (gained >= -loss * len(sure) - 1e-9))
    n_small = int(good[-1]) + 1 if len(good) else 0
    above = math.inf
    if n_small:
        above = float(values[n_small - 1])
        below = float(values[n_small]) if n_small < len(values) else -1.0
        plain = math.floor(above * _DIGITS) / _DIGITS
        above = plain if plain > below else above  # that a person can type
    chosen = order[:n_small]
    correct = large.copy()
    correct[chosen] = small[chosen]
    return CascadePoint(
        above, n_small / len(sure), float(small.mean()), float(large.mean()),
        float(correct.mean()), upper_loss(correct, large),
    )  # fmt: skip


def upper_loss(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """By how much the accuracy of ``one`` may be below that of ``other`` on the same rows, bool
    [N], with 95 % confidence.

    Matched proportions, half a row added to each of the four counts (Agresti & Min 2005, "Simple
    improved confidence intervals for comparing matched proportions").
    """
    lost = int((other & ~one).sum()) + 0.5
    won = int((one & ~other).sum()) + 0.5
    n = len(one) + 2
    difference = (lost - won) / n
    error = math.sqrt(max(lost + won - (lost - won) ** 2 / n, 0.0)) / n
    return difference + Z * error
