"""Answers of several labels that find a stated share of a row's true ones, whatever the model.

Conformal risk control (Angelopoulos, Bates, Fisch, Lei & Schuster 2024, section 2.1) with the share
of a row's true labels that are missed as its loss, 0 for a row without one: the threshold comes
from rows that were not learnt from, and the mean loss on others like them stays below what is
asked for. On average: not for each label, nor where rows have changed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpcli.evaluation.bootstrap import Estimate, FloatArray, Floats
from nlpcli.evaluation.conformal import set_sizes
from nlpcli.evaluation.truths import mean_estimates

Bools = NDArray[np.bool_]
DIGITS = 1e6
"""A threshold is rounded down to one of so many, so that it can be typed."""


def found_shares(true: Bools, answers: Bools) -> Floats:
    """The share of each row's true labels that is answered, (B,); 1 where there is none.

    true: (B, L); answers: (B, K), K <= L, as a model knows no others.
    """
    n_true = true.sum(axis=1)
    hits = (true[:, : answers.shape[1]] & answers).sum(axis=1)
    shares: Floats = np.where(n_true == 0, 1.0, hits / np.maximum(n_true, 1))
    return shares


def controlled_threshold(true: Bools, probabilities: FloatArray, level: float) -> float | None:
    """The highest threshold at which labels with at least that probability find ``level`` of a
    row's true ones, or more, on average; None where there are too few rows for that.

    true: (n, L); probabilities: (n, K), K <= L.
    """
    n = len(true)
    budget = (1 - level) * (n + 1) - 1
    if budget < -1e-9:
        return None
    rows, labels = np.nonzero(true)
    known = labels < probabilities.shape[1]
    cost = 1 / true.sum(axis=1)[rows]
    budget -= float(cost[~known].sum())  # no threshold finds these
    if budget < -1e-9:
        return 0.0
    scores = probabilities[rows[known], labels[known]].astype(np.float64)
    order = np.argsort(scores, kind="stable")
    # what is missed when all up to this one are; those of one probability go together
    spent = np.cumsum(cost[known][order]) > budget + 1e-9
    if not spent.any():
        return 1.0
    return math.floor(float(scores[order][int(spent.argmax())]) * DIGITS) / DIGITS


def controlled_document(
    true: Bools, probabilities: FloatArray, names: list[str], threshold: float,
    drawing: dict[str, int],
) -> tuple[Estimate, dict[str, Any]]:  # fmt: skip
    """The mean share of true labels that the threshold finds, with its interval; how many labels
    it answers, and the share of each label's rows that have it. true: (B, L), B > 0;
    probabilities: (B, K); names: of all L."""
    answers = probabilities >= threshold
    shares = found_shares(true, answers)
    (estimate,) = mean_estimates(shares[:, None], shares=(0,), **drawing)
    support = true.sum(axis=0).tolist()
    hits = (true[:, : answers.shape[1]] & answers).sum(axis=0).tolist()
    hits += [0] * (len(names) - len(hits))
    return estimate, {
        **set_sizes(answers),
        "per_label": {
            name: {"coverage": hit / n if n else None, "support": n}
            for name, hit, n in zip(names, hits, support, strict=True)
        },
    }
