"""Logits to honest probabilities: one scale (and, for several labels a text, one offset) for all.

Temperature scaling (Guo et al. 2017, section 4.2) for a softmax, Platt's two numbers (Platt 1999)
for logistic outputs, fitted by maximum likelihood on texts that were not learnt from. A weak
log-normal prior around 4, about what text classifiers of unit-length texts need, keeps a handful of
texts from claiming certainty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PRIOR_SCALE, PRIOR_WIDTH = 4.0, 0.5
RIDGE = 1e-3
"""On the offset, for texts that are all answered alike."""
STEPS, TOLERANCE = 50, 1e-5
HALVINGS = 30
_LOWEST, _HIGHEST = -3.0, 5.0


@dataclass(frozen=True)
class Calibration:
    """Probabilities are those of ``scale * logits + offset``."""

    scale: float = 1.0
    offset: float = 0.0


def fit_softmax(logits: Floats, targets: Floats, prior: float = PRIOR_SCALE) -> Calibration:
    """logits, targets: (B, K); a row of ``targets`` holds a 1 at each true label. ``prior``: the
    scale to expect, 4 for unit-length texts and linear models."""
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    true, counts = float(np.vdot(shifted, targets)), targets.sum(axis=1)

    def slopes(log_scale: float) -> tuple[float, float]:
        scale = np.exp(log_scale)
        shares = np.exp(shifted * scale)
        shares /= shares.sum(axis=1, keepdims=True)
        means = np.einsum("ij,ij->i", shares, shifted)
        squares = np.einsum("ij,ij,ij->i", shares, shifted, shifted)
        first = scale * (float(counts @ means) - true)
        second = first + scale * scale * float(counts @ (squares - means * means))
        return first, second

    return Calibration(round(float(np.exp(_newton(slopes, prior))), 6))


def fit_logistic(logits: Floats, targets: Floats, prior: float = PRIOR_SCALE) -> Calibration:
    """As ``fit_softmax`` for K yes-or-no answers a text, with an offset common to all."""
    at = np.array([prior, 0.0])
    z, y = logits.ravel(), targets.ravel()

    def cost(scale: float, offset: float) -> float:
        inner = scale * z + offset
        prior_cost = (np.log(scale / prior) / PRIOR_WIDTH) ** 2 + RIDGE * offset**2
        return float(np.logaddexp(0, inner).sum() - y @ inner + prior_cost / 2)

    least = cost(*at)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(at[0] * z + at[1], -30, 30)))
        error, spread = p - y, p * (1 - p)
        pull = np.log(at[0] / prior) / (PRIOR_WIDTH**2 * at[0])
        slope = np.array([error @ z + pull, error.sum() + at[1] * RIDGE])
        stiff = 1 / (PRIOR_WIDTH * at[0]) ** 2
        cross = spread @ z
        bend = np.array([[spread @ (z * z) + stiff, cross], [cross, spread.sum() + RIDGE]])
        step = np.linalg.solve(bend, slope)
        # never more than halved or doubled at once, so that the scale stays above 0
        step[0] = np.clip(step[0], -at[0], at[0] / 2)
        step = np.clip(step, -2 * PRIOR_SCALE, 2 * PRIOR_SCALE)
        # from far away a whole step may lead past the optimum, and further each time
        for _ in range(HALVINGS):
            reached = cost(*(at - step))
            if reached <= least + 1e-9 * abs(least):
                break
            step /= 2
        at, least = at - step, reached
        if np.abs(step).max() < TOLERANCE:
            break
    return Calibration(round(float(at[0]), 6), round(float(at[1]), 6))


def _newton(slopes: Callable[[float], tuple[float, float]], prior: float) -> float:
    """The logarithm of the best scale under the prior, by damped Newton steps."""
    at = float(np.log(prior))
    for _ in range(STEPS):
        first, second = slopes(at)
        first += (at - np.log(prior)) / PRIOR_WIDTH**2
        second = max(second, 0.0) + 1 / PRIOR_WIDTH**2
        step = float(np.clip(first / second, -1, 1))
        at = float(np.clip(at - step, _LOWEST, _HIGHEST))
        if abs(step) < TOLERANCE:
            break
    return at
