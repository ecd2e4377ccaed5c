"""Rows in codes: how near they come, and what is kept exactly."""

from __future__ import annotations

import numpy as np
import pytest

from nlpcli.models.quantisation import LEVELS, Shape, quantise, relative_error, to_levels

V, D = 400, 7


def rows(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(V, D)).astype(np.float32)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_shapes_and_that_codes_stand_for_the_table(width: int, bits: int) -> None:
    shape = Shape(width, bits)
    found = quantise(rows(), np.ones(V), shape, 1)
    assert found.codes.shape == (V, -(-D // width))
    assert found.centroids.shape == (1 << bits, D)
    assert found.centroids.dtype == np.float16
    assert found.dense().shape == (V, D)
    assert found.dense().dtype == np.float32
    assert int(found.norms.max()) < LEVELS
    assert 0 < relative_error(rows(), np.ones(V), found) < 1


def test_narrower_parts_and_more_bits_come_nearer() -> None:
    errors = [
        relative_error(rows(), np.ones(V), quantise(rows(), np.ones(V), Shape(width, bits), 1))
        for width, bits in [(8, 4), (8, 8), (2, 8), (1, 8)]
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01


def test_the_same_seed_gives_the_same_codes_and_rows_of_weight_come_nearer() -> None:
    table, importance = rows(), np.ones(V)
    importance[:20] = 1000
    one, two = (quantise(table, importance, Shape(4, 4), 3) for _ in range(2))
    assert one.codes.tobytes() == two.codes.tobytes()
    assert one.centroids.tobytes() == two.centroids.tobytes()
    plain = quantise(table, np.ones(V), Shape(4, 4), 3)
    heavy = slice(0, 20)

    def wrong(dense: np.ndarray) -> float:
        return float(np.square(dense[heavy] - table[heavy]).sum())

    assert wrong(one.dense()) < wrong(plain.dense())


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_rows_and_rows_of_zeros(count: int) -> None:
    table = np.zeros((count, 3), np.float32)
    table[0] = [1, -2, 3]
    dense = quantise(table, np.zeros(count), Shape(2, 8), 1).dense()
    assert np.isfinite(dense).all()
    assert np.allclose(dense[0], table[0], rtol=2e-3)


def test_levels_are_in_equal_ratios() -> None:
    values = np.exp(np.linspace(0, 3, 50))
    levels, picked = to_levels(values)
    assert levels.dtype == np.float32
    assert np.allclose(np.diff(np.log(levels)), 0.2, atol=1e-5)
    assert (np.abs(np.log(levels[picked] / values)) <= 0.1 + 1e-5).all()


@pytest.mark.parametrize("values", [[0.0, 0.0], [2.0], [0.0, 3.0, 3.0]])
def test_levels_of_equal_values(values: list[float]) -> None:
    levels, picked = to_levels(np.array(values))
    assert np.allclose(levels[picked], [value or levels[0] for value in values])
