"""Word vectors and rows of a test file -> the metrics document of ``eval``."""

from __future__ import annotations

from typing import Any

from nlpcli.data.word_questions import Analogies, WordPairs
from nlpcli.evaluation.analogies import analogies_answered, analogy_document
from nlpcli.evaluation.word_similarity import similarity_document, similarity_of
from nlpcli.models.word_vectors import WordVectors


def score_words(
    vectors: WordVectors,
    rows: Analogies | WordPairs,
    *,
    limit: int | None,
    resamples: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measures by analogies or by pairs of words, whichever these are. Also each row, (B,):
    ``known``, whether it has an answer; ``right``, or ``truth`` and ``found``."""
    drawing: dict[str, Any] = {"resamples": resamples, "seed": seed}
    if isinstance(rows, Analogies):
        answers = analogies_answered(vectors, rows, limit)
        document = analogy_document(rows, answers, **drawing)
        return document, {"known": answers.known, "right": answers.right}
    found = similarity_of(vectors, rows, limit)
    document = similarity_document(found, **drawing)
    return document, {"known": found.known, "truth": found.truth, "found": found.cosines}
