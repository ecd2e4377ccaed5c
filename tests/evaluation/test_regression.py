"""Metrics of numbers: by hand, and against scipy and scikit-learn."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_squared_error

from nlpcli.errors import DataError
from nlpcli.evaluation.regression import METRICS, combined_score, evaluate_regression

NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.floats(-1, 1, width=16))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=40)


def test_by_hand() -> None:
    document = evaluate_regression(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 6]), seed=3)
    assert document["task"] == "regression" and document["n"] == 4
    values = {name: document[name]["value"] for name in METRICS}
    assert values["mse"] == 1.5 and values["mae"] == 1 and values["rmse"] == math.sqrt(1.5)
    assert values["spearman"] == pytest.approx(0.8)
    for name in METRICS:
        assert document[name]["low"] <= values[name] <= document[name]["high"], name


@given(ROWS)
def test_as_scipy_and_scikit_learn_have_it(rows: list[tuple[float, float]]) -> None:
    truth, found = np.array(rows).T
    document = evaluate_regression(truth, found, resamples=10)
    values = {name: document[name]["value"] for name in METRICS}
    assert values["mse"] == pytest.approx(mean_squared_error(truth, found))
    assert values["rmse"] ** 2 == pytest.approx(values["mse"])
    assert values["mae"] == pytest.approx(mean_absolute_error(truth, found))
    if len(set(truth)) < 2 or len(set(found)) < 2:  # where scipy says NaN
        assert values["pearson"] is None and values["spearman"] is None
        assert document["pearson"] == {"value": None, "low": None, "high": None}
        return
    assert values["pearson"] == pytest.approx(exact_pearson(truth, found), abs=1e-9)
    assert values["pearson"] == pytest.approx(stats.pearsonr(truth, found)[0], abs=1e-6)
    assert values["spearman"] == pytest.approx(stats.spearmanr(truth, found)[0], abs=1e-9)


def exact_pearson(truth: np.ndarray, found: np.ndarray) -> float:
    """In fractions: scipy's own is rounded where numbers hardly vary."""
    a, b = ([Fraction(v) for v in values.tolist()] for values in (truth, found))
    middle = sum(a) / len(a), sum(b) / len(b)
    pairs = [(x - middle[0], y - middle[1]) for x, y in zip(a, b, strict=True)]
    above = sum(x * y for x, y in pairs)
    below = sum(x * x for x, _ in pairs) * sum(y * y for _, y in pairs)
    return math.copysign(math.sqrt(above * above / below), above)


@pytest.mark.slow
def test_on_a_thousand_cases() -> None:
    check: Any = test_as_scipy_and_scikit_learn_have_it
    given(ROWS)(settings(max_examples=1000, deadline=None)(check.hypothesis.inner_test))()


def test_intervals_come_from_the_seed_and_need_resamples() -> None:
    truth = np.random.default_rng(1).normal(size=200)
    found = truth + np.random.default_rng(2).normal(size=200)
    first, again, other = (evaluate_regression(truth, found, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    spread = first["pearson"]["high"] - first["pearson"]["low"]
    # of a correlation r of n pairs about (1 - r^2) / sqrt(n) is one deviation
    assert spread == pytest.approx(2 * 1.96 * (1 - 0.5) / math.sqrt(200), rel=0.3)
    none = evaluate_regression(truth, found, resamples=0)
    assert {none[name]["low"] for name in METRICS} == {None}
    assert none["mae"]["value"] == first["mae"]["value"]


def test_what_cannot_be() -> None:
    with pytest.raises(DataError, match="no rows to evaluate"):
        evaluate_regression(np.empty(0), np.empty(0))
    with pytest.raises(ValueError, match="one length"):
        evaluate_regression(np.zeros(2), np.zeros(3))


def test_epochs_without_a_correlation_are_worse_the_more_they_err() -> None:
    truth = np.array([1.0, 2, 3])
    good, bad = combined_score(truth, np.array([1.0, 2, 4])), combined_score(truth, -truth)
    equal, far = (combined_score(truth, np.full(3, value)) for value in (2.0, 9.0))
    assert good > 0.9 and bad == pytest.approx(-1) and -2 < far < equal < bad
