"""Vectors of words, and the words nearest to a vector, in numpy; no torch needed to answer.

Shapes: V words, B buckets of character n-grams, D numbers a vector, N words asked, Q queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nlpcli.batching.subwords import subword_bags

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_BLOCK = 1 << 24
"""Cosines worked on at once."""
SHORTEST = 1e-30
"""A shorter vector has no direction."""


@dataclass(frozen=True, eq=False)
class SubwordVectors:
    """``vectors`` float32 [B, D] of character n-grams of ``min_n`` to ``max_n`` code points.

    Bojanowski et al. 2017, Enriching Word Vectors with Subword Information, section 3.2.
    """

    min_n: int
    max_n: int
    vectors: F32

    def means(self, words: Sequence[str]) -> tuple[F32, Bools]:
        """Of each word the mean of its n-grams, float32 [N, D]; whether it has any, bool [N]."""
        indptr, ids = subword_bags(words, self.min_n, self.max_n, len(self.vectors))
        counts = np.diff(indptr)
        found = np.zeros((len(words), self.vectors.shape[1]), dtype=np.float32)
        filled = np.flatnonzero(counts)
        if len(filled):
            sums = np.add.reduceat(self.vectors[ids], indptr[filled], axis=0)
            found[filled] = sums / counts[filled, None].astype(np.float32)
        return found, counts > 0


@dataclass(frozen=True, eq=False)
class WordVectors:
    """``words``, all different, and their ``vectors`` float32 [V, D]; most frequent first.

    ``counts`` int64 [V]: how often each was seen, where that is known. With ``subwords`` a word
    that is not there has a vector too; those of the words are complete without.
    """

    words: list[str]
    vectors: F32
    counts: I64 | None = None
    subwords: SubwordVectors | None = None

    @cached_property
    def positions(self) -> dict[str, int]:
        """The row of each word."""
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def _inverse_norms(self) -> F32:
        """One over the length of each row, float32 [V]; 0 for a row without a direction."""
        squares: F64 = np.einsum("vd,vd->v", self.vectors, self.vectors, dtype=np.float64)
        lengths = np.sqrt(squares)
        found = np.zeros(len(lengths), dtype=np.float32)
        np.divide(1.0, lengths, out=found, where=lengths > SHORTEST, casting="same_kind")
        return found

    def lookup(self, words: Sequence[str]) -> tuple[F32, Bools]:
        """Their vectors, float32 [N, D], and which have one, bool [N]; the others are zeros."""
        rows = np.array([self.positions.get(word, -1) for word in words], dtype=np.int64)
        known = rows >= 0
        found = np.zeros((len(words), self.vectors.shape[1]), dtype=np.float32)
        found[known] = self.vectors[rows[known]]
        unknown = np.flatnonzero(~known)
        if self.subwords is not None and len(unknown):
            means, good = self.subwords.means([words[i] for i in unknown.tolist()])
            found[unknown], known[unknown] = means, good
        return found, known

    def nearest(
        self,
        queries: F32,
        k: int,
        exclude: Sequence[Sequence[int]] | None = None,
        *,
        limit: int | None = None,
    ) -> tuple[I64, F32]:
        """The ``k`` words of the highest cosine to each query: rows int64 and cosines float32
        [Q, K].

        ``queries`` float32 [Q, D]; ``exclude``: for each the rows that are no answer; ``limit``:
        only the first so many words answer. Of equal cosines the lower row comes first. K is
        ``k``, or all there are; where exclusion leaves fewer, the row is -1 and the cosine 0.
        """
        n_words = len(self.words) if limit is None else min(limit, len(self.words))
        k = min(k, n_words)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        cosines = np.zeros((len(queries), k), dtype=np.float32)
        units = unit_rows(queries)
        step = max(1, _BLOCK // max(1, n_words))
        for first in range(0, len(queries), step):
            found = units[first : first + step] @ self.vectors[:n_words].T
            found *= self._inverse_norms[:n_words]
            for at, scores in enumerate(found, first):
                barred = () if exclude is None else exclude[at]
                scores[[row for row in barred if row < n_words]] = -np.inf
                best = _highest(scores, k)
                rows[at, : len(best)] = best
                cosines[at, : len(best)] = np.clip(scores[best], -1, 1)
        return rows, cosines


def unit_rows(vectors: F32) -> F32:
    """Each row at length one, float32 [N, D]; one without a direction becomes zeros."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
    found = np.zeros_like(wide)
    np.divide(wide, lengths, out=found, where=lengths > SHORTEST)
    return found.astype(np.float32)


def _highest(scores: F32, k: int) -> I64:
    """The places of the ``k`` highest finite scores, highest first, of equal ones the lower."""
    if k == 1:
        best = int(scores.argmax())
        return np.array([best] * bool(scores[best] > -np.inf), dtype=np.int64)
    if k < 1:
        return np.empty(0, dtype=np.int64)
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero((scores >= least) & (scores > -np.inf))
    order = np.argsort(-scores[candidates], kind="stable")[:k]
    found: I64 = candidates[order]
    return found
