"""Word vectors and a test file -> the metrics document of ``eval``."""

from __future__ import annotations

from typing import Any

from nlpcli.data.word_questions import Analogies, Reject, read_word_questions
from nlpcli.evaluation.analogies import evaluate_analogies
from nlpcli.evaluation.word_similarity import evaluate_similarity
from nlpcli.models.word_vectors import WordVectors


def score_words(
    vectors: WordVectors,
    path: str,
    *,
    limit: int | None,
    resamples: int,
    seed: int,
    on_error: str,
    max_field: int,
    on_reject: Reject,
) -> dict[str, Any]:
    """Measures by analogies or by pairs of words, whichever the file holds.

    Raises InputMissing, DataError.
    """
    read = read_word_questions(path, on_error=on_error, max_field=max_field, on_reject=on_reject)
    if isinstance(read, Analogies):
        return evaluate_analogies(vectors, read, limit=limit, resamples=resamples, seed=seed)
    return evaluate_similarity(vectors, read, limit=limit, resamples=resamples, seed=seed)
