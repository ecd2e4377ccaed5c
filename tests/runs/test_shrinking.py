"""What is kept of a model, and how its rows are cut for a size."""

from __future__ import annotations

import numpy as np
import pytest

from nlpcli.runs.shrinking import by_weight, choose_shape, shorten, squared_inputs
from nlpcli.store.compact import feature_bits, fixed_bytes
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.tokenizer import Bags, Tokenizer

V, K = 2000, 6


def table(width: int = K) -> np.ndarray:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(V, width)) * rng.pareto(2, V)[:, None]
    return rows.astype(np.float32)


def test_squared_inputs() -> None:
    bags = Bags(np.array([0, 2, 3]), np.array([0, 2, 2], np.int32), np.array([1, 2, 3], np.float32))
    assert squared_inputs(bags, 4).tolist() == [1, 0, 13, 0]


def test_the_order_is_by_what_moves_the_logits() -> None:
    weight = np.array([[1, 0], [3, 0], [0, 2]], np.float32)
    assert by_weight({"weight": weight}, np.ones(3)).tolist() == [1, 2, 0]
    assert by_weight({"weight": weight}, np.array([1, 0, 1.0])).tolist() == [2, 0, 1]
    output = np.array([[0.1, 9]], np.float32)
    assert by_weight({"weight": weight, "output": output}, np.ones(3)).tolist() == [2, 1, 0]


@pytest.mark.parametrize("room", [700, 2_000, 8_000, 30_000, 200_000])
def test_what_is_chosen_fits(room: int) -> None:
    weight, inputs = table(), np.ones(V)
    order = by_weight({"weight": weight}, inputs)
    shape, n_kept = choose_shape(weight, inputs, order, K, room, output=False, seed=1)
    assert 1 <= n_kept <= V
    taken = fixed_bytes(K, K, shape, output=False) + n_kept * feature_bits(K, shape) / 8
    assert taken <= room
    if room == 200_000:
        assert (n_kept, shape.bits) == (V, 8)
        assert shape.width <= 2


def test_shortened_hashes_find_the_same_features() -> None:
    texts = [f"word{i} and word{i + 1} of {i % 7}" for i in range(300)]
    full, bags = Tokenizer.fit(TokenizerConfig(), texts)
    chosen = np.argsort(-squared_inputs(bags, full.n_features), kind="stable")[:200]
    short = shorten(full, chosen)
    keys = short.tokenizer.index.keys
    assert (keys[1:] > keys[:-1]).all()
    assert short.tokenizer.index.bits == 15
    assert (short.tokenizer.index.rows(full.index.keys[short.rows]) == range(len(keys))).all()
    assert np.allclose(short.tokenizer.idf, full.idf[short.rows], rtol=0.1)
    assert short.tokenizer.bags(texts).indptr[-1] >= np.isin(bags.ids, short.rows).sum()
