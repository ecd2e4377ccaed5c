"""Cosines of word pairs against what people say: Spearman's and Pearson's correlation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.word_questions import WordPairs
from nlpcli.evaluation.correlation import correlations
from nlpcli.evaluation.word_matching import CaseBlind
from nlpcli.models.word_vectors import WordVectors, unit_rows

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def evaluate_similarity(
    vectors: WordVectors,
    pairs: WordPairs,
    *,
    limit: int | None = None,
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any]:
    """The document of ``eval``: ``n`` pairs compared, ``spearman``, ``pearson``.

    Pairs with a word that has no vector are left out and counted, as gensim's evaluate_word_pairs
    does with dummy4unknown=False. Case does not matter. A word that the model does not know has a
    vector where there are sub-words; with ``limit`` only the first so many words have one. A
    correlation that is not defined, of too few pairs or equal values, is null.
    """
    n_words = len(vectors.words) if limit is None else min(limit, len(vectors.words))
    index = CaseBlind(vectors.words[:n_words])
    words = [word for pair in pairs.pairs for word in pair]
    found, has_vector, is_word = _vectors_of(vectors, index, words, by_subwords=limit is None)
    known = has_vector[0::2] & has_vector[1::2]
    units = unit_rows(found).reshape(-1, 2, found.shape[1])[known]
    # without their rounding, so that a word and itself are as alike as any other and itself
    cosines = np.einsum("nd,nd->n", units[:, 0], units[:, 1], dtype=np.float64).round(6)
    truth = np.array(pairs.scores)[known]
    by_subwords = known & ~(is_word[0::2] & is_word[1::2])
    return {
        "task": "similarity",
        "n": int(known.sum()),
        "pairs": len(known),
        "out_of_vocabulary": int((~known).sum()),
        "by_subwords": int(by_subwords.sum()),
        "unknown_words": sorted({w for w, good in zip(words, has_vector, strict=True) if not good}),
        "vocabulary": n_words,
        **correlations(truth, cosines, resamples=resamples, seed=seed),
    }


def _vectors_of(
    vectors: WordVectors, index: CaseBlind, words: list[str], *, by_subwords: bool
) -> tuple[F32, Bools, Bools]:
    """Vectors float32 [N, D], which there are, and which are those of words of the vocabulary."""
    rows = np.array([index.row(word) for word in words], dtype=np.int64)
    is_word = rows >= 0
    found = np.zeros((len(words), vectors.vectors.shape[1]), dtype=np.float32)
    found[is_word] = vectors.vectors[rows[is_word]]
    has_vector = is_word.copy()
    unknown = np.flatnonzero(~is_word)
    if by_subwords and vectors.subwords is not None and len(unknown):
        means, good = vectors.subwords.means([words[i] for i in unknown.tolist()])
        found[unknown], has_vector[unknown] = means, good
    return found, has_vector, is_word
