"""Vectors on a plane."""

from __future__ import annotations

import numpy as np
import pytest

from nlpcli.evaluation.projection import METHODS, Method, project

EACH = pytest.mark.parametrize("method", list(METHODS))


@EACH
def test_two_groups_stay_two(method: Method) -> None:
    draw = np.random.default_rng(0)
    centres = np.repeat(np.eye(2, 6) * 5, 12, axis=0)
    table = (centres + draw.standard_normal((24, 6)) * 0.2).astype(np.float32)
    points = project(table, method, 1)
    assert points.shape == (24, 2) and np.abs(points).max() == pytest.approx(1)
    within = max(np.ptp(points[:12], axis=0).max(), np.ptp(points[12:], axis=0).max())
    between = np.linalg.norm(points[:12].mean(axis=0) - points[12:].mean(axis=0))
    assert between > within
    np.testing.assert_array_equal(points, project(table, method, 1))


@EACH
@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (4, 1), (6, 1), (6, 4)])
def test_few_or_equal_rows_have_a_place(method: Method, shape: tuple[int, int]) -> None:
    for table in (np.ones(shape, np.float32), np.zeros(shape, np.float32)):
        points = project(table, method, 1)
        assert points.shape == (shape[0], 2) and np.isfinite(points).all()
    rows = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    points = project(rows, method, 1)
    assert np.isfinite(points).all() and np.abs(points).max() <= 1 + 1e-9
