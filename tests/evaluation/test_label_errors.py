"""Label errors by confident learning, against its definition and on planted errors."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.evaluation.label_errors import doubt_label_sets, doubt_labels


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.integers(2, 5), st.integers(0, 10_000))
def test_errors_are_those_of_the_definition(rows: int, labels: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.ones(labels), rows)
    given_ones = generator.integers(0, labels, rows)
    found = doubt_labels(p, given_ones)
    means = {k: p[given_ones == k, k].mean() for k in set(given_ones.tolist())}
    for i in range(rows):
        mine = int(given_ones[i])
        over = [k for k, mean in means.items() if p[i, k] >= mean]
        best = max(over, key=lambda k: (p[i, k], -k)) if over else mine
        assert found.errors[i] == (best != mine and int(p[i].argmax()) != mine)
    assert np.array_equal(found.confidence, p[np.arange(rows), given_ones])
    order = found.order
    assert set(order.tolist()) == set(np.flatnonzero(p.argmax(axis=1) != given_ones).tolist())
    assert (np.diff(found.confidence[order]) >= 0).all()


def test_planted_errors_come_first() -> None:
    generator = np.random.default_rng(1)
    true = generator.integers(0, 3, 600)
    p = np.full((600, 3), 0.1) + generator.random((600, 3)) * 0.1
    p[np.arange(600), true] = 0.8
    p /= p.sum(axis=1, keepdims=True)
    labels = true.copy()
    labels[:60] = (true[:60] + 1) % 3
    found = doubt_labels(p, labels)
    assert set(found.order.tolist()) == set(range(60))
    assert set(np.flatnonzero(found.errors).tolist()) <= set(range(60))
    assert found.errors.sum() >= 20


def test_sets_of_labels() -> None:
    sets = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [1, 0]], dtype=bool)
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.95, 0.9], [0.6, 0.1]])
    found = doubt_label_sets(p, sets)
    # row 4 lacks the first label, which is as sure of it as of the rows that have it
    assert found.errors.tolist() == [False] * 4 + [True, False]
    assert found.order.tolist() == [4]
    assert found.confidence[4] == np.float64(1 - 0.95)


def test_no_label_at_all() -> None:
    found = doubt_label_sets(np.empty((2, 0)), np.empty((2, 0), dtype=bool))
    assert found.errors.tolist() == [False, False]
    assert found.order.tolist() == []
