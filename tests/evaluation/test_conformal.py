"""Label sets: quantiles by brute force, and the promise on exchangeable rows."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.evaluation.conformal import (
    LEVELS,
    conformal_quantile,
    fewest_rows,
    label_sets,
    measured_sets,
    quantiles,
    true_scores,
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=0, max_size=60),
    st.integers(1, 999),
)
def test_the_quantile_by_counting(scores: list[float], thousandth: int) -> None:
    wanted = math.ceil((len(scores) + 1) * Fraction(thousandth, 1000))
    found = conformal_quantile(np.array(scores), thousandth / 1000)
    if wanted > len(scores):
        assert found == math.inf
        assert len(scores) < fewest_rows(thousandth / 1000)
        return
    assert len(scores) >= fewest_rows(thousandth / 1000)
    # the least score that so many do not exceed
    assert found == min(s for s in scores if sum(t <= s for t in scores) >= wanted)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.8, 0.9, 0.95]), st.integers(2, 8))
def test_coverage_on_exchangeable_rows(seed: int, level: float, labels: int) -> None:
    rng = np.random.default_rng(seed)
    trials, n = 300, 99
    logits = rng.normal(0, 2, (trials, n + 50, labels))
    p = np.exp(logits)
    p /= p.sum(axis=2, keepdims=True)
    true = rng.integers(0, labels, (trials, n + 50))  # a model that is wrong about everything
    held = []
    for scores, wanted in zip(p, true, strict=True):
        quantile = conformal_quantile(true_scores(wanted[:n], scores[:n]), level)
        sets = label_sets(scores[n:], quantile)
        held.append(sets[np.arange(50), wanted[n:]].mean())
    # exactly ceil(100 level)/100 in expectation, as no two scores are equal
    assert np.mean(held) == pytest.approx(level, abs=5 * np.std(held) / trials**0.5)


def test_what_is_measured() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.5, 0.3, 0.2], [0.9, 0.05, 0.05]])
    true = np.array([0, 2, 1, 3])  # the last is a label that the model does not know
    np.testing.assert_allclose(true_scores(true, p), [0.3, 0.75, 0.7, np.inf])
    coverage, about = measured_sets(label_sets(p, 0.7), true, ["a", "b", "c", "d"])
    assert coverage["value"] == 0.5
    assert coverage["low"] is not None and 0 < coverage["low"] < 0.5
    assert (about["mean_set_size"], about["singletons"], about["empty"]) == (6 / 4, 0.5, 0)
    covered = {name: row["coverage"] for name, row in about["per_label"].items()}
    assert covered == {"a": 1, "b": 1, "c": 0, "d": 0}
    assert not label_sets(p, 0.05).any()
    assert label_sets(p, math.inf).all()


def test_quantiles_that_are_kept() -> None:
    scores = np.random.default_rng(1).random(150)
    kept = dict(quantiles(scores))
    assert max(kept) == 0.993
    for level, quantile in kept.items():
        assert quantile == conformal_quantile(scores, level)
    assert quantiles(np.full(40, np.inf)) == ()
    assert list(LEVELS) == sorted(set(LEVELS))
