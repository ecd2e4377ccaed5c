"""Label sets that hold the true label of a stated share of rows, whatever the model.

Split conformal prediction (Vovk, Gammerman & Shafer 2005; Angelopoulos & Bates 2021, section 1)
with the score of Sadinle, Lei & Wasserman 2019 ("Least Ambiguous Set-Valued Classifiers"), one
minus the probability of the true label. It holds on average over rows that could as well have been
among those that the scores were taken from; not for each label, nor where rows have changed. Of a
row that no label is likely for the set is empty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpcli.evaluation.bootstrap import Estimate, FloatArray, Floats, IntArray, wilson

LEVELS = (*(n / 100 for n in range(50, 100)), *(n / 1000 for n in range(991, 1000)))
"""Shares that a model's quantiles are kept for."""
_ROUNDING = 1e-9


def true_scores(true: IntArray, probabilities: FloatArray) -> Floats:
    """One minus the probability of the true label, (B,); infinite for a label >= K, which no set
    holds. true: (B,); probabilities: (B, K)."""
    known = np.flatnonzero(true < probabilities.shape[1])
    found = np.full(len(true), np.inf)
    found[known] = 1 - probabilities[known, true[known]].astype(np.float64)
    return found


def rank_of(level: float, n: int) -> int:
    """ceil((n + 1) level): which of n scores in order is the quantile; n + 1 where there are too
    few rows for that level."""
    return max(1, math.ceil((n + 1) * level - _ROUNDING))


def fewest_rows(level: float) -> int:
    """Rows from which on there is a quantile for a level below 1."""
    return math.ceil(level / (1 - level) - _ROUNDING)


def conformal_quantile(scores: Floats, level: float) -> float:
    """The score up to which labels belong to a set; infinite, for every label, where there are too
    few scores. scores: (n,); level: the share of rows to cover."""
    rank = rank_of(level, len(scores))
    if rank > len(scores):
        return math.inf
    return float(np.partition(scores, rank - 1)[rank - 1])


def quantiles(scores: Floats) -> tuple[tuple[float, float], ...]:
    """(level, quantile) of those ``LEVELS`` that there are rows for, ascending."""
    ranked = np.sort(scores)
    found = [(level, rank_of(level, len(ranked)) - 1) for level in LEVELS]
    pairs = ((level, float(ranked[at])) for level, at in found if at < len(ranked))
    return tuple(pair for pair in pairs if math.isfinite(pair[1]))


def label_sets(probabilities: FloatArray, quantile: float) -> NDArray[np.bool_]:
    """Which labels belong to each row's set, (B, K)."""
    found: NDArray[np.bool_] = 1 - probabilities.astype(np.float64) <= quantile
    return found


def set_sizes(sets: NDArray[np.bool_]) -> dict[str, float]:
    """Labels a set (B, K), B > 0, and the shares of sets with one label and with none."""
    sizes = sets.sum(axis=1)
    return {
        "mean_set_size": float(sizes.mean()),
        "singletons": float((sizes == 1).mean()),
        "empty": float((sizes == 0).mean()),
    }


def measured_sets(
    sets: NDArray[np.bool_], true: IntArray, names: Sequence[str]
) -> tuple[Estimate, dict[str, Any]]:
    """The share of rows whose set holds the true label, with Wilson's interval; and how large the
    sets are. sets: (B, K), B > 0; true: (B,), a label >= K is in no set; names: of all labels."""
    known = np.flatnonzero(true < sets.shape[1])
    held = np.zeros(len(true), dtype=bool)
    held[known] = sets[known, true[known]]
    hits = int(held.sum())
    low, high = wilson(hits, len(true))
    support = np.bincount(true, minlength=len(names))
    of_label = np.bincount(true, weights=held, minlength=len(names))
    return {"value": hits / len(true), "low": low, "high": high}, {
        **set_sizes(sets),
        "per_label": {
            name: {
                "coverage": float(of_label[i] / support[i]) if support[i] else None,
                "support": int(support[i]),
            }
            for i, name in enumerate(names)
        },
    }
