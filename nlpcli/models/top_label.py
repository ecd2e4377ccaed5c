"""Another probability for each row's top label, which stays the top label."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

_AHEAD = 1e-9
"""Of the second: so that the top label stays ahead."""
_KEPT = 1e-3
"""Share of the old probability in the new one: rows where the lines are flat keep their order."""


def with_top_moved(probabilities: F64, points: tuple[tuple[float, float], ...]) -> F64:
    """Probabilities [B, K] whose largest is what the lines between the ``points`` say of it, all
    but flat beyond the first and the last; the others keep their shares of the rest.

    Never less than leaves the label ahead of the others. Rows that do not sum to 1 (a logistic
    function of each label) keep the others, but for what would be above the top.
    """
    n_rows, n_labels = probabilities.shape
    if not points or n_labels < 2 or not n_rows:
        return probabilities
    rows, top = np.arange(n_rows), probabilities.argmax(axis=1)
    sure = probabilities[rows, top]
    xs, ys = zip(*points, strict=True)
    wanted = (1 - _KEPT) * np.interp(sure, xs, ys) + _KEPT * sure
    found = probabilities.copy()
    found[rows, top] = 0
    rest = found.sum(axis=1)
    if (np.abs(rest + sure - 1) > 1e-6).any():
        np.minimum(found, np.maximum(wanted - _AHEAD, 0)[:, None], out=found)
        found[rows, top] = wanted
        return found
    flat = rest < np.finfo(np.float64).tiny  # nothing can be divided by less
    found[flat] = 1.0
    found[rows, top] = 0
    rest = np.where(flat, n_labels - 1.0, rest)
    second = found.max(axis=1)
    moved = np.minimum(np.maximum(wanted, second / (second + rest) + _AHEAD), 1.0)
    found *= ((1 - moved) / rest)[:, None]
    found[rows, top] = moved
    return found
