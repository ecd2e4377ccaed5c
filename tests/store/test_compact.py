"""A model of limited size as tensors: read as it was written, refused when it does not add up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.models.quantisation import Shape, quantise, to_levels
from nlpcli.store.compact import (
    KEY,
    Compact,
    feature_bits,
    fixed_bytes,
    hash_bits,
    read_compact,
)
from nlpcli.text.vocab import highest

V, K, D = 300, 5, 6


def made(*, dim: bool = False, shape: Shape = Shape(2, 8)) -> Compact:  # noqa: B008
    rng = np.random.default_rng(1)
    bits = hash_bits(V)
    keys = np.unique(highest(rng.integers(0, 2**64, 2 * V, np.uint64), bits))[:V]
    levels, idf = to_levels(rng.uniform(1, 9, V))
    table = rng.normal(size=(V, D if dim else K)).astype(np.float32)
    output = rng.normal(size=(K, D)).astype(np.float32) if dim else None
    return Compact(
        keys, bits, idf, levels, quantise(table, np.ones(V), shape, 1),
        rng.normal(size=K).astype(np.float32), output,
    )  # fmt: skip


def config(compact: Compact, **other: Any) -> dict[str, Any]:
    return {KEY: {**compact.numbers, **other}, "n_features": V}


@pytest.mark.parametrize("dim", [False, True])
@pytest.mark.parametrize("shape", [Shape(1, 8), Shape(2, 4), Shape(8, 8)])
def test_it_is_read_as_it_was_written(dim: bool, shape: Shape) -> None:
    compact = made(dim=dim, shape=shape)
    again = read_compact(compact.tensors(), config(compact), K, "m")
    for name, array in compact.dense().items():
        assert again.dense()[name].tobytes() == array.tobytes()
        assert again.dense()[name].dtype == array.dtype
    assert again.numbers == compact.numbers


@pytest.mark.parametrize("shape", [Shape(1, 8), Shape(4, 4), Shape(32, 8)])
@pytest.mark.parametrize("dim", [False, True])
def test_sizes_are_no_less_than_the_tensors_take(dim: bool, shape: Shape) -> None:
    taken = sum(array.nbytes for array in made(dim=dim, shape=shape).tensors().values())
    width = D if dim else K
    room = fixed_bytes(K, width, shape, output=dim) + V * feature_bits(width, shape) // 8
    assert room - 150 < taken + 2 * width * max(0, (1 << shape.bits) - V) <= room + 8


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"codes": np.zeros(3, np.uint8)}, "codes has shape"),
        ({"codes": None}, "codes is missing"),
        ({"idf": np.zeros(7, np.uint8)}, "do not add up"),
        ({"idf": np.zeros(150, np.int8)}, "idf is missing or not uint8"),
        ({"hash_low": np.zeros(9, np.uint8)}, "do not add up"),
        ({"hash_high": np.zeros(70, np.uint8)}, "do not add up"),
        ({"norm_levels": np.full(16, np.nan, np.float32)}, "norm_levels holds"),
        ({"norm_levels": np.ones(17, np.float32)}, "norm_levels has shape"),
        ({"centroids": np.full((256, K), np.inf, np.float16)}, "centroids holds"),
        ({"centroids": np.zeros((3, K), np.float16)}, "names a centroid"),
        ({"centroids": np.zeros((257, K), np.float16)}, "centroids has shape"),
        ({"centroids": np.zeros((256, K + 1), np.float16)}, "centroids has shape"),
        ({"centroids": np.zeros(256, np.float16)}, "centroids has shape"),
        ({"bias": np.zeros(K + 1, np.float32)}, "bias has shape"),
        ({"output": np.zeros((K, 9), np.float32)}, "output has shape"),
        ({"more": np.zeros(1, np.uint8)}, "unknown tensors"),
    ],
)
def test_tensors_that_do_not_add_up(change: dict[str, Any], reason: str) -> None:
    compact = made()
    tensors = {n: a for n, a in {**compact.tensors(), **change}.items() if a is not None}
    with pytest.raises(DataError, match=reason):
        read_compact(tensors, config(compact), K, "m")


@pytest.mark.parametrize(
    "change",
    [
        {"hash_bits": 65}, {"hash_bits": 0}, {"hash_bits": 3}, {"low_bits": 0}, {"low_bits": 8.0},
        {"width": 3}, {"width": 2**40}, {"code_bits": 5}, {"code_bits": True}, {"more": 1},
        {"hash_bits": 64},
    ],
)  # fmt: skip
def test_numbers_that_cannot_be(change: dict[str, Any]) -> None:
    compact = made()
    with pytest.raises(DataError):
        read_compact(compact.tensors(), config(compact, **change), K, "m")


@pytest.mark.parametrize("n_features", [0, -1, V + 1, V - 1, 2**31, "300", None])
def test_features_that_are_not_there(n_features: Any) -> None:
    compact = made()
    with pytest.raises(DataError):
        read_compact(compact.tensors(), {**config(compact), "n_features": n_features}, K, "m")


def test_zero_levels_are_left_to_the_checks_of_dense_tensors() -> None:
    compact = replace(made(), idf_levels=np.zeros(16, np.float32))
    assert (read_compact(compact.tensors(), config(compact), K, "m").dense()["idf"] == 0).all()
