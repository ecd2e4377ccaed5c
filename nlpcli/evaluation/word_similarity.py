"""Cosines of word pairs against what people say: Spearman's and Pearson's correlation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.word_questions import WordPairs
from nlpcli.evaluation.bootstrap import count_blocks, estimate, generator
from nlpcli.evaluation.word_matching import CaseBlind
from nlpcli.models.word_vectors import WordVectors, unit_rows

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_STREAM = 10
"""Of the random numbers: another than other metrics have."""


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


def correlations(truth: F64, guess: F64, *, resamples: int, seed: int) -> dict[str, Any]:
    """Spearman's and Pearson's correlation of two float64 [N], with bootstrap intervals.

    Spearman's is Pearson's of the ranks, equal values sharing their mean rank (Spearman 1904; as
    scipy.stats.spearmanr).
    """
    n = len(truth)
    if n < 2:
        undefined = estimate(np.nan, np.empty(0))
        return {"spearman": undefined, "pearson": undefined}
    groups = [np.unique(values, return_inverse=True)[1] for values in (truth, guess)]
    once = np.ones((1, n))
    ranked, plain = [np.empty(0)], [np.empty(0)]
    for block in count_blocks(np.ones(n, np.int64), resamples, generator(seed, _STREAM)):
        weights = block.astype(np.float64)
        ranked.append(_spearman(weights, groups))
        plain.append(_pearson(weights, truth[None], guess[None]))
    return {
        "spearman": estimate(float(_spearman(once, groups)[0]), np.concatenate(ranked)),
        "pearson": estimate(
            float(_pearson(once, truth[None], guess[None])[0]), np.concatenate(plain)
        ),
    }


def _spearman(weights: F64, groups: list[I64]) -> F64:
    """Of resamples in which pair i is there ``weights[r, i]`` times, float64 [R]."""
    ranks = [_ranks(weights, group) for group in groups]
    return _pearson(weights, ranks[0], ranks[1])


def _ranks(weights: F64, group: I64) -> F64:
    """Mean rank of each pair in each resample, [R, N]; ``group``: the place of its value."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    below = np.cumsum(sizes, axis=1) - sizes
    ranks: F64 = (below + (sizes + 1) / 2)[:, group]
    return ranks


def _pearson(weights: F64, x: F64, y: F64) -> F64:
    """Weighted correlation, [R]; NaN where one of the two does not vary."""
    total = weights.sum(axis=1, keepdims=True)
    # what is left of equal values by rounding is no variation
    smallest = 1e-13 * total[:, 0] * np.abs(x).max(axis=1) * np.abs(y).max(axis=1)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    varies = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    found = np.full(len(weights), np.nan)
    np.divide((weights * x * y).sum(axis=1), varies, out=found, where=varies > smallest)
    return np.asarray(np.clip(found, -1, 1), dtype=np.float64)
