"""Vectors of known and unknown words, and the nearest words."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.models.word_vectors import SubwordVectors, WordVectors, unit_rows

from ..formats.written import fnv

WORDS = ["sun", "moon", "sea", "void"]
VECTORS = np.array([[3, 0], [4, 3], [0, 2], [0, 0]], dtype=np.float32)


def model(**more: object) -> WordVectors:
    return WordVectors(list(WORDS), VECTORS, **more)  # type: ignore[arg-type]


def test_lookup_tells_what_is_unknown() -> None:
    found, known = model().lookup(["sea", "none", "sun"])
    np.testing.assert_array_equal(found, [[0, 2], [0, 0], [3, 0]])
    assert known.tolist() == [True, False, True]


def plain_mean(table: np.ndarray, word: str, low: int, high: int) -> np.ndarray:
    text = f"<{word}>"
    grams = [
        text[i : i + n]
        for n in range(low, high + 1)
        for i in range(len(text) - n + 1)
        if n > 1 or 0 < i < len(text) - 1
    ]
    return table[[fnv(gram.encode()) % len(table) for gram in grams]].mean(axis=0)


@pytest.mark.parametrize(("low", "high"), [(1, 2), (3, 6)])
def test_an_unknown_word_is_the_mean_of_its_ngrams(low: int, high: int) -> None:
    table = np.random.default_rng(1).standard_normal((11, 2)).astype(np.float32)
    made = model(subwords=SubwordVectors(low, high, table))
    words = ["suns", "sun", "mÄrchen", "海洋"]
    found, known = made.lookup(words)
    assert known.all()
    np.testing.assert_array_equal(found[1], VECTORS[0])
    for at in (0, 2, 3):
        np.testing.assert_allclose(found[at], plain_mean(table, words[at], low, high), rtol=1e-5)


def test_a_word_too_short_for_ngrams_is_unknown() -> None:
    made = model(subwords=SubwordVectors(4, 5, np.ones((3, 2), np.float32)))
    found, known = made.lookup(["a", "ab"])
    assert known.tolist() == [False, True]
    assert not found[0].any()


def test_nearest_by_hand() -> None:
    rows, cosines = model().nearest(np.array([[10, 0], [0, 1]], np.float32), 3)
    np.testing.assert_array_equal(rows, [[0, 1, 2], [2, 1, 0]])
    np.testing.assert_allclose(cosines, [[1, 0.8, 0], [1, 0.6, 0]], atol=1e-7)


def test_excluded_rows_and_rows_beyond_the_limit_are_no_answer() -> None:
    query = np.array([[1, 0]], np.float32)
    rows, cosines = model().nearest(query, 9, [[0, 2]])
    assert rows.tolist() == [[1, 3, -1, -1]]
    assert cosines[0, 2:].tolist() == [0, 0]
    assert model().nearest(query, 2, [[0, 3]], limit=2)[0].tolist() == [[1, -1]]
    assert model().nearest(query, 0)[0].shape == (1, 0)


def test_a_word_of_zeros_has_no_cosine_but_zero() -> None:
    rows, cosines = model().nearest(np.zeros((1, 2), np.float32), 4)
    assert rows.tolist() == [[0, 1, 2, 3]]
    assert not cosines.any()


@given(
    arrays.arrays(np.float32, (9, 3), elements=st.floats(-4, 4, width=16)),
    arrays.arrays(np.float32, (2, 3), elements=st.floats(-4, 4, width=16)),
    st.integers(1, 9),
)
def test_nearest_is_what_sorting_all_gives(table: np.ndarray, queries: np.ndarray, k: int) -> None:
    made = WordVectors([str(i) for i in range(9)], table)
    rows, cosines = made.nearest(queries, k)
    wide, asked = (unit_rows(x).astype(np.float64) for x in (table, queries))
    exact = asked @ wide.T
    for q in range(2):
        best = np.sort(exact[q])[::-1][:k]
        np.testing.assert_allclose(cosines[q], best, atol=1e-5)
        np.testing.assert_allclose(exact[q, rows[q]], best, atol=1e-5)


def test_lengths_near_the_ends_of_float32() -> None:
    table = np.array([[1e30, 0], [1e-30, 1e-30]], np.float32)
    rows, cosines = WordVectors(["big", "small"], table).nearest(table, 2)
    np.testing.assert_allclose(cosines, [[1, 0.5**0.5], [1, 0.5**0.5]], rtol=1e-6)
    assert rows.tolist() == [[0, 1], [1, 0]]
