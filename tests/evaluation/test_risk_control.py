"""Thresholds for a share of true labels: by trying all, and the promise on exchangeable rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.evaluation.conformal import fewest_rows
from nlpcli.evaluation.risk_control import (
    controlled_document,
    controlled_threshold,
    found_shares,
)


def drawn(seed: int, rows: int, labels: int, unknown: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Which labels hold (B, L), some of no model; probabilities (B, K), many of them alike."""
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 11, (rows, labels)) / 10
    return rng.random((rows, labels + unknown)) < 0.3, p


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(0, 40), st.integers(1, 5), st.integers(0, 1),
    st.sampled_from([0.3, 0.5, 0.8, 0.9]),
)  # fmt: skip
def test_the_threshold_by_trying_all(
    seed: int, rows: int, labels: int, unknown: int, level: float
) -> None:
    true, p = drawn(seed, rows, labels, unknown)
    found = controlled_threshold(true, p, level)
    assert (found is None) == (rows < fewest_rows(level))
    if found is None:
        return

    def bound(threshold: float) -> float:
        return (float((1 - found_shares(true, p >= threshold)).sum()) + 1) / (rows + 1)

    good = [t for t in np.arange(0, 11) / 10 if bound(t) <= 1 - level + 1e-9]
    assert found == (max(good) if good else 0.0)


def test_what_is_promised_on_exchangeable_rows() -> None:
    rng, n, trials, level = np.random.default_rng(1), 60, 400, 0.8
    p = rng.random((trials, n + 40, 4))
    true = rng.random(p.shape) < p**2  # of a model that says too much
    shares = []
    for held, scores in zip(true, p, strict=True):
        threshold = controlled_threshold(held[:n], scores[:n], level)
        assert threshold is not None
        shares.append(found_shares(held[n:], scores[n:] >= threshold).mean())
    error = np.std(shares) / trials**0.5
    assert level - 3 * error <= np.mean(shares) <= level + 2 / (n + 1) + 3 * error


def test_what_is_measured() -> None:
    true = np.array([[True, True, False], [False, False, True], [False, False, False]])
    p = np.array([[0.9, 0.2], [0.6, 0.1], [0.1, 0.1]])  # the third label is not known
    share, about = controlled_document(true, p, ["a", "b", "c"], 0.5, {"resamples": 50, "seed": 1})
    assert share["value"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert share["low"] is not None and share["low"] <= 0.5
    assert (about["mean_set_size"], about["singletons"], about["empty"]) == (2 / 3, 2 / 3, 1 / 3)
    assert about["per_label"]["a"] == {"coverage": 1.0, "support": 1}
    assert about["per_label"]["c"] == {"coverage": 0.0, "support": 1}
    assert [controlled_threshold(true[:, :2], p, level) for level in (0.7, 0.6)] == [0.2, 0.9]
