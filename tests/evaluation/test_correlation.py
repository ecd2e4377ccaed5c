"""Correlations against scipy; null where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nlpcli.evaluation.correlation import _spearman, correlations


def test_numbers_far_from_0_that_vary_a_little() -> None:
    truth, guess = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])
    near = correlations(truth, guess, resamples=0, seed=1)
    far = correlations(truth + 1e12, guess - 1e12, resamples=0, seed=1)
    assert far == near and near["pearson"]["value"] == pytest.approx(0.8)


@pytest.mark.parametrize("guess", [[0.1, 0.1, 0.1], [0.1]])
def test_what_does_not_vary_is_undefined(guess: list[float]) -> None:
    found = correlations(np.arange(float(len(guess))), np.array(guess), resamples=20, seed=1)
    nothing = {"value": None, "low": None, "high": None}
    assert found == {"spearman": nothing, "pearson": nothing}


VALUES = st.lists(
    st.tuples(st.integers(0, 5).map(float), st.floats(-1, 1, width=16)), min_size=3, max_size=30
)


@given(VALUES)
def test_equal_to_scipy(rows: list[tuple[float, float]]) -> None:
    truth, guess = np.array(rows).T
    found = correlations(truth, guess, resamples=10, seed=1)
    if len(set(truth)) < 2 or len(set(guess)) < 2:
        assert found["spearman"]["value"] is None
        return
    assert found["spearman"]["value"] == pytest.approx(stats.spearmanr(truth, guess)[0], abs=1e-9)
    assert found["pearson"]["value"] == pytest.approx(stats.pearsonr(truth, guess)[0], abs=1e-6)


@given(VALUES, st.data())
def test_resamples_are_ranked_as_the_rows_repeated(
    rows: list[tuple[float, float]], data: st.DataObject
) -> None:
    truth, guess = np.array(rows).T
    counts = np.array(
        data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    )
    if not counts.any():
        return
    a, b = np.repeat(truth, counts), np.repeat(guess, counts)
    groups = [np.unique(values, return_inverse=True)[1] for values in (truth, guess)]
    got = _spearman(counts[None].astype(float), groups)[0]
    if len(set(a)) < 2 or len(set(b)) < 2:
        assert np.isnan(got)
    else:
        assert got == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-9)
