"""The threshold of a cascade, against trying every one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.evaluation.cascading import choose_threshold, upper_loss

rows = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([0.25, 0.5, 0.9, 1.0]), st.floats(0, 1)), st.booleans(),
        st.booleans(),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@given(rows, st.sampled_from([0.0, 0.002, 0.05, 0.3, 1.0]))
def test_it_is_the_lowest_that_loses_no_more(
    given_rows: list[tuple[float, bool, bool]], loss: float
) -> None:
    sure, small, large = (np.array(column) for column in zip(*given_rows, strict=True))

    def together(above: float) -> float:
        return float(np.where(sure >= above, small, large).mean())

    found = choose_threshold(sure, small, large, loss)
    wanted = [t for t in set(sure.tolist()) if together(t) >= large.mean() - loss - 1e-12]
    assert found.share == pytest.approx(float((sure >= min(wanted, default=math.inf)).mean()))
    assert found.share == pytest.approx(float((sure >= found.above).mean()))
    assert found.together == pytest.approx(together(found.above))
    assert found.together >= found.large - loss - 1e-12
    assert (found.small, found.large) == (small.mean(), large.mean())


def test_a_threshold_that_can_be_typed() -> None:
    sure = np.array([0.9123456789, 0.5, 0.91234561])
    found = choose_threshold(sure, np.array([True, False, True]), np.ones(3, bool), 0.0)
    assert (found.above, found.share) == (0.912345, pytest.approx(2 / 3))
    close = np.array([0.91234567, 0.91234561])
    found = choose_threshold(close, np.array([True, False]), np.ones(2, bool), 0.0)
    assert found.above == 0.91234567  # rounded down it would let the other one pass
    never = choose_threshold(close, np.zeros(2, bool), np.ones(2, bool), 0.0)
    assert (never.above, never.share, never.together) == (math.inf, 0.0, 1.0)


def test_what_is_lost_at_most() -> None:
    """Coverage by simulation: the bound holds in about 95 of 100 draws."""
    rng = np.random.default_rng(1)
    held = []
    for _ in range(2000):
        cell = rng.choice(4, size=300, p=[0.85, 0.05, 0.03, 0.07])
        one, other = np.isin(cell, [0, 2]), np.isin(cell, [0, 1])
        held.append(upper_loss(one, other) >= 0.02)
    assert 0.93 < np.mean(held) < 0.98
    same = np.ones(100, bool)
    assert 0 < upper_loss(same, same) < 0.03  # no row lost is no proof that none ever is
