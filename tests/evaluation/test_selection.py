"""Rows to label next: doubt, diversity, and what never depends on chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.evaluation import selection
from nlpcli.evaluation.selection import doubt, farthest_first, select_rows, text_vectors


def test_doubt_is_the_margin() -> None:
    p = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.5, 0.3]])
    assert doubt(p).tolist() == pytest.approx([1.0, 0.0, 0.8])
    assert doubt(np.array([[0.3], [1.0]])).tolist() == pytest.approx([0.7, 0.0])


@given(st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_doubt_of_several_labels_is_nearness_to_the_threshold(
    threshold: float, row: list[float]
) -> None:
    found = doubt(np.array([row]), threshold)[0]
    assert -1e-9 <= found <= 1 + 1e-9
    assert doubt(np.array([[*row, threshold]]), threshold)[0] == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 25), st.integers(1, 30), st.integers(0, 10_000))
def test_the_greedy_choice_by_definition(rows: int, wanted: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    texts = [" ".join(generator.choice(list("abcdefgh"), 5)) for _ in range(rows)]
    doubts = generator.random(rows)
    vectors = text_vectors(texts)
    dense = vectors.toarray()
    found = farthest_first(doubts, vectors, wanted).tolist()
    assert len(found) == len(set(found)) == min(rows, wanted)
    for i, one in enumerate(found):
        left = [j for j in range(rows) if j not in found[:i]]
        worth = {
            j: (doubts[j] ** selection.SHARPNESS + selection.SAME) * (
                min([1.0, *(max(0.0, 1 - dense[j] @ dense[c]) for c in found[:i])])
                + selection.SAME
            )
            for j in left
        }  # fmt: skip
        assert worth[one] == pytest.approx(max(worth.values()), abs=1e-9)


def test_copies_wait_for_all_others_and_blanks_are_not_taken() -> None:
    texts = ["same words here", "same words here", "", "quite another text", "third thing"]
    doubts = [0.9, 0.9, 1.0, 0.2, 0.1]
    assert select_rows(doubts, texts, 3).tolist() == [0, 3, 4]
    assert select_rows(doubts, texts, 9).tolist() == [0, 3, 4, 1]
    assert select_rows([], [], 3).tolist() == []
    assert select_rows([1.0], [" "], 3).tolist() == []
    assert select_rows([0.5, 0.7], ["!", "?"], 2).tolist() == [1, 0]
