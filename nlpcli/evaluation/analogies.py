"""Analogies answered by 3CosAdd: how many are right, by section and in all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.word_questions import Analogies
from nlpcli.evaluation.bootstrap import count_blocks, estimate, generator
from nlpcli.evaluation.word_matching import CaseBlind
from nlpcli.models.word_vectors import WordVectors, unit_rows

Bools = npt.NDArray[np.bool_]
_STREAM = 11
"""Of the random numbers: another than other metrics have."""


def evaluate_analogies(
    vectors: WordVectors,
    analogies: Analogies,
    *,
    limit: int | None = None,
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any]:
    """The document of ``eval``: ``n`` questions answered, ``accuracy``, ``per_section``.

    ``a b c d`` is right when d is the word nearest to b - a + c, of vectors of length one and
    without a, b and c (Mikolov et al. 2013, Efficient Estimation of Word Representations in Vector
    Space, section 4.1). Case does not matter. ``limit``: only the first so many words are known
    and answer. Questions with a word that is not known are left out and counted, as gensim's
    evaluate_word_analogies does with dummy4unknown=False.
    """
    n_words = len(vectors.words) if limit is None else min(limit, len(vectors.words))
    index = CaseBlind(vectors.words[:n_words])
    sections, n_all, right_all = {}, 0, 0
    unknown_words: set[str] = set()
    for number, (name, questions) in enumerate(analogies.sections.items()):
        known = []
        for question in questions:
            missing = [word for word in question if index.row(word) < 0]
            unknown_words.update(missing)
            if not missing:
                known.append(question)
        n_right = int(_right(vectors, index, known, n_words).sum())
        n_all, right_all = n_all + len(known), right_all + n_right
        sections[name] = {
            "n": len(known),
            "out_of_vocabulary": len(questions) - len(known),
            "correct": n_right,
            "accuracy": _share(n_right, len(known), resamples, seed, number + 1),
        }
    n_questions = sum(map(len, analogies.sections.values()))
    return {
        "task": "analogies",
        "n": n_all,
        "questions": n_questions,
        "out_of_vocabulary": n_questions - n_all,
        "unknown_words": sorted(unknown_words),
        "vocabulary": n_words,
        "correct": right_all,
        "accuracy": _share(right_all, n_all, resamples, seed, 0),
        "per_section": sections,
    }


def _right(
    vectors: WordVectors, index: CaseBlind, questions: list[tuple[str, str, str, str]], limit: int
) -> Bools:
    """Whether each question, of known words alone, is answered right, bool [Q]."""
    if not questions:
        return np.zeros(0, dtype=bool)
    rows = np.array([[index.row(word) for word in question] for question in questions])
    a, b, c = (unit_rows(vectors.vectors[rows[:, i]]) for i in range(3))
    asked = [[row for word in q[:3] for row in index.rows(word)] for q in questions]
    found, _ = vectors.nearest(b - a + c, 1, asked, limit=limit)
    # without this, -1, for "no word is left", would be the last one
    answers = [vectors.words[row].upper() if row >= 0 else "" for row in found[:, 0].tolist()]
    wanted = [question[3].upper() for question in questions]
    return np.array([x == y for x, y in zip(answers, wanted, strict=True)])


def _share(right: int, total: int, resamples: int, seed: int, stream: int) -> dict[str, Any]:
    """A share with its interval; of nothing it is undefined."""
    if not total:
        return estimate(float("nan"), np.empty(0))
    counts = np.array([total - right, right])
    drawn = count_blocks(counts, resamples, generator(seed, _STREAM + stream))
    samples = np.concatenate([np.empty(0), *(block[:, 1] / total for block in drawn)])
    return estimate(right / total, samples)
