"""The bootstrap: right distribution on both paths, coverage, determinism, odd sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.evaluation import bootstrap
from nlpcli.evaluation.bootstrap import (
    UNIT,
    affordable,
    count_blocks,
    estimate,
    generator,
    group_starts,
    resampled_sums,
    row_groups,
    wilson,
)


def drawn(counts: list[int], resamples: int, seed: int = 1) -> np.ndarray:
    blocks = list(count_blocks(np.array(counts), resamples, generator(seed, 0)))
    return np.concatenate(blocks)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any), st.integers(1, 30))
def test_every_resample_has_all_rows(counts: list[int], resamples: int) -> None:
    out = drawn(counts, resamples)
    assert out.shape == (resamples, len(counts))
    assert (out.sum(axis=1) == sum(counts)).all()
    assert (out[:, np.array(counts) == 0] == 0).all()


@pytest.mark.parametrize("counts", [[3, 1, 6], [300, 100, 600], [1] * 10])
def test_moments_are_those_of_the_multinomial(counts: list[int]) -> None:
    out = drawn(counts, 20_000)
    total, share = sum(counts), np.array(counts) / sum(counts)
    assert out.mean(axis=0) == pytest.approx(total * share, rel=0.05)
    assert out.var(axis=0) == pytest.approx(total * share * (1 - share), rel=0.08)
    covariance = np.cov(out[:, 0], out[:, 1])[0, 1]
    assert covariance == pytest.approx(-total * share[0] * share[1], rel=0.35)


def test_blocks_do_not_change_shape_or_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "BLOCK_ELEMENTS", 100)
    blocks = list(count_blocks(np.full(30, 2), 50, generator(1, 0)))
    assert all(len(b) == 1 for b in blocks) and len(blocks) == 50
    sums = resampled_sums(np.ones((30, 2)), 7, generator(1, 0))
    assert sums.tolist() == [[30.0, 30.0]] * 7


def test_interval_of_accuracy_covers_about_95_percent() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(400):
        right = int(rng.binomial(400, 0.8))
        samples = drawn([right, 400 - right], 300, seed=trial)[:, 0] / 400
        entry = estimate(right / 400, samples)
        assert entry["low"] is not None and entry["high"] is not None
        covered += entry["low"] <= 0.8 <= entry["high"]
    assert 0.90 <= covered / 400 <= 0.985


def test_grouped_rows_keep_the_variance() -> None:
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(50_000, 1))
    order, starts = row_groups(50_000, 2_000, generator(1, 0))
    assert order is not None and sorted(order.tolist()) == list(range(50_000))
    grouped = np.add.reduceat(values[order], starts, axis=0)
    assert len(grouped) == 2_000
    spread = resampled_sums(grouped, 4_000, generator(1, 1)).std() / 50_000
    assert spread == pytest.approx(values.std() / np.sqrt(50_000), rel=0.08)


def test_groups() -> None:
    assert group_starts(10, 3).tolist() == [0, 3, 6]
    assert group_starts(7, 7).tolist() == list(range(7))
    order, starts = row_groups(5, 9, generator(1, 0))
    assert order is None and starts.tolist() == [0, 1, 2, 3, 4]


def test_generator_streams_and_seeds_differ() -> None:
    first = generator(1, 0).random(4).tolist()
    assert first == generator(1, 0).random(4).tolist()
    others = [generator(s, t).random(4).tolist() for s, t in ((1, 1), (2, 0), (-1, 0))]
    assert first not in others


def test_affordable() -> None:
    assert affordable(1000, 100) == 1000
    assert affordable(1000, 10**9) == 200
    assert affordable(50, 10**9) == 50
    assert affordable(1000, 0) == 1000


def test_estimate_of_undefined_values() -> None:
    none = {"value": None, "low": None, "high": None}
    assert estimate(float("nan"), np.array([0.5])) == none
    assert estimate(float("inf"), np.array([0.5])) == none
    assert estimate(0.5, np.array([])) == {"value": 0.5, "low": None, "high": None}
    kept = estimate(0.5, np.array([0.25, np.nan, 0.25]))
    assert kept == {"value": 0.5, "low": 0.25, "high": 0.25}


@pytest.mark.parametrize("right", [0, 30])
def test_shares_without_a_miss_or_a_hit_are_not_certain(right: int) -> None:
    share = right / 30
    found = estimate(share, np.full(50, share), share_of=30)
    low, high = wilson(right, 30)
    assert found == {"value": share, "low": low, "high": high} and high - low > 0.1
    assert estimate(share, np.full(50, share)) == {"value": share, "low": share, "high": share}
    assert estimate(share, np.full(50, share), bounds=UNIT)["low"] is None
    assert estimate(share, np.array([share, 0.5]), bounds=UNIT)["low"] is not None
    assert estimate(0.5, np.full(50, 0.5), bounds=UNIT)["low"] == 0.5
    assert estimate(0.5, np.array([0.4, 0.6]), share_of=30)["high"] < 0.6
