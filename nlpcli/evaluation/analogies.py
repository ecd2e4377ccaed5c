"""Analogies answered by 3CosAdd: how many are right, by section and in all."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class AnswersToAnalogies:
    """Of all questions in order, (Q,): whether their words are ``known``, and whether they are
    ``right``. ``vocabulary``: how many words are known; ``unknown_words`` of the questions."""

    known: Bools
    right: Bools
    vocabulary: int
    unknown_words: list[str]


def analogies_answered(
    vectors: WordVectors, analogies: Analogies, limit: int | None = None
) -> AnswersToAnalogies:
    """``a b c d`` is right when d is the word nearest to b - a + c, of vectors of length one and
    without a, b and c (Mikolov et al. 2013, Efficient Estimation of Word Representations in Vector
    Space, section 4.1). Case does not matter. ``limit``: only the first so many words are known
    and answer."""
    n_words = len(vectors.words) if limit is None else min(limit, len(vectors.words))
    index = CaseBlind(vectors.words[:n_words])
    every = [np.zeros((2, 0), dtype=np.bool_)]
    unknown_words: set[str] = set()
    for questions in analogies.sections.values():
        missing = [[word for word in question if index.row(word) < 0] for question in questions]
        unknown_words.update(word for words in missing for word in words)
        flags = np.zeros((2, len(questions)), dtype=np.bool_)
        flags[0] = [not words for words in missing]
        known = [q for q, words in zip(questions, missing, strict=True) if not words]
        flags[1, flags[0]] = _right(vectors, index, known, n_words)
        every.append(flags)
    known_all, right = np.concatenate(every, axis=1)
    return AnswersToAnalogies(known_all, right, n_words, sorted(unknown_words))


def evaluate_analogies(
    vectors: WordVectors,
    analogies: Analogies,
    *,
    limit: int | None = None,
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any]:
    """The document of ``eval``: ``n`` questions answered, ``accuracy``, ``per_section``.

    Questions with a word that is not known are left out and counted, as gensim's
    evaluate_word_analogies does with dummy4unknown=False.
    """
    found = analogies_answered(vectors, analogies, limit)
    return analogy_document(analogies, found, resamples=resamples, seed=seed)


def analogy_document(
    analogies: Analogies, found: AnswersToAnalogies, *, resamples: int, seed: int
) -> dict[str, Any]:
    """The same, of what was answered."""
    sections, at = {}, 0
    for number, (name, questions) in enumerate(analogies.sections.items()):
        own = slice(at, at + len(questions))
        n_known, n_right = int(found.known[own].sum()), int(found.right[own].sum())
        at += len(questions)
        sections[name] = {
            "n": n_known,
            "out_of_vocabulary": len(questions) - n_known,
            "correct": n_right,
            "accuracy": _share(n_right, n_known, resamples, seed, number + 1),
        }
    n_all, right_all = int(found.known.sum()), int(found.right.sum())
    return {
        "task": "analogies",
        "n": n_all,
        "questions": at,
        "out_of_vocabulary": at - n_all,
        "unknown_words": found.unknown_words,
        "vocabulary": found.vocabulary,
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
    return estimate(right / total, samples, share_of=total)
