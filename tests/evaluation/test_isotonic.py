from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.evaluation.calibration import expected_calibration_error
from nlpcli.evaluation.isotonic import MOST_POINTS, fit_isotonic

ROWS = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=120)


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_points_rise(rows: list[tuple[int, bool]]) -> None:
    confidence = np.array([level / 30 for level, _ in rows])
    points = fit_isotonic(confidence, np.array([right for _, right in rows]))
    xs, ys = zip(*points, strict=True)
    assert 1 <= len(points) <= MOST_POINTS
    assert list(xs) == sorted(set(xs)) and list(ys) == sorted(ys)
    assert confidence.min() - 1e-12 <= xs[0] and xs[-1] <= confidence.max() + 1e-12
    assert ys[0] >= 1 / (len(rows) + 2) and ys[-1] <= 1 - 1 / (len(rows) + 2)


def test_blocks_of_scikit_learn() -> None:
    isotonic = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(3)
    confidence = rng.integers(0, 40, 300) / 40
    correct = rng.random(300) < confidence**2
    points = fit_isotonic(confidence, correct)
    steps = isotonic.IsotonicRegression().fit(confidence, correct.astype(float))
    expected = np.unique(steps.predict(confidence))
    np.testing.assert_allclose([y for _, y in points], np.clip(expected, 1 / 302, 301 / 302))


def test_it_finds_how_often_answers_are_right() -> None:
    rng = np.random.default_rng(4)
    confidence = rng.random(40_000)
    correct = rng.random(40_000) < 0.3 + 0.5 * confidence**3
    xs, ys = zip(*fit_isotonic(confidence[:20_000], correct[:20_000]), strict=True)
    after = np.interp(confidence[20_000:], xs, ys)
    assert expected_calibration_error(confidence[20_000:], correct[20_000:]) > 0.1
    assert expected_calibration_error(after, correct[20_000:]) < 0.02
