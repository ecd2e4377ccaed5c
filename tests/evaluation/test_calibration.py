"""Expected calibration error and the probability metrics."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import top_k_accuracy_score

from nlpcli.errors import DataError
from nlpcli.evaluation.calibration import (
    LARGE,
    adaptive_bins,
    confidence_bins,
    expected_calibration_error,
    mean_estimates,
    probability_metrics,
    row_scores,
    true_ranks,
)

ROWS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def guo_reference(confidence: list[float], correct: list[bool], bins: int) -> float:
    """The loop over bins (lower, upper] of the paper's published code; 0 in the first bin."""
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for m in range(bins):
        rows = [
            (p, c)
            for p, c in zip(confidence, correct, strict=True)
            if edges[m] < p <= edges[m + 1] or (m == 0 and p == 0)
        ]
        if rows:
            accuracy = sum(c for _, c in rows) / len(rows)
            mean = sum(p for p, _ in rows) / len(rows)
            total += len(rows) / len(confidence) * abs(accuracy - mean)
    return total


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(1, 20))
def test_ece_is_the_papers(rows: list[tuple[float, bool]], bins: int) -> None:
    confidence, correct = [p for p, _ in rows], [c for _, c in rows]
    ours = expected_calibration_error(np.array(confidence), np.array(correct), bins)
    assert ours == pytest.approx(guo_reference(confidence, correct, bins), abs=1e-9)


def test_edges_and_known_values() -> None:
    edges = np.linspace(0, 1, 16)
    assert confidence_bins(edges).tolist() == [0, *range(15)]
    assert confidence_bins(np.array([1.0000001])).tolist() == [14]
    sure = np.ones(4)
    assert expected_calibration_error(sure, np.ones(4, bool)) == 0.0
    assert expected_calibration_error(sure, np.zeros(4, bool)) == 1.0
    assert expected_calibration_error(np.full(4, 0.75), np.array([1, 1, 1, 0])) == 0.0
    assert np.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, bool)))
    with pytest.raises(ValueError):
        expected_calibration_error(sure, np.ones(3, bool))


def test_perfectly_calibrated_and_overconfident() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 50_000)
    calibrated = rng.random(50_000) < confidence
    assert expected_calibration_error(confidence, calibrated) < 0.01
    over = rng.random(50_000) < confidence - 0.2
    assert expected_calibration_error(confidence, over) == pytest.approx(0.2, abs=0.01)


def test_row_scores_over_chunks_and_unknown_label() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(700), 6000)
    true = rng.integers(0, 700, 6000)
    true[-1] = 700
    loss, brier, top = row_scores(true, probabilities)
    assert loss[:-1] == pytest.approx(-np.log(probabilities[np.arange(5999), true[:-1]]))
    assert np.isnan(loss[-1])
    assert brier[-1] == pytest.approx((probabilities[-1] ** 2).sum() + 1)
    assert top == pytest.approx(probabilities.max(axis=1))
    probabilities[5000, 3] = np.inf
    with pytest.raises(DataError, match="prediction 5001"):
        row_scores(true, probabilities)


def test_large_data_agrees_with_normal_theory_in_time() -> None:
    rng = np.random.default_rng(0)
    rows = LARGE + 50_001
    probabilities = rng.dirichlet(np.ones(4), rows)
    true = rng.integers(0, 4, rows)
    predicted = probabilities.argmax(axis=1)
    start = time.process_time()
    found = probability_metrics(true, predicted, probabilities, resamples=1000, seed=1)
    assert time.process_time() - start < 5
    loss, _, _ = row_scores(true, probabilities)
    half = 1.96 * loss.std() / np.sqrt(rows)
    entry = found["log_loss"]
    assert entry["value"] is not None and entry["low"] is not None and entry["high"] is not None
    assert entry["value"] == pytest.approx(loss.mean(), rel=1e-12)
    assert (entry["high"] - entry["low"]) / 2 == pytest.approx(half, rel=0.25)
    assert found == probability_metrics(true, predicted, probabilities, resamples=1000, seed=1)


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_adaptive_ece_is_over_scikit_learns_quantile_bins(rows: list[tuple[float, bool]]) -> None:
    confidence = np.array([p for p, _ in rows])
    correct = np.array([c for _, c in rows])
    bins = adaptive_bins(confidence)
    counts = np.bincount(bins)[np.unique(bins)]
    accuracy, mean = calibration_curve(correct, confidence, n_bins=15, strategy="quantile")
    wanted = (counts * np.abs(accuracy - mean)).sum() / len(rows)
    found = mean_estimates({}, confidence, correct, resamples=0, seed=1)["ece_adaptive"]
    assert found["value"] == pytest.approx(wanted, abs=1e-9)


def test_adaptive_bins_hold_equally_many() -> None:
    confidence = np.random.default_rng(1).random(1500) ** 8
    assert np.bincount(adaptive_bins(confidence)).tolist() == [100] * 15
    tied = np.repeat([0.2, 0.9], 50)
    assert len(np.unique(adaptive_bins(tied))) == 2


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(6, 8), st.integers(0, 10**6), st.booleans())
def test_top_k_is_scikit_learns_with_ties_the_other_way(
    rows: int, labels: int, seed: int, tied: bool
) -> None:
    rng = np.random.default_rng(seed)
    true, scores = rng.integers(0, labels, rows), rng.random((rows, labels))
    scores = np.round(scores * 3) / 3 if tied else scores
    found = probability_metrics(true, scores.argmax(axis=1), scores, resamples=0, seed=1)
    for k in (3, 5):
        wanted = top_k_accuracy_score(labels - 1 - true, scores[:, ::-1], k=k, labels=range(labels))
        assert found[f"top_{k}_accuracy"]["value"] == pytest.approx(wanted, abs=1e-9)


def test_top_k_edges() -> None:
    scores = np.array([[0.1, 0.2, 0.3, 0.4]])
    assert true_ranks(np.array([4]), scores).tolist() == [np.inf]
    found = probability_metrics(np.array([0]), np.array([3]), scores, resamples=0, seed=1)
    assert found["top_3_accuracy"]["value"] == 0.0
    assert found["top_5_accuracy"]["value"] is None


@pytest.mark.slow
def test_on_a_thousand_cases() -> None:
    adaptive: Any = test_adaptive_ece_is_over_scikit_learns_quantile_bins
    top: Any = test_top_k_is_scikit_learns_with_ties_the_other_way
    many = settings(max_examples=1000, deadline=None)
    given(ROWS)(many(adaptive.hypothesis.inner_test))()
    cases = st.integers(1, 20), st.integers(6, 8), st.integers(0, 10**6), st.booleans()
    given(*cases)(many(top.hypothesis.inner_test))()


@pytest.mark.parametrize("apart", [0.0, 0.1])
def test_intervals_of_calibration_errors_hold_the_true_one(apart: float) -> None:
    """Of a model that is sure of itself by ``apart`` too much: noise makes the error seem larger,
    and resamples make it larger again."""
    rng, held, sets = np.random.default_rng(3), {"ece": 0, "ece_adaptive": 0}, 100
    for seed in range(sets):
        top = rng.uniform(0.6, 0.95, 600)
        right = rng.random(600) < top - apart
        found = mean_estimates({}, top, right, resamples=200, seed=seed)
        for name, interval in found.items():
            low, value, high = interval["low"], interval["value"], interval["high"]
            assert low is not None and value is not None and high is not None
            assert 0 <= low <= value <= high
            held[name] += low <= apart <= high
    assert min(held.values()) >= 0.9 * sets
