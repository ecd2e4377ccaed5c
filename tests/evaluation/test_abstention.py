import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from nlpcli.evaluation.abstention import (
    FEWEST,
    POINTS,
    abstention_curve,
    best_abstention,
    highest_error,
    risk_coverage,
)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 400), st.integers(0, 99), st.integers(1, 50))
def test_the_curve_is_what_counting_says(n: int, seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, levels + 1, n) / levels
    correct = rng.random(n) < confidence
    curve = abstention_curve(confidence, correct)
    assert len(curve) <= POINTS
    assert bool(curve) == (n >= FEWEST)
    for point in curve:
        answered = confidence >= point.below
        assert answered.sum() >= FEWEST
        assert point.share == pytest.approx(answered.mean(), abs=1e-4)
        assert point.error == pytest.approx((~correct)[answered].mean(), abs=1e-4)
    if curve:
        assert curve[-1].share == 1


def test_how_wrong_others_may_be() -> None:
    confidence, correct = np.linspace(1, 0, 60), np.arange(60) % 10 > 0
    point = abstention_curve(confidence, correct)[0]
    assert (point.share, point.error) == (0.5, 0.1)
    wanted = binomtest(3, 30).proportion_ci(method="wilson").high
    assert highest_error(point, 60) == pytest.approx(wanted)


def test_a_smaller_error_answers_less() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.random(5000)
    correct = rng.random(5000) < confidence
    curve = abstention_curve(confidence, correct)
    every = best_abstention(curve, 0.6)
    assert every is not None and every.share == 1
    few, more = best_abstention(curve, 0.05), best_abstention(curve, 0.2)
    assert few is not None and more is not None
    assert few.error <= 0.05 and more.error <= 0.2
    assert few.share < more.share < 1
    assert best_abstention(abstention_curve(confidence, confidence < 0), 0.5) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(0, 99), st.integers(1, 400))
def test_risk_and_coverage_by_counting(n: int, seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, levels + 1, n) / levels
    correct = rng.random(n) < confidence
    curve, area = risk_coverage(confidence, correct)
    assert len(curve) <= POINTS
    assert curve[-1]["coverage"] == 1
    assert curve[-1]["risk"] == pytest.approx((~correct).mean())
    for point in curve:
        answered = confidence >= point["threshold"]
        assert point["coverage"] == pytest.approx(answered.mean())
        assert point["risk"] == pytest.approx((~correct)[answered].mean())
    risks = [(~correct)[confidence >= limit].mean() for limit in confidence]
    assert area["value"] == pytest.approx(np.mean(risks))
    low, high = area["low"], area["high"]
    if low is None or high is None:
        assert area["value"] in (0, 1)
        return
    assert low <= np.mean(risks) + 1e-12
    assert high >= np.mean(risks) - 1e-12


def test_the_interval_of_the_area_holds_it() -> None:
    rng = np.random.default_rng(5)
    many = rng.random(200_000)
    _, truth = risk_coverage(many, rng.random(len(many)) < many)
    held = 0
    for _ in range(200):
        some = rng.random(400)
        _, found = risk_coverage(some, rng.random(400) < some)
        assert truth["value"] is not None and found["low"] is not None
        assert found["high"] is not None
        held += found["low"] <= truth["value"] <= found["high"]
    assert held >= 184
