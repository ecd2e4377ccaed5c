"""Cosines of word pairs against what people say: Spearman's and Pearson's correlation."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Similarities:
    """Of all pairs in order, (B,): whether both words are ``known``, what people say and the
    ``cosines``, 0 where they are not; ``by_subwords``: pairs whose words are not both in the
    ``vocabulary`` of so many; ``unknown_words`` of the pairs."""

    known: Bools
    truth: npt.NDArray[np.float64]
    cosines: npt.NDArray[np.float64]
    by_subwords: int
    vocabulary: int
    unknown_words: list[str]


def similarity_of(vectors: WordVectors, pairs: WordPairs, limit: int | None = None) -> Similarities:
    """Case does not matter. A word that the model does not know has a vector where there are
    sub-words; with ``limit`` only the first so many words have one."""
    n_words = len(vectors.words) if limit is None else min(limit, len(vectors.words))
    index = CaseBlind(vectors.words[:n_words])
    words = [word for pair in pairs.pairs for word in pair]
    found, has_vector, is_word = _vectors_of(vectors, index, words, by_subwords=limit is None)
    known = has_vector[0::2] & has_vector[1::2]
    units = unit_rows(found).reshape(-1, 2, found.shape[1])[known]
    cosines = np.zeros(len(known))
    # without their rounding, so that a word and itself are as alike as any other and itself
    cosines[known] = np.einsum("nd,nd->n", units[:, 0], units[:, 1], dtype=np.float64).round(6)
    by_subwords = known & ~(is_word[0::2] & is_word[1::2])
    unknown = sorted({w for w, good in zip(words, has_vector, strict=True) if not good})
    truth = np.array(pairs.scores, dtype=np.float64)
    return Similarities(known, truth, cosines, int(by_subwords.sum()), n_words, unknown)


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
    does with dummy4unknown=False. A correlation that is not defined, of too few pairs or equal
    values, is null.
    """
    found = similarity_of(vectors, pairs, limit)
    return similarity_document(found, resamples=resamples, seed=seed)


def similarity_document(found: Similarities, *, resamples: int, seed: int) -> dict[str, Any]:
    """The same, of what was found."""
    known = found.known
    return {
        "task": "similarity",
        "n": int(known.sum()),
        "pairs": len(known),
        "out_of_vocabulary": int((~known).sum()),
        "by_subwords": found.by_subwords,
        "unknown_words": found.unknown_words,
        "vocabulary": found.vocabulary,
        **correlations(found.truth[known], found.cosines[known], resamples=resamples, seed=seed),
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
