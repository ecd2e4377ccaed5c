"""N-gram language models: the probability of each word after those before it, in numpy; no torch.

Shapes: T tokens, U n-grams of an order, E entries (pairs of n-gram and label; without labels the
n-grams), L labels, V words with <unk>, <s> and </s>.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.batching.ngram_counts import BOS, CountLevel, word_bits
from nlpcli.models.ngram_smoothing import Estimates

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

CELLS = 1 << 22
"""Pairs of token and label worked on at once."""


@dataclass(frozen=True, eq=False)
class NgramLevel:
    """The n-grams of one order, ascending: ``keys`` uint64 [U] are the number of the first n - 1
    words among the n-grams of the order below << ``word_bits(V)`` | the last word.

    ``indptr`` int64 [U + 1] and ``labels`` int32 [E]: the entries of each; None for one model.
    ``log_prob`` float32 [E], log10 of the probability of the last word after the first ones;
    ``log_weight`` float32 [E], of the n-gram as a context; none in the highest order.
    """

    keys: U64
    indptr: I64 | None
    labels: I32 | None
    log_prob: F32
    log_weight: F32

    def find(self, prefixes: I32, words: I32, bits: int) -> I32:
        """The number of each n-gram, -1 where it is not there or its prefix is -1."""
        found = np.full(len(prefixes), -1, np.int32)
        at = np.flatnonzero(prefixes >= 0)
        if not len(at) or not len(self.keys):
            return found
        wanted = prefixes[at].astype(np.uint64) << np.uint64(bits)
        wanted |= words[at].view(np.uint32)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        there = self.keys[places] == wanted
        found[at[there]] = places[there]
        return found


@dataclass(frozen=True, eq=False)
class NgramModel:
    """``levels`` of orders 1 to N. ``root_weight`` float32 [L]: log10 of the empty context's.

    ``chained``: log10 P(w | h) of an n-gram that is not there is the weight of h plus
    log10 P(w | h'), h' being h without its first word; the weight is 0 where h is not there either.
    Otherwise it is the weight of h, and ``unseen`` (log10) where h is not there. Below order 1 all
    words but <s> are as probable, 1 / (V - 1).
    """

    n_words: int
    n_labels: int
    levels: list[NgramLevel]
    root_weight: F32
    chained: bool
    unseen: float = -math.inf

    @property
    def order(self) -> int:
        """Words of the longest n-grams."""
        return len(self.levels)

    @property
    def uniform(self) -> float:
        """log10 of the probability below order 1."""
        return -math.log10(self.n_words - 1)

    @property
    def bits(self) -> int:
        """Bits of the last word in a key."""
        return word_bits(self.n_words)

    @staticmethod
    def from_estimates(
        levels: Sequence[CountLevel], estimates: Estimates, n_words: int, n_labels: int = 1
    ) -> NgramModel:
        """The model of estimated probabilities."""
        with np.errstate(divide="ignore"):
            weights = [np.log10(values).astype(np.float32) for values in estimates.weights]
            weights.append(np.empty(0, np.float32))
            made = [
                NgramLevel(
                    level.keys,
                    level.indptr,
                    level.labels,
                    np.log10(probabilities).astype(np.float32),
                    weight,
                )
                for level, probabilities, weight in zip(
                    levels, estimates.probabilities, weights[1:], strict=True
                )
            ]
        unseen = -math.log10(n_words - 1) if estimates.unseen else -math.inf  # of Laplace: 1 / V
        return NgramModel(n_words, n_labels, made, weights[0], estimates.chained, unseen)

    def log10_sums(self, tokens: I32, sizes: I64, only: npt.NDArray[np.bool_] | None = None) -> F64:
        """log10 P of each sentence by each label, float64 [B, L].

        ``tokens`` int32 [T]: sentences of <s>, words and </s>; ``sizes`` int64 [B] of them.
        ``only`` bool [T]: tokens that are looked at. What a sentence gets does not depend on those
        around it, to the last bit.
        """
        found = np.zeros((len(sizes), self.n_labels))
        room = max(1, CELLS // self.n_labels)
        ends = np.cumsum(sizes)
        begin = 0
        while begin < len(sizes):
            start = int(ends[begin] - sizes[begin])
            stop = int(np.searchsorted(ends, start + room, side="right"))
            stop = max(stop, begin + 1)
            end = int(ends[stop - 1])
            part = slice(start, end)
            self._sum(tokens[part], sizes[begin:stop], None if only is None else only[part],
                      found[begin:stop], room)  # fmt: skip
            begin = stop
        return found

    def _sum(
        self, tokens: I32, sizes: I64, only: npt.NDArray[np.bool_] | None, found: F64, room: int
    ) -> None:
        """Sums of several sentences, or of one that is worked on in parts."""
        numbers = self.find(tokens)
        owners = np.repeat(np.arange(len(sizes)), sizes)
        wanted = tokens != BOS if only is None else only & (tokens != BOS)
        for begin in range(0, len(tokens), room):
            end = min(begin + room, len(tokens))
            scores = self._scores(numbers, tokens, begin, end)
            scores[~wanted[begin:end]] = 0.0
            part = owners[begin:end]
            for label in range(self.n_labels):
                found[:, label] += np.bincount(part, scores[:, label], minlength=len(sizes))

    def log10_tokens(self, tokens: I32) -> F64:
        """log10 P of each token after those before it in its sentence, float64 [T, L].

        That of <s> means nothing. For texts of moderate length: all are worked on at once.
        """
        return self._scores(self.find(tokens), tokens, 0, len(tokens))

    def find(self, tokens: I32) -> list[I32]:
        """By order the number of the n-gram that begins at each token, -1 where none is known."""
        found: list[I32] = []
        before = np.zeros(len(tokens), np.int32)
        for n, level in enumerate(self.levels, 1):
            own = np.full(len(tokens), -1, np.int32)
            size = max(0, len(tokens) - n + 1)
            own[:size] = level.find(before[:size], tokens[n - 1 :], self.bits)
            found.append(own)
            before = own
        return found

    def _scores(self, numbers: list[I32], tokens: I32, begin: int, end: int) -> F64:
        """log10 P of the tokens from ``begin`` to ``end``, float64 [end - begin, L]."""
        scores = np.full((end - begin, self.n_labels), self.uniform)
        places = np.arange(begin, end)
        depth = None
        if not self.chained:
            starts = np.flatnonzero(tokens[:end] == BOS)
            depth = places - starts[np.maximum(np.searchsorted(starts, places, "right") - 1, 0)]
        for n, level in enumerate(self.levels, 1):
            first = places - n + 1
            rows = np.flatnonzero(first >= 0 if depth is None else (first >= 0) & (depth >= n - 1))
            first = first[rows]
            if n == 1:
                scores[:] = self.root_weight + (scores if self.chained else 0.0)
            else:
                if not self.chained:
                    scores[rows] = self.unseen
                below = self.levels[n - 2]
                at, labels, entries = _entries(below, numbers[n - 2][first], rows)
                if self.chained:
                    scores[at, labels] += below.log_weight[entries]
                else:
                    scores[at, labels] = below.log_weight[entries]
            at, labels, entries = _entries(level, numbers[n - 1][first], rows)
            scores[at, labels] = level.log_prob[entries]
        return scores

    def next_words(self, context: Sequence[int], label: int = 0) -> F64:
        """P of each word after a context of words, <s> first; float64 [V]."""
        scores = np.full(self.n_words, self.uniform)
        scores[BOS] = -math.inf
        number = 0
        context = list(context)[max(0, len(context) - self.order + 1) :]
        for n, level in enumerate(self.levels, 1):
            words = context[len(context) - n + 1 :] if n > 1 else []
            if len(words) < n - 1:
                break
            number = self._number(words)
            weight = self._weight(n - 1, number, label)
            if not self.chained:
                scores[:] = self.unseen if weight is None else weight
            elif weight is not None:
                scores += weight
            if number < 0:
                continue
            low, high = np.searchsorted(
                level.keys, np.array([number, number + 1], np.uint64) << np.uint64(self.bits)
            )
            keys = level.keys[low:high] & np.uint64((1 << self.bits) - 1)
            numbers = np.arange(low, high, dtype=np.int32)
            at, labels, entries = _entries(level, numbers, keys.astype(np.int64))
            mine = labels == label
            scores[at[mine]] = level.log_prob[entries[mine]]
        scores[BOS] = -math.inf
        found: F64 = 10.0**scores
        return found

    def _number(self, words: Sequence[int]) -> int:
        """The number of an n-gram, -1 where it is not known; 0 of none."""
        number = 0
        for level, word in zip(self.levels, words, strict=False):
            one = level.find(np.array([number], np.int32), np.array([word], np.int32), self.bits)
            number = int(one[0])
        return number

    def _weight(self, n: int, number: int, label: int) -> float | None:
        """log10 of the weight of a context of ``n`` words; None where it is not known."""
        if n == 0:
            return float(self.root_weight[label])
        level = self.levels[n - 1]
        one = np.zeros(1, np.int64)
        _, labels, entries = _entries(level, np.array([number], np.int32), one)
        mine = entries[labels == label]
        return float(level.log_weight[mine[0]]) if len(mine) else None


def _entries(level: NgramLevel, numbers: I32, rows: I64) -> tuple[I64, I64 | I32, I64]:
    """The entries of n-grams that are known: the row of each, its label, and its number."""
    there = numbers >= 0
    rows, known = rows[there], numbers[there].astype(np.int64)
    if level.indptr is None or level.labels is None:
        return rows, np.zeros(len(rows), np.int64), known
    begins, sizes = level.indptr[known], level.indptr[known + 1] - level.indptr[known]
    ends = np.cumsum(sizes)
    entries = np.arange(int(sizes.sum())) + np.repeat(begins - ends + sizes, sizes)
    return np.repeat(rows, sizes), level.labels[entries], entries
