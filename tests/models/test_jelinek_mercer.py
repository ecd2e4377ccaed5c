"""Weights by EM: the likelihood of what was held out is as high as it can be."""

from __future__ import annotations

import numpy as np
import pytest

from nlpcli.batching.ngram_counts import BOS
from nlpcli.models.jelinek_mercer import BUCKETS, Observed, buckets, held_out_tokens, weights_by_em


def likelihood(observed: Observed, weights: np.ndarray, uniform: float) -> float:
    mixed = np.full(observed.likely.shape[1], uniform)
    for row, bucket in enumerate(observed.bucket):
        own = np.where(bucket >= 0, weights[row, bucket], 0)
        mixed = own * observed.likely[row] + (1 - own) * mixed
    return float(np.log(mixed).sum())


def test_em_finds_the_best_weights() -> None:
    rng = np.random.default_rng(1)
    bucket = rng.integers(-1, 3, size=(2, 4000))
    likely = rng.random((2, 4000)) * (rng.random((2, 4000)) < [[0.9], [0.4]])
    observed = Observed(likely, bucket)
    weights, steps = weights_by_em(observed, 0.05)
    best = likelihood(observed, weights, 0.05)
    assert 1 < steps <= 100
    for row in range(2):
        for column in range(3):
            for step in (-0.02, 0.02):
                other = weights.copy()
                other[row, column] = np.clip(other[row, column] + step, 0, 1)
                assert likelihood(observed, other, 0.05) <= best + 0.05
    assert (weights[:, 3:] == 0.5).all()  # nothing was seen there


def test_one_weight_has_a_closed_form() -> None:
    # likely 1 or 0: the weight is the share of tokens that the higher order explains
    likely = np.array([[1.0, 1.0, 1.0, 0.0]] * 1)
    weights, _ = weights_by_em(Observed(likely, np.zeros((1, 4), np.int64)), 1e-12)
    assert weights[0, 0] == pytest.approx((3 + 0.5) / (4 + 1), abs=1e-3)


def test_buckets_are_binary_digits() -> None:
    assert buckets(np.array([0, 1, 2, 3, 4, 1023, 1024, 1e12])).tolist() == [
        0, 1, 2, 2, 3, 10, 11, BUCKETS - 1,
    ]  # fmt: skip


def test_held_out_sentences() -> None:
    sizes = np.full(25, 3)
    tokens = np.tile(np.array([BOS, 5, 2], np.int32), 25)
    held = held_out_tokens(tokens, sizes)
    assert sorted(set((held // 3).tolist())) == [5, 15]
    assert (tokens[held] != BOS).all()
    assert len(held_out_tokens(tokens[:3], sizes[:1])) == 0
    assert len(held_out_tokens(tokens[:6], sizes[:2])) == 2
