"""Answering only where the model is sure: error against the share of texts that are answered.

Selective classification (El-Yaniv & Wiener 2010): of texts that were not learnt from, those with
the largest probabilities are answered; the curve says how often that is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.evaluation.bootstrap import Estimate, FloatArray, IntArray, wilson
from nlpcli.evaluation.calibration import mean_estimates
from nlpcli.evaluation.ranking import Ranked, estimate_of

POINTS = 100
FEWEST = 30
"""Answers that an error is measured on at least."""


@dataclass(frozen=True)
class Abstention:
    """Answer where the top probability is at least ``below``: ``share`` of the texts, of which
    ``error`` are wrong."""

    below: float
    share: float
    error: float


def abstention_curve(
    confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]
) -> list[Abstention]:
    """At most ``POINTS`` thresholds, the largest first; empty when there are too few texts.

    ``confidence`` [B] is the probability of each text's top label, ``correct`` [B] whether it is
    true. Texts of one confidence are answered together.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked, wrong = confidence[order], np.cumsum(~correct[order])
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else order
    last = last[last + 1 >= FEWEST]
    if len(last) > POINTS:
        last = last[np.unique(np.linspace(0, len(last) - 1, POINTS).astype(int))]
    n_texts = len(confidence)
    return [
        Abstention(
            # written short, and never above the text it stands for
            float(np.floor(ranked[i] * 1e6) / 1e6),
            round((i + 1) / n_texts, 4),
            round(float(wrong[i]) / (i + 1), 4),
        )
        for i in last.tolist()
    ]


def best_abstention(curve: list[Abstention], error: float) -> Abstention | None:
    """The point that answers most with an error of at most ``error``; None when none does."""
    good = [point for point in curve if point.error <= error]
    return max(good, key=lambda point: point.share) if good else None


def highest_error(point: Abstention, rows: int) -> float:
    """The upper end of the interval of its error, which was measured on the answered share of so
    many rows."""
    answered = max(1, round(point.share * rows))
    return wilson(round(point.error * answered), answered)[1]


def risk_coverage(
    confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]
) -> tuple[list[dict[str, float]], Estimate]:
    """The whole curve at no more than ``POINTS`` thresholds, the largest first, and the area under
    it: the mean of the risk over all rows' thresholds (AURC; Geifman, Uziel & El-Yaniv 2019).

    confidence, correct: [B], B > 0. Rows of one confidence are answered together. The area's
    interval is by the infinitesimal jackknife.
    """
    levels, group = np.unique(-confidence, return_inverse=True)
    sizes = np.bincount(group).astype(np.float64)
    answered, n_rows = np.cumsum(sizes), len(confidence)
    risk = np.cumsum(np.bincount(group, weights=~correct)) / answered
    value = float(sizes @ risk / n_rows)
    # what a row adds to the risks at its own confidence and below
    share = sizes / answered
    later, weighed = (np.cumsum(part[::-1])[::-1] for part in (share, share * risk))
    moved = risk[group] - value + ~correct * later[group] - weighed[group]
    at = np.unique(np.linspace(0, len(levels) - 1, POINTS).astype(int))
    curve = [
        {"coverage": c, "risk": r, "threshold": t}
        for c, r, t in zip(
            (answered[at] / n_rows).tolist(), risk[at].tolist(), (-levels[at]).tolist(), strict=True
        )
    ]
    return curve, estimate_of(Ranked(value, moved / n_rows))


def risk_document(
    confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_], *, n_rows: int
) -> dict[str, Any]:
    """``risk_coverage`` and ``aurc`` of [B] answers to ``n_rows`` rows; those without an answer
    are never covered, and count in no risk."""
    if not len(confidence):
        return {"risk_coverage": [], "aurc": {"value": None, "low": None, "high": None}}
    curve, area = risk_coverage(confidence, correct)
    if n_rows > len(confidence):
        share = len(confidence) / n_rows
        curve = [{**point, "coverage": point["coverage"] * share} for point in curve]
    return {"risk_coverage": curve, "aurc": area}


def _share(hits: int, rows: int) -> Estimate:
    low, high = wilson(hits, rows)
    return {"value": hits / rows, "low": low, "high": high}


def answered_metrics(
    true: IntArray, predicted: IntArray, silence: int | None, confidence: FloatArray | None,
    drawing: dict[str, int],
) -> dict[str, Any]:  # fmt: skip
    """Of the rows that have an answer: how many do, how many of these are right, and how well they
    are calibrated; the others claim nothing."""
    kept = np.flatnonzero(predicted != silence)
    right = true[kept] == predicted[kept]
    sure = np.ones(len(kept)) if confidence is None else confidence[kept]
    found: dict[str, Any] = {
        "abstained": len(true) - len(kept), "coverage": _share(len(kept), len(true)),
    }  # fmt: skip
    if not len(kept):
        undefined = ("selective_accuracy", "ece", "ece_adaptive")
        found |= {name: {"value": None, "low": None, "high": None} for name in undefined}
    else:
        means = {"selective_accuracy": right.astype(np.float64)}
        measured = mean_estimates(means, sure, right, **drawing)
        names = means if confidence is None else measured
        found |= {name: measured[name] for name in names}
    return found
