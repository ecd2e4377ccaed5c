"""How well the top probability tells rows of no known label from the others.

AUROC, and false positives where 95 % of the known rows pass, as Hendrycks & Gimpel 2017 ("A
Baseline for Detecting Misclassified and Out-of-Distribution Examples") and Liang et al. 2018
measure it; the threshold suggested is the one with the largest difference of the shares that pass
(Youden 1950).
"""

from __future__ import annotations

import numpy as np

from nlpcli.evaluation.bootstrap import Estimate, Floats, wilson
from nlpcli.evaluation.ranking import estimate_of, sampled_area, sorted_column

RECALL = 0.95


def recall_threshold(inside: Floats, recall: float = RECALL) -> float:
    """The largest confidence that at least that share of rows reaches. inside: (B,), B > 0."""
    passed = int(np.ceil(recall * len(inside) - 1e-9))
    return float(np.sort(inside)[len(inside) - max(1, passed)])


def youden_threshold(inside: Floats, outside: Floats) -> float:
    """From which confidence on the share of rows inside that pass exceeds that of rows outside by
    most; the largest of several."""
    values = np.unique(np.concatenate([inside, outside]))
    passed = [
        len(part) - np.searchsorted(np.sort(part), values, side="left")
        for part in (inside, outside)
    ]
    # whole numbers, so that equal differences are equal
    gain = passed[0] * len(outside) - passed[1] * len(inside)
    return float(values[len(gain) - 1 - int(np.argmax(gain[::-1]))])


def written_short(threshold: float, confidence: Floats) -> float:
    """With as few digits as part the rows (B,) as ``threshold`` does, four or more, rounded down:
    a person types it."""
    for digits in range(4, 16):
        short = float(np.floor(threshold * 10**digits) / 10**digits)
        if short <= threshold and not ((confidence >= short) & (confidence < threshold)).any():
            return short
    return threshold


def out_of_scope_metrics(
    inside: Floats, outside: Floats
) -> tuple[dict[str, Estimate], dict[str, float]]:
    """AUROC (DeLong's interval) and false positives at 95 % recall (Wilson's, for the rows outside
    alone); and thresholds. inside: (B,), outside: (O,) top probabilities, both not empty."""
    scores = np.concatenate([inside, outside])
    positive = np.arange(len(scores)) < len(inside)
    at_recall, best = (
        written_short(limit, scores)
        for limit in (recall_threshold(inside), youden_threshold(inside, outside))
    )
    passed = int((outside >= at_recall).sum())
    low, high = wilson(passed, len(outside))
    metrics: dict[str, Estimate] = {
        "out_of_scope_auroc": estimate_of(sampled_area(sorted_column(scores, positive))),
        "out_of_scope_fpr95": {"value": passed / len(outside), "low": low, "high": high},
    }
    return metrics, {
        "threshold_95_recall": at_recall,
        "suggested_threshold": best,
        "in_scope_answered": float((inside >= best).mean()),
        "out_of_scope_answered": float((outside >= best).mean()),
    }
