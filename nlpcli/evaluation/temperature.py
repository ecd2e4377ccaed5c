"""Logits to honest probabilities: one scale (and, for several labels a text, one offset) for all.

Temperature scaling (Guo et al. 2017, section 4.2) for a softmax, Platt's two numbers (Platt 1999)
for logistic outputs, fitted by maximum likelihood on texts that were not learnt from. A weak
log-normal prior around 4, about what text classifiers of unit-length texts need, keeps a handful of
texts from claiming certainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PRIOR_SCALE, PRIOR_WIDTH = 4.0, 0.5
_LOWEST, _HIGHEST = -3.0, 5.0


@dataclass(frozen=True)
class Calibration:
    """Probabilities are those of ``scale * logits + offset``."""

    scale: float = 1.0
    offset: float = 0.0


def fit_softmax(logits: Floats, targets: Floats) -> Calibration:
    """logits, targets: (B, K); a row of ``targets`` holds a 1 at each true label."""
    from scipy.optimize import minimize_scalar

    def cost(log_scale: float) -> float:
        scaled = logits * np.exp(log_scale)
        scaled -= scaled.max(axis=1, keepdims=True)
        losses = np.log(np.exp(scaled).sum(axis=1)) * targets.sum(axis=1)
        return float(losses.sum() - np.vdot(scaled, targets) + _prior(log_scale))

    found = minimize_scalar(cost, bounds=(_LOWEST, _HIGHEST), method="bounded")
    return Calibration(round(float(np.exp(found.x)), 6))


def fit_logistic(logits: Floats, targets: Floats) -> Calibration:
    """As ``fit_softmax`` for K yes-or-no answers a text, with an offset common to all."""
    from scipy.optimize import minimize

    signs = 1 - 2 * targets

    def cost(at: Floats) -> float:
        margins = signs * (np.exp(at[0]) * logits + at[1])
        return float(np.logaddexp(0, margins).sum() + _prior(at[0]))

    found = minimize(
        cost, np.array([np.log(PRIOR_SCALE), 0.0]), method="L-BFGS-B",
        bounds=[(_LOWEST, _HIGHEST), (-20.0, 20.0)],
    )  # fmt: skip
    return Calibration(round(float(np.exp(found.x[0])), 6), round(float(found.x[1]), 6))


def _prior(log_scale: float) -> float:
    return float((log_scale - np.log(PRIOR_SCALE)) ** 2 / (2 * PRIOR_WIDTH**2))
