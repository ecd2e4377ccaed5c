"""Correlations of word pairs: by hand, and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nlpcli.data.word_questions import WordPairs
from nlpcli.evaluation.word_similarity import _spearman, correlations, evaluate_similarity
from nlpcli.models.word_vectors import SubwordVectors, WordVectors

WORDS = ["sun", "moon", "sea", "Sun"]
VECTORS = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], np.float32)
MODEL = WordVectors(WORDS, VECTORS)
PAIRS = WordPairs(
    [("sun", "moon"), ("MOON", "sea"), ("Sun", "Sea"), ("sun", "shore")], [9.0, 5.0, 1.0, 3.0]
)


def test_by_hand() -> None:
    found = evaluate_similarity(MODEL, PAIRS)
    # cosines 0.8, 0.6, 0; of the two spellings of sun the first counts
    assert (found["n"], found["pairs"], found["out_of_vocabulary"]) == (3, 4, 1)
    assert found["unknown_words"] == ["shore"]
    assert found["spearman"]["value"] == 1
    pearson = np.corrcoef([9, 5, 1], [0.8, 0.6, 0])[0, 1]
    assert found["pearson"]["value"] == pytest.approx(pearson)
    assert found["pearson"]["low"] <= pearson <= found["pearson"]["high"]


def test_subwords_answer_for_unknown_words_unless_the_vocabulary_is_limited() -> None:
    table = np.array([[0, 1], [1, 1]], np.float32)
    model = WordVectors(WORDS, VECTORS, None, SubwordVectors(2, 3, table))
    found = evaluate_similarity(model, PAIRS)
    assert (found["n"], found["by_subwords"], found["out_of_vocabulary"]) == (4, 1, 0)
    found = evaluate_similarity(model, PAIRS, limit=2)
    assert (found["n"], found["by_subwords"], found["vocabulary"]) == (1, 0, 2)
    assert found["spearman"]["value"] is None


@pytest.mark.parametrize("guess", [[0.1, 0.1, 0.1], [0.1]])
def test_what_does_not_vary_is_undefined(guess: list[float]) -> None:
    found = correlations(np.arange(float(len(guess))), np.array(guess), resamples=20, seed=1)
    nothing = {"value": None, "low": None, "high": None}
    assert found == {"spearman": nothing, "pearson": nothing}


VALUES = st.lists(
    st.tuples(st.integers(0, 5).map(float), st.floats(-1, 1, width=16)), min_size=3, max_size=30
)


@given(VALUES)
def test_equal_to_scipy(rows: list[tuple[float, float]]) -> None:
    truth, guess = np.array(rows).T
    found = correlations(truth, guess, resamples=10, seed=1)
    if len(set(truth)) < 2 or len(set(guess)) < 2:
        assert found["spearman"]["value"] is None
        return
    assert found["spearman"]["value"] == pytest.approx(stats.spearmanr(truth, guess)[0], abs=1e-9)
    assert found["pearson"]["value"] == pytest.approx(stats.pearsonr(truth, guess)[0], abs=1e-6)


@given(VALUES, st.data())
def test_resamples_are_ranked_as_the_rows_repeated(
    rows: list[tuple[float, float]], data: st.DataObject
) -> None:
    truth, guess = np.array(rows).T
    counts = np.array(
        data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    )
    if not counts.any():
        return
    a, b = np.repeat(truth, counts), np.repeat(guess, counts)
    groups = [np.unique(values, return_inverse=True)[1] for values in (truth, guess)]
    got = _spearman(counts[None].astype(float), groups)[0]
    if len(set(a)) < 2 or len(set(b)) < 2:
        assert np.isnan(got)
    else:
        assert got == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-9)
