from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.evaluation.out_of_scope import (
    out_of_scope_metrics,
    recall_threshold,
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
    assert about["suggested_threshold"] == best
