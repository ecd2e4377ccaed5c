from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.evaluation.out_of_scope import (
    out_of_scope_metrics,
    recall_threshold,
    written_short,
    youden_threshold,
)

SCORES = st.lists(st.integers(0, 12).map(lambda n: n / 12), min_size=1, max_size=50)


@settings(max_examples=100, deadline=None)
@given(SCORES, SCORES)
def test_by_counting(first: list[float], second: list[float]) -> None:
    inside, outside = np.array(first), np.array(second)
    least = recall_threshold(inside)
    assert (inside >= least).mean() >= 0.95
    assert (inside > least).mean() < 0.95
    best = youden_threshold(inside, outside)

    def gain(limit: float) -> Fraction:
        shares = [Fraction(int((part >= limit).sum()), len(part)) for part in (inside, outside)]
        return shares[0] - shares[1]

    every = sorted({*first, *second})
    assert gain(best) == max(map(gain, every))
    assert all(gain(limit) < gain(best) for limit in every if limit > best)
    metrics, about = out_of_scope_metrics(inside, outside)
    pairs = [(a > b) + 0.5 * (a == b) for a in first for b in second]
    assert metrics["out_of_scope_auroc"]["value"] == pytest.approx(np.mean(pairs))
    assert metrics["out_of_scope_fpr95"]["value"] == (outside >= least).mean()
    assert about["in_scope_answered"] == (inside >= best).mean()
    typed = float(f"{about['suggested_threshold']}")
    assert typed <= best and about["in_scope_answered"] == (inside >= typed).mean()
    assert about["out_of_scope_answered"] == (outside >= typed).mean()


def test_one_row_out_of_scope_tells_little() -> None:
    metrics, _ = out_of_scope_metrics(np.linspace(0.5, 0.9, 20), np.array([0.6]))
    auroc = metrics["out_of_scope_auroc"]
    assert auroc["value"] == pytest.approx(0.75) and auroc["low"] is None


def test_a_threshold_that_is_typed_loses_no_row() -> None:
    assert written_short(0.99996, np.array([0.99996, 0.5])) == 0.9999
    assert written_short(0.99996, np.array([0.99996, 0.99992])) == 0.99996
    sure = np.nextafter(1.0, 0)
    assert written_short(sure, np.array([sure, np.nextafter(sure, 0)])) == sure
    _, about = out_of_scope_metrics(np.full(9, 0.99996), np.full(9, 0.3))
    assert (about["suggested_threshold"], about["threshold_95_recall"]) == (0.9999, 0.9999)
    assert (about["in_scope_answered"], about["out_of_scope_answered"]) == (1, 0)
