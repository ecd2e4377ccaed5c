from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nlpcli.models.top_label import with_top_moved

POINTS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6,
    unique_by=lambda pair: pair[0],
).map(
    lambda pairs: tuple(
        zip(sorted(x / 50 for x, _ in pairs), sorted(y / 50 for _, y in pairs), strict=True)
    )
)  # fmt: skip
WEIGHTS = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 6), st.integers(2, 6)),
    elements=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(WEIGHTS, POINTS, st.booleans())
@example(np.array([[5e-324, 1.0]]), ((0.0, 0.0),), True)
def test_the_top_label_stays(
    weights: np.ndarray, points: tuple[tuple[float, float], ...], logistic: bool
) -> None:
    p = weights if logistic else (weights + 1e-12) / (weights + 1e-12).sum(axis=1, keepdims=True)
    found = with_top_moved(p, points)
    assert np.isfinite(found).all() and (found >= 0).all() and (found <= 1).all()
    if logistic and (found.max(axis=1) < 1e-8).any():
        return  # there is nothing to be ahead of
    np.testing.assert_array_equal(found.argmax(axis=1), p.argmax(axis=1))
    if not logistic:
        np.testing.assert_allclose(found.sum(axis=1), 1)


def test_the_top_goes_where_the_lines_say_and_the_others_keep_their_shares() -> None:
    p = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    found = with_top_moved(p, ((0.5, 0.4), (0.7, 0.6)))
    np.testing.assert_allclose(found, [[0.5, 0.375, 0.125], [0.2, 0.6, 0.2]], atol=1e-3)


def test_equal_heights_keep_the_order_of_rows() -> None:
    sure = np.linspace(0.5, 1, 50)
    p = np.stack([sure, 1 - sure], axis=1)
    assert (np.diff(with_top_moved(p, ((0.6, 0.9),)).max(axis=1)) > 0).all()


def test_nothing_to_do() -> None:
    p = np.array([[1.0]])
    assert with_top_moved(p, ((0.5, 0.4),)) is p
    assert with_top_moved(np.ones((2, 2)), ()).shape == (2, 2)
    assert with_top_moved(np.empty((0, 3)), ((0.5, 0.4),)).shape == (0, 3)


def test_a_row_that_was_certain() -> None:
    found = with_top_moved(np.array([[0.0, 1.0, 0.0]]), ((0.5, 0.5), (0.9, 0.9)))
    np.testing.assert_allclose(found, [[0.05, 0.9, 0.05]], atol=1e-3)
