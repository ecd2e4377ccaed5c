"""Correlations of word pairs, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nlpcli.data.word_questions import WordPairs
from nlpcli.evaluation.word_similarity import evaluate_similarity
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
